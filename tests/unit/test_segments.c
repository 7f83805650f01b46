#include "collect/segments.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../support/segment_image.h"
#include "segment/rendezvous.h"
#include "segment/writer.h"

static char folder[64];
static int dir, state;
static mproxy_store *store;
static mproxy_ledger *ledger;
static struct mpx_segments *segments;
static int64_t boot_ms;
static char warning[512];
static unsigned warnings;

static void take_warning(void *arg, const char *line)
{
    (void)arg;
    snprintf(warning, sizeof warning, "%s", line);
    warnings++;
}

static void open_proxy(void)
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
                                      .warn = take_warning};
    ck_assert_msg(mpx_segments_open(&so, &segments, &err) == MPROXY_OK, "%s", err.text);
}

static void close_proxy(void)
{
    mpx_segments_close(segments);
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
}

static void open_folder(void)
{
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mkdirat(dir, "state", 0700), 0);
    state = openat(dir, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void setup(void)
{
    strcpy(folder, "/dev/shm/mproxy-segments-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_folder();
    boot_ms = clock_ms(CLOCK_BOOTTIME);
    open_proxy();
}

static void teardown(void)
{
    close_proxy();
    close(dir);
    close(state);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

// A round of the daemon; one second has passed.
static void play_round(void)
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
        if (!jobid && sources[i]->number == MPROXY_SHARE_BASE)
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
        if (strcmp(source->metrics[i]->name, name) == 0)
            return &source->values[i];
    return NULL;
}

static double shown(const char *jobid, const char *name)
{
    const mproxy_value *v = find_value(jobid, name);
    return v ? v->total : NAN;
}

static struct mpx_segments_stats stats(void)
{
    struct mpx_segments_stats s;
    mpx_segments_stats(segments, &s);
    return s;
}

static unsigned files(const char *suffix)
{
    char command[160];
    snprintf(command, sizeof command, "ls -A %s | grep -c -- '%s'", folder, suffix);
    FILE *f = popen(command, "r");
    unsigned count = 99;
    ck_assert_int_eq(fscanf(f, "%u", &count), 1);
    pclose(f);
    return count;
}

// ---- programs: real processes that do what they are told, one letter at a time

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

static void act(struct acting *a, char what)
{
    mproxy_job job = {.jobid = a->jobid, .command = (char[]){"program"}};
    struct mpx_writer_birth birth = {.dir_path = folder, .job = &job, .rank = 1};
    birth.kind = what == 'l' ? MPX_SEG_LAUNCH : MPX_SEG_PROGRAM;
    birth.proxy_is_live = 1;
    unsigned reasons;
    switch (what) {
    case 'o': // another image
    case 'l':
        mpx_writer_close(a->w);
        a->defined = false;
        if (mpx_writer_open(&birth, &a->w, &reasons, NULL) != MPROXY_OK)
            _exit(3);
        mpx_writer_header(a->w)->started = 1;
        break;
    case 'j': // of another job
        strcpy(a->jobid, "job-2");
        break;
    case 'c':
        if (!a->defined &&
            mpx_writer_define(a->w, MPX_DEF_COUNTER, "calls_total", "Calls", 1, NULL, 0,
                              &a->slot, NULL) != MPROXY_OK)
            _exit(4);
        a->defined = true;
        atomic_fetch_add(&mpx_writer_row(a->w, 0).slots[a->slot], 1000);
        break;
    case 'f':
        mpx_writer_header(a->w)->final[0] = 2500000;
        mpx_writer_header(a->w)->final_set = 1;
        mpx_writer_header(a->w)->end_wall_ns = 1;
        mpx_writer_header(a->w)->finished = 1;
        break;
    case 'x': // an exec into something that does not count
        mpx_writer_close(a->w);
        a->w = NULL;
        break;
    case 'b': // burn 100 ms of CPU time
        for (clock_t from = clock(); clock() - from < CLOCKS_PER_SEC / 10;)
            for (volatile int i = 0; i < 100000; i++)
                continue;
        break;
    case 't':
        if (truncate(mpx_writer_path(a->w), 0) != 0)
            _exit(5);
        break;
    default:
        _exit(0);
    }
}

static void run_program(int in, int out)
{
    struct acting a = {.jobid = "job-1"};
    char what;
    while (read(in, &what, 1) == 1) {
        act(&a, what);
        if (write(out, &what, 1) != 1)
            break;
    }
    _exit(0);
}

static struct program start(void)
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

static void tell(const struct program *p, const char *what)
{
    for (char done; *what; what++) {
        ck_assert_int_eq(write(p->to, what, 1), 1);
        ck_assert_int_eq(read(p->from, &done, 1), 1);
    }
}

static void end(const struct program *p, int signal)
{
    if (signal)
        kill(p->pid, signal);
    close(p->to);
    close(p->from);
    waitpid(p->pid, NULL, 0);
}

// ---- tests

START_TEST(segments_count_a_killed_process_exactly)
{
    struct program p = start();
    tell(&p, "occ");
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    tell(&p, "c");
    end(&p, SIGKILL);

    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_double_eq(shown("job-1", "has_finished"), 0);
    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_uint_eq(stats().processes, 0);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
}
END_TEST

START_TEST(segments_count_processes_that_no_round_saw_alive)
{
    struct program p[20];
    for (int i = 0; i < 20; i++) {
        p[i] = start();
        tell(&p[i], "ocf");
        end(&p[i], 0);
    }

    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 20000);
    ck_assert_double_eq(shown("job-1", "has_finished"), 20);
    ck_assert_double_eq(shown("job-1", "job_process_cpu_seconds_total{mode=\"user\"}"),
                        50);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_put_the_images_of_a_process_together)
{
    struct program p = start();
    tell(&p, "lococof");
    play_round();
    ck_assert_uint_eq(stats().segments, 4);
    ck_assert_uint_eq(stats().processes, 1);
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_double_eq(shown("job-1", "has_finished"), 1);

    end(&p, 0);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    ck_assert_double_eq(shown("job-1", "has_started"), 1);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_of_a_process_that_execs_away_wait_for_its_end)
{
    struct program p = start();
    tell(&p, "ocx");

    play_round();
    play_round();
    play_round();

    ck_assert_uint_eq(stats().alive, 1);
    ck_assert_uint_eq(files(".seg"), 1);
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    end(&p, SIGKILL);
    play_round();
    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
}
END_TEST

START_TEST(segments_take_a_zombie_for_ended)
{
    struct program p = start();
    tell(&p, "oc");
    kill(p.pid, SIGKILL);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)p.pid, &info, WEXITED | WNOWAIT), 0);

    play_round();

    ck_assert_uint_eq(files(".seg"), 0);
    end(&p, 0);
}
END_TEST

START_TEST(segments_of_a_launcher_say_no_start)
{
    struct program p = start();
    tell(&p, "l");
    play_round();

    ck_assert_double_eq(shown("job-1", "has_started"), 0);
    ck_assert_uint_eq(stats().alive, 1);
    end(&p, 0);
}
END_TEST

START_TEST(segments_follow_a_process_into_another_job)
{
    struct program p = start();
    tell(&p, "ocjoccf");
    play_round();
    end(&p, 0);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    ck_assert_double_eq(shown("job-2", "calls_total"), 2000);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_keep_what_a_damaged_one_had)
{
    struct program p = start();
    tell(&p, "oc");
    play_round();
    tell(&p, "t");

    play_round();
    ck_assert_ptr_nonnull(strstr(warning, "last good values"));
    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    end(&p, SIGKILL);
    play_round();

    ck_assert_double_eq(shown("job-1", "calls_total"), 1000);
    ck_assert_int_eq(job_source("job-1")->incomplete, 1);
    ck_assert_uint_eq(stats().damaged, 1);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_go_on_counting_when_they_are_removed)
{
    struct program p = start();
    tell(&p, "oc");
    play_round();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    ck_assert(mpx_segments_lost(segments));
    tell(&p, "c");
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(mpx_segments_lost(segments));
    close(dir);
    close(state);
    open_folder();

    ck_assert_int_eq(mproxy_ledger_move(ledger, state, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_segments_move(segments, dir, state, NULL), MPROXY_OK);

    ck_assert(!mpx_segments_lost(segments));
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 2000);
    tell(&p, "c");
    end(&p, SIGKILL);
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 3000);
    ck_assert_uint_eq(stats().segments, 0);
}
END_TEST

START_TEST(segments_keep_samples_of_proc_over_a_new_proxy)
{
    const char *const cpu = "job_process_cpu_seconds_total{mode=\"user\"}";
    struct program p = start();
    tell(&p, "ob");
    play_round(); // seen
    play_round(); // a second later: sampled
    double before = shown("job-1", cpu);
    ck_assert_double_ge(before, 0.03);
    ck_assert_double_gt(shown("job-1", "job_process_resident_memory_bytes"), 4096);
    close_proxy();
    kill(p.pid, SIGKILL);
    end(&p, 0);

    open_proxy();
    play_round();

    ck_assert_double_eq(shown("job-1", cpu), before);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_of_another_pid_namespace_are_looked_at_twice)
{
    struct image m = image_new(77, "job-1");
    image_header(&m)->pid_ns = 1; // nobody's
    image_counters(&m, "c", 1);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "77-1-1-0.seg", m.size));

    play_round();
    ck_assert_uint_eq(files(".seg"), 1);
    play_round();

    ck_assert_uint_eq(files(".seg"), 0);
    ck_assert_double_eq(shown("job-1", "c_00000"), 5);
    image_free(&m);
}
END_TEST

START_TEST(segments_of_one_identity_and_two_users_stay_apart)
{
    if (getuid() != 0)
        return; // only root can make files of others
    struct image m = image_new(77, "job-1");
    close(image_write(&m, dir, "a.seg", m.size));
    image_header(&m)->uid = 4242;
    int fd = image_write(&m, dir, "b.seg", m.size);
    ck_assert_int_eq(fchown(fd, 4242, 4242), 0);
    close(fd);

    play_round();

    ck_assert_uint_eq(stats().processes, 2);
    image_free(&m);
}
END_TEST

START_TEST(segments_warn_once_of_a_file_they_refuse)
{
    struct image m = image_new(77, "job-1");
    close(image_write(&m, dir, "bad.seg", 100));
    ck_assert_int_eq(symlinkat("/etc/passwd", dir, "link.seg"), 0);
    ck_assert_int_eq(mkfifoat(dir, "pipe.seg", 0600), 0);
    close(openat(dir, "something else", O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < 3; i++)
        play_round();
    ck_assert_uint_eq(warnings, 3);
    ck_assert_uint_eq(stats().bad_corrupt, 3);
    ck_assert_uint_eq(files(".seg"), 3);

    close(image_write(&m, dir, "bad.seg", m.size));
    play_round();

    ck_assert_uint_eq(stats().bad_corrupt, 2);
    ck_assert_uint_eq(stats().segments, 1);
    ck_assert_int_eq(unlinkat(dir, "link.seg", 0), 0);
    ck_assert_int_eq(unlinkat(dir, "pipe.seg", 0), 0);
    play_round();
    ck_assert_uint_eq(stats().bad_corrupt, 0);
    image_free(&m);
}
END_TEST

// All descriptors of this process but `left`.
static int take_descriptors(int *taken, int room, int left)
{
    int count = 0;
    while (count < room && (taken[count] = dup(dir)) >= 0)
        count++;
    ck_assert_int_lt(count, room);
    for (; left > 0; left--)
        close(taken[--count]);
    return count;
}

START_TEST(segments_are_not_lost_when_descriptors_are)
{
    struct rlimit limit = {100, 100};
    struct program p[10];
    int taken[100];
    for (int i = 0; i < 10; i++) {
        p[i] = start();
        tell(&p[i], "oc");
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int count = take_descriptors(taken, 100, 4);

    mproxy_ledger_round_begin(ledger, boot_ms, 1);
    ck_assert_int_eq(mpx_segments_round(segments, boot_ms, 1, NULL), MPROXY_OK);

    ck_assert_uint_lt(stats().segments, 10);
    ck_assert_uint_eq(stats().segments + stats().bad_system, 10);
    while (count > 0)
        close(taken[--count]);
    ck_assert_int_eq(mproxy_ledger_round_end(ledger, NULL), MPROXY_OK);
    for (int i = 0; i < 10; i++) {
        tell(&p[i], "c");
        end(&p[i], SIGKILL);
    }
    play_round();
    ck_assert_double_eq(shown("job-1", "calls_total"), 20000);
    ck_assert_uint_eq(files(".seg"), 0);
}
END_TEST

START_TEST(segments_keep_refused_values_apart_when_definitions_come)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_FCOUNTER, 0, "a_total", NULL, 0);
    image_metric(&m, MPX_DEF_FCOUNTER, 1, "b_total", NULL, 0);
    double values[] = {1, 2, 3};
    memcpy(image_row0(&m), values, 16);
    int fd = image_write(&m, dir, "a.seg", m.size);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    play_round();
    image_metric(&m, MPX_DEF_FCOUNTER, 2, "c_total", NULL, 0);
    values[0] = NAN; // keeps its 1
    memcpy(image_row0(&m), values, 24);
    ck_assert_int_eq(pwrite(fd, m.bytes, m.size, 0), (ssize_t)m.size);

    play_round();

    ck_assert_double_eq(shown("job-1", "a_total"), 1);
    ck_assert_double_eq(shown("job-1", "b_total"), 2);
    ck_assert_double_eq(shown("job-1", "c_total"), 3);
    close(fd);
    image_free(&m);
}
END_TEST

START_TEST(segments_bound_their_warnings)
{
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "bad\n%d.seg", i);
        close(openat(dir, name, O_CREAT | O_WRONLY, 0600));
    }

    play_round();

    ck_assert_uint_eq(stats().bad_corrupt, 200);
    ck_assert_uint_le(warnings, 10);
    ck_assert_ptr_nonnull(strstr(warning, "more"));
    ck_assert_ptr_null(strchr(warning, '\n'));
}
END_TEST

START_TEST(segments_refuse_names_and_types_one_by_one)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_COUNTER, 0, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 1, "unbalanced{a=\"b\"", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 2, "bad\nname", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 3, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 5, "good_total", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 6, "also_good_total", NULL, 0);
    for (uint32_t i = 0; i < 7; i++)
        image_row0(&m)[i] = i + 1;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "good_total"), 1);
    ck_assert_double_eq(shown("job-1", "also_good_total"), 7);
    ck_assert_uint_eq(stats().refused_names, 3);
    ck_assert_uint_eq(stats().refused_types, 1);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_ptr_nonnull(strstr(warning, "unbalanced"));
    image_free(&m);
}
END_TEST

START_TEST(segments_take_ten_thousand_names)
{
    struct image m = image_new(77, "job-1");
    image_counters(&m, "c", 10000);
    image_extent(&m, 0, 128, 10000 - 128)[10000 - 129] = 3;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "c_09999"), 3);
    ck_assert_uint_eq(warnings, 0);
    image_free(&m);
}
END_TEST

START_TEST(segments_drop_values_that_are_none)
{
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_FCOUNTER, 0, "seconds_total", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 1, "level", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 3, "other", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 5, "unset", NULL, 0);
    double bad[] = {-1, INFINITY, 0, 2.5};
    memcpy(image_row0(&m), bad, sizeof bad);
    image_row0(&m)[2] = 1;
    image_row0(&m)[4] = 1;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "seconds_total"), 0);
    ck_assert_double_eq(shown("job-1", "other"), 2.5);
    ck_assert_uint_eq(stats().refused_values, 2);
    const mproxy_value *level = find_value("job-1", "level");
    const mproxy_value *unset = find_value("job-1", "unset");
    ck_assert(!level || level->hits == 0);
    ck_assert(!unset || unset->hits == 0);
    image_free(&m);
}
END_TEST

START_TEST(segments_show_histograms_as_cumulative_buckets)
{
    const double bounds[] = {0.5, 4, 0x1p62};
    struct image m = image_new(77, "job-1");
    image_metric(&m, MPX_DEF_HISTOGRAM, 0, "size{op=\"read\"}", bounds, 3);
    image_metric(&m, MPX_DEF_HISTOGRAM, 5, "plain", bounds, 1);
    uint64_t *row = image_row0(&m);
    row[0] = 1, row[1] = 2, row[2] = 0, row[3] = 4;
    double sum = 12.5;
    memcpy(&row[4], &sum, sizeof sum);
    row[6] = 9;
    close(image_write(&m, dir, "a.seg", m.size));

    play_round();

    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"0.5\"}"), 1);
    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"4\"}"), 3);
    const char *last = "size_bucket{op=\"read\",le=\"4.611686018427388e+18\"}";
    ck_assert_double_eq(shown("job-1", last), 3);
    ck_assert_double_eq(shown("job-1", "size_bucket{op=\"read\",le=\"+Inf\"}"), 7);
    ck_assert_double_eq(shown("job-1", "size_sum{op=\"read\"}"), 12.5);
    ck_assert_double_eq(shown("job-1", "size_count{op=\"read\"}"), 7);
    ck_assert_double_eq(shown("job-1", "plain_bucket{le=\"+Inf\"}"), 9);
    ck_assert_double_eq(shown("job-1", "plain_count"), 9);
    image_free(&m);
}
END_TEST

START_TEST(segments_sweep_those_never_born)
{
    struct image m = image_new(77, "job-1");
    struct timespec old[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};
    close(image_write(&m, dir, ".new-young", m.size));
    int locked = image_write(&m, dir, ".new-locked", m.size);
    ck_assert_int_eq(image_lock(locked, F_WRLCK), 0);
    ck_assert_int_eq(futimens(locked, old), 0);
    int dead = image_write(&m, dir, ".new-dead", m.size);
    ck_assert_int_eq(futimens(dead, old), 0);

    play_round();

    ck_assert_uint_eq(files(".new-young"), 1);
    ck_assert_uint_eq(files(".new-locked"), 1);
    ck_assert_uint_eq(files(".new-dead"), 0);
    close(dead);
    close(locked);
    image_free(&m);
}
END_TEST

START_TEST(segments_tell_of_processes_that_could_not_count)
{
    mpx_rendezvous_refuse(folder, MPX_OFF_SPACE, "job-1");
    mpx_rendezvous_refuse(folder, MPX_OFF_DESCRIPTOR, "");
    int fd = openat(dir, "refused", O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(fd, "xxx", 3), 3);
    close(fd);

    play_round();

    ck_assert_ptr_nonnull(job_source("job-1"));
    ck_assert_int_eq(job_source("job-1")->incomplete, 1);
    ck_assert_double_eq(
        shown(NULL, "mproxy_processes_uncounted_total{reason=\"no descriptor\"}"), 1);
    ck_assert_double_eq(
        shown(NULL, "mproxy_processes_uncounted_total{reason=\"refused\"}"), 3);
    ck_assert_uint_eq(files(".off-"), 0);
    ck_assert_uint_eq(stats().uncounted, 2);
    ck_assert_uint_eq(stats().refused, 3);
    play_round();
    ck_assert_uint_eq(stats().uncounted, 2);
}
END_TEST

START_TEST(segments_do_not_remove_another_file_of_the_name)
{
    struct image m = image_new(77, "job-1");
    image_header(&m)->pid_ns = 1;
    image_counters(&m, "c", 1);
    image_row0(&m)[0] = 5;
    close(image_write(&m, dir, "a.seg", m.size));
    play_round();
    ck_assert_int_eq(unlinkat(dir, "a.seg", 0), 0);
    close(image_write(&m, dir, "b.seg", 0)); // so that the inode number is another
    image_header(&m)->pid = 78;
    close(image_write(&m, dir, "a.seg", m.size));
    ck_assert_int_eq(unlinkat(dir, "b.seg", 0), 0);
    play_round(); // the first is folded
    ck_assert_uint_eq(files(".seg"), 1);
    play_round();
    play_round();
    play_round();

    ck_assert_double_eq(shown("job-1", "c_00000"), 10);
    ck_assert_uint_eq(files(".seg"), 0);
    image_free(&m);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, segments_count_a_killed_process_exactly);
    tcase_add_test(tc, segments_count_processes_that_no_round_saw_alive);
    tcase_add_test(tc, segments_put_the_images_of_a_process_together);
    tcase_add_test(tc, segments_of_a_process_that_execs_away_wait_for_its_end);
    tcase_add_test(tc, segments_take_a_zombie_for_ended);
    tcase_add_test(tc, segments_of_a_launcher_say_no_start);
    tcase_add_test(tc, segments_follow_a_process_into_another_job);
    tcase_add_test(tc, segments_keep_what_a_damaged_one_had);
    tcase_add_test(tc, segments_go_on_counting_when_they_are_removed);
    tcase_add_test(tc, segments_keep_samples_of_proc_over_a_new_proxy);
    tcase_add_test(tc, segments_of_another_pid_namespace_are_looked_at_twice);
    tcase_add_test(tc, segments_of_one_identity_and_two_users_stay_apart);
    tcase_add_test(tc, segments_warn_once_of_a_file_they_refuse);
    tcase_add_test(tc, segments_are_not_lost_when_descriptors_are);
    tcase_add_test(tc, segments_keep_refused_values_apart_when_definitions_come);
    tcase_add_test(tc, segments_bound_their_warnings);
    tcase_add_test(tc, segments_refuse_names_and_types_one_by_one);
    tcase_add_test(tc, segments_take_ten_thousand_names);
    tcase_add_test(tc, segments_drop_values_that_are_none);
    tcase_add_test(tc, segments_show_histograms_as_cumulative_buckets);
    tcase_add_test(tc, segments_sweep_those_never_born);
    tcase_add_test(tc, segments_tell_of_processes_that_could_not_count);
    tcase_add_test(tc, segments_do_not_remove_another_file_of_the_name);
}

int main(void)
{
    Suite *suite = suite_create("segments");
    TCase *tc = tcase_create("segments");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    add_tests(tc);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
