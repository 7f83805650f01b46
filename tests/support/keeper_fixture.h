// A keeper on an archive of its own, and shares made of plain values.
#ifndef TESTS_SUPPORT_KEEPER_FIXTURE_H
#define TESTS_SUPPORT_KEEPER_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile/keeper.h"
#include "profile/profile.h"

enum { CONTINUE_MS = 300000, WAIT_MS = 900000, SHARES_MAX = 256 };

struct share {
    mproxy_source source;
    mproxy_job job;
    char jobid[32];
    mproxy_value value, node_value;
    mproxy_ranks ranks;
};

static char root[64], dir[96];
static mproxy_store *store;
static const mproxy_metric *hits, *packets;
static mproxy_archive *archive;
static struct mpx_keeper *keeper;
static struct share shares[SHARES_MAX];
static size_t share_count;
static int64_t now_ms;
static unsigned failures_logged, lines_logged;

static inline void on_log(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    (void)line;
    failures_logged += level <= MPROXY_LOG_WARNING;
    lines_logged++;
}

static inline void open_keeper(void)
{
    struct mpx_keeper_options options = {
        .continue_ms = CONTINUE_MS, .wait_ms = WAIT_MS, .log = on_log};
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_open(dir, NULL, NULL, &archive, &err) == MPROXY_OK, "%s",
                  err.text);
    ck_assert_int_eq(mpx_keeper_open(archive, &options, &keeper, &err), MPROXY_OK);
}

static inline void close_keeper(void)
{
    ck_assert(mpx_keeper_close(keeper, 20000, false));
    mproxy_archive_close(archive);
    keeper = NULL;
    archive = NULL;
}

// On a memory file system: a store here syncs, and there are many.
static inline void setup(void)
{
    strcpy(root, "/dev/shm/mproxy-test-keeper-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/prefix/profiles", root);
    ck_assert_int_eq(mproxy_store_open(NULL, &store, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_store_metric(store, "hits", MPROXY_COUNTER, "d", &hits, NULL),
                     MPROXY_OK);
    ck_assert_int_eq(
        mproxy_store_metric(store, "packets", MPROXY_COUNTER, "d", &packets, NULL),
        MPROXY_OK);
    share_count = 0;
    now_ms = 1000;
    failures_logged = lines_logged = 0;
    open_keeper();
}

static inline void teardown(void)
{
    char command[128];
    close_keeper();
    mproxy_store_close(store);
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static inline struct share *add_share(unsigned node, uint64_t number, const char *jobid,
                                      const char *command, int64_t start_ms,
                                      int64_t end_ms, double value)
{
    static const char *const hosts[] = {"n0", "n1", "n2", "n3", "n4"};
    ck_assert_uint_lt(share_count, SHARES_MAX);
    struct share *s = &shares[share_count++];
    memset(s, 0, sizeof *s);
    snprintf(s->jobid, sizeof s->jobid, "%s", jobid);
    s->job = (mproxy_job){.jobid = s->jobid,
                          .command = (char *)command,
                          .nodelist = "",
                          .partition = "",
                          .cluster = "",
                          .run_dir = "",
                          .size = 4};
    s->value = mproxy_value_counter(value, 1);
    s->node_value = mproxy_value_counter(1, 1);
    mproxy_ranks_add(&s->ranks, node, value);
    s->source = (mproxy_source){.struct_size = sizeof(mproxy_source),
                                .kind = MPROXY_SOURCE_SHARE,
                                .number = number,
                                .epoch = 1,
                                .sequence = 1,
                                .host = hosts[node],
                                .job = &s->job,
                                .uid = 1000,
                                .sealed = 1,
                                .start_ms = start_ms,
                                .end_ms = end_ms,
                                .count = 1,
                                .metrics = &hits,
                                .values = &s->value,
                                .ranks = &s->ranks,
                                .node_count = 1,
                                .node_metrics = &packets,
                                .node_values = &s->node_value};
    s->source.directory[0] = (uint8_t)(node + 1);
    return s;
}

static inline void start_round(void)
{
    static const mproxy_job nobody = {.jobid = ""};
    const mproxy_source base = {
        .struct_size = sizeof(mproxy_source), .kind = MPROXY_SOURCE_BASE, .job = &nobody};
    const mproxy_source *sources[SHARES_MAX + 1] = {&base};
    for (size_t i = 0; i < share_count; i++)
        sources[i + 1] = &shares[i].source;
    now_ms += 1000;
    ck_assert_int_eq(mpx_keeper_round(keeper, sources, share_count + 1, now_ms),
                     MPROXY_OK);
}

// Rounds until what they hand over is stored, and one that sees it. Two runs of one id are
// written one after the other.
static inline void run_round(void)
{
    for (int i = 0; i < 2; i++) {
        start_round();
        mpx_keeper_drain(keeper, 20000);
    }
    start_round();
}

static inline size_t release_count(void)
{
    const struct mpx_release *releases;
    return mpx_keeper_releases(keeper, &releases);
}

static inline mproxy_profile *load(const char *key)
{
    mproxy_profile *p = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_load(archive, key, &p, &err) == MPROXY_OK, "%s: %s", key,
                  err.text);
    return p;
}

static inline double loaded(const char *key)
{
    mproxy_profile *p = load(key);
    ck_assert_str_eq(p->entries[0].name, "hits");
    double value = p->entries[0].value.total;
    mproxy_profile_free(p);
    return value;
}

#endif
