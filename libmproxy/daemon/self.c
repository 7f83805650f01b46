// The proxy's own metrics: one source beside the node's, of kind "target", since it is what
// this proxy itself would say if it were scraped.
//
// All series whose labels are known beforehand get a number at compile time, from the tables,
// and their metric when this is opened; a round only stores values under those numbers. The
// one set that grows, requests by route and status, gets a series when a status is first
// answered. A series whose name the store knows with another type, from a program of long
// ago, is left out.
//
// Which number a value has is decided here and nowhere else: the parts that are told of count
// for themselves and know nothing of metrics. All is read on the event loop's thread.

#include "daemon/self.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "store/exempt.h"

static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                0.05,   0.1,   0.25,   0.5,   1,    2.5};
enum { BOUNDS = sizeof bounds / sizeof *bounds, REQUESTS_MAX = 384 };

// ---- the tables

enum family {
#define MPX_SELF(id, name, type, doc) FAMILY_##id,
#define MPX_SELF_SET(id, name, type, labels, doc) FAMILY_##id,
#include "tables/self.def"
#undef MPX_SELF_SET
#undef MPX_SELF
};

#define MPROXY_HISTOGRAM MPROXY_COUNTER // each of its series is one
static const struct {
    const char *name, *doc;
    mproxy_type type;
} families[] = {
#define MPX_SELF(id, name, type, doc) {name, doc, MPROXY_##type},
#define MPX_SELF_SET(id, name, type, labels, doc) {name, doc, MPROXY_##type},
#include "tables/self.def"
#undef MPX_SELF_SET
#undef MPX_SELF
};
#undef MPROXY_HISTOGRAM

enum series {
#define MPX_SELF(id, name, type, doc) id,
#define MPX_SELF_SET(id, name, type, labels, doc)
#include "tables/self.def"
#undef MPX_SELF_SET
#undef MPX_SELF
#define MPX_BAD_SEGMENT(id, reason, meaning) BAD_##id,
#include "tables/bad_segments.def"
#undef MPX_BAD_SEGMENT
#define MPX_REFUSAL(id, reason, meaning) REFUSED_##id,
#define MPX_GATEWAY_REFUSAL(id, reason, meaning) REFUSED_GATEWAY_##id,
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    BUILD,
    ROUND_BUCKET,
    ROUND_SUM = ROUND_BUCKET + BOUNDS + 1,
    ROUND_COUNT,
    FIXED
};

static const struct {
    enum series series;
    enum family family;
    const char *labels; // what follows the name
} fixed[] = {
#define MPX_SELF(id, name, type, doc) {id, FAMILY_##id, ""},
#define MPX_SELF_SET(id, name, type, labels, doc)
#include "tables/self.def"
#undef MPX_SELF_SET
#undef MPX_SELF
#define MPX_BAD_SEGMENT(id, reason, meaning)                                             \
    {BAD_##id, FAMILY_BAD_SEGMENTS, "{reason=\"" reason "\"}"},
#include "tables/bad_segments.def"
#undef MPX_BAD_SEGMENT
#define MPX_REFUSAL(id, reason, meaning)                                                 \
    {REFUSED_##id, FAMILY_REFUSED, "{reason=\"" reason "\"}"},
#define MPX_GATEWAY_REFUSAL(id, reason, meaning)                                         \
    {REFUSED_GATEWAY_##id, FAMILY_REFUSED, "{reason=\"" reason "\"}"},
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    {BUILD, FAMILY_BUILD_INFO, "{version=\"" MPROXY_VERSION "\"}"},
    {ROUND_SUM, FAMILY_ROUND, "_sum"},
    {ROUND_COUNT, FAMILY_ROUND, "_count"},
};

// ---- series

// Of a request: which answer it counts.
struct answer {
    const char *route; // static text
    int code;
    int place;
};

struct mpx_self {
    struct mproxy_daemon *daemon;
    int places[FIXED]; // in the arrays below; -1: left out
    struct answer answers[REQUESTS_MAX];
    size_t answer_count;
    uint64_t rounds_in[BOUNDS + 1];
    double rounds_seconds;
    uint64_t wall_us; // of this round
    mproxy_source source;
    const mproxy_metric *metrics[FIXED + REQUESTS_MAX];
    mproxy_type types[FIXED + REQUESTS_MAX];
    mproxy_value values[FIXED + REQUESTS_MAX];
};

// Its place; -1: it is left out.
static int add_series(struct mpx_self *self, enum family family, const char *labels)
{
    char name[256];
    size_t at = self->source.count;
    snprintf(name, sizeof name, "%s%s", families[family].name, labels);
    self->types[at] = families[family].type;
    if (mpx_store_metric_exempt(self->daemon->store, name, self->types[at],
                                families[family].doc, &self->metrics[at],
                                NULL) != MPROXY_OK)
        return -1;
    (void)mproxy_metric_ref(self->metrics[at]);
    self->source.count++;
    return (int)at;
}

static void put(struct mpx_self *self, int place, double value)
{
    if (place < 0)
        return;
    mproxy_value *old = &self->values[place];
    if (self->types[place] == MPROXY_GAUGE)
        *old = mproxy_value_gauge(value, self->wall_us);
    else if (old->ts_us == 0 || old->total != value)
        *old = mproxy_value_counter(value, self->wall_us);
}

static void tell(struct mpx_self *self, enum series series, double value)
{
    put(self, self->places[series], value);
}

// ---- what is told

static void tell_rounds(struct mpx_self *self)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        below += self->rounds_in[i];
        tell(self, ROUND_BUCKET + (enum series)i, (double)below);
    }
    tell(self, ROUND_SUM, self->rounds_seconds);
    tell(self, ROUND_COUNT, (double)below);
}

static uint64_t tell_segments(struct mpx_self *self)
{
    struct mpx_segments_stats s;
    mpx_segments_stats(self->daemon->segments, &s);
    tell(self, SEGMENTS, (double)s.segments);
    tell(self, SEGMENT_BYTES, (double)s.bytes);
    tell(self, PROCESSES, (double)s.processes);
    tell(self, REFUSED_SEGMENT_DAMAGED, (double)s.damaged);
    tell(self, REFUSED_SEGMENT_JOB_ID, (double)s.refused_jobs);
    tell(self, REFUSED_SEGMENT_NAME, (double)s.refused_names);
    tell(self, REFUSED_SEGMENT_NAME_LIMIT, (double)s.refused_limits);
    tell(self, REFUSED_SEGMENT_TYPE, (double)s.refused_types);
    tell(self, REFUSED_PROCESS_UNCOUNTED, (double)(s.refused + s.uncounted));
    tell(self, BAD_CORRUPT, (double)s.bad_corrupt);
    tell(self, BAD_VERSION, (double)s.bad_version);
    tell(self, BAD_LIMIT, (double)s.bad_limit);
    tell(self, BAD_CROWD, (double)s.bad_crowd);
    tell(self, BAD_SYSTEM, (double)s.bad_system);
    return s.refused_values;
}

static uint64_t tell_gateway(struct mpx_self *self)
{
    struct mpx_gateway_stats s = {.clients = 0};
    if (self->daemon->gateway)
        mpx_gateway_get_stats(self->daemon->gateway, &s);
    tell(self, CLIENTS, (double)s.clients);
    tell(self, MESSAGES, (double)s.messages);
#define MPX_REFUSAL(id, reason, meaning)
#define MPX_GATEWAY_REFUSAL(id, reason, meaning)                                         \
    tell(self, REFUSED_GATEWAY_##id, (double)s.refused[MPX_GATEWAY_##id]);
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    return s.refused[MPX_GATEWAY_VALUE];
}

static void tell_syscalls(struct mpx_self *self)
{
    struct mpx_syscalls_stats s = {0};
    if (self->daemon->syscalls)
        mpx_syscalls_get_stats(self->daemon->syscalls, &s);
    tell(self, SYSCALL_TREES, (double)s.trees);
    tell(self, REFUSED_SYSCALL_TREE, (double)s.lost_trees);
    tell(self, REFUSED_SYSCALL_THREAD, (double)s.lost_threads);
    tell(self, REFUSED_SYSCALL, (double)s.lost_calls);
}

static uint64_t tell_sums(struct mpx_self *self)
{
    mproxy_ledger_stats ledger = {.struct_size = sizeof ledger};
    mproxy_reduction_stats sums = {.struct_size = sizeof sums};
    mproxy_ledger_get_stats(self->daemon->ledger, &ledger);
    mproxy_reduction_get_stats(self->daemon->reduction, &sums);
    tell(self, JOBS, (double)self->daemon->jobs);
    tell(self, SERIES, (double)self->daemon->series);
    tell(self, NAMES, (double)mproxy_store_metric_count(self->daemon->store));
    tell(self, OPEN_SHARES, (double)ledger.open_shares);
    tell(self, SEALED_SHARES, (double)ledger.sealed_shares);
    tell(self, STATE_BYTES, (double)ledger.state_bytes);
    tell(self, STATE_WRITES, (double)ledger.writes);
    tell(self, STATE_FAILURES, (double)ledger.failed_writes);
    tell(self, REFUSED_STATE_TYPE, (double)ledger.refused_series);
    tell(self, REFUSED_JOB_ID, (double)sums.refused_sources);
    tell(self, STEPS_BACK, (double)sums.steps_back);
    return sums.dropped_values;
}

static void tell_process(struct mpx_self *self)
{
    int64_t up_ms = mpx_boot_ms() - self->daemon->start_boot_ms;
    tell(self, BUILD, 1);
    tell(self, UPTIME, (double)up_ms / 1e3);
    tell(self, CPU, (double)mpx_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
    tell(self, PROFILES, (double)mpx_daemon_profiles(self->daemon));
}

static struct answer *find_answer(struct mpx_self *self, const char *route, int code)
{
    for (size_t i = 0; i < self->answer_count; i++)
        if (self->answers[i].route == route && self->answers[i].code == code)
            return &self->answers[i];
    if (self->answer_count == REQUESTS_MAX)
        return NULL;
    char labels[192];
    snprintf(labels, sizeof labels, "{route=\"%s\",code=\"%d\"}", route, code);
    struct answer *a = &self->answers[self->answer_count++];
    *a = (struct answer){route, code, add_series(self, FAMILY_REQUESTS, labels)};
    return a;
}

static void tell_request(void *arg, const char *route, int code, uint64_t count)
{
    const struct answer *answer = find_answer(arg, route, code);
    if (answer)
        put(arg, answer->place, (double)count);
}

// ---- life

static void add_buckets(struct mpx_self *self)
{
    char labels[MPROXY_NUMBER_MAX + 16], le[MPROXY_NUMBER_MAX] = "+Inf";
    for (size_t i = 0; i <= BOUNDS; i++) {
        if (i < BOUNDS)
            mproxy_format_number(bounds[i], le);
        else
            strcpy(le, "+Inf");
        snprintf(labels, sizeof labels, "_bucket{le=\"%s\"}", le);
        self->places[ROUND_BUCKET + i] = add_series(self, FAMILY_ROUND, labels);
    }
}

mproxy_status mpx_self_open(struct mproxy_daemon *d, struct mpx_self **out,
                            mproxy_error *err)
{
    struct mpx_self *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the proxy's own metrics");
    self->daemon = d;
    self->source = (mproxy_source){.struct_size = sizeof self->source,
                                   .kind = MPROXY_SOURCE_TARGET,
                                   .host = d->host,
                                   .metrics = self->metrics,
                                   .values = self->values};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        self->places[fixed[i].series] =
            add_series(self, fixed[i].family, fixed[i].labels);
    add_buckets(self);
    *out = self;
    return MPROXY_OK;
}

void mpx_self_close(struct mpx_self *self)
{
    for (size_t i = 0; self && i < self->source.count; i++)
        mproxy_metric_unref(self->metrics[i]);
    free(self);
}

void mpx_self_observe_round(struct mpx_self *self, double seconds)
{
    size_t bucket = 0;
    while (bucket < BOUNDS && seconds > bounds[bucket])
        bucket++;
    self->rounds_in[bucket]++;
    self->rounds_seconds += seconds;
}

// Of one start of a proxy: the epoch is that of its ledger.
static void sign(struct mpx_self *self)
{
    const mproxy_source *const *sources;
    memcpy(self->source.directory, mproxy_ledger_directory(self->daemon->ledger),
           sizeof self->source.directory);
    if (mproxy_ledger_sources(self->daemon->ledger, &sources) > 0)
        self->source.epoch = sources[0]->epoch;
    self->source.sequence = self->daemon->rounds;
}

const mproxy_source *mpx_self_source(struct mpx_self *self, uint64_t wall_us)
{
    self->wall_us = wall_us;
    tell_process(self);
    tell_rounds(self);
    tell_syscalls(self);
    tell(self, BAD_VALUES,
         (double)(tell_segments(self) + tell_gateway(self) + tell_sums(self)));
    if (self->daemon->server)
        mpx_server_each_count(self->daemon->server, tell_request, self);
    sign(self);
    return &self->source;
}
