// Told views of a proxy: what is known of each job that it told, and the counters of them in the
// target's state file.
//
// A told view is known by its id: a hash of its key and, for a job, of its start, so that the
// proxy after this one calls it the same, its share too. Its counters are made cumulative as
// those of an exporter are, by an offset.
//
// Offsets stand in the target's file with those of pages. The name there has the view's id as a
// label, which no name that comes in may have. The key of a view is on no file: an id that is
// read back waits, with its counters, for the reply that tells its key. Main's is known, so
// main is shown from the first round on.
//
// Items have no order of their own. A reply tells them in the order of the one before, so who
// looks for one tries the place behind the last one found.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/order.h"
#include "scrape/proxy.h"
#include "scrape/proxy_private.h"
#include "store/exempt.h"

#define NODE_PREFIX "Node: "

// ---- views

// The kind is in the two highest bits, so that it is known before the key is.
uint64_t mpx_told_id(const char *key, enum mpx_told_kind kind, int64_t start_time)
{
    uint64_t hash = mpx_told_hash(MPX_TOLD_HASH, key, strlen(key));
    if (kind == MPX_TOLD_JOB)
        hash = mpx_told_hash(hash, &start_time, sizeof start_time);
    return hash >> 2 | (uint64_t)kind << 62;
}

enum mpx_told_kind mpx_told_kind_of(const char *key)
{
    return strcmp(key, "main") == 0                              ? MPX_TOLD_MAIN
           : strncmp(key, NODE_PREFIX, strlen(NODE_PREFIX)) == 0 ? MPX_TOLD_NODE
                                                                 : MPX_TOLD_JOB;
}

void mpx_told_free(struct mpx_told *v)
{
    for (size_t i = 0; i < v->count; i++)
        mproxy_metric_unref(v->items[i].metric);
    mpx_index_fini(&v->by_metric);
    mproxy_job_clear(&v->job);
    free(v->items);
    free(v->key);
    free(v);
}

// Most replies have the jobs of the one before, in their order.
struct mpx_told *mpx_told_find(struct mpx_proxy *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++) {
        size_t at = (p->next + i) % p->count;
        if (p->views[at]->id != id || p->views[at]->is_dropped)
            continue;
        p->next = at + 1;
        return p->views[at];
    }
    return NULL;
}

struct mpx_told *mpx_told_add(struct mpx_proxy *p, uint64_t id)
{
    struct mpx_told *v = mpx_told_find(p, id);
    if (v)
        return v;
    if (!MPX_RESERVE(p->views, p->room, p->count + 1) || !(v = calloc(1, sizeof *v)))
        return NULL;
    v->id = id;
    v->kind = (enum mpx_told_kind)(id >> 62);
    p->views[p->count++] = v;
    return v;
}

bool mpx_proxy_may_be_at(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    return path && strcmp(path, "/metrics") == 0;
}

// NULL: no memory.
static char *make_url(const char *url)
{
    size_t length = strlen(url) - strlen("/metrics");
    char *out = malloc(length + sizeof "/job");
    if (!out)
        return NULL;
    memcpy(out, url, length);
    memcpy(out + length, "/job", sizeof "/job");
    return out;
}

mproxy_status mpx_proxy_open(struct mpx_target *t, mproxy_error *err)
{
    if (t->proxy)
        return MPROXY_OK;
    struct mpx_proxy *p = calloc(1, sizeof *p);
    struct mpx_told *v =
        p ? mpx_told_add(p, mpx_told_id("main", MPX_TOLD_MAIN, 0)) : NULL;
    if (v) {
        v->key = strdup("main");
        p->url = make_url(t->url);
    }
    if (!v || !v->key || !p->url) {
        mpx_proxy_free(p);
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its jobs", t->url);
    }
    const char *host = strstr(t->url, "://") + 3;
    snprintf(p->host, sizeof p->host, "%.*s", (int)strcspn(host, "/"), host);
    t->proxy = p;
    return MPROXY_OK;
}

void mpx_proxy_free(struct mpx_proxy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        mpx_told_free(p->views[i]);
    free(p->views);
    free(p->url);
    free(p->of_jobs);
    free(p->places);
    mpx_buf_free(&p->names);
    free(p);
}

// ---- items

static uint32_t hash_of(const mproxy_metric *metric)
{
    return mpx_hash_u64((uintptr_t)metric);
}

static uint32_t find_item(const struct mpx_told *v, const mproxy_metric *metric)
{
    uint32_t hash = hash_of(metric), at = mpx_index_start(&v->by_metric, hash);
    for (uint32_t i; mpx_index_next(&v->by_metric, hash, &at, &i);)
        if (v->items[i].metric == metric)
            return i;
    return MPX_FIGURE_NONE;
}

uint32_t mpx_told_item_add(struct mpx_told *v, const mproxy_metric *metric)
{
    uint32_t place = find_item(v, metric);
    if (place != MPX_FIGURE_NONE)
        return place;
    if (!MPX_RESERVE(v->items, v->room, v->count + 1) ||
        !mpx_index_reserve(&v->by_metric, (uint32_t)v->count + 1))
        return MPX_FIGURE_NONE;
    v->items[v->count] = (struct mpx_told_item){.metric = mproxy_metric_ref(metric),
                                                .kept = MPX_FIGURE_NONE};
    mpx_index_put(&v->by_metric, hash_of(metric), (uint32_t)v->count);
    return (uint32_t)v->count++;
}

void mpx_told_item_remove(struct mpx_told *v, uint32_t place)
{
    uint32_t last = (uint32_t)--v->count;
    mpx_index_remove(&v->by_metric, hash_of(v->items[place].metric), place);
    mproxy_metric_unref(v->items[place].metric);
    v->gone_count -= v->items[place].is_gone;
    v->is_changed = true;
    if (place == last)
        return;
    v->items[place] = v->items[last];
    mpx_index_move(&v->by_metric, hash_of(v->items[place].metric), last, place);
}

bool mpx_told_is_counter(const struct mpx_told_item *item)
{
    return mproxy_metric_type(item->metric) == MPROXY_COUNTER;
}

// ---- the state file

static bool is_kept(const struct mpx_told *v, const struct mpx_told_item *item)
{
    return !v->is_dropped && mpx_told_is_counter(item);
}

size_t mpx_proxy_kept_count(const struct mpx_proxy *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->views[i]->count; k++)
            count += is_kept(p->views[i], &p->views[i]->items[k]);
    return count;
}

static void add_name(struct mpx_buf *out, const char *name, uint64_t id)
{
    size_t length = strlen(name);
    bool has_labels = length > 0 && name[length - 1] == '}';
    mpx_buf_add(out, name, length - has_labels);
    mpx_buf_addf(out, "%s" MPX_TOLD_LABEL "%016" PRIx64 "\"}", has_labels ? "," : "{",
                 id);
    mpx_buf_add(out, "", 1);
}

bool mpx_proxy_begin_items(struct mpx_proxy *p, struct mpx_kept_item *items)
{
    size_t count = 0, at = 0;
    mpx_buf_clear(&p->names);
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->views[i]->count; k++) {
            const struct mpx_told_item *item = &p->views[i]->items[k];
            if (!is_kept(p->views[i], item))
                continue;
            items[count++] =
                (struct mpx_kept_item){NULL, item->offset, item->value.total};
            add_name(&p->names, mproxy_metric_name(item->metric), p->views[i]->id);
        }
    if (p->names.failed)
        return false;
    for (size_t i = 0; i < count; i++) {
        items[i].name = p->names.data + at;
        at += strlen(items[i].name) + 1;
    }
    return true;
}

void mpx_proxy_end_items(struct mpx_proxy *p, bool is_written, size_t first_place)
{
    mpx_buf_free(&p->names);
    for (size_t i = 0; is_written && i < p->count; i++)
        for (size_t k = 0; k < p->views[i]->count; k++)
            p->views[i]->items[k].kept = is_kept(p->views[i], &p->views[i]->items[k])
                                             ? (uint32_t)first_place++
                                             : MPX_FIGURE_NONE;
}

// The name without the label of a view. False: it has none.
static bool take_apart(const char *name, char out[MPX_NAME_ROOM], uint64_t *id)
{
    const char *label = strstr(name, MPX_TOLD_LABEL);
    size_t tail = strlen(MPX_TOLD_LABEL) + MPX_TOLD_ID_DIGITS + strlen("\"}");
    char *end;
    if (!label || label == name || strlen(label) != tail ||
        (size_t)(label - name) >= MPX_NAME_ROOM - 1)
        return false;
    *id = strtoull(label + strlen(MPX_TOLD_LABEL), &end, 16);
    if (end != label + tail - 2 || *id >> 62 > MPX_TOLD_JOB)
        return false;
    size_t length = (size_t)(label - name) - 1;
    memcpy(out, name, length);
    out[length] = '\0';
    if (name[length] == ',')
        strcpy(out + length, "}");
    return true;
}

bool mpx_proxy_load(struct mpx_target *t, const struct mpx_kept_item *item,
                    mproxy_status *status)
{
    char name[MPX_NAME_ROOM];
    uint64_t id;
    const mproxy_metric *metric;
    if (!take_apart(item->name, name, &id))
        return false;
    *status = mpx_store_metric_exempt(t->scraper->o.store, name, MPROXY_COUNTER, NULL,
                                      &metric, NULL);
    if (*status != MPROXY_OK) {
        *status = *status == MPROXY_E_NOMEM ? *status : MPROXY_OK; // no name any more
        return true;
    }
    struct mpx_told *v = mpx_told_add(t->proxy, id);
    uint32_t place = v ? mpx_told_item_add(v, metric) : MPX_FIGURE_NONE;
    if (place == MPX_FIGURE_NONE) {
        *status = MPROXY_E_NOMEM;
        return true;
    }
    struct mpx_told_item *loaded = &v->items[place];
    loaded->offset = item->offset;
    loaded->value = mproxy_value_counter(item->raw, t->last_us);
    v->gone_count += !loaded->is_gone;
    loaded->is_gone = loaded->is_shown = true;
    v->is_changed = true;
    return true;
}
