// Turns the table TOOL_TABLE into `enum { OPT_... }` and `static const struct tool
// this_tool`. No include guard: it is for one inclusion by one source file of a tool.
#include "common/options.h"

#define TOOL_ABOUT(...)
#define TOOL_ALIAS(...)
#define TOOL_COMPLETE(...)
#define TOOL_VERB(...)
#define TOOL_OPTION(id, ...) OPT_##id,
enum tool_option_id {
#include TOOL_TABLE
    OPT_COUNT
};
#undef TOOL_OPTION

#undef TOOL_COMPLETE
#define TOOL_COMPLETE(id, command) [OPT_##id] = command,
#define TOOL_OPTION(...)
static const char *const tool_completions[OPT_COUNT + 1] = {
#include TOOL_TABLE
    [OPT_COUNT] = NULL,
};
#undef TOOL_OPTION
#undef TOOL_COMPLETE
#undef TOOL_ALIAS

#define TOOL_COMPLETE(...)
#define TOOL_OPTION(id, name, letter, argument, group, standard, doc)                    \
    {name, letter, argument, group, standard, doc, OPT_##id, false},
#define TOOL_ALIAS(id, name) {name, 0, NULL, NULL, NULL, NULL, OPT_##id, true},
static const struct tool_option tool_options[] = {
#include TOOL_TABLE
};
#undef TOOL_OPTION
#undef TOOL_ALIAS
#undef TOOL_ABOUT

#define TOOL_OPTION(...)
#define TOOL_ALIAS(...)
#define TOOL_ABOUT(...)
#undef TOOL_VERB
#define TOOL_VERB(name, usage, doc) {name, usage, doc},
static const struct tool_verb tool_verbs[] = {
#include TOOL_TABLE
    {NULL, NULL, NULL},
};
#undef TOOL_VERB
#undef TOOL_ABOUT

#define TOOL_VERB(...)
#define TOOL_ABOUT(name, words, usage, summary) name, words, usage, summary,
static const struct tool this_tool = {
#include TOOL_TABLE
    tool_options, sizeof tool_options / sizeof *tool_options, tool_completions,
    tool_verbs};
#undef TOOL_OPTION
#undef TOOL_ALIAS
#undef TOOL_ABOUT
#undef TOOL_COMPLETE
#undef TOOL_VERB
