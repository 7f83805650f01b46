// Told views as sources, each with a scope (docs/decisions/0038).
//
// A proxy has a directory for its main and its jobs, and one for each of its nodes; their ids are
// derived from that of the directory of this proxy, so that they are the same after a restart.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "scrape/proxy.h"
#include "scrape/proxy_private.h"

enum part { ALL, OF_NODE, REST }; // of a view's items

static void make_directory(const struct mpx_target *t, const uint8_t own[16],
                           const char *node, uint8_t out[16])
{
    for (uint64_t half = 0; half < 2; half++) {
        uint64_t hash = mpx_told_hash(MPX_TOLD_HASH, &half, sizeof half);
        hash = mpx_told_hash(hash, own, 16);
        hash = mpx_told_hash(hash, &t->number, sizeof t->number);
        hash = mpx_told_hash(hash, node, strlen(node));
        memcpy(out + 8 * half, &hash, sizeof hash);
    }
}

// A node's own metrics are told as such, for a host has them once.
static mproxy_source source_of(const struct mpx_target *t, const struct mpx_told *v,
                               enum part part, const mproxy_round *round)
{
    static const uint8_t none[16];
    const uint8_t *own = round->ledger ? mproxy_ledger_directory(round->ledger) : none;
    mproxy_source s = {.struct_size = sizeof s,
                       .kind = MPROXY_SOURCE_TARGET,
                       .number = 1,
                       .epoch = round->ledger ? mproxy_ledger_epoch(round->ledger) : 1,
                       .host = t->proxy->host,
                       .scope = MPROXY_SCOPE_MAIN};
    if (v->kind == MPX_TOLD_NODE) {
        s.scope = MPROXY_SCOPE_NODE;
        s.host = strchr(v->key, ' ') + 1;
        if (part == OF_NODE) {
            s.kind = MPROXY_SOURCE_NODE;
            s.number = 0;
        }
    } else if (v->kind == MPX_TOLD_JOB) {
        s.kind = MPROXY_SOURCE_SHARE;
        s.scope = MPROXY_SCOPE_JOB;
        s.number = v->id;
        s.job = &v->job;
        s.uid = geteuid();
        s.sealed = s.idle = v->is_over;
        s.start_ms = v->start_ms;
        s.end_ms = v->end_ms;
        s.silent_ms = mpx_boot_ms() - t->heard_ms;
    }
    make_directory(t, own, v->kind == MPX_TOLD_NODE ? v->key : "", s.directory);
    return s;
}

static bool is_of(const struct mpx_told_item *item, enum part part)
{
    bool is_node = strncmp(mproxy_metric_name(item->metric), "proxy_", 6) == 0;
    return item->is_shown && (part == ALL || is_node == (part == OF_NODE));
}

static mproxy_status put(struct mpx_target *t, struct mpx_told *v, enum part part,
                         const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    if (!MPX_RESERVE(s->metrics, s->metrics_room, v->count + 1) ||
        !MPX_RESERVE(s->values, s->values_room, v->count + 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory", t->url);
    mproxy_source source = source_of(t, v, part, round);
    source.sequence = ++t->proxy->sequence;
    source.metrics = s->metrics;
    source.values = s->values;
    for (size_t i = 0; i < v->count; i++) {
        if (!is_of(&v->items[i], part))
            continue;
        s->metrics[source.count] = v->items[i].metric;
        s->values[source.count++] = mpx_told_value(&v->items[i]);
    }
    return mproxy_reduction_put(round->reduction, &source, err);
}

static mproxy_status put_view(struct mpx_target *t, struct mpx_told *v,
                              const mproxy_round *round, mproxy_error *err)
{
    if (v->kind != MPX_TOLD_NODE)
        return put(t, v, ALL, round, err);
    mproxy_status status = put(t, v, OF_NODE, round, err);
    return status ? status : put(t, v, REST, round, err);
}

static mproxy_status forget(struct mpx_target *t, const struct mpx_told *v,
                            enum part part, const mproxy_round *round, mproxy_error *err)
{
    mproxy_source source = source_of(t, v, part, round);
    source.sequence = t->proxy->sequence;
    const mproxy_change change = {
        .struct_size = sizeof change, .source = &source, .gone = 1};
    return mproxy_reduction_apply(round->reduction, &change, err);
}

static mproxy_status forget_view(struct mpx_target *t, const struct mpx_told *v,
                                 const mproxy_round *round, mproxy_error *err)
{
    if (!v->is_put)
        return MPROXY_OK;
    if (v->kind != MPX_TOLD_NODE)
        return forget(t, v, ALL, round, err);
    mproxy_status status = forget(t, v, OF_NODE, round, err);
    return status ? status : forget(t, v, REST, round, err);
}

// Without profiles a job that is over is shown as such for one round.
static void release(struct mpx_target *t, struct mpx_told *v, const mproxy_round *round)
{
    if (!t->scraper->o.keep_sealed) {
        mproxy_source source = source_of(t, v, ALL, round);
        mproxy_reduction_stored(round->reduction, source.directory, source.number);
    }
    v->is_dropped = true;
    v->is_put = false;
}

static mproxy_status tell_view(struct mpx_target *t, struct mpx_told *v,
                               const mproxy_round *round, mproxy_error *err)
{
    if (!v->key)
        return MPROXY_OK;
    if (v->is_dropped)
        return forget_view(t, v, round, err);
    if (v->is_over && v->is_put && !v->is_changed) {
        release(t, v, round);
        return MPROXY_OK;
    }
    if (!v->is_changed)
        return MPROXY_OK;
    mproxy_status status = put_view(t, v, round, err);
    v->is_put |= status == MPROXY_OK;
    v->is_changed = status != MPROXY_OK;
    return status;
}

mproxy_status mpx_proxy_tell(struct mpx_target *t, const mproxy_round *round,
                             bool is_dropped, mproxy_error *err)
{
    struct mpx_proxy *p = t->proxy;
    uint64_t epoch = round->ledger ? mproxy_ledger_epoch(round->ledger) : 1;
    mproxy_status first = MPROXY_OK;
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct mpx_told *v = p->views[i];
        v->is_dropped |= is_dropped;
        v->is_changed |= p->epoch != epoch;
        mproxy_status status = tell_view(t, v, round, first ? NULL : err);
        first = first ? first : status;
        if (v->is_dropped && status == MPROXY_OK)
            mpx_told_free(v);
        else
            p->views[kept++] = v;
    }
    p->count = kept;
    p->epoch = epoch;
    return first;
}
