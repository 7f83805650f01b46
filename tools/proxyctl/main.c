// proxyctl: its commands are in files of their own.
#include <stdio.h>
#include <string.h>

#include "check.h"

#define TOOL_TABLE "proxyctl/options.def"
#include "common/define_tool.h"

struct settings {
    const char *address;
    const char *content_type;
    bool as_json;
};

// Commands that scripts may know already.
static const char *const unfinished[] = {
    "jobs",    "job",    "metrics", "top",     "alarms", "profiles",
    "profile", "percmd", "join",    "scrapes", "topo",   "push",
    "set",     "add",    "status",  "leave",   "doctor"};

static bool take(void *user, int option, const char *argument, char why[TOOL_WHY])
{
    struct settings *s = user;
    switch (option) {
    case OPT_ADDRESS:
        return tool_text(argument, &s->address, why);
    case OPT_CONTENT_TYPE:
        return tool_text(argument, &s->content_type, why);
    case OPT_FORMAT:
        s->as_json = strcmp(argument, "json") == 0;
        snprintf(why, TOOL_WHY, "table or json was expected");
        return s->as_json || strcmp(argument, "table") == 0;
    }
    return false;
}

static int run_check(const struct settings *s, int count, char **words)
{
    if (count > 1)
        return tool_misuse(&this_tool, "check: unexpected word '%.100s'", words[1]);
    struct check c = {.tool = &this_tool,
                      .path = count ? words[0] : "-",
                      .content_type = s->content_type,
                      .as_json = s->as_json};
    return check_page(&c);
}

int main(int argc, char **argv)
{
    struct settings s = {0};
    int status = TOOL_OK, first = tool_parse(&this_tool, argc, argv, take, &s, &status);
    if (first < 0)
        return status;
    if (first == argc)
        return tool_misuse(&this_tool, "no command given");
    const char *command = argv[first];
    if (strcmp(command, "check") == 0)
        return run_check(&s, argc - first - 1, argv + first + 1);
    for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++)
        if (strcmp(command, unfinished[i]) == 0) {
            tool_complain(&this_tool, "'check' is", "'%s' is not built yet", command);
            return TOOL_FAILED;
        }
    return tool_misuse(&this_tool, "unknown command '%.100s'", command);
}
