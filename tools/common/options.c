// The table of a tool as argp wants it. argp splits and explains the command line; words,
// errors and exits are ours, so that all tools agree on them.
//
// Keys: an option with a letter has it for its key, others KEY_BASE and their place in the table;
// argp's own keys lie above both. Help and version are added here, for argp's own would exit.
//
// argp goes on after some errors, as getopt does behind a letter that it does not know. So the
// first thing that ends the command line, an error or --help, is noted in `stop`, and what comes
// after is not looked at.
//
// Words of the command line: a tool takes none, or the first one begins a command, and nothing
// behind it is ours, be it spelled like an option.
//
// Numbers: no strtod(), and strtoull() only behind a digit. Both take signs, blanks and, in other
// languages, other points; "-1" must not become 18446744073709551615.
#include "common/options.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BASE = 0x1000 }; // keys of the table's rows; letters are below

struct parse {
    const struct tool *tool;
    tool_take *take;
    void *user;
    int first; // index of the first word behind the options
    int status;
    bool stop; // nothing is left to do
};

static void complain(const struct tool *tool, const char *format, va_list args)
{
    fprintf(stderr, "%s: ", tool->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void tool_complain(const struct tool *tool, const char *hint, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(tool, format, args);
    va_end(args);
    if (hint)
        fprintf(stderr, "%s: hint: %s\n", tool->name, hint);
}

int tool_fail(const struct tool *tool, const mproxy_error *err, const char *hint)
{
    const char *text = err->text[0] ? err->text : mproxy_status_text(err->status);
    tool_complain(tool, hint, "%s", text);
    return TOOL_FAILED;
}

static int hint_at_help(const struct tool *tool)
{
    fprintf(stderr, "%s: hint: '%s --help' lists the options\n", tool->name, tool->name);
    return TOOL_USAGE;
}

int tool_misuse(const struct tool *tool, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(tool, format, args);
    va_end(args);
    return hint_at_help(tool);
}

bool tool_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                 char why[TOOL_WHY])
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    // strtoull() would take a sign and blanks.
    bool is_number = *text >= '0' && *text <= '9' && *end == '\0';
    if (is_number && errno == 0 && value >= min && value <= max) {
        *out = value;
        return true;
    }
    snprintf(why, TOOL_WHY, "a whole number from %llu to %llu was expected",
             (unsigned long long)min, (unsigned long long)max);
    return false;
}

// No strtod(): it takes signs, blanks, exponents, and the point of the user's language.
bool tool_decimal(const char *text, double min, double max, double *out,
                  char why[TOOL_WHY])
{
    double value = 0, unit = 1;
    size_t whole = strspn(text, "0123456789");
    const char *decimals = text[whole] == '.' ? text + whole + 1 : text + whole;
    size_t count = strspn(decimals, "0123456789");
    for (size_t i = 0; i < whole; i++)
        value = 10 * value + (text[i] - '0');
    for (size_t i = 0; i < count; i++)
        value += (unit /= 10) * (decimals[i] - '0');
    if (whole > 0 && decimals[count] == '\0' && (decimals == text + whole || count > 0) &&
        value >= min && value <= max) {
        *out = value;
        return true;
    }
    snprintf(why, TOOL_WHY, "a number from %g to %g was expected", min, max);
    return false;
}

bool tool_text(const char *argument, const char **out, char why[TOOL_WHY])
{
    snprintf(why, TOOL_WHY, "empty");
    *out = argument;
    return *argument != '\0';
}

// An error at all events: else getopt would go on with the letters behind this one, and
// take their arguments from behind the end.
static error_t stop(struct parse *p, int status)
{
    p->stop = true;
    p->status = status;
    return EINVAL;
}

static const struct tool_option *row_of(const struct tool *tool, int key)
{
    for (size_t i = 0; i < tool->option_count; i++)
        if (tool->options[i].letter == key || KEY_BASE + (int)i == key)
            return &tool->options[i];
    return NULL;
}

static error_t take_option(struct parse *p, const struct tool_option *row,
                           const char *argument)
{
    char why[TOOL_WHY] = "";
    if (p->take(p->user, row->option, argument, why))
        return 0;
    const char *text = argument ? argument : "";
    return stop(p, tool_misuse(p->tool, "--%s '%.100s': %s", row->name, text, why));
}

static error_t take_word(struct parse *p, struct argp_state *state, const char *word)
{
    if (p->tool->words == TOOL_NO_WORDS)
        return stop(p, tool_misuse(p->tool, "unexpected word '%.100s'", word));
    p->first = state->next - 1;
    state->next = state->argc;
    return 0;
}

static error_t take_key(int key, char *argument, struct argp_state *state)
{
    struct parse *p = state->input;
    switch (key) {
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
        return stop(p, TOOL_OK);
    case 'V':
        printf("%s %s\n", p->tool->name, mproxy_version());
        return stop(p, TOOL_OK);
    case ARGP_KEY_INIT:
        // getopt tells what was wrong, the hint that follows is ours.
        state->err_stream = NULL;
        return 0;
    case ARGP_KEY_ARG:
        return take_word(p, state, argument);
    }
    // argp's own keys lie above the letters and the rows.
    const struct tool_option *row =
        key > 0 && key < ARGP_KEY_END ? row_of(p->tool, key) : NULL;
    return row ? take_option(p, row, argument) : ARGP_ERR_UNKNOWN;
}

static char *doc_of(const struct tool_option *row)
{
    char *text;
    if (!row->standard)
        return strdup(row->doc);
    return asprintf(&text, "%s (default: %s)", row->doc, row->standard) < 0 ? NULL : text;
}

static struct argp_option argp_row(const struct tool *tool, size_t i, int group)
{
    const struct tool_option *row = &tool->options[i];
    struct argp_option out = {.name = row->name, .group = group};
    out.key = row->letter ? row->letter : KEY_BASE + (int)i;
    if (row->is_alias) {
        out.flags = OPTION_ALIAS;
        return out;
    }
    out.arg = row->argument;
    out.doc = doc_of(row);
    return out;
}

// Rows, a heading where the group changes, help and version, and the end.
static struct argp_option *make_rows(const struct tool *tool)
{
    struct argp_option *rows = calloc(2 * tool->option_count + 3, sizeof *rows);
    if (!rows)
        return NULL;
    size_t used = 0;
    int group = 0;
    const char *heading = "";
    for (size_t i = 0; i < tool->option_count; i++) {
        const struct tool_option *row = &tool->options[i];
        if (!row->is_alias && strcmp(row->group, heading) != 0) {
            heading = row->group;
            group++;
            rows[used++] = (struct argp_option){.doc = heading, .group = group};
        }
        rows[used++] = argp_row(tool, i, group);
    }
    rows[used++] = (struct argp_option){
        .name = "help", .key = 'h', .doc = "show this help and exit", .group = -1};
    rows[used++] = (struct argp_option){
        .name = "version", .key = 'V', .doc = "show the version and exit", .group = -1};
    return rows;
}

// Of an option that is no alias the text was made by doc_of().
static void free_rows(struct argp_option *rows)
{
    for (struct argp_option *row = rows; row && (row->key || row->doc); row++)
        if (row->key && row->group > 0 && !(row->flags & OPTION_ALIAS))
            free((char *)row->doc);
    free(rows);
}

// What stands above and below the options.
static char *make_doc(const struct tool *tool)
{
    char *doc = NULL;
    if (asprintf(&doc, "%s - %s", tool->name, tool->summary) < 0)
        return NULL;
    for (const struct tool_verb *verb = tool->verbs; verb->name && doc; verb++) {
        char *longer = NULL;
        if (asprintf(&longer, "%s%s  %s %s\n      %s", doc,
                     verb == tool->verbs ? "\vCommands:\n" : "\n", verb->name,
                     verb->usage, verb->doc) < 0)
            longer = NULL;
        free(doc);
        doc = longer;
    }
    return doc;
}

int tool_parse(const struct tool *tool, int argc, char **argv, tool_take *take,
               void *user, int *status)
{
    struct parse p = {.tool = tool, .take = take, .user = user, .first = argc};
    struct argp_option *rows = make_rows(tool);
    char *doc = make_doc(tool);
    if (!rows || !doc) {
        free(doc);
        free_rows(rows);
        tool_complain(tool, NULL, "no memory");
        *status = TOOL_FAILED;
        return -1;
    }
    struct argp argp = {
        .options = rows, .parser = take_key, .args_doc = tool->usage, .doc = doc};
    // argp and getopt name the tool by its first word, which may be a long path.
    argv[0] = (char *)tool->name;
    error_t error = argp_parse(&argp, argc, argv,
                               ARGP_IN_ORDER | ARGP_NO_HELP | ARGP_NO_EXIT, NULL, &p);
    free(doc);
    free_rows(rows);
    if (error == 0 && !p.stop)
        return p.first;
    *status = p.stop ? p.status : hint_at_help(tool);
    return -1;
}

void tool_put_json(const char *text)
{
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < ' ')
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    putchar('"');
}
