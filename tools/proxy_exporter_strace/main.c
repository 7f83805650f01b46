// proxy_exporter_strace: puts a tracer beside itself and becomes the command; or is the
// tracer of processes that run already.
//
// Two tools in one, which share the options, the choice of calls and the loop of trace.c:
//
// * With a command, started by proxy_run (-e strace) or by itself. It exec()s the command in
//   any case: a tracer that can't be had is a line on stderr and never a reason not to run,
//   and the exit status is the command's. proxy_run hands what is to be preloaded over in
//   MPROXY_PRELOAD, so that this tool itself runs without it.
// * With -p, attached to processes until they end or a signal comes. It counts into the job
//   that the first of them belongs to, by its environment, unless -j or -u say otherwise, and
//   lets all of them go unharmed: signals only set `stop`, and are repeated by a timer, for
//   one may come just before the tracer waits.
//
// Where things are: start.c (the tracer comes to be), attach.c (-p), trace.c (the loop over
// stops), follow.c (new children), tracees.c (who is traced), filter.c (what the kernel stops
// at), own.c (calls of ours that are left out), count.c and sample.c (metrics).
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <mproxy/client.h>
#include <mproxy/job.h>
#include <mproxy/launch.h>

#define TOOL_TABLE "proxy_exporter_strace/options.def"
#include "common/define_tool.h"

#include "attach.h"
#include "calls.h"
#include "count.h"
#include "own.h"
#include "start.h"
#include "trace.h"

enum { PIDS_MAX = 256 };

struct settings {
    mproxy_launch_options launch;
    const char *calls_text;
    struct calls calls;
    bool no_filter, no_affinity, time_all;
    pid_t pids[PIDS_MAX];
    size_t pid_count;
};

static volatile sig_atomic_t stop;

static void say(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s: %s\n", this_tool.name, line);
}

static bool take_pid(struct settings *s, const char *argument, char why[TOOL_WHY])
{
    uint64_t pid;
    if (!tool_number(argument, 1, 1 << 30, &pid, why))
        return false;
    snprintf(why, TOOL_WHY, "at most %d processes", PIDS_MAX);
    if (s->pid_count == PIDS_MAX)
        return false;
    s->pids[s->pid_count++] = (pid_t)pid;
    return true;
}

static bool take(void *user, int option, const char *argument, char why[TOOL_WHY])
{
    struct settings *s = user;
    switch (option) {
    case OPT_CALLS:
        s->calls_text = argument;
        return true;
    case OPT_ATTACH:
        return take_pid(s, argument, why);
    case OPT_JOBID:
        s->launch.jobid = argument;
        return true;
    case OPT_SOCKET:
        return tool_text(argument, &s->launch.socket, why);
    case OPT_NO_FILTER:
        s->no_filter = true;
        return true;
    case OPT_NO_AFFINITY:
        s->no_affinity = true;
        return true;
    case OPT_TIME_ALL:
        s->time_all = true;
        return true;
    case OPT_VERBOSE:
        s->launch.say = say;
        return true;
    }
    return false;
}

// ---- a command

// proxy_run has prepared all but LD_PRELOAD; started by itself, the tool does so.
static mproxy_status prepare(struct settings *s, char **command, mproxy_error *err)
{
    const char *list = getenv("MPROXY_PRELOAD");
    if (list) {
        bool ok = !*list || setenv("LD_PRELOAD", list, 1) == 0;
        unsetenv("MPROXY_PRELOAD");
        if (!ok)
            tool_complain(&this_tool, NULL, "no memory for LD_PRELOAD");
        return MPROXY_OK;
    }
    mproxy_exporters *exporters = NULL;
    if (mproxy_exporters_find(NULL, &exporters, NULL) == MPROXY_OK &&
        mproxy_exporters_choose(exporters, "process", NULL) == MPROXY_OK)
        s->launch.exporters = exporters;
    mproxy_status status = mproxy_launch_prepare(&s->launch, command, err);
    mproxy_exporters_free(exporters);
    return status;
}

// The tracer outlives what setenv() does here.
static const char *copy_of_preloads(void)
{
    const char *list = getenv("LD_PRELOAD");
    char *copy = list ? strdup(list) : NULL;
    return copy ? copy : "";
}

static int run_command(struct settings *s, char **command)
{
    mproxy_error err;
    char why[256];
    int status;
    if (mproxy_launch_check(command, &status, &err) != MPROXY_OK) {
        tool_fail(&this_tool, &err, NULL);
        return status;
    }
    if (prepare(s, command, &err) != MPROXY_OK)
        return tool_fail(&this_tool, &err, NULL);
    struct start start = {.calls = &s->calls,
                          .unfiltered = s->no_filter,
                          .roams = s->no_affinity,
                          .times_all = s->time_all};
    own_set_preloads(copy_of_preloads());
    if (!start_tracer(&start, why, sizeof why))
        tool_complain(&this_tool, NULL, "system calls are not counted: %s", why);
    else
        setenv(MPROXY_TRACED, "1", 1); // without, our own calls are counted, too
    mproxy_launch_exec(command, &status, &err);
    tool_fail(&this_tool, &err, NULL);
    return status;
}

// ---- running processes

// The signal may come just before the tracer waits: it is repeated until the tracer left.
static void on_signal(int signal)
{
    (void)signal;
    struct itimerval again = {{0, 50000}, {0, 50000}};
    stop = 1;
    setitimer(ITIMER_REAL, &again, NULL);
}

static void handle_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    // A stopped tracer would stop what it traces.
    signal(SIGTSTP, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static bool name_job(const struct settings *s, mproxy_error *err)
{
    const mproxy_launch_options *o = &s->launch;
    attach_environment(s->pids[0], o->jobid != NULL, o->socket != NULL);
    if (o->jobid)
        setenv("PROXY_JOB_ID", o->jobid, 1);
    if (o->socket)
        setenv("PROXY_PATH", o->socket, 1);
    mproxy_process_observes();
    return mproxy_client_status(err) == MPROXY_OK;
}

static void tell_where(const struct settings *s)
{
    mproxy_job job;
    uint32_t rank;
    if (mproxy_job_from_environment(&job, &rank, NULL) != MPROXY_OK)
        return;
    fprintf(stderr, "%s: %llu system calls of process %d%s counted in job %s\n",
            this_tool.name, (unsigned long long)count_total(), (int)s->pids[0],
            s->pid_count > 1 ? " and others" : "", job.jobid);
    mproxy_job_clear(&job);
}

static int run_attached(struct settings *s)
{
    mproxy_error err;
    char why[256];
    int status = TOOL_OK;
    for (size_t i = 0; i < s->pid_count; i++)
        if (kill(s->pids[i], 0) != 0) {
            tool_complain(&this_tool, NULL, "process %d: %s", (int)s->pids[i],
                          strerror(errno));
            return TOOL_FAILED;
        }
    if (!name_job(s, &err))
        return tool_fail(&this_tool, &err, "is a proxy running for this user or node?");
    handle_signals();
    for (size_t i = 0; i < s->pid_count; i++)
        if (!attach_process(s->pids[i], why, sizeof why)) {
            tool_complain(&this_tool, NULL, "process %d: %s", (int)s->pids[i], why);
            status = TOOL_FAILED;
        }
    if (tracee_count() == 0)
        return TOOL_FAILED;
    struct trace trace = {.calls = &s->calls, .stop = &stop};
    trace_run(&trace);
    tell_where(s);
    return status;
}

int main(int argc, char **argv)
{
    struct settings s = {.launch.struct_size = sizeof s.launch,
                         .time_all = getenv("MPROXY_STRACE_TIME_ALL") != NULL};
    char why[TOOL_WHY];
    mproxy_error err;
    int status = TOOL_OK, first = tool_parse(&this_tool, argc, argv, take, &s, &status);
    if (first < 0)
        return status;
    const char *from = "--calls";
    if (!s.calls_text) {
        from = "MPROXY_STRACE_CALLS";
        s.calls_text = getenv(from);
    }
    if (!calls_choose(&s.calls, s.calls_text ? s.calls_text : "default", why, sizeof why))
        return tool_misuse(&this_tool, "%s: %s", from, why);
    if (s.launch.jobid && mproxy_job_check_id(s.launch.jobid, &err) != MPROXY_OK)
        return tool_misuse(&this_tool, "%s", err.text);
    if (s.pid_count > 0 && first < argc)
        return tool_misuse(&this_tool, "a command and -p exclude each other");
    if (s.pid_count > 0)
        return run_attached(&s);
    if (first == argc)
        return tool_misuse(&this_tool, "no command given");
    return run_command(&s, argv + first);
}
