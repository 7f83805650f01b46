// The collector with its ledger on a directory of its own, and programs: real processes that
// do what they are told.
#ifndef SEGMENTS_FIXTURE_H
#define SEGMENTS_FIXTURE_H

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "processes/segments.h"
#include "writer/writer.h"
#include "segment_image.h"

static char folder[64];
static int dir, state;
static mproxy_store *store;
static mproxy_ledger *ledger;
static struct mpx_segments *segments;
static int64_t boot_ms;
static char warning[512];
static unsigned warnings;

static inline void take_warning(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    snprintf(warning, sizeof warning, "%s", line);
    warnings++;
}

static inline void open_proxy(void)
{
    mproxy_error err = {0};
    mproxy_ledger_options lo = {.struct_size = sizeof lo,
                                .host = "host",
                                .linger_ms = 1000000,
                                .continue_ms = 600000};
    ck_assert_int_eq(mproxy_store_open(NULL, &store, &err), MPROXY_OK);
    ck_assert_msg(mproxy_ledger_open(state, store, &lo, &ledger, &err) == MPROXY_OK, "%s",
                  err.text);
    struct mpx_segments_options so = {.store = store,
                                      .ledger = ledger,
                                      .dir_path = folder,
                                      .dir_fd = dir,
                                      .state_fd = state,
                                      .log = take_warning};
    ck_assert_msg(mpx_segments_open(&so, &segments, &err) == MPROXY_OK, "%s", err.text);
}

static inline void close_proxy(void)
{
    mpx_segments_close(segments);
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
}

static inline void open_folder(void)
{
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mkdirat(dir, "state", 0700), 0);
    state = openat(dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void setup(void)
{
    strcpy(folder, "/dev/shm/mproxy-segments-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_folder();
    boot_ms = clock_ms(CLOCK_BOOTTIME);
    open_proxy();
}

static inline void teardown(void)
{
    close_proxy();
    close(dir);
    close(state);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

// A round of the daemon; one second has passed.
static inline void play_round(void)
{
    mproxy_error err = {0};
    boot_ms += 1000;
    uint64_t wall_us = (uint64_t)clock_ms(CLOCK_REALTIME) * 1000;
    mproxy_ledger_round_begin(ledger, boot_ms, wall_us);
    ck_assert_msg(mpx_segments_round(segments, boot_ms, wall_us, &err) == MPROXY_OK, "%s",
                  err.text);
    ck_assert_msg(mproxy_ledger_round_end(ledger, &err) == MPROXY_OK, "%s", err.text);
    mpx_segments_unlink(segments);
}

static const mproxy_source *job_source(const char *jobid)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(ledger, &sources);
    for (size_t i = 0; i < count; i++) {
        if (!jobid && sources[i]->kind == MPROXY_SOURCE_BASE)
            return sources[i];
        if (jobid && sources[i]->job && strcmp(sources[i]->job->jobid, jobid) == 0)
            return sources[i];
    }
    return NULL;
}

// A metric of a job; NaN where it is not known.
static const mproxy_value *find_value(const char *jobid, const char *name)
{
    const mproxy_source *source = job_source(jobid);
    for (size_t i = 0; source && i < source->count; i++)
        if (strcmp(mproxy_metric_name(source->metrics[i]), name) == 0)
            return &source->values[i];
    return NULL;
}

static inline double shown(const char *jobid, const char *name)
{
    const mproxy_value *v = find_value(jobid, name);
    return v ? v->total : NAN;
}

static inline struct mpx_segments_stats stats(void)
{
    struct mpx_segments_stats s;
    mpx_segments_stats(segments, &s);
    return s;
}

static inline unsigned files(const char *suffix)
{
    char command[160];
    snprintf(command, sizeof command, "ls -A %s | grep -c -- '%s'", folder, suffix);
    FILE *f = popen(command, "r");
    unsigned count = 99;
    ck_assert_int_eq(fscanf(f, "%u", &count), 1);
    pclose(f);
    return count;
}

// ---- programs: real processes that do what they are told, one step at a time

enum step {
    STEP_NONE = 0,
    STEP_LAUNCH,    // a launcher's image
    STEP_START,     // another image
    STEP_IMAGE,     // another image, that says no start
    STEP_OTHER_JOB, // images from now on are of another job
    STEP_COUNT,     // 1,000 calls
    STEP_FINISH,    // say an orderly end
    STEP_LEAVE,     // exec into something that does not count
    STEP_BURN,      // 100 ms of CPU time
    STEP_TRUNCATE,  // the segment's file
    STEP_STEPS
};
static const char *const step_names[STEP_STEPS] = {
    [STEP_LAUNCH] = "launch",       [STEP_START] = "start", [STEP_IMAGE] = "image",
    [STEP_OTHER_JOB] = "other-job", [STEP_COUNT] = "count", [STEP_FINISH] = "finish",
    [STEP_LEAVE] = "leave",         [STEP_BURN] = "burn",   [STEP_TRUNCATE] = "truncate",
};

struct program {
    pid_t pid;
    int to, from;
};

struct acting {
    struct mpx_writer *w;
    uint32_t slot;
    bool defined;
    char jobid[32];
};

static inline void act(struct acting *a, enum step what)
{
    mproxy_job job = {.jobid = a->jobid, .command = (char[]){"program"}};
    struct mpx_writer_birth birth = {.dir_path = folder, .job = &job, .rank = 1};
    birth.kind = what == STEP_LAUNCH ? MPX_SEG_LAUNCH : MPX_SEG_PROGRAM;
    birth.is_proxys = true;
    unsigned reasons;
    switch (what) {
    case STEP_START:
    case STEP_IMAGE:
    case STEP_LAUNCH:
        mpx_writer_close(a->w);
        a->defined = false;
        if (mpx_writer_open(&birth, &a->w, &reasons, NULL) != MPROXY_OK)
            _exit(3);
        mpx_writer_header(a->w)->started = what != STEP_IMAGE;
        break;
    case STEP_OTHER_JOB:
        strcpy(a->jobid, "job-2");
        break;
    case STEP_COUNT:
        if (!a->defined &&
            mpx_writer_define(a->w, MPX_DEF_COUNTER, "calls_total", "Calls", 1, NULL, 0,
                              &a->slot, NULL) != MPROXY_OK)
            _exit(4);
        a->defined = true;
        atomic_fetch_add(&mpx_writer_row(a->w, 0).slots[a->slot], 1000);
        break;
    case STEP_FINISH:
        mpx_writer_header(a->w)->final[MPX_FINAL_USER_TIME] = 2500000;
        mpx_writer_header(a->w)->final_set = 1;
        mpx_writer_header(a->w)->end_wall_ns = 1;
        mpx_writer_header(a->w)->finished = 1;
        break;
    case STEP_LEAVE:
        mpx_writer_close(a->w);
        a->w = NULL;
        break;
    case STEP_BURN:
        for (clock_t from = clock(); clock() - from < CLOCKS_PER_SEC / 10;)
            for (volatile int i = 0; i < 100000; i++)
                continue;
        break;
    case STEP_TRUNCATE:
        if (truncate(mpx_writer_path(a->w), 0) != 0)
            _exit(5);
        break;
    default:
        _exit(0);
    }
}

static inline void run_program(int in, int out)
{
    struct acting a = {.jobid = "job-1"};
    char what;
    while (read(in, &what, 1) == 1) {
        act(&a, (enum step)what);
        if (write(out, &what, 1) != 1)
            break;
    }
    _exit(0);
}

static inline struct program start(void)
{
    int to[2], from[2];
    ck_assert_int_eq(pipe(to), 0);
    ck_assert_int_eq(pipe(from), 0);
    struct program p = {.to = to[1], .from = from[0]};
    p.pid = fork();
    if (p.pid == 0) {
        close(to[1]);
        run_program(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return p;
}

static inline enum step step_of(const char *word, size_t length)
{
    for (int i = STEP_NONE + 1; i < STEP_STEPS; i++)
        if (strlen(step_names[i]) == length && strncmp(step_names[i], word, length) == 0)
            return (enum step)i;
    ck_abort_msg("no step '%.*s'", (int)length, word);
    return STEP_NONE;
}

// Have it take steps, by name and in this order: "start count count".
static inline void tell(const struct program *p, const char *steps)
{
    for (size_t length; *steps; steps += length + strspn(steps + length, " ")) {
        length = strcspn(steps, " ");
        char step = (char)step_of(steps, length), done;
        ck_assert_int_eq(write(p->to, &step, 1), 1);
        ck_assert_int_eq(read(p->from, &done, 1), 1);
    }
}

static inline void end(const struct program *p, int signal)
{
    if (signal)
        kill(p->pid, signal);
    close(p->to);
    close(p->from);
    waitpid(p->pid, NULL, 0);
}

#endif
