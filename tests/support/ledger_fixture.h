// A ledger in a directory of its own, and processes made of plain arrays.
#ifndef TEST_LEDGER_FIXTURE_H
#define TEST_LEDGER_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mproxy/ledger.h>

enum { HITS, BYTES, LEVEL, METRICS }; // columns of every process of these tests
enum { LINGER = 2000, CONTINUE = 600000 };

struct fixture {
    char path[64];
    int fd;
    mproxy_store *store;
    mproxy_ledger *ledger;
    const mproxy_metric *metrics[METRICS];
    mproxy_layout layout;
    int64_t now; // CLOCK_BOOTTIME of the next round
};

// UNIX time of the tests' boot.
static const uint64_t boot_wall_us = UINT64_C(1700000000000000);

struct person { // a process of the tests
    mproxy_process process;
    mproxy_part part;
    mproxy_job job;
    double values[METRICS];
    char name[32];
    const char *names[1];
};

static inline void fixture_store(struct fixture *f)
{
    const char *const names[METRICS] = {"hits_total", "bytes_total", "level"};
    ck_assert_int_eq(mproxy_store_open(NULL, &f->store, NULL), MPROXY_OK);
    for (int i = 0; i < METRICS; i++)
        ck_assert_int_eq(mproxy_store_metric(f->store, names[i],
                                             i == LEVEL ? MPROXY_GAUGE : MPROXY_COUNTER,
                                             "a test's", &f->metrics[i], NULL),
                         MPROXY_OK);
    f->layout = (mproxy_layout){.count = METRICS, .metrics = f->metrics};
}

static inline mproxy_status fixture_try_open(struct fixture *f, int discard,
                                             mproxy_error *err)
{
    mproxy_ledger_options options = {.struct_size = sizeof options,
                                     .host = "n1",
                                     .linger_ms = LINGER,
                                     .continue_ms = CONTINUE,
                                     .discard_damaged = discard};
    return mproxy_ledger_open(f->fd, f->store, &options, &f->ledger, err);
}

static inline void fixture_open(struct fixture *f)
{
    mproxy_error err = {0};
    mproxy_status status = fixture_try_open(f, 0, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.now = 1000000};
    snprintf(f->path, sizeof f->path, "/tmp/mproxy-ledger-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(f->fd, 0);
    fixture_store(f);
    fixture_open(f);
}

// As if the proxy had been killed and started again.
static inline void fixture_restart(struct fixture *f)
{
    mproxy_ledger_close(f->ledger);
    mproxy_store_close(f->store);
    fixture_store(f);
    fixture_open(f);
}

static inline void fixture_fini(struct fixture *f)
{
    mproxy_ledger_close(f->ledger);
    mproxy_store_close(f->store);
    DIR *dir = fdopendir(f->fd);
    for (struct dirent *e; (e = readdir(dir));)
        unlinkat(f->fd, e->d_name, 0);
    closedir(dir);
    rmdir(f->path);
}

static inline uint64_t wall_us_at(int64_t boot_ms)
{
    return boot_wall_us + (uint64_t)boot_ms * 1000;
}

// A process that started now; jobid "" for none.
static inline void person_init(struct fixture *f, struct person *p, uint64_t key,
                               const char *jobid)
{
    memset(p, 0, sizeof *p);
    p->job = (mproxy_job){.jobid = (char *)jobid,
                          .command = "./a",
                          .nodelist = "",
                          .partition = "",
                          .cluster = "",
                          .run_dir = "/x",
                          .size = 1};
    snprintf(p->name, sizeof p->name, "%llu.seg", (unsigned long long)key);
    p->names[0] = p->name;
    p->values[LEVEL] = NAN;
    p->part = (mproxy_part){.layout = &f->layout, .values = p->values};
    p->process = (mproxy_process){.struct_size = sizeof p->process,
                                  .job = &p->job,
                                  .uid = 1000,
                                  .key = key,
                                  .start_boot_ms = f->now,
                                  .start_wall_ms = (int64_t)(wall_us_at(f->now) / 1000),
                                  .part_count = 1,
                                  .parts = &p->part,
                                  .segment_count = 1,
                                  .segments = p->names};
}

static inline void person_count(struct person *p, int column, double value)
{
    p->values[column] += value;
    p->process.version++;
}

// One that started now and has counted that many hits.
static inline void person_start(struct fixture *f, struct person *p, uint64_t key,
                                const char *jobid, double hits)
{
    person_init(f, p, key, jobid);
    person_count(p, HITS, hits);
}

static inline void person_set(struct person *p, double value)
{
    p->values[LEVEL] = value;
    p->process.version++;
}

static inline void person_end(struct fixture *f, struct person *p)
{
    p->process.final = 1;
    p->process.end_wall_ms = (int64_t)(wall_us_at(f->now) / 1000);
}

static inline void round_begin(struct fixture *f)
{
    mproxy_ledger_round_begin(f->ledger, f->now, wall_us_at(f->now));
}

// A round with these processes, a second after the one before.
static inline mproxy_status round_of(struct fixture *f, size_t count,
                                     struct person *const *people)
{
    f->now += 1000;
    round_begin(f);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(mproxy_ledger_process(f->ledger, &people[i]->process, NULL),
                         MPROXY_OK);
    return mproxy_ledger_round_end(f->ledger, NULL);
}

#define ROUND(f, ...)                                                                    \
    round_of((f), sizeof((struct person *[]){__VA_ARGS__}) / sizeof(struct person *),    \
             (struct person *[]){__VA_ARGS__})

static inline mproxy_status idle_rounds(struct fixture *f, int count)
{
    mproxy_status status = MPROXY_OK;
    for (int i = 0; i < count; i++)
        status = round_of(f, 0, NULL);
    return status;
}

// A round in which a share is released.
static inline void release(struct fixture *f, uint64_t share)
{
    f->now += 1000;
    round_begin(f);
    ck_assert_int_eq(mproxy_ledger_release(f->ledger, share), MPROXY_OK);
    ck_assert_int_eq(mproxy_ledger_round_end(f->ledger, NULL), MPROXY_OK);
}

static inline const mproxy_source *kind_of(struct fixture *f, mproxy_source_kind kind,
                                           uint64_t number)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(f->ledger, &sources);
    for (size_t i = 0; i < count; i++)
        if (sources[i]->kind == kind && sources[i]->number == number)
            return sources[i];
    return NULL;
}

static inline const mproxy_source *source_of(struct fixture *f, uint64_t number)
{
    return kind_of(f, MPROXY_SOURCE_SHARE, number);
}

static inline const mproxy_source *base_of(struct fixture *f)
{
    return kind_of(f, MPROXY_SOURCE_BASE, 0);
}

static inline const mproxy_value *value_of(const mproxy_source *source, const char *name)
{
    for (size_t i = 0; source && i < source->count; i++)
        if (strcmp(mproxy_metric_name(source->metrics[i]), name) == 0)
            return &source->values[i];
    return NULL;
}

static inline double total_of(const mproxy_source *source, const char *name)
{
    const mproxy_value *value = value_of(source, name);
    return value ? value->total : -1;
}

static inline const mproxy_ranks *ranks_of(const mproxy_source *source, const char *name)
{
    return &source->ranks[value_of(source, name) - source->values];
}

static inline int always_gone(void *arg, const char *segment)
{
    (void)segment;
    if (arg)
        ++*(int *)arg;
    return 1;
}

static inline int never_gone(void *arg, const char *segment)
{
    (void)segment;
    if (arg)
        ++*(int *)arg;
    return 0;
}

#endif
