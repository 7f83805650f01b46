// Replies of a proxy, taken into views.
//
// A reply is taken in two steps. The first finds a view for each job and an item for each
// counter, and writes down those that are new: it may fail, and then nothing has another value.
// The second takes the values.
//
// The door for names of ours does not apply, for the names of nodes, processes and exporters
// are just what such a proxy has to tell. Only what a proxy tells of itself (`mproxy_`) is
// refused: added to our own it would mean nothing.
//
// A view that is absent from ABSENT_MAX good replies is over. A job is sealed then, so that it
// becomes a profile; a node leaves the list. Main's counters stay in any case, for a sum that is
// shown never steps back.
#include "scrape/proxy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "scrape/proxy_private.h"

enum { ABSENT_MAX = 3, VIEWS_MAX = 4096 };

const char *mpx_proxy_url(const struct mpx_proxy *p)
{
    return p->url;
}

const char *mpx_proxy_why_refused(const struct mpx_proxy *p)
{
    return p->why;
}

size_t mpx_proxy_refused(const struct mpx_proxy *p)
{
    return p->refused;
}

// ---- the first step: views and items

static void refuse(struct mpx_proxy *p, const char *name, const char *why)
{
    if (p->refused++ == 0)
        snprintf(p->why, sizeof p->why, "'%.120s': %.120s", name, why);
}

// MPROXY_OK with *out NULL: it is refused.
static mproxy_status intern(struct mpx_target *t, const struct mpx_jobs_entry *e,
                            const mproxy_metric **out)
{
    struct mpx_proxy *p = t->proxy;
    mproxy_error why;
    *out = NULL;
    size_t length = strlen(e->name);
    if (mproxy_metric_check_name(e->name, length, &why) != MPROXY_OK)
        refuse(p, e->name, why.text);
    else if (length > MPX_TOLD_NAME_MAX || strstr(e->name, MPX_TOLD_LABEL))
        refuse(p, e->name, "too long, or with a label of the proxy's own");
    else if (strncmp(e->name, "mproxy_", 7) == 0)
        refuse(p, e->name, "is what that proxy tells of itself");
    else if (e->type == MPROXY_COUNTER && e->value.total < 0)
        refuse(p, e->name, "a counter below zero");
    else {
        mproxy_status status =
            mproxy_store_metric(t->scraper->o.store, e->name, e->type, e->doc, out, &why);
        if (status == MPROXY_E_NOMEM)
            return status;
        if (status != MPROXY_OK)
            refuse(p, e->name, why.text);
    }
    return MPROXY_OK;
}

// The place of what is told `index`th is most often the same as in the last reply.
static bool is_at(const struct mpx_told *v, uint32_t place,
                  const struct mpx_jobs_entry *e)
{
    return place < v->count && mproxy_metric_type(v->items[place].metric) == e->type &&
           (e->type == MPROXY_GAUGE || e->value.total >= 0) &&
           strcmp(mproxy_metric_name(v->items[place].metric), e->name) == 0;
}

static bool find_items(struct mpx_target *t, struct mpx_told *v,
                       const struct mpx_jobs_view *told, uint32_t *places, bool *is_new)
{
    uint32_t guess = 0;
    for (size_t i = 0; i < told->count; i++) {
        struct mpx_jobs_entry *e = &told->entries[i];
        const mproxy_metric *metric;
        places[i] = MPX_FIGURE_NONE;
        if (is_at(v, guess, e))
            places[i] = guess;
        else if (intern(t, e, &metric) != MPROXY_OK)
            return false;
        else if (metric) {
            places[i] = mpx_told_item_add(v, metric);
            if (places[i] == MPX_FIGURE_NONE)
                return false;
        } else
            continue;
        guess = places[i] + 1;
        struct mpx_told_item *item = &v->items[places[i]];
        *is_new |= mpx_told_is_counter(item) && item->kept == MPX_FIGURE_NONE;
        if (item->reply != t->proxy->reply) {
            item->reply = t->proxy->reply;
            continue;
        }
        refuse(t->proxy, e->name, "is there twice");
        places[i] = MPX_FIGURE_NONE;
    }
    return true;
}

static bool take_desc(struct mpx_told *v, const mproxy_job *desc)
{
    mproxy_job job;
    if (v->kind != MPX_TOLD_JOB)
        return true;
    if (mproxy_job_copy(desc, &job) != MPROXY_OK)
        return false;
    mproxy_job_clear(&v->job);
    v->job = job;
    return true;
}

// Its view; *out is NULL where it is refused.
static mproxy_status find_told(struct mpx_target *t, const mproxy_job *desc,
                               struct mpx_told **out, mproxy_error *err)
{
    struct mpx_proxy *p = t->proxy;
    enum mpx_told_kind kind = mpx_told_kind_of(desc->jobid);
    mproxy_error why;
    *out = NULL;
    if (kind == MPX_TOLD_JOB && mproxy_job_check_id(desc->jobid, &why) != MPROXY_OK) {
        refuse(p, desc->jobid, why.text);
        return MPROXY_OK;
    }
    uint64_t id = mpx_told_id(desc->jobid, kind, desc->start_time);
    if (p->count >= VIEWS_MAX && !mpx_told_find(p, id)) {
        refuse(p, desc->jobid, "too many jobs");
        return MPROXY_OK;
    }
    struct mpx_told *v = mpx_told_add(p, id);
    if (v && !v->key)
        v->key = strdup(desc->jobid);
    if (!v || !v->key || !take_desc(v, desc))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its jobs", t->url);
    *out = v;
    return MPROXY_OK;
}

static mproxy_status prepare(struct mpx_target *t, const struct mpx_jobs *jobs,
                             mproxy_error *err)
{
    struct mpx_proxy *p = t->proxy;
    size_t at = 0;
    bool is_new = false, has_main = false;
    p->refused = 0;
    p->why[0] = '\0';
    p->reply++;
    mproxy_status status = MPROXY_OK;
    bool ok = MPX_RESERVE(p->of_jobs, p->of_jobs_room, jobs->count + 1) &&
              MPX_RESERVE(p->places, p->places_room, jobs->entries + 1);
    for (size_t i = 0; ok && i < jobs->count; i++) {
        const struct mpx_jobs_view *told = &jobs->views[i];
        status = find_told(t, &told->desc, &p->of_jobs[i], err);
        if (status != MPROXY_OK)
            return status;
        struct mpx_told *v = p->of_jobs[i];
        if (v && v->reply == p->reply)
            return mpx_fail(err, MPROXY_E_CORRUPT, "%.150s: job '%.60s' is there twice",
                            t->url, told->desc.jobid);
        at += told->count;
        if (!v)
            continue;
        v->reply = p->reply;
        has_main |= v->kind == MPX_TOLD_MAIN;
        ok = find_items(t, v, told, p->places + at - told->count, &is_new);
    }
    if (!ok)
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its jobs", t->url);
    if (!has_main)
        return mpx_fail(err, MPROXY_E_CORRUPT, "%.150s: job 'main' is missing", t->url);
    return is_new ? mpx_remember_figures(t, err) : MPROXY_OK;
}

// ---- the second step: values

static void take_counter(struct mpx_target *t, struct mpx_told_item *item,
                         const mproxy_value *told, uint64_t now_us)
{
    double raw = item->value.total;
    if (item->is_shown && told->total == raw)
        return;
    if (!isfinite(item->offset + raw + told->total)) {
        refuse(t->proxy, mproxy_metric_name(item->metric), "is too large");
        return;
    }
    if (told->total < raw) // it was restarted
        item->offset += raw;
    item->value.total = told->total;
    item->value.ts_us = told->ts_us > 0 && told->ts_us <= now_us ? told->ts_us : now_us;
    if (item->kept != MPX_FIGURE_NONE)
        mpx_kept_set(&t->kept, item->kept, item->offset, told->total);
}

static void take_values(struct mpx_target *t, struct mpx_told *v,
                        const struct mpx_jobs_view *told, const uint32_t *places,
                        uint64_t now_us)
{
    for (size_t i = 0; i < told->count; i++) {
        if (places[i] == MPX_FIGURE_NONE)
            continue;
        struct mpx_told_item *item = &v->items[places[i]];
        v->gone_count -= item->is_gone;
        item->is_gone = false;
        if (mpx_told_is_counter(item)) {
            take_counter(t, item, &told->entries[i].value, now_us);
        } else {
            item->value = told->entries[i].value;
            item->value.ts_us = now_us;
        }
        item->is_shown = true;
    }
    v->is_changed = true;
    v->absent = 0;
    v->end_ms = (int64_t)(now_us / 1000);
    if (v->start_ms == 0)
        v->start_ms =
            told->desc.start_time > 0 ? told->desc.start_time * 1000 : v->end_ms;
}

// What the reply does not have: gauges go, counters stay.
static void drop_gauges(struct mpx_told *v, uint64_t reply)
{
    for (uint32_t i = (uint32_t)v->count; i-- > 0;) {
        struct mpx_told_item *item = &v->items[i];
        if (item->reply == reply && reply > 0)
            continue;
        if (!mpx_told_is_counter(item)) {
            mpx_told_item_remove(v, i);
        } else if (!item->is_gone) {
            item->is_gone = true;
            v->gone_count++;
        }
    }
}

// Those that have been gone for longest: about half, so that it is done seldom.
static void give_up_oldest(struct mpx_target *t, struct mpx_told *v)
{
    double sum = 0;
    if (v->gone_count <= t->scraper->o.max_gone)
        return;
    for (size_t i = 0; i < v->count; i++)
        sum += v->items[i].is_gone ? (double)v->items[i].reply : 0;
    double mean = sum / (double)v->gone_count;
    for (uint32_t i = (uint32_t)v->count; i-- > 0;)
        if (v->items[i].is_gone && (double)v->items[i].reply <= mean) {
            mpx_told_item_remove(v, i);
            t->counts[MPX_SCRAPE_GIVEN_UP]++;
        }
}

static void miss(struct mpx_told *v)
{
    if (v->kind == MPX_TOLD_MAIN || v->is_over || ++v->absent < ABSENT_MAX)
        return;
    v->is_changed = v->is_over = true;
    v->is_dropped = v->kind == MPX_TOLD_NODE || !v->key;
}

mproxy_status mpx_proxy_take(struct mpx_target *t, struct mpx_jobs *jobs,
                             mproxy_error *err)
{
    struct mpx_proxy *p = t->proxy;
    size_t at = 0, refused = p->refused;
    uint64_t now_us = mpx_wall_us();
    mproxy_status status = prepare(t, jobs, err);
    if (status != MPROXY_OK)
        return status;
    for (size_t i = 0; i < jobs->count; at += jobs->views[i++].count)
        if (p->of_jobs[i])
            take_values(t, p->of_jobs[i], &jobs->views[i], p->places + at, now_us);
    for (size_t i = 0; i < p->count; i++) {
        struct mpx_told *v = p->views[i];
        if (v->reply != p->reply) {
            miss(v);
            continue;
        }
        v->is_over = false;
        drop_gauges(v, p->reply);
        give_up_oldest(t, v);
    }
    p->is_silent = false;
    t->counts[MPX_SCRAPE_REFUSED] += p->refused > refused ? p->refused - refused : 0;
    return MPROXY_OK;
}

void mpx_proxy_silence(struct mpx_proxy *p)
{
    if (p->is_silent)
        return;
    p->is_silent = true;
    for (size_t i = 0; i < p->count; i++)
        drop_gauges(p->views[i], 0);
}

void mpx_proxy_leave(struct mpx_proxy *p)
{
    mpx_proxy_silence(p);
    for (size_t i = 0; i < p->count; i++)
        p->views[i]->is_dropped |= p->views[i]->kind != MPX_TOLD_MAIN;
}
