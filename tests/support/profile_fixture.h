// Profiles made up for tests.
#ifndef PROFILE_FIXTURE_H
#define PROFILE_FIXTURE_H

#include "profile/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static inline mproxy_status fixture_append(void *arg, const char *bytes, size_t length)
{
    mpx_buf_add(arg, bytes, length);
    return MPROXY_OK;
}

// A run of `shares` nodes that started at that second, sealed and without values.
static inline mproxy_profile *fixture_profile(const char *jobid, int64_t start_time,
                                              size_t shares)
{
    mproxy_profile *p = calloc(1, sizeof *p);
    mproxy_job job = {.jobid = (char *)jobid,
                      .command = "./a.out -x",
                      .size = shares,
                      .start_time = start_time,
                      .end_time = start_time + 10};
    mproxy_job_copy(&job, &p->desc);
    p->uid = 1000;
    p->shares = calloc(shares + 1, sizeof *p->shares);
    for (; p->share_count < shares; p->share_count++) {
        struct mpx_profile_share *s = &p->shares[p->share_count];
        char node[16];
        snprintf(node, sizeof node, "node%zu", p->share_count);
        s->directory[15] = (uint8_t)(p->share_count + 1);
        s->node = strdup(node);
        s->number = 1000 + (uint64_t)start_time;
        s->epoch = 1;
        s->sequence = 7;
        s->sealed = 1;
        s->start_ms = 1000 * start_time;
        s->end_ms = 1000 * (start_time + 10);
    }
    return p;
}

static inline struct mpx_profile_entry *fixture_entry(struct mpx_profile_share *s,
                                                      const char *name, mproxy_type type)
{
    s->entries = realloc(s->entries, (s->count + 1) * sizeof *s->entries);
    struct mpx_profile_entry *e = &s->entries[s->count++];
    *e = (struct mpx_profile_entry){
        .name = strdup(name), .doc = strdup("what \"it\" is"), .type = type};
    return e;
}

static inline void fixture_counter(struct mpx_profile_share *s, const char *name,
                                   double value, uint32_t rank)
{
    struct mpx_profile_entry *e = fixture_entry(s, name, MPROXY_COUNTER);
    e->value = mproxy_value_counter(value, 1700000000000000);
    mproxy_ranks_add(&e->ranks, rank, value);
}

static inline void fixture_gauge(struct mpx_profile_share *s, const char *name,
                                 double value)
{
    fixture_entry(s, name, MPROXY_GAUGE)->value = mproxy_value_gauge(value, 1);
}

#endif
