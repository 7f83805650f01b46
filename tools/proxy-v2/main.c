// proxy-v2: options, signals and the daemon of the library.
//
// All that the daemon does is in <mproxy/daemon.h>; here is what a library must not do: read the
// command line, write to stderr, take signals, change the process. Options stand in options.def,
// from which parsing, --help and the manual page are made; take() has one case for each that
// carries a value.
//
// Options that belong to parts which are not built yet, or to the older daemon only, are
// accepted, so that scripts that start both need not tell them apart; each one that was given is
// named once, with what does not happen.
//
// A signal handler may only call mproxy_daemon_stop(). The exit status is 0 after a stop, 1
// when something failed, 2 for a wrong option.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mproxy/daemon.h>

#define TOOL_TABLE "proxy-v2/options.def"
#include "common/define_tool.h"
#include "log.h"

struct settings {
    mproxy_daemon_options daemon;
    bool given[OPT_COUNT];
};

// What was asked for and does not happen is said, once for each option.
static const struct {
    enum tool_option_id option;
    const char *what;
} without_effect[] = {
    {OPT_ROOT, "-r: the tree is not built yet: this proxy works alone and saves the "
               "profiles of its node"},
    {OPT_BRANCHES, "-b: the tree is not built yet: without effect"},
    {OPT_AUTO_ROOT, "--auto-root: the tree is not built yet: this proxy works alone"},
    {OPT_ROOT_DIR, "--root-url-dir: the tree is not built yet: without effect"},
    {OPT_INTO_JOBS, "--scrape-into-jobs: not built yet: scraped metrics count in main "
                    "and in the node only"},
    {OPT_TOKEN, "--token-file: authorisation is not built yet: everybody who reaches "
                "the port may change things"},
    {OPT_TRACE, "-m: without effect until traces exist"},
    {OPT_OLD_C, "-c: an option of the older daemon, without effect"},
    {OPT_OLD_INSTRUMENTATION,
     "--instrumentation: an option of the older daemon, without effect"},
};

static mproxy_daemon *running; // for the signal handler

static void on_signal(int signal)
{
    (void)signal;
    mproxy_daemon_stop(running);
}

static bool take_level(const char *argument, char why[TOOL_WHY])
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(argument, words[i]) == 0) {
            log_set_level((mproxy_log_level)i);
            return true;
        }
    snprintf(why, TOOL_WHY, "error, warning, info or debug was expected");
    return false;
}

static bool take(void *user, int option, const char *argument, char why[TOOL_WHY])
{
    struct settings *s = user;
    mproxy_daemon_options *o = &s->daemon;
    uint64_t number = 0;
    bool ok = true;
    s->given[option] = true;
    switch ((enum tool_option_id)option) {
    case OPT_PORT:
        ok = tool_number(argument, 0, 65535, &number, why);
        o->port = number ? (int)number : -1;
        break;
    case OPT_PERIOD:
        ok = tool_number(argument, 10, 3600000, &number, why);
        o->sampling_period_ms = (unsigned)number;
        break;
    case OPT_LINGER:
        ok = tool_number(argument, 0, 3600000, &number, why);
        o->linger_ms = number ? (int64_t)number : -1;
        break;
    case OPT_CONTINUE:
        ok = tool_number(argument, 0, 31536000, &number, why);
        o->continue_s = number ? (int64_t)number : -1;
        break;
    case OPT_LISTEN:
        return tool_text(argument, &o->listen_address, why);
    case OPT_ADVERTISE:
        return tool_text(argument, &o->advertise, why);
    case OPT_SOCKET:
        return tool_text(argument, &o->socket_path, why);
    case OPT_PREFIX:
        return tool_text(argument, &o->prefix, why);
    case OPT_SUBS:
        return tool_text(argument, &o->targets, why);
    case OPT_TEXTFILES:
        return tool_text(argument, &o->textfile_dir, why);
    case OPT_INHIBIT:
        o->no_profiles = 1;
        break;
    case OPT_EBPF:
        o->ebpf = 1;
        break;
    case OPT_LOG:
        return take_level(argument, why);
    case OPT_ROOT:
    case OPT_ROOT_DIR:
    case OPT_TOKEN: {
        const char *unused;
        return tool_text(argument, &unused, why);
    }
    case OPT_TRACE: {
        double unused;
        return tool_decimal(argument, 0, 1e6, &unused, why);
    }
    case OPT_BRANCHES:
        return tool_number(argument, 0, 1000000, &number, why);
    default:
        break;
    }
    return ok;
}

static void say_what_is_without_effect(const struct settings *s)
{
    for (size_t i = 0; i < sizeof without_effect / sizeof *without_effect; i++)
        if (s->given[without_effect[i].option])
            log_line(NULL, MPROXY_LOG_WARNING, without_effect[i].what);
    if (getenv("PROXY_ROOT_URL") && !s->given[OPT_ROOT])
        log_line(NULL, MPROXY_LOG_WARNING,
                 "PROXY_ROOT_URL: the tree is not built yet: this proxy works alone");
}

static void handle_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
    long limit = sysconf(_SC_OPEN_MAX); // an older kernel
    for (int fd = first; fd < limit; fd++)
        close(fd);
}

// A proxy outlives what started it, which may wait until nobody holds the other end of a
// pipe: $(...) of a shell does. So it keeps none of what it inherits but the stream of its
// log. Where that is closed, no other file may take its number, and the log be written into
// it.
static void leave_streams(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (fcntl(STDERR_FILENO, F_GETFD) < 0)
            dup2(null, STDERR_FILENO);
    }
    close_from(STDERR_FILENO + 1);
}

// What is taken is told with the option that chooses another.
static const char *hint_of(const mproxy_error *err)
{
    return err->status == MPROXY_E_BUSY
               ? NULL
               : "-p and --listen choose another address, -u another socket";
}

// A few threads that allocate little: one arena for all keeps the daemon small.
static void keep_small(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

int main(int argc, char **argv)
{
    struct settings s = {.daemon = {.struct_size = sizeof s.daemon, .log = log_line}};
    mproxy_error err;
    int status = TOOL_OK;
    if (tool_parse(&this_tool, argc, argv, take, &s, &status) < 0)
        return status;
    leave_streams();
    keep_small();
    say_what_is_without_effect(&s);
    if (mproxy_daemon_open(&s.daemon, &running, &err) != MPROXY_OK) {
        log_announce(NULL);
        return tool_fail(&this_tool, &err, hint_of(&err));
    }
    handle_signals();
    log_announce(mproxy_daemon_url(running));
    if (mproxy_daemon_run(running, &err) != MPROXY_OK)
        status = tool_fail(&this_tool, &err, NULL);
    mproxy_daemon_close(running);
    return status;
}
