// Node metrics: the list of samplers, and what they report put together into a layout.
//
// Each sampler (cpu.c, memory.c, ...) is asked once a round and puts metrics with values,
// in its own order; it owns its state and knows no other sampler. A metric that is put
// twice counts once. The metrics put in a round make a layout; one that is the same as
// one of the last rounds is that layout, by address, since the ledger works out its maps once
// per layout. Where devices come and go for ever so do layouts: one that has not been of use
// for some rounds is freed between two, after the ledger was told to forget it.
//
// A counter's time is that of its last change: one that is as in the round before keeps
// it, unless the layout has changed.
//
// A sampler whose files are absent on this node puts nothing. Zero would be a measurement.
//
// Without memory the round before stays: layout and values change together or not at
// all.

#include <mproxy/system.h>

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "base/options.h"
#include "store/metric.h"
#include "system/sampler.h"
#include "system/private.h"
#include "store/exempt.h"
#include "store/names.h"

static const struct mpx_sampler *const samplers[] = {
    &mpx_sampler_cpu,    &mpx_sampler_memory,     &mpx_sampler_mounts,
    &mpx_sampler_disk,   &mpx_sampler_net,        &mpx_sampler_hwmon,
    &mpx_sampler_energy, &mpx_sampler_infiniband, &mpx_sampler_pressure,
    &mpx_sampler_misc,
};
enum {
    SOURCES = sizeof samplers / sizeof *samplers,
    LAYOUT_SAMPLES = 8, // that a layout is kept for which is not current
};

static const struct {
    const char *name, *doc;
    mproxy_type type;
} table[] = {
#define MPX_NODE_METRIC(id, name, type, doc) {name, doc, MPROXY_##type},
#include "tables/metrics.def"
#undef MPX_NODE_METRIC
};

void mpx_system_held_fini(struct mpx_system_held *held)
{
    for (size_t i = 0; i < held->count; i++)
        mproxy_metric_unref(held->metrics[i]);
    free(held->metrics);
}

static bool holds(const struct mpx_system_held *held, const mproxy_metric *metric)
{
    for (size_t i = held->count; i-- > 0;)
        if (held->metrics[i] == metric)
            return true;
    return false;
}

const mproxy_metric *mpx_system_metric(struct mproxy_system *s,
                                       struct mpx_system_device *device,
                                       enum mpx_node_metric id, const char *labels)
{
    struct mpx_system_held *held = device ? &device->held : &s->held;
    struct mpx_buf name = MPX_BUF_INIT;
    mpx_buf_add_text(&name, table[id].name);
    if (labels)
        mpx_buf_addf(&name, "{%s}", labels);
    const char *text = mpx_buf_text(&name);
    const mproxy_metric *metric = NULL;
    if (!text || !MPX_RESERVE(held->metrics, held->room, held->count + 1) ||
        mpx_store_metric_exempt(s->store, text, table[id].type, table[id].doc, &metric,
                                NULL) != MPROXY_OK)
        metric = NULL;
    else if (!device || !holds(held, metric))
        held->metrics[held->count++] = mproxy_metric_ref(metric);
    mpx_buf_free(&name);
    return metric;
}

static bool grow(struct mproxy_system *s)
{
    size_t room = mpx_array_room(s->room, s->room + 1);
    if (!MPX_RESERVE_TO(s->metrics, room) || !MPX_RESERVE_TO(s->fresh, room)) {
        s->failed = true;
        return false;
    }
    s->room = room;
    return true;
}

void mpx_system_put(struct mproxy_system *s, const mproxy_metric *metric, double value)
{
    if (!metric || !isfinite(value) || s->failed)
        return;
    if (s->count == s->room && !grow(s))
        return;
    s->metrics[s->count] = metric;
    s->fresh[s->count++] = metric->type == MPROXY_GAUGE
                               ? mproxy_value_gauge(value, s->wall_us)
                               : mproxy_value_counter(value, s->wall_us);
}

// Two devices of one name would report one metric twice: the first is kept.
static void drop_repeated(struct mproxy_system *s)
{
    size_t ids = mpx_store_metric_bound(s->store);
    unsigned char *taken = calloc(ids ? ids : 1, 1);
    if (!taken) {
        s->failed = true;
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (taken[s->metrics[i]->id]++)
            continue;
        s->metrics[kept] = s->metrics[i];
        s->fresh[kept++] = s->fresh[i];
    }
    s->count = kept;
    free(taken);
}

static bool is_layout(const struct mproxy_system *s, const mproxy_layout *layout)
{
    return layout->count == s->count &&
           (s->count == 0 ||
            memcmp(layout->metrics, s->metrics, s->count * sizeof *s->metrics) == 0);
}

static struct layout *new_layout(struct mproxy_system *s)
{
    struct layout *l = calloc(1, sizeof *l + s->count * sizeof *l->metrics);
    if (!l)
        return NULL;
    memcpy(l->metrics, s->metrics, s->count * sizeof *l->metrics);
    mpx_metrics_ref(l->metrics, s->count);
    l->layout = (mproxy_layout){.count = s->count, .metrics = l->metrics};
    l->next = s->layouts;
    s->layouts = l;
    return l;
}

static void free_layout(struct layout *l)
{
    mpx_metrics_unref(l->metrics, l->layout.count);
    free(l);
}

// A device that comes and goes gets a layout of the last samples back.
static struct layout *find_or_add_layout(struct mproxy_system *s)
{
    if (s->current && is_layout(s, &s->current->layout))
        return s->current;
    drop_repeated(s);
    for (struct layout *l = s->layouts; l; l = l->next)
        if (is_layout(s, &l->layout))
            return l;
    return new_layout(s);
}

// A counter's time is that of its last change.
static void keep_times(struct mproxy_system *s, const struct layout *next)
{
    if (next != s->current)
        return;
    for (size_t i = 0; i < s->count; i++)
        if (s->metrics[i]->type == MPROXY_COUNTER &&
            s->fresh[i].total == s->values[i].total)
            s->fresh[i].ts_us = s->values[i].ts_us;
}

mproxy_status mproxy_system_sample(struct mproxy_system *s, int64_t boot_ms,
                                   uint64_t wall_us)
{
    MPX_REQUIRE(s, NULL);
    s->count = 0;
    s->failed = false;
    s->boot_ms = boot_ms;
    s->wall_us = wall_us;
    for (size_t i = 0; i < SOURCES; i++)
        samplers[i]->sample(s, s->states[i]);
    struct layout *next = s->failed ? NULL : find_or_add_layout(s);
    mproxy_value *values = s->failed ? NULL : calloc(s->count + 1, sizeof *values);
    if (!next || !values || s->failed) {
        free(values);
        return MPROXY_E_NOMEM;
    }
    keep_times(s, next);
    memcpy(values, s->fresh, s->count * sizeof *values);
    free(s->values);
    s->values = values;
    s->current = next;
    next->used = ++s->samples;
    return MPROXY_OK;
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    struct mproxy_system *s = self;
    // The previous values stand in for ones that there was no memory for.
    (void)mproxy_system_sample(s, round->boot_ms, round->wall_us);
    return round->ledger ? mproxy_ledger_node(round->ledger, mproxy_system_layout(s),
                                              s->values, err)
                         : MPROXY_OK;
}

// A ledger whose round has failed may still follow an old one.
static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_system *s = self;
    (void)err;
    if (round->ledger && !round->written)
        return MPROXY_OK;
    for (struct layout **link = &s->layouts; *link;) {
        struct layout *l = *link;
        if (l == s->current || l->used + LAYOUT_SAMPLES >= s->samples) {
            link = &l->next;
            continue;
        }
        *link = l->next;
        if (round->ledger)
            mproxy_ledger_forget(round->ledger, &l->layout);
        free_layout(l);
    }
    return MPROXY_OK;
}

// Where no ledger tells them on, they are a source of their own.
static mproxy_status show(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_system *s = self;
    const mproxy_layout *layout = mproxy_system_layout(s);
    const mproxy_source source = {.struct_size = sizeof source,
                                  .kind = MPROXY_SOURCE_NODE,
                                  .host = s->host,
                                  .epoch = 1,
                                  .sequence = s->samples,
                                  .count = layout->count,
                                  .metrics = layout->metrics,
                                  .values = s->values};
    return round->ledger ? MPROXY_OK
                         : mproxy_reduction_put(round->reduction, &source, err);
}

const mproxy_input *mproxy_system_input(const mproxy_system *system)
{
    return &system->input;
}

const mproxy_layout *mproxy_system_layout(const struct mproxy_system *s)
{
    static const mproxy_layout empty = {0};
    return s->current ? &s->current->layout : &empty;
}

const mproxy_value *mproxy_system_values(const struct mproxy_system *s)
{
    return s->values;
}

int mpx_system_proc(const struct mproxy_system *s)
{
    return s->proc_fd;
}

int mpx_system_sys(const struct mproxy_system *s)
{
    return s->sys_fd;
}

const char *mpx_system_host(const struct mproxy_system *s)
{
    return s->host;
}

int64_t mpx_system_now_ms(const struct mproxy_system *s)
{
    return s->boot_ms;
}

static char *own_host(const char *host)
{
    struct utsname name;
    if (host)
        return strdup(host);
    return strdup(uname(&name) == 0 ? name.nodename : "unknown");
}

static mproxy_status open_roots(struct mproxy_system *s, const char *proc,
                                const char *sys, mproxy_error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    s->proc_fd = open(proc, flags);
    if (s->proc_fd < 0)
        return mpx_fail_errno(err, "%s", proc);
    s->sys_fd = open(sys, flags); // a container may have none
    return MPROXY_OK;
}

mproxy_status mproxy_system_open(const mproxy_system_options *options,
                                 mproxy_system **out, mproxy_error *err)
{
    MPX_REQUIRE(options && options->store && out, err);
    mproxy_system_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_system_options, host, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    struct mproxy_system *s = calloc(1, sizeof *s + SOURCES * sizeof *s->states);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "node metrics: no memory");
    s->proc_fd = s->sys_fd = -1;
    s->store = o.store;
    s->input = (mproxy_input){.struct_size = sizeof s->input,
                              .name = "the node's metrics",
                              .self = s,
                              .before_round = before_round,
                              .show = show,
                              .after_round = after_round};
    status = open_roots(s, o.proc_root ? o.proc_root : "/proc",
                        o.sys_root ? o.sys_root : "/sys", err);
    if (status != MPROXY_OK) {
        mproxy_system_close(s);
        return status;
    }
    s->host = own_host(o.host);
    bool complete = s->host != NULL;
    for (size_t i = 0; i < SOURCES; i++) {
        s->states[i] = calloc(1, samplers[i]->size);
        complete &= s->states[i] != NULL;
    }
    if (!complete) {
        mproxy_system_close(s);
        return mpx_fail(err, MPROXY_E_NOMEM, "node metrics: no memory");
    }
    *out = s;
    return MPROXY_OK;
}

void mproxy_system_close(struct mproxy_system *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < SOURCES; i++) {
        if (s->states[i] && samplers[i]->fini)
            samplers[i]->fini(s->states[i]);
        free(s->states[i]);
    }
    for (struct layout *l = s->layouts, *next; l; l = next) {
        next = l->next;
        free_layout(l);
    }
    if (s->proc_fd >= 0)
        close(s->proc_fd);
    if (s->sys_fd >= 0)
        close(s->sys_fd);
    mpx_buf_free(&s->text);
    free(s->metrics);
    free(s->fresh);
    mpx_system_held_fini(&s->held);
    free(s->values);
    free(s->host);
    free(s);
}
