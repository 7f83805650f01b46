#include "ingest/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/label.h"
#include "store/buckets.h"

// A place is told + 1, so that a series without one is all zeroes.
static struct mpx_histogram *at_place(struct mpx_ingest *in, uint32_t place)
{
    return &in->histograms[place - 1];
}

// The name of the histogram that NAME_bucket{...,le="..."} or another part belongs to, in the
// scratch buffer of the caller. *bound is set to that of a bucket, else to NaN.
static bool make_key(const char *name, size_t stem, struct mpx_buf *key, double *bound)
{
    struct mpx_label le;
    mpx_buf_add(key, name, stem);
    mpx_labels_but_le(key, name + mproxy_metric_base_length(name), &le);
    if (!le.name || !mpx_label_bound(&le, bound))
        *bound = NAN;
    return !key->failed;
}

static uint32_t find(const struct mpx_ingest *in, const char *key)
{
    uint32_t hash = mpx_hash_text(key), at = mpx_index_start(&in->by_name, hash);
    for (uint32_t i; mpx_index_next(&in->by_name, hash, &at, &i);)
        if (strcmp(in->histograms[i].name, key) == 0)
            return i + 1;
    return 0;
}

static uint32_t free_place(struct mpx_ingest *in)
{
    if (in->spare > 0 && !at_place(in, in->spare)->name)
        return in->spare;
    return MPX_RESERVE_ZEROED(in->histograms, in->histogram_room, in->histogram_bound + 1)
               ? ++in->histogram_bound
               : 0;
}

// Takes the key, which is freed when there is no memory. 0 then.
static uint32_t find_or_add(struct mpx_ingest *in, char *key)
{
    uint32_t place = find(in, key);
    if (!place && mpx_index_reserve(&in->by_name, in->histogram_bound + 1) &&
        (place = free_place(in)) > 0) {
        in->histograms[place - 1] = (struct mpx_histogram){.name = key};
        mpx_index_put(&in->by_name, mpx_hash_text(key), place - 1);
        return place;
    }
    free(key);
    return place;
}

static void leave_if_empty(struct mpx_ingest *in, uint32_t place)
{
    struct mpx_histogram *h = at_place(in, place);
    if (h->count > 0)
        return;
    mpx_index_remove(&in->by_name, mpx_hash_text(h->name), place - 1);
    mpx_buckets_leave(mpx_store_buckets(in->o.store), h->bounds);
    free(h->name);
    free(h->parts);
    *h = (struct mpx_histogram){0};
    in->spare = place;
}

mproxy_status mpx_histogram_add(struct mpx_ingest *in, uint32_t series, const char *name,
                                size_t stem, mproxy_error *err)
{
    struct mpx_buf key = MPX_BUF_INIT;
    double bound;
    make_key(name, stem, &key, &bound);
    char *text = mpx_buf_take(&key);
    uint32_t place = text ? find_or_add(in, text) : 0;
    if (!place) {
        mpx_buf_free(&key);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's histograms");
    }
    struct mpx_histogram *h = at_place(in, place);
    if (!MPX_RESERVE(h->parts, h->room, h->count + 1)) {
        leave_if_empty(in, place);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's histograms");
    }
    h->parts[h->count++] = (struct mpx_part){series, bound};
    in->series[series].histogram = place;
    return MPROXY_OK;
}

mproxy_status mpx_histogram_judge(struct mpx_ingest *in, uint32_t place,
                                  mproxy_error *err)
{
    struct mpx_histogram *h = at_place(in, place);
    if (h->judged == in->pages && h->bounds)
        return MPROXY_OK;
    if (h->judged == in->pages)
        return mpx_fail(err, MPROXY_E_TYPE,
                        "histogram '%.150s': its bounds are not those that others have",
                        h->name);
    double *bounds = malloc((h->count + 1) * sizeof *bounds);
    if (!bounds)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the page's histograms");
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++)
        if (isfinite(h->parts[i].bound))
            bounds[count++] = h->parts[i].bound;
    mproxy_status status = MPROXY_OK;
    if (!h->bounds)
        status = mpx_buckets_hold(mpx_store_buckets(in->o.store), h->name, bounds, count,
                                  &h->bounds, err);
    else if (!mpx_buckets_are(h->bounds, bounds, count))
        status = mpx_fail(err, MPROXY_E_TYPE,
                          "histogram '%.150s': its bounds have changed", h->name);
    free(bounds);
    if (status == MPROXY_OK || (status == MPROXY_E_TYPE && !h->bounds))
        h->judged = in->pages;
    return status;
}

bool mpx_ingest_part(const struct mpx_ingest *in, uint32_t series, size_t at,
                     uint32_t *out)
{
    uint32_t place = series < in->bound ? in->series[series].histogram : 0;
    if (place == 0 || at >= in->histograms[place - 1].count)
        return false;
    *out = in->histograms[place - 1].parts[at].series;
    return true;
}

void mpx_histogram_drop(struct mpx_ingest *in, uint32_t series)
{
    uint32_t place = in->series[series].histogram;
    struct mpx_histogram *h = at_place(in, place);
    for (size_t i = 0; i < h->count; i++)
        if (h->parts[i].series == series) {
            h->parts[i] = h->parts[--h->count];
            break;
        }
    leave_if_empty(in, place);
}

void mpx_histograms_fini(struct mpx_ingest *in)
{
    for (uint32_t i = 0; i < in->histogram_bound; i++) {
        struct mpx_histogram *h = &in->histograms[i];
        mpx_buckets_leave(mpx_store_buckets(in->o.store), h->bounds);
        free(h->name);
        free(h->parts);
    }
    free(in->histograms);
    mpx_index_fini(&in->by_name);
}
