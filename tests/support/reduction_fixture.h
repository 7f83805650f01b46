// Sources made by hand, and what the views of them show.
#ifndef TESTS_SUPPORT_REDUCTION_FIXTURE_H
#define TESTS_SUPPORT_REDUCTION_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/reduction.h>

enum { HITS, LOAD, NET, METRICS };

static mproxy_store *store;
static mproxy_reduction *reduction;
static const mproxy_metric *metrics[METRICS];

static inline void setup(void)
{
    const char *const names[METRICS] = {"hits_total", "load", "net_total"};
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    for (int i = 0; i < METRICS; i++)
        mproxy_store_metric(store, names[i], i == LOAD ? MPROXY_GAUGE : MPROXY_COUNTER,
                            "a test's", &metrics[i], NULL);
    ck_assert_int_eq(mproxy_reduction_new(store, &reduction, NULL), MPROXY_OK);
}

static inline void teardown(void)
{
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);
}

// A source of directory `d` on host "h<host>", with one counter.
struct maker {
    mproxy_source source;
    mproxy_job job;
    char host[16];
    mproxy_value hits, node[2];
    const mproxy_metric *metric, *node_metrics[2];
    mproxy_ranks ranks;
};

static inline void make(struct maker *m, mproxy_source_kind kind, uint8_t d, int host,
                        uint64_t number, double hits)
{
    memset(m, 0, sizeof *m);
    snprintf(m->host, sizeof m->host, "h%d", host);
    m->hits = mproxy_value_counter(hits, 7);
    m->metric = metrics[HITS];
    m->source = (mproxy_source){.struct_size = sizeof(mproxy_source),
                                .directory = {d},
                                .kind = kind,
                                .number = number,
                                .epoch = 1,
                                .sequence = 1,
                                .host = m->host,
                                .count = 1,
                                .metrics = &m->metric,
                                .values = &m->hits};
}

static inline void make_base(struct maker *m, uint8_t d, int host, double hits)
{
    make(m, MPROXY_SOURCE_BASE, d, host, 0, hits);
}

static inline void make_share(struct maker *m, uint8_t d, int host, uint64_t number,
                              const char *jobid, double hits)
{
    make(m, MPROXY_SOURCE_SHARE, d, host, number, hits);
    m->job = (mproxy_job){.jobid = (char *)jobid,
                          .command = "./a",
                          .nodelist = "",
                          .partition = "",
                          .cluster = "",
                          .run_dir = "",
                          .size = 4};
    m->source.job = &m->job;
    m->source.uid = 1000;
    m->source.start_ms = 1000000;
    m->source.end_ms = 1001000;
}

static inline void put(const struct maker *m)
{
    mproxy_error err = {0};
    mproxy_status status = mproxy_reduction_put(reduction, &m->source, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static inline void put_next(struct maker *m, double hits)
{
    m->hits.total = hits;
    m->source.sequence++;
    put(m);
}

static inline void publish(void)
{
    mproxy_error err = {0};
    mproxy_status status = mproxy_reduction_publish(reduction, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
}

static inline double shown(const char *view, const char *metric)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    const mproxy_view *v = mproxy_snapshot_find(s, view);
    mproxy_entry e;
    double total = v && mproxy_view_find(v, metric, &e) ? e.value.total : -1;
    mproxy_snapshot_unref(s);
    return total;
}

static inline bool is_listed(const char *view)
{
    mproxy_snapshot *s = mproxy_store_snapshot(store);
    bool is = mproxy_snapshot_find(s, view) != NULL;
    mproxy_snapshot_unref(s);
    return is;
}

static inline uint64_t steps_back(void)
{
    mproxy_reduction_stats stats = {.struct_size = sizeof stats};
    mproxy_reduction_get_stats(reduction, &stats);
    return stats.steps_back;
}

#endif
