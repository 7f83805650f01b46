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

#include "self/self.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/options.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "processes/processes.h"
#include "store/exempt.h"
#include "syscalls/syscalls.h"

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

struct mproxy_self {
    mproxy_self_options options;
    struct mpx_self_more more;
    char host[256];
    int64_t start_boot_ms;
    mproxy_input input;
    size_t jobs, series_count; // shown by the last round
    size_t left_out;           // names that main leaves out
    int places[FIXED];         // in the arrays below; -1: left out
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
static int add_series(struct mproxy_self *self, enum family family, const char *labels)
{
    char name[256];
    size_t at = self->source.count;
    snprintf(name, sizeof name, "%s%s", families[family].name, labels);
    self->types[at] = families[family].type;
    if (mpx_store_metric_exempt(self->options.store, name, self->types[at],
                                families[family].doc, &self->metrics[at],
                                NULL) != MPROXY_OK)
        return -1;
    (void)mproxy_metric_ref(self->metrics[at]);
    self->source.count++;
    return (int)at;
}

static void put(struct mproxy_self *self, int place, double value)
{
    if (place < 0)
        return;
    mproxy_value *old = &self->values[place];
    if (self->types[place] == MPROXY_GAUGE)
        *old = mproxy_value_gauge(value, self->wall_us);
    else if (old->ts_us == 0 || old->total != value)
        *old = mproxy_value_counter(value, self->wall_us);
}

static void tell(struct mproxy_self *self, enum series series, double value)
{
    put(self, self->places[series], value);
}

// ---- what is told

static void tell_rounds(struct mproxy_self *self)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        below += self->rounds_in[i];
        tell(self, ROUND_BUCKET + (enum series)i, (double)below);
    }
    tell(self, ROUND_SUM, self->rounds_seconds);
    tell(self, ROUND_COUNT, (double)below);
}

static uint64_t tell_segments(struct mproxy_self *self)
{
    struct mpx_segments_stats s = {0};
    if (self->options.processes)
        mpx_segments_stats(mpx_processes_segments(self->options.processes), &s);
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

static uint64_t tell_gateway(struct mproxy_self *self)
{
    const mproxy_gateway *gw =
        self->more.gateway ? *self->more.gateway : self->options.gateway;
    mproxy_gateway_stats s = {.struct_size = sizeof s};
    if (gw)
        mproxy_gateway_get_stats(gw, &s);
    tell(self, CLIENTS, (double)s.clients);
    tell(self, MESSAGES, (double)s.messages);
#define MPX_REFUSAL(id, reason, meaning)
#define MPX_GATEWAY_REFUSAL(id, reason, meaning)                                         \
    tell(self, REFUSED_GATEWAY_##id,                                                     \
         gw ? (double)mpx_gateway_refused(gw, MPX_GATEWAY_##id) : 0);
#include "tables/refusals.def"
#undef MPX_GATEWAY_REFUSAL
#undef MPX_REFUSAL
    return gw ? mpx_gateway_refused(gw, MPX_GATEWAY_VALUE) : 0;
}

static void tell_syscalls(struct mproxy_self *self)
{
    struct mpx_syscalls_stats s = {0};
    if (self->more.syscalls && *self->more.syscalls)
        mpx_syscalls_get_stats(*self->more.syscalls, &s);
    tell(self, SYSCALL_TREES, (double)s.trees);
    tell(self, REFUSED_SYSCALL_TREE, (double)s.lost_trees);
    tell(self, REFUSED_SYSCALL_THREAD, (double)s.lost_threads);
    tell(self, REFUSED_SYSCALL, (double)s.lost_calls);
}

static uint64_t tell_pushes(struct mproxy_self *self)
{
    mproxy_push_stats s = {.struct_size = sizeof s};
    if (self->more.push && *self->more.push)
        mproxy_push_get_stats(*self->more.push, &s);
    tell(self, PUSH_GROUPS, (double)s.groups);
    tell(self, PUSH_SERIES, (double)s.series);
    tell(self, PUSH_BYTES, (double)s.bytes);
    tell(self, PUSHES, (double)s.pushes);
    tell(self, PUSHES_REFUSED, (double)s.refused);
    tell(self, PUSH_EXPIRED, (double)s.expired);
    return s.dropped_values;
}

static uint64_t tell_sums(struct mproxy_self *self, const mproxy_round *round)
{
    mproxy_ledger_stats ledger = {.struct_size = sizeof ledger};
    mproxy_reduction_stats sums = {.struct_size = sizeof sums};
    if (round->ledger)
        mproxy_ledger_get_stats(round->ledger, &ledger);
    mproxy_reduction_get_stats(round->reduction, &sums);
    tell(self, JOBS, (double)self->jobs);
    tell(self, SERIES, (double)self->series_count);
    tell(self, LEFT_OUT, (double)self->left_out);
    tell(self, NAMES, (double)mproxy_store_metric_count(self->options.store));
    tell(self, OPEN_SHARES, (double)ledger.open_shares);
    tell(self, SEALED_SHARES, (double)ledger.sealed_shares);
    tell(self, STATE_BYTES, (double)ledger.state_bytes);
    tell(self, STATE_WRITES, (double)ledger.writes);
    tell(self, STATE_FAILURES, (double)ledger.failed_writes);
    tell(self, REFUSED_STATE_NAME, (double)ledger.refused_series);
    tell(self, REFUSED_JOB_ID, (double)sums.refused_sources);
    tell(self, STEPS_BACK, (double)sums.steps_back);
    return sums.dropped_values;
}

static size_t count_profiles(const struct mproxy_self *self)
{
    if (self->more.profiles)
        return self->more.profiles(self->more.arg);
    return self->options.archive ? mproxy_archive_size(self->options.archive) : 0;
}

static void tell_process(struct mproxy_self *self)
{
    int64_t up_ms = mpx_boot_ms() - self->start_boot_ms;
    tell(self, BUILD, 1);
    tell(self, UPTIME, (double)up_ms / 1e3);
    tell(self, CPU, (double)mpx_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
    tell(self, PROFILES, (double)count_profiles(self));
}

static struct answer *find_answer(struct mproxy_self *self, const char *route, int code)
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

static const struct mpx_server *server_of(const struct mproxy_self *self)
{
    if (self->more.server)
        return *self->more.server;
    return self->options.http ? mpx_http_server(self->options.http) : NULL;
}

// ---- rounds

static void observe(struct mproxy_self *self, double seconds)
{
    size_t bucket = 0;
    while (bucket < BOUNDS && seconds > bounds[bucket])
        bucket++;
    self->rounds_in[bucket]++;
    self->rounds_seconds += seconds;
}

static void measure(struct mproxy_self *self)
{
    mproxy_snapshot *snapshot = mproxy_store_snapshot(self->options.store);
    self->jobs = mproxy_snapshot_size(snapshot);
    self->series_count = 0;
    for (size_t i = 0; i < self->jobs; i++)
        self->series_count += mproxy_view_size(mproxy_snapshot_at(snapshot, i));
    const mproxy_view *sum = mproxy_snapshot_find(snapshot, "main");
    const mproxy_metric *const *metrics;
    self->left_out = sum ? mproxy_view_left_out(sum, &metrics) : 0;
    mproxy_snapshot_unref(snapshot);
}

// Of one start of a proxy: the epoch is that of its ledger.
static void sign(struct mproxy_self *self, const mproxy_round *round)
{
    self->source.sequence++;
    if (!round->ledger)
        return;
    memcpy(self->source.directory, mproxy_ledger_directory(round->ledger),
           sizeof self->source.directory);
    self->source.epoch = mproxy_ledger_epoch(round->ledger);
}

static void tell_all(struct mproxy_self *self, const mproxy_round *round)
{
    self->wall_us = round->wall_us;
    tell_process(self);
    tell_rounds(self);
    tell_syscalls(self);
    tell(self, BAD_VALUES,
         (double)(tell_segments(self) + tell_gateway(self) + tell_pushes(self) +
                  tell_sums(self, round)));
    if (server_of(self))
        mpx_server_each_count(server_of(self), tell_request, self);
}

// Not before the ledger has been written once: nothing of it is shown until then.
static mproxy_status show(void *arg, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_self *self = arg;
    const mproxy_source *const *sources;
    if (round->ledger && mproxy_ledger_sources(round->ledger, &sources) == 0)
        return MPROXY_OK;
    tell_all(self, round);
    sign(self, round);
    return mproxy_reduction_put(round->reduction, &self->source, err);
}

static mproxy_status after_round(void *arg, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_self *self = arg;
    (void)err;
    measure(self);
    observe(self, (double)(mpx_clock_ns(CLOCK_MONOTONIC) - round->begin_ns) / 1e9);
    return MPROXY_OK;
}

const mproxy_input *mproxy_self_input(const mproxy_self *self)
{
    return &self->input;
}

size_t mpx_self_jobs(const mproxy_self *self)
{
    return self->jobs;
}

size_t mpx_self_series(const mproxy_self *self)
{
    return self->series_count;
}

// ---- life

static void add_buckets(struct mproxy_self *self)
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

static void set_up(struct mproxy_self *self)
{
    self->start_boot_ms = mpx_boot_ms();
    if (self->options.host)
        snprintf(self->host, sizeof self->host, "%s", self->options.host);
    else if (gethostname(self->host, sizeof self->host - 1) != 0)
        strcpy(self->host, "localhost");
    self->source = (mproxy_source){.struct_size = sizeof self->source,
                                   .kind = MPROXY_SOURCE_TARGET,
                                   .epoch = 1,
                                   .host = self->host,
                                   .metrics = self->metrics,
                                   .values = self->values};
    self->input = (mproxy_input){.struct_size = sizeof self->input,
                                 .name = "the proxy's own metrics",
                                 .self = self,
                                 .show = show,
                                 .after_round = after_round};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        self->places[fixed[i].series] =
            add_series(self, fixed[i].family, fixed[i].labels);
    add_buckets(self);
}

mproxy_status mpx_self_open_more(const mproxy_self_options *options,
                                 const struct mpx_self_more *more, mproxy_self **out,
                                 mproxy_error *err)
{
    struct mproxy_self *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the proxy's own metrics");
    self->options = *options;
    self->more = *more;
    set_up(self);
    *out = self;
    return MPROXY_OK;
}

mproxy_status mproxy_self_open(const mproxy_self_options *options, mproxy_self **out,
                               mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_self_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_self_options, archive, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.store, err);
    const struct mpx_self_more none = {.server = NULL};
    return mpx_self_open_more(&o, &none, out, err);
}

void mproxy_self_close(mproxy_self *self)
{
    for (size_t i = 0; self && i < self->source.count; i++)
        mproxy_metric_unref(self->metrics[i]);
    free(self);
}
