#include "daemon/self.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "store/exempt.h"

enum { METRICS_MAX = 512 };

static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                0.05,   0.1,   0.25,   0.5,   1,    2.5};
enum { BOUNDS = sizeof bounds / sizeof *bounds };

struct mpx_self {
    struct mproxy_daemon *daemon;
    // ours, in the order of their first telling
    const mproxy_metric *metrics[METRICS_MAX];
    mproxy_value values[METRICS_MAX];
    size_t count;
    uint64_t wall_us; // of this round
    uint64_t rounds_in[BOUNDS + 1];
    double rounds_seconds;
    // the node's and ours together
    mproxy_source source;
    const mproxy_metric **all_metrics;
    mproxy_value *all_values;
    size_t room;
};

mproxy_status mpx_self_open(struct mproxy_daemon *d, struct mpx_self **out,
                            mproxy_error *err)
{
    struct mpx_self *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the proxy's own metrics");
    self->daemon = d;
    *out = self;
    return MPROXY_OK;
}

void mpx_self_close(struct mpx_self *self)
{
    if (!self)
        return;
    free(self->all_metrics);
    free(self->all_values);
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

// Its place; a new one is added behind. NULL when there is no room.
static mproxy_value *place_of(struct mpx_self *self, const mproxy_metric *metric)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->metrics[i] == metric)
            return &self->values[i];
    if (self->count == METRICS_MAX)
        return NULL;
    self->metrics[self->count] = metric;
    self->values[self->count] = (mproxy_value){.total = 0};
    return &self->values[self->count++];
}

static void tell(struct mpx_self *self, const char *name, mproxy_type type,
                 const char *doc, double value)
{
    const mproxy_metric *metric;
    if (mpx_store_metric_exempt(self->daemon->store, name, type, doc, &metric, NULL) !=
        MPROXY_OK)
        return;
    mproxy_value *place = place_of(self, metric);
    if (!place)
        return;
    if (type == MPROXY_GAUGE)
        *place = mproxy_value_gauge(value, self->wall_us);
    else if (place->ts_us == 0 || place->total != value)
        *place = mproxy_value_counter(value, self->wall_us);
}

static void gauge(struct mpx_self *self, const char *name, const char *doc, double value)
{
    tell(self, name, MPROXY_GAUGE, doc, value);
}

static void counter(struct mpx_self *self, const char *name, const char *doc,
                    double value)
{
    tell(self, name, MPROXY_COUNTER, doc, value);
}

static void tell_rounds(struct mpx_self *self)
{
    static const char doc[] = "Time that sampling rounds took";
    char name[96];
    uint64_t below = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        char le[MPROXY_NUMBER_MAX] = "+Inf";
        if (i < BOUNDS)
            mproxy_format_number(bounds[i], le);
        below += self->rounds_in[i];
        snprintf(name, sizeof name, "mproxy_sampling_duration_seconds_bucket{le=\"%s\"}",
                 le);
        counter(self, name, doc, (double)below);
    }
    counter(self, "mproxy_sampling_duration_seconds_sum", doc, self->rounds_seconds);
    counter(self, "mproxy_sampling_duration_seconds_count", doc, (double)below);
}

static void refused(struct mpx_self *self, const char *reason, uint64_t count)
{
    char name[96];
    snprintf(name, sizeof name, "mproxy_refused_total{reason=\"%s\"}", reason);
    counter(self, name, "Input that was refused, by reason", (double)count);
}

static void tell_segments(struct mpx_self *self, uint64_t *bad_values)
{
    struct mpx_segments_stats s;
    mpx_segments_stats(self->daemon->segments, &s);
    gauge(self, "mproxy_segments", "Segments of programs that are read each round",
          (double)s.segments);
    gauge(self, "mproxy_segment_bytes", "Memory of the segments that are read",
          (double)s.bytes);
    gauge(self, "mproxy_processes", "Processes that segments tell of",
          (double)s.processes);
    refused(self, "segment_damaged", s.damaged);
    refused(self, "segment_job_id", s.refused_jobs);
    refused(self, "segment_name", s.refused_names);
    refused(self, "segment_name_limit", s.refused_limits);
    refused(self, "segment_type", s.refused_types);
    refused(self, "process_uncounted", s.refused + s.uncounted);
    const struct {
        const char *reason;
        uint64_t count;
    } bad[] = {{"corrupt", s.bad_corrupt},
               {"version", s.bad_version},
               {"limit", s.bad_limit},
               {"crowd", s.bad_crowd},
               {"system", s.bad_system}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[96];
        snprintf(name, sizeof name, "mproxy_bad_segments{reason=\"%s\"}", bad[i].reason);
        gauge(self, name, "Files in the rendezvous directory that can't be read",
              (double)bad[i].count);
    }
    *bad_values += s.refused_values;
}

static void tell_gateway(struct mpx_self *self, uint64_t *bad_values)
{
    struct mpx_gateway_stats s = {.clients = 0};
    if (self->daemon->gateway)
        mpx_gateway_get_stats(self->daemon->gateway, &s);
    gauge(self, "mproxy_clients", "Clients connected to the gateway's socket",
          (double)s.clients);
    counter(self, "mproxy_gateway_messages_total", "Messages of clients of the socket",
            (double)s.messages);
    for (int i = 0; i < MPX_GATEWAY_REFUSALS; i++)
        refused(self, mpx_gateway_refusal_name((enum mpx_gateway_refusal)i),
                s.refused[i]);
    *bad_values += s.refused[MPX_GATEWAY_VALUE];
}

static void tell_syscalls(struct mpx_self *self)
{
    struct mpx_syscalls_stats s;
    if (!self->daemon->syscalls)
        return;
    mpx_syscalls_get_stats(self->daemon->syscalls, &s);
    gauge(self, "mproxy_syscall_trees",
          "Trees of processes whose system calls the kernel counts", (double)s.trees);
    refused(self, "syscall_tree", s.lost_trees);
    refused(self, "syscall_thread", s.lost_threads);
    refused(self, "syscall", s.lost_calls);
}

static void tell_sums(struct mpx_self *self, uint64_t *bad_values)
{
    mproxy_ledger_stats ledger;
    mproxy_reduction_stats sums;
    mproxy_ledger_get_stats(self->daemon->ledger, &ledger);
    mproxy_reduction_get_stats(self->daemon->reduction, &sums);
    gauge(self, "mproxy_jobs", "Jobs shown, main and nodes among them",
          (double)self->daemon->jobs);
    gauge(self, "mproxy_series", "Metrics shown, over all jobs",
          (double)self->daemon->series);
    gauge(self, "mproxy_open_shares", "Shares of running jobs on this node",
          (double)ledger.open_shares);
    gauge(self, "mproxy_sealed_shares", "Shares of ended jobs that wait for release",
          (double)ledger.sealed_shares);
    gauge(self, "mproxy_state_bytes", "Size of the node's state file",
          (double)ledger.state_bytes);
    counter(self, "mproxy_state_writes_total", "Times the state file was written",
            (double)ledger.writes);
    counter(self, "mproxy_state_write_failures_total",
            "Times the state file could not be written", (double)ledger.failed_writes);
    refused(self, "state_type", ledger.refused_series);
    refused(self, "job_id", sums.refused_sources);
    counter(self, "mproxy_steps_back_total", "Counters that were shown lower than before",
            (double)sums.steps_back);
    *bad_values += sums.dropped_values;
}

static void tell_request(void *arg, const char *route, int code, uint64_t count)
{
    char name[192];
    snprintf(name, sizeof name, "mproxy_http_requests_total{route=\"%s\",code=\"%d\"}",
             route, code);
    counter(arg, name, "Requests answered, by route and status", (double)count);
}

static void tell_process(struct mpx_self *self)
{
    gauge(self, "mproxy_build_info{version=\"" MPROXY_VERSION "\"}",
          "The version that runs", 1);
    gauge(self, "mproxy_uptime_seconds", "Time since the proxy was started",
          (double)(mpx_boot_ms() - self->daemon->start_boot_ms) / 1e3);
    counter(self, "mproxy_cpu_seconds_total", "CPU time that the proxy has used",
            (double)mpx_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
    gauge(self, "mproxy_stored_profiles", "Profiles in the archive",
          (double)mpx_daemon_profiles(self->daemon));
}

static void tell_all(struct mpx_self *self)
{
    uint64_t bad_values = 0;
    tell_process(self);
    tell_rounds(self);
    tell_segments(self, &bad_values);
    tell_gateway(self, &bad_values);
    tell_syscalls(self);
    tell_sums(self, &bad_values);
    counter(self, "mproxy_bad_values_total",
            "Values that were dropped: not finite, or a counter below zero",
            (double)bad_values);
    if (self->daemon->server)
        mpx_server_each_count(self->daemon->server, tell_request, self);
}

static bool make_room(struct mpx_self *self, size_t count)
{
    if (count <= self->room)
        return true;
    size_t room = count + count / 2;
    const mproxy_metric **metrics =
        realloc(self->all_metrics, room * sizeof(const mproxy_metric *));
    if (metrics)
        self->all_metrics = metrics;
    mproxy_value *values = realloc(self->all_values, room * sizeof *values);
    if (values)
        self->all_values = values;
    if (!metrics || !values)
        return false;
    self->room = room;
    return true;
}

const mproxy_source *mpx_self_extend(struct mpx_self *self, const mproxy_source *node,
                                     uint64_t wall_us)
{
    self->wall_us = wall_us;
    tell_all(self);
    if (!make_room(self, node->count + self->count))
        return node;
    memcpy(self->all_metrics, node->metrics, node->count * sizeof(const mproxy_metric *));
    memcpy(self->all_values, node->values, node->count * sizeof *node->values);
    memcpy(self->all_metrics + node->count, self->metrics,
           self->count * sizeof(const mproxy_metric *));
    memcpy(self->all_values + node->count, self->values,
           self->count * sizeof *self->values);
    self->source = *node;
    self->source.sequence = self->daemon->rounds; // ours change every round
    self->source.count += self->count;
    self->source.metrics = self->all_metrics;
    self->source.values = self->all_values;
    return &self->source;
}
