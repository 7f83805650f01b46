// proxy_run: prepares its environment, then is the command.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/job.h>
#include <mproxy/launch.h>

#define TOOL_TABLE "proxy_run/options.def"
#include "common/define_tool.h"

struct settings {
    mproxy_launch_options launch;
    mproxy_exporters *exporters;
    bool list;
    bool as_json;
    bool unknown_exporter; // told already; the list follows
};

static void say(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s: %s\n", this_tool.name, line);
}

static void print_exporters(const struct settings *s, FILE *out)
{
    size_t count = s->exporters ? mproxy_exporters_count(s->exporters) : 0;
    for (size_t i = 0; i < count; i++)
        fprintf(out, " - %s\n", mproxy_exporters_get(s->exporters, i)->name);
}

static void print_exporters_json(const struct settings *s)
{
    size_t count = s->exporters ? mproxy_exporters_count(s->exporters) : 0;
    putchar('[');
    for (size_t i = 0; i < count; i++) {
        const mproxy_exporter *e = mproxy_exporters_get(s->exporters, i);
        fputs(i ? ",\n{\"name\":" : "\n{\"name\":", stdout);
        tool_put_json(e->name);
        fputs(",\"path\":", stdout);
        tool_put_json(e->path);
        printf(",\"default\":%s}", e->opt_in ? "false" : "true");
    }
    puts("\n]");
}

static bool is_chosen(const struct settings *s, const char *name)
{
    size_t count = s->exporters ? mproxy_exporters_count(s->exporters) : 0;
    for (size_t i = 0; i < count; i++) {
        const mproxy_exporter *e = mproxy_exporters_get(s->exporters, i);
        if (strcmp(e->name, name) == 0)
            return e->chosen;
    }
    return false;
}

static void choose(struct settings *s, const char *names)
{
    mproxy_error err;
    if (!s->exporters) {
        s->unknown_exporter = true;
        return;
    }
    if (mproxy_exporters_choose(s->exporters, names, &err) == MPROXY_OK)
        return;
    tool_complain(&this_tool, NULL, "%s", err.text);
    s->unknown_exporter = true;
}

static bool take(void *user, int option, const char *argument, char why[TOOL_WHY])
{
    struct settings *s = user;
    switch (option) {
    case OPT_EXPORTER:
        snprintf(why, TOOL_WHY, "names of exporters were expected");
        if (!argument[strspn(argument, ", ")])
            return false;
        choose(s, argument);
        return true;
    case OPT_LIST:
        s->list = true;
        return true;
    case OPT_FORMAT:
        s->as_json = strcmp(argument, "json") == 0;
        snprintf(why, TOOL_WHY, "table or json was expected");
        return s->as_json || strcmp(argument, "table") == 0;
    case OPT_JOBID:
        s->launch.jobid = argument;
        return true;
    case OPT_SOCKET:
        return tool_text(argument, &s->launch.socket, why);
    case OPT_PERIOD:
        return tool_number(argument, 1, 3600000, &s->launch.period_ms, why);
    case OPT_VERBOSE:
        s->launch.say = say;
        return true;
    }
    return false;
}

static int list_exporters(const struct settings *s)
{
    if (s->as_json)
        print_exporters_json(s);
    else
        print_exporters(s, stdout);
    return s->exporters && fflush(stdout) == 0 ? TOOL_OK : TOOL_FAILED;
}

// Exporters say nothing in the program that they are in; what they read and would pass over is
// told here.
static void tell_wrong_variables(const struct settings *s)
{
    static const struct {
        const char *exporter, *name,
            *words; // one space before each word and behind the last
    } known[] = {{"mpi", "MPROXY_MPI_TIMING", " all some "},
                 {"mpi", "MPROXY_MPI_HISTOGRAMS", " 0 1 "}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *value = getenv(known[i].name);
        char word[32];
        if (!value || !*value || !is_chosen(s, known[i].exporter))
            continue;
        snprintf(word, sizeof word, " %.28s ", value);
        if (strchr(value, ' ') || !strstr(known[i].words, word))
            tool_complain(&this_tool, NULL,
                          "%s is '%.60s', one of%swas expected: ignored", known[i].name,
                          value, known[i].words);
    }
}

static int run(struct settings *s, char **command)
{
    mproxy_error err;
    int status;
    if (s->launch.jobid && mproxy_job_check_id(s->launch.jobid, &err) != MPROXY_OK)
        return tool_misuse(&this_tool, "%s", err.text);
    if (mproxy_launch_check(command, &status, &err) != MPROXY_OK) {
        tool_fail(&this_tool, &err, NULL);
        return status;
    }
    if (!s->exporters || mproxy_exporters_count(s->exporters) == 0)
        tool_complain(&this_tool, "is lib/ beside the directory of proxy_run whole?",
                      "no exporter found: the command runs without being counted");
    tell_wrong_variables(s);
    if (mproxy_launch_prepare(&s->launch, command, &err) != MPROXY_OK)
        return tool_fail(&this_tool, &err, NULL);
    mproxy_launch_exec(command, &status, &err);
    tool_fail(&this_tool, &err, NULL);
    return status;
}

int main(int argc, char **argv)
{
    struct settings s = {.launch.struct_size = sizeof s.launch};
    mproxy_error err;
    mproxy_status found = mproxy_exporters_find(NULL, &s.exporters, &err);
    s.launch.exporters = s.exporters;
    int status = TOOL_OK, first = tool_parse(&this_tool, argc, argv, take, &s, &status);
    if (first < 0)
        goto end;
    if (found != MPROXY_OK)
        tool_complain(&this_tool, NULL, "%s", err.text);
    if (s.unknown_exporter) {
        fprintf(stderr, "%s: hint: these are there:\n", this_tool.name);
        print_exporters(&s, stderr);
        status = TOOL_FAILED;
    } else if (s.list) {
        status = list_exporters(&s);
    } else if (first == argc) {
        status = tool_misuse(&this_tool, "no command given");
    } else {
        status = run(&s, argv + first);
    }

end:
    mproxy_exporters_free(s.exporters);
    return status;
}
