#include "reduction/held.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void mpx_held_free(struct mpx_held *h)
{
    if (!h)
        return;
    mproxy_job_clear(&h->job);
    free(h->host);
    free(h->metrics);
    free(h->node_metrics);
    free(h->values);
    free(h->node_values);
    free(h->ranks);
    free(h->absorbed);
    free(h);
}

static bool copy_array(void *out, const void *from, size_t count, size_t item)
{
    void **to = out;
    *to = NULL;
    if (count == 0 || !from)
        return true;
    *to = malloc(count * item);
    if (*to)
        memcpy(*to, from, count * item);
    return *to != NULL;
}

static bool copy_all(struct mpx_held *h, const mproxy_source *s)
{
    h->source = *s;
    h->source.job = NULL;
    h->host = strdup(s->host ? s->host : "");
    if (!h->host || (s->job && mproxy_job_copy(s->job, &h->job) != MPROXY_OK))
        return false;
    return copy_array(&h->metrics, s->metrics, s->count, sizeof *s->metrics) &&
           copy_array(&h->values, s->values, s->count, sizeof *s->values) &&
           copy_array(&h->ranks, s->ranks, s->count, sizeof *s->ranks) &&
           copy_array(&h->node_metrics, s->node_metrics, s->node_count,
                      sizeof *s->node_metrics) &&
           copy_array(&h->node_values, s->node_values, s->node_count,
                      sizeof *s->node_values) &&
           copy_array(&h->absorbed, s->absorbed, s->absorbed_count, sizeof *s->absorbed);
}

static void point(struct mpx_held *h, bool has_job)
{
    h->source.host = h->host;
    h->source.job = has_job ? &h->job : NULL;
    h->source.metrics = h->metrics;
    h->source.values = h->values;
    h->source.ranks = h->ranks;
    h->source.node_metrics = h->node_metrics;
    h->source.node_values = h->node_values;
    h->source.absorbed = h->absorbed;
}

struct mpx_held *mpx_held_new(const mproxy_source *source)
{
    struct mpx_held *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    if (!copy_all(h, source)) {
        mpx_held_free(h);
        return NULL;
    }
    point(h, source->job != NULL);
    h->changed = h->reshaped = true;
    return h;
}

static bool same_bytes(const void *a, const void *b, size_t length)
{
    return length == 0 || a == b || (a && b && memcmp(a, b, length) == 0);
}

static bool same_shape(const mproxy_source *a, const mproxy_source *b)
{
    return a->count == b->count && a->node_count == b->node_count &&
           same_bytes(a->metrics, b->metrics, a->count * sizeof *a->metrics) &&
           same_bytes(a->node_metrics, b->node_metrics,
                      a->node_count * sizeof *a->node_metrics);
}

bool mpx_same_job(const mproxy_job *a, const mproxy_job *b)
{
    if (!a || !b)
        return a == b;
    return a->size == b->size && a->start_time == b->start_time &&
           a->end_time == b->end_time && strcmp(a->jobid, b->jobid) == 0 &&
           strcmp(a->command, b->command) == 0 && strcmp(a->nodelist, b->nodelist) == 0 &&
           strcmp(a->partition, b->partition) == 0 &&
           strcmp(a->cluster, b->cluster) == 0 && strcmp(a->run_dir, b->run_dir) == 0;
}

static bool same_frame(const mproxy_source *a, const mproxy_source *b)
{
    return same_shape(a, b) && mpx_same_job(a->job, b->job) && a->sealed == b->sealed &&
           a->uid == b->uid && (a->ranks != NULL) == (b->ranks != NULL) &&
           a->absorbed_count == b->absorbed_count &&
           same_bytes(a->absorbed, b->absorbed,
                      a->absorbed_count * sizeof *a->absorbed) &&
           strcmp(a->host, b->host ? b->host : "") == 0;
}

// The same metrics of the same share, the usual case: only numbers change, in place.
static void take_numbers(struct mpx_held *h, const mproxy_source *s, bool *regroup)
{
    size_t bytes = s->count * sizeof *s->values;
    size_t node_bytes = s->node_count * sizeof *s->node_values;
    if (!same_bytes(h->values, s->values, bytes)) {
        memcpy(h->values, s->values, bytes);
        h->changed = true;
    }
    if (!same_bytes(h->node_values, s->node_values, node_bytes)) {
        memcpy(h->node_values, s->node_values, node_bytes);
        h->changed = true;
    }
    if (s->ranks && s->count)
        memcpy(h->ranks, s->ranks, s->count * sizeof *s->ranks);
    if (h->source.start_ms != s->start_ms)
        *regroup = true;
    h->source.epoch = s->epoch;
    h->source.sequence = s->sequence;
    h->source.idle = s->idle;
    h->source.incomplete = s->incomplete;
    h->source.start_ms = s->start_ms;
    h->source.end_ms = s->end_ms;
    h->source.silent_ms = s->silent_ms;
}

bool mpx_held_take(struct mpx_held *h, const mproxy_source *s, bool *regroup)
{
    if (same_frame(&h->source, s)) {
        take_numbers(h, s, regroup);
        return true;
    }
    struct mpx_held *fresh = mpx_held_new(s);
    if (!fresh)
        return false;
    // Who points at `h` sees the new content under the old address.
    struct mpx_held old = *h;
    bool reshaped = !same_shape(&old.source, s);
    *h = *fresh;
    *fresh = old;
    point(h, s->job != NULL);
    h->heard = old.heard;
    h->retired = old.retired;
    h->stored = old.stored;
    h->dropped = old.dropped;
    h->reshaped = reshaped || old.reshaped;
    mpx_held_free(fresh);
    *regroup = true;
    return true;
}

static uint64_t clean(mproxy_value *values, size_t count)
{
    uint64_t dropped = 0;
    for (size_t i = 0; i < count; i++) {
        // The sum is finite only if all are; of the type's idle fields too, they are zero.
        if (isfinite(values[i].total + values[i].min + values[i].max + values[i].hits))
            continue;
        values[i] = (mproxy_value){.ts_us = values[i].ts_us};
        dropped++;
    }

    return dropped;
}

uint64_t mpx_held_clean(struct mpx_held *h)
{
    return clean(h->values, h->source.count) +
           clean(h->node_values, h->source.node_count);
}
