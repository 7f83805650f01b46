// Options of a tool, from one table: what it takes, its --help, its man page and its bash
// completion.
//
// A tool NAME consists of
//   tools/NAME/options.def   the table, see below
//   tools/NAME/man.txt       what only the man page says, see common/describe.c
//   tools/NAME/main.c        and more sources as needed
//   tools/NAME/CMakeLists.txt   mproxy_tool(NAME SOURCES main.c LINK mproxy)
// and includes <mproxy/...> and "common/options.h" only.
//
// The table has one row for the tool, and one for each option:
//   TOOL_ABOUT("proxy-v2", TOOL_NO_WORDS, "", "watch the jobs of this node")
//   TOOL_OPTION(PORT, "port", 'p', "N", "Network", "1337", "HTTP port; 0: a free one")
//   TOOL_OPTION(AUTO_ROOT, "auto-root", 0, NULL, "Tree", NULL, "find the root by a file")
//   TOOL_ALIAS(AUTO_ROOT, "automatic-root")         another name of an option
//   TOOL_COMPLETE(TARGET, "proxyctl jobs --names")  a command that prints arguments
//   TOOL_VERB("check", "[FILE]", "judge a page")    a command of a tool with TOOL_VERBS
// that is: identifier, long name, letter or 0, name of its argument or NULL, heading
// under which it is shown, default in words or NULL, what it does (lower case, no
// period). An argument called DIR or PATH is completed as one. -h, --help, -V and
// --version are there for every tool and in no table. main.c is then
//
//   #define TOOL_TABLE "proxy-v2/options.def"
//   #include "common/define_tool.h" // OPT_PORT, OPT_AUTO_ROOT, ... and `this_tool`
//
//   static bool take(void *user, int option, const char *argument, char why[TOOL_WHY])
//   {
//       struct settings *s = user;
//       switch (option) {
//       case OPT_PORT:
//           return tool_number(argument, 0, 65535, &s->port, why);
//       ...
//   }
//
//   int main(int argc, char **argv)
//   {
//       struct settings s = {.port = 1337};
//       int status, first = tool_parse(&this_tool, argc, argv, take, &s, &status);
//       if (first < 0)
//           return status;
//       mproxy_error err;
//       if (do_it(&s, &err) != MPROXY_OK)
//           return tool_fail(&this_tool, &err, NULL);
//       return TOOL_OK;
//   }
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mproxy/base.h>

// Exit statuses of every tool.
enum tool_exit {
    TOOL_OK = 0,
    TOOL_FAILED = 1, // it was asked rightly, and could not be done
    TOOL_USAGE = 2,  // it was asked wrongly
};

// What may follow the options.
enum tool_words {
    TOOL_NO_WORDS = 0, // nothing; a word is an error of usage
    TOOL_COMMAND = 1,  // options end at the first word; what follows is not looked at
    TOOL_VERBS = 2,    // the same, and the first word is a command of the tool's own
};

struct tool_option {
    const char *name;
    int letter;           // 0: none
    const char *argument; // its name in texts; NULL: takes none
    const char *group;
    const char *standard; // the default in words; NULL: none worth saying
    const char *doc;
    int option; // OPT_...: for an alias, that of the option it stands for
    bool is_alias;
};

// A command of a tool with several.
struct tool_verb {
    const char *name; // NULL: the end
    const char *usage;
    const char *doc;
};

struct tool {
    const char *name;
    enum tool_words words;
    const char *usage;   // what follows the options in a line of usage
    const char *summary; // one line
    const struct tool_option *options;
    size_t option_count;
    const char *const
        *completions; // by OPT_...: a command that prints arguments, or NULL
    const struct tool_verb *verbs;
};

enum { TOOL_WHY = 200 }; // room for a reason

// Take one option. `argument` is NULL for options without one; it points into argv and
// stays. False, with the reason in `why`, when it is none that the option takes.
typedef bool tool_take(void *user, int option, const char *argument, char why[TOOL_WHY]);

// Parse a command line; --help and --version print to stdout, errors of usage to stderr.
// Returns the index of the first word behind the options (argc if there is none), or -1
// when there is nothing left to do: return *status from main then.
int tool_parse(const struct tool *tool, int argc, char **argv, tool_take *take,
               void *user, int *status);

// Print `TOOL: text`, then the hint (may be NULL) on a line of its own, to stderr.
void tool_complain(const struct tool *tool, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Print an error and return TOOL_FAILED. The one place that turns statuses into exits.
int tool_fail(const struct tool *tool, const mproxy_error *err, const char *hint);

// Print an error of usage with the hint to ask for --help, and return TOOL_USAGE.
int tool_misuse(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Parse a whole decimal number from min to max. *out is untouched on failure.
bool tool_number(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                 char why[TOOL_WHY]);
// The same for one that may have decimals behind a point.
bool tool_decimal(const char *text, double min, double max, double *out,
                  char why[TOOL_WHY]);
// Take what may be any text but an empty one.
bool tool_text(const char *argument, const char **out, char why[TOOL_WHY]);

// A text in JSON, with its quotes, on stdout.
void tool_put_json(const char *text);

#endif
