// Preparing the environment of a program, and becoming it.
//
// Everything that a program below us must know travels in its environment, since it may be any
// number of scripts and launchers away: where the proxy is, which job it belongs to, what is to
// be preloaded, and what it could not find out itself (a reading of the clocks long enough ago,
// the filters of system calls that were there before). What an outer proxy_run has said stands
// where it knows better: the job's command, the older clock. LD_PRELOAD keeps what it held, ours
// come behind.
//
// The command runs, whatever fails: no rendezvous, no room for a segment, an environment that
// has become too large for the kernel. Only a wrong option or a lack of memory is an error. Why
// something is not counted is said to `say` (-v), never printed.
//
// Before it becomes the command, this process leaves a segment of its own with the job's
// description (MPX_SEG_LAUNCH). It is how the proxy knows of programs that can't be preloaded, and
// it makes the rendezvous for a proxy that starts later. It is never closed: its lock goes with
// the exec.
//
// A tool is an exporter that watches from outside (strace). It is started instead of the command,
// with what is to be preloaded put aside, so that the tool itself is not counted.
//
// State is static, as the environment is: one preparation at a time.
#include <mproxy/launch.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mproxy/job.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/filters.h"
#include "base/options.h"
#include "base/utf8.h"
#include "launch/clock.h"
#include "launch/mark.h"
#include "launch/program.h"
#include "segment/rendezvous.h"
#include "writer/writer.h"

extern char **environ;

// The environment as it was found, for a program that has no room for ours.
static char **found_environment;
// The program that watches the command; lives as long as the exporters.
static const char *tool_path;
// What the kernel is told instead, where the proxy counts system calls there.
static struct mpx_mark mark;
// The exporter without which no process counts: can't be preloaded; is preloaded.
static bool leaves_process_out, counts_process;
static struct mpx_writer *sign; // never closed: the lock ends with the exec
static bool proxy_counts_calls;

__attribute__((format(printf, 2, 3))) static void
say(const mproxy_launch_options *options, const char *format, ...)
{
    if (!options->say)
        return;
    struct mpx_buf line = MPX_BUF_INIT;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0 && mpx_buf_reserve(&line, (size_t)length + 1)) {
        va_start(args, format);
        vsnprintf(line.data, (size_t)length + 1, format, args);
        va_end(args);
        options->say(options->user, line.data);
    }
    mpx_buf_free(&line);
}

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the environment");
}

static bool keep_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    free(found_environment);
    found_environment = malloc((count + 1) * sizeof *environ);
    if (found_environment)
        memcpy(found_environment, environ, (count + 1) * sizeof *environ);
    return found_environment != NULL;
}

static bool set_number(const char *name, unsigned long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", value);
    return setenv(name, text, 1) == 0;
}

static mproxy_status find_socket(const char *wished, char out[PATH_MAX],
                                 mproxy_error *err)
{
    char chosen[PATH_MAX];
    if (!wished) {
        mpx_rendezvous_default_socket(chosen);
        wished = chosen;
    }
    int length = snprintf(out, PATH_MAX, "%s", wished);
    if (wished[0] && wished[0] != '/') {
        char here[PATH_MAX];
        if (!getcwd(here, sizeof here))
            return mpx_fail(err, MPROXY_E_INVALID, "socket '%.80s': no working directory",
                            wished);
        length = snprintf(out, PATH_MAX, "%s/%s", strcmp(here, "/") ? here : "", wished);
    }
    if (!wished[0] || length >= PATH_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "socket '%.80s': %s", wished,
                        wished[0] ? "path too long" : "empty path");
    return MPROXY_OK;
}

// Whether `path` is among the words of LD_PRELOAD, which blanks and colons part.
static bool holds(const char *list, const char *path)
{
    size_t want = strlen(path), length;
    for (; *list; list += length) {
        list += strspn(list, ": ");
        length = strcspn(list, ": ");
        if (length == want && memcmp(list, path, want) == 0)
            return true;
    }
    return false;
}

static void add_preload(struct mpx_buf *list, const char *path)
{
    if (mpx_buf_text(list) && holds(list->data, path))
        return;
    if (list->size)
        mpx_buf_add_text(list, ":");
    mpx_buf_add_text(list, path);
}

// The exporters need the client library. Named by its path it is there when they are
// loaded; else the loader would look for it in some twenty folders, in each process.
static void add_client_library(struct mpx_buf *list, const char *exporter)
{
    struct mpx_buf path = MPX_BUF_INIT;
    mpx_buf_add(&path, exporter, (size_t)(strrchr(exporter, '/') - exporter));
    mpx_buf_addf(&path, "/libmproxy_client.so.%d", MPROXY_VERSION_MAJOR);
    if (mpx_buf_text(&path) && access(path.data, R_OK) == 0)
        add_preload(list, path.data);
    mpx_buf_free(&path);
}

static void leave_out(const mproxy_launch_options *options, const mproxy_exporter *e,
                      const char *why)
{
    say(options, "exporter %s is left out: %s %s", e->name, why, e->path);
    leaves_process_out |= strcmp(e->name, "process") == 0;
}

static void add_exporters(struct mpx_buf *list, const mproxy_launch_options *options)
{
    size_t count = mproxy_exporters_count(options->exporters);
    for (size_t i = 0; i < count; i++) {
        const mproxy_exporter *e = mproxy_exporters_get(options->exporters, i);
        if (!e->chosen || e->tool)
            continue;
        if (strpbrk(e->path, ": ")) {
            leave_out(options, e, "no blank or colon may be in its path");
            continue;
        }
        if (mpx_program_is_barred(e->path)) {
            leave_out(options, e, "no program may be run from where it lies:");
            continue;
        }
        add_client_library(list, e->path);
        add_preload(list, e->path);
        counts_process |= strcmp(e->name, "process") == 0;
        say(options, "exporter %s: %s", e->name, e->path);
    }
}

// One may watch the command; the others would find it watched already.
static void choose_tool(const mproxy_launch_options *options)
{
    size_t count = options->exporters ? mproxy_exporters_count(options->exporters) : 0;
    bool marks = false;
    tool_path = NULL;
    for (size_t i = 0; i < count; i++) {
        const mproxy_exporter *e = mproxy_exporters_get(options->exporters, i);
        if (!e->chosen || !e->tool)
            continue;
        if (proxy_counts_calls && strcmp(e->name, "strace") == 0) {
            say(options, "exporter strace: the proxy counts system calls in the kernel");
            marks = true;
        } else if (tool_path) {
            say(options, "exporter %s is left out: %s watches already", e->name,
                tool_path);
        } else {
            say(options, "exporter %s: %s", e->name, e->path);
            tool_path = e->path;
        }
    }
    proxy_counts_calls = marks;
}

// What is preloaded into the command is not for the tool that becomes it.
static bool set_preload_list(const char *list)
{
    if (!tool_path)
        return !*list || setenv("LD_PRELOAD", list, 1) == 0;
    return setenv("MPROXY_PRELOAD", list, 1) == 0 && unsetenv("LD_PRELOAD") == 0;
}

static void become_without_tool(void)
{
    const char *list = getenv("MPROXY_PRELOAD");
    if (list && *list)
        setenv("LD_PRELOAD", list, 1);
    unsetenv("MPROXY_PRELOAD");
}

static mproxy_status set_preload(const mproxy_launch_options *options,
                                 const char *program, mproxy_error *err)
{
    const char *held = getenv("LD_PRELOAD");
    struct mpx_buf list = MPX_BUF_INIT;
    mpx_buf_add_text(&list, held ? held : "");
    char path[PATH_MAX];
    counts_process = false;
    leaves_process_out = mpx_program_find(program, path) && mpx_program_is_foreign(path);
    if (leaves_process_out)
        say(options, "nothing is preloaded: %s is for another kind of machine", path);
    else if (options->exporters)
        add_exporters(&list, options);
    const char *text = mpx_buf_text(&list);
    choose_tool(options);
    bool ok = text && set_preload_list(text);
    mpx_buf_free(&list);
    return ok ? MPROXY_OK : no_memory(err);
}

// A job that an outer launcher has named keeps the command it was named with.
static bool keeps_command(const mproxy_launch_options *options)
{
    const char *id = getenv("PROXY_JOB_ID");
    return !options->jobid && id && *id && getenv("MPROXY_COMMAND");
}

static mproxy_status set_command(char *const command[], mproxy_error *err)
{
    struct mpx_buf text = MPX_BUF_INIT;
    for (size_t i = 0; command[i] && text.size <= MPROXY_JOB_COMMAND_MAX; i++) {
        mpx_buf_add_text(&text, i ? " " : "");
        mpx_buf_add_text(&text, command[i]);
    }
    bool ok = mpx_buf_text(&text) != NULL;
    if (ok) {
        text.data[mpx_utf8_cut(text.data, text.size, MPROXY_JOB_COMMAND_MAX)] = '\0';
        ok = setenv("MPROXY_COMMAND", text.data, 1) == 0;
    }
    mpx_buf_free(&text);
    return ok ? MPROXY_OK : no_memory(err);
}

// What programs below can't find out: under which id a process without one belongs here.
static mproxy_status set_job(const mproxy_launch_options *options, char *const command[],
                             mproxy_job *job, uint32_t *rank, mproxy_error *err)
{
    unsetenv("MPROXY_LAUNCHER_ID"); // an outer launcher's parent is not ours
    if (options->jobid && setenv("PROXY_JOB_ID", options->jobid, 1) != 0)
        return no_memory(err);
    mproxy_status status = keeps_command(options) ? MPROXY_OK : set_command(command, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_error bad = {0};
    status = mproxy_job_from_environment(job, rank, &bad);
    if (status != MPROXY_OK)
        return no_memory(err);
    if (bad.status)
        say(options, "counts for the node only: %s", bad.text);
    if (job->jobid[0] && setenv("MPROXY_LAUNCHER_ID", job->jobid, 1) != 0) {
        mproxy_job_clear(job);
        return no_memory(err);
    }
    say(options, "job %s, rank %u of %llu", job->jobid, *rank,
        (unsigned long long)job->size);
    return MPROXY_OK;
}

static mproxy_status set_variables(const mproxy_launch_options *options,
                                   const char *socket, const char *program,
                                   mproxy_error *err)
{
    if (setenv("PROXY_PATH", socket, 1) != 0 ||
        (options->period_ms && !set_number("PROXY_PERIOD", options->period_ms)) ||
        !set_number("METRIC_PROXY_LAUNCHER_PPID", (unsigned long long)getppid()) ||
        !mpx_launch_set_clock())
        return no_memory(err);
    return set_preload(options, program, err);
}

static void fill_mark(int dir, const mproxy_job *job, uint32_t rank)
{
    struct stat st = {0};
    const char *const texts[] = {job->jobid,   job->nodelist, job->partition,
                                 job->cluster, job->run_dir,  job->command};
    size_t used = 0;
    fstat(dir, &st);
    memset(&mark, 0, sizeof mark);
    mark.dir_device = st.st_dev;
    mark.dir_inode = st.st_ino;
    mark.start_time = job->start_time;
    mark.size = job->size;
    mark.rank = rank;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t room = sizeof mark.text - used - 1, length = strlen(texts[i]);
        bool is_command = i + 1 == sizeof texts / sizeof *texts;
        if (length > room)
            length = is_command ? mpx_utf8_cut(texts[i], length, room) : 0;
        memcpy(mark.text + used, texts[i], length);
        used += length + 1;
    }
}

// Leave a sign of this process where the proxy looks. Whatever fails, the program runs.
static void meet_proxy(const mproxy_launch_options *options, const char *socket,
                       const mproxy_job *job, uint32_t rank)
{
    char path[PATH_MAX];
    mproxy_error why = {0};
    int dir, pid = 0;
    proxy_counts_calls = false;
    sign = NULL;
    if (mpx_rendezvous_path(socket, path, &why) != MPROXY_OK ||
        mpx_rendezvous_open(path, true, &dir, &why) != MPROXY_OK) {
        say(options, "socket %s: nothing is counted: %s", socket, why.text);
        return;
    }
    bool is_live = mpx_rendezvous_is_live(dir, &pid);
    proxy_counts_calls = is_live && faccessat(dir, MPX_MARK_FILE, F_OK, 0) == 0;
    if (proxy_counts_calls)
        fill_mark(dir, job, rank);
    close(dir);
    if (is_live)
        say(options, "socket %s: the proxy lives (pid %d)", socket, pid);
    else
        say(options,
            "socket %s: no proxy lives there; one that starts later finds the program. A "
            "private /tmp or /dev/shm hides a proxy: see -u",
            socket);
    say(options, "segments in %s", path);
    struct mpx_writer_birth birth = {
        .dir_path = path, .job = job, .rank = rank, .kind = MPX_SEG_LAUNCH};
    unsigned reasons = 0;
    char words[128];
    if (mpx_writer_open(&birth, &sign, &reasons, &why) != MPROXY_OK)
        say(options, "no segment for the launcher: %s",
            reasons ? mpx_off_reason_text(reasons, words, sizeof words) : why.text);
}

mproxy_status mproxy_launch_prepare(const mproxy_launch_options *given,
                                    char *const command[], mproxy_error *err)
{
    MPX_REQUIRE(command && command[0], err);
    mproxy_launch_options taken;
    const mproxy_launch_options *options = &taken;
    if (MPX_OPTIONS_TAKE(mproxy_launch_options, user, &taken, given, err) != MPROXY_OK)
        return MPROXY_E_INVALID;
    char socket[PATH_MAX];
    mproxy_job job;
    uint32_t rank = 0;
    if (options->jobid && mproxy_job_check_id(options->jobid, err) != MPROXY_OK)
        return MPROXY_E_INVALID;
    mproxy_status status = find_socket(options->socket, socket, err);
    if (status == MPROXY_OK && !keep_environment())
        status = no_memory(err);
    if (status == MPROXY_OK)
        status = set_job(options, command, &job, &rank, err);
    if (status != MPROXY_OK)
        return status;
    meet_proxy(options, socket, &job, rank);
    status = set_variables(options, socket, command[0], err);
    if (sign && leaves_process_out)
        mpx_writer_header(sign)->flags |= MPX_OFF_PRELOAD;
    mproxy_job_clear(&job);
    return status;
}

static mproxy_status refuse(const char *program, int *exit_status, mproxy_error *err)
{
    bool is_absent = errno == ENOENT || errno == ENOTDIR;
    *exit_status = is_absent ? 127 : 126;
    if (!*program)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "the command's name is empty");
    if (is_absent && !strchr(program, '/'))
        return mpx_fail(err, MPROXY_E_NOTFOUND, "%.150s: not found in PATH", program);
    // The kernel says "no such file" of a script's interpreter and of a loader too.
    if (is_absent && access(program, F_OK) == 0) {
        *exit_status = 126;
        return mpx_fail(err, MPROXY_E_SYSTEM,
                        "%.150s: its interpreter or loader is not there", program);
    }
    mproxy_status status = mpx_fail_errno(err, "%.150s", program);
    return is_absent ? MPROXY_E_NOTFOUND : status;
}

mproxy_status mproxy_launch_check(char *const command[], int *exit_status,
                                  mproxy_error *err)
{
    MPX_REQUIRE(command && command[0] && exit_status, err);
    char path[PATH_MAX];
    return mpx_program_find(command[0], path) ? MPROXY_OK
                                              : refuse(command[0], exit_status, err);
}

// TOOL -- COMMAND...; returns when that can't be, with the environment for the command.
static void exec_tool(char *const command[])
{
    size_t count = 0;
    while (command[count])
        count++;
    char **words = calloc(count + 3, sizeof *words);
    if (words) {
        words[0] = (char *)(uintptr_t)tool_path;
        words[1] = (char *)(uintptr_t) "--";
        memcpy(words + 2, command, count * sizeof *words);
        execv(tool_path, words);
        free(words);
    }
    become_without_tool();
}

// A command that is linked statically is counted by nothing, and only this segment tells of it.
// Not of what a tool watches and counts, nor where processes are not to be counted.
static void tell_exec(bool leaves)
{
    if (sign && counts_process && !getenv("MPROXY_TRACED"))
        __atomic_store_n(&mpx_writer_header(sign)->left, leaves, __ATOMIC_RELEASE);
}

mproxy_status mproxy_launch_exec(char *const command[], int *exit_status,
                                 mproxy_error *err)
{
    MPX_REQUIRE(command && command[0] && exit_status, err);
    // As late as this, since a tracer has a filter put on the process that becomes the command.
    if (!mpx_filters_tell())
        return no_memory(err);
    if (proxy_counts_calls)
        prctl(MPX_MARK_OPTION, &mark, 0, 0, 0);
    if (tool_path)
        exec_tool(command);
    tell_exec(true);
    execvp(command[0], command);
    if (errno == E2BIG) {
        unsetenv("MPROXY_COMMAND");
        execvp(command[0], command);
    }
    if (errno == E2BIG && found_environment)
        execvpe(command[0], command, found_environment);
    int why = errno;
    tell_exec(false);
    errno = why;
    return refuse(command[0], exit_status, err);
}
