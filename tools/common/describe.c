// Writes a tool's man page or bash completion from its table, at build time:
//   describe-TOOL man man.txt > TOOL.1
//   describe-TOOL completion [OTHER_NAME...] > TOOL
//
// man.txt is plain text. `# NAME` starts a section; an empty line, a paragraph; a line
// indented by four blanks is shown as it is; `TERM :: text` is an entry of a list, whose
// text goes on until an empty line. The sections NAME, SYNOPSIS and OPTIONS are made
// here, OPTIONS behind the first section of the file.
//
// The table is the only place where an option is written down: --help (options.c), the man page
// and the completion follow from it, and meta.options compares what they show. So this program
// is linked with each tool's table and runs while the tool is built; nothing of it is installed.
#include "common/define_tool.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// A backslash, a hyphen, and a dot or quote at a line's start mean something to man.
static void put_text(const char *text, size_t length)
{
    if (length && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
}

static void put_words(const char *text)
{
    put_text(text, strlen(text));
}

static void put_names(const struct tool_option *row)
{
    if (row->letter)
        printf("\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", stdout);
    put_words(row->name);
    fputs("\\fR", stdout);
}

static void put_aliases(const struct tool_option *of)
{
    for (size_t i = 0; i < this_tool.option_count; i++) {
        const struct tool_option *row = &this_tool.options[i];
        if (row->is_alias && row->option == of->option) {
            fputs(", ", stdout);
            put_names(row);
        }
    }
}

// The text of an option as a sentence.
static void put_doc(const struct tool_option *row)
{
    char first = (char)toupper((unsigned char)row->doc[0]);
    put_text(&first, 1);
    put_words(row->doc + 1);
    if (row->standard) {
        fputs(" (default: ", stdout);
        put_words(row->standard);
        putchar(')');
    }
    puts(".");
}

static void put_options(void)
{
    static const struct tool_option common[] = {
        {"help", 'h', NULL, "General", NULL, "show a list of the options and exit", 0, 0},
        {"version", 'V', NULL, "General", NULL, "show the version and exit", 0, 0}};
    puts(".SH OPTIONS");
    const char *group = "";
    for (size_t i = 0; i < this_tool.option_count + 2; i++) {
        const struct tool_option *row = i < this_tool.option_count
                                            ? &this_tool.options[i]
                                            : &common[i - this_tool.option_count];
        if (row->is_alias)
            continue;
        if (strcmp(group, row->group) != 0)
            printf(".SS %s\n", row->group);
        group = row->group;
        puts(".TP");
        put_names(row);
        if (row->argument)
            printf(" \\fI%s\\fR", row->argument);
        put_aliases(row);
        putchar('\n');
        put_doc(row);
    }
}

struct page {
    int sections;
    bool shows_lines; // in lines shown as they are
    bool starts;      // the next text starts a paragraph
};

static void end_lines(struct page *page)
{
    if (page->shows_lines)
        puts(".EE\n.RE");
    page->shows_lines = false;
}

static void put_section(struct page *page, const char *name)
{
    if (page->sections++ == 1)
        put_options();
    printf(".SH %s", name);
    page->starts = false; // .SH starts one
}

static void put_plain(struct page *page, const char *line)
{
    const char *tag = strstr(line, " :: ");
    if (tag) {
        fputs(".TP\n\\fB", stdout);
        put_text(line, (size_t)(tag - line));
        puts("\\fR");
        line = tag + strlen(" :: ");
    } else if (page->starts) {
        puts(".PP");
    }
    page->starts = false;
    put_words(line);
}

static void put_shown(struct page *page, const char *line)
{
    if (!page->shows_lines)
        puts(".PP\n.RS 4\n.EX");
    page->shows_lines = true;
    put_words(line);
}

static void put_line(struct page *page, const char *line)
{
    if (strncmp(line, "    ", 4) == 0) {
        put_shown(page, line + 4);
        return;
    }
    end_lines(page);
    if (strncmp(line, "# ", 2) == 0)
        put_section(page, line + 2);
    else if (*line == '\n')
        page->starts = true;
    else
        put_plain(page, line);
}

static int put_man(const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in) {
        perror(path);
        return 1;
    }
    printf(".TH %s 1 \"\" \"mproxy %s\" \"User Commands\"\n.SH NAME\n", this_tool.name,
           MPROXY_VERSION);
    put_words(this_tool.name);
    fputs(" \\- ", stdout);
    put_words(this_tool.summary);
    printf("\n.SH SYNOPSIS\n\\fB");
    put_words(this_tool.name);
    fputs("\\fR [OPTION...] ", stdout);
    put_words(this_tool.usage);
    putchar('\n');
    struct page page = {0};
    char line[1024];
    while (fgets(line, sizeof line, in))
        put_line(&page, line);
    end_lines(&page);
    if (page.sections == 1)
        put_options();
    return fclose(in) == 0 && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

static void put_case(const struct tool_option *row)
{
    const char *command = this_tool.completions[row->option];
    bool is_dir = strcmp(row->argument, "DIR") == 0;
    bool is_path = strcmp(row->argument, "PATH") == 0;
    if (row->letter)
        printf("    -%c | ", row->letter);
    else
        printf("    ");
    printf("--%s)\n", row->name);
    // Of a list, A,B, the last item is completed.
    if (command)
        printf("        COMPREPLY=($(compgen -P \"${cur%%\"${cur##*,}\"}\""
               " -W \"$(%s 2>/dev/null)\" -- \"${cur##*,}\"))\n",
               command);
    else if (is_dir || is_path)
        printf("        COMPREPLY=($(compgen -%c -- \"$cur\"))\n", is_dir ? 'd' : 'f');
    puts("        return 0\n        ;;");
}

static void put_all_names(void)
{
    for (size_t i = 0; i < this_tool.option_count; i++) {
        if (this_tool.options[i].letter)
            printf("-%c ", this_tool.options[i].letter);
        printf("--%s ", this_tool.options[i].name);
    }
    fputs("-h --help -V --version", stdout);
    for (const struct tool_verb *verb = this_tool.verbs; verb->name; verb++)
        printf(" %s", verb->name);
}

// bash-completion's own helper for wrappers completes the command behind the options.
static void put_command_part(void)
{
    puts("    local i\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case \"${COMP_WORDS[i]}\" in\n"
         "        --)\n"
         "            ((i++))\n"
         "            break\n"
         "            ;;");
    for (size_t i = 0; i < this_tool.option_count; i++) {
        const struct tool_option *row = &this_tool.options[i];
        if (row->argument && row->letter)
            printf("        -%c | --%s) ((i++)) ;;\n", row->letter, row->name);
        else if (row->argument)
            printf("        --%s) ((i++)) ;;\n", row->name);
    }
    puts("        -*) ;;\n"
         "        *) break ;;\n"
         "        esac\n"
         "    done\n"
         "    if ((i < COMP_CWORD)) || { ((i == COMP_CWORD)) && [[ $cur != -* ]]; }; "
         "then\n"
         "        if declare -F _command_offset >/dev/null; then\n"
         "            _command_offset \"$i\"\n"
         "        else\n"
         "            COMPREPLY=($(compgen -c -f -- \"$cur\"))\n"
         "        fi\n"
         "        return 0\n"
         "    fi");
}

// Commands of the tool's own, and files behind them.
static void put_verbs(void)
{
    puts("    local i\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case \"${COMP_WORDS[i]}\" in");
    for (const struct tool_verb *verb = this_tool.verbs; verb->name; verb++)
        printf("        %s)\n            COMPREPLY=($(compgen -f -- \"$cur\"))\n"
               "            return 0\n            ;;\n",
               verb->name);
    puts("        esac\n"
         "    done");
}

static int put_completion(char *const other_names[])
{
    char function[64];
    snprintf(function, sizeof function, "_%s", this_tool.name);
    for (char *c = function; *c; c++)
        if (*c == '-')
            *c = '_';
    printf("# bash completion of %s; made from its table of options.\n", this_tool.name);
    printf("%s()\n{\n", function);
    puts("    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}");
    if (this_tool.words == TOOL_COMMAND)
        put_command_part();
    if (this_tool.words == TOOL_VERBS)
        put_verbs();
    puts("    case \"$prev\" in");
    for (size_t i = 0; i < this_tool.option_count; i++)
        if (this_tool.options[i].argument)
            put_case(&this_tool.options[i]);
    fputs("    esac\n    COMPREPLY=($(compgen -W \"", stdout);
    put_all_names();
    printf("\" -- \"$cur\"))\n} && complete -F %s %s", function, this_tool.name);
    for (char *const *name = other_names; *name; name++)
        printf(" %s", *name);
    putchar('\n');
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "man") == 0)
        return put_man(argv[2]);
    if (argc >= 2 && strcmp(argv[1], "completion") == 0)
        return put_completion(argv + 2);
    fprintf(stderr, "usage: describe-%s man FILE | completion [NAME...]\n",
            this_tool.name);
    return TOOL_USAGE;
}
