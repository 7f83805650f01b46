// Which bounds the histograms of programs have, by family.
//
// Buckets are plain counters, and those of all processes are added up. Two programs that declare
// one histogram with different bounds would make buckets that fall: a bound that only one of
// them has lacks what the other one counted below it. So the bounds that came first are the
// family's, and a definition with others is refused, alone, with a reason.
//
// "First" outlives the proxy: what an earlier one counted stands in the state file, whose names
// are in the store, so the store is looked through once, before anything is taken. Bounds that
// are known from such names, or from a program that counts buckets by their names, may be only
// some of the family's; they count as all of them only once a histogram has exactly these.
//
// A family is forgotten with its names: when the store has given names back, each family is
// asked for there again, and one that is unknown may come back with other bounds.

#include "processes/bounds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/client.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/label.h"
#include "metric/order.h"
#include "store/exempt.h"
#include "store/metric.h"

struct mpx_family_bounds {
    char *base;
    double *bounds; // in no order, without +Inf
    size_t count, room;
    bool is_counted; // by counters with names of buckets: more bounds may come
};

void mpx_bounds_fini(struct mpx_bounds *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i].base);
        free(all->items[i].bounds);
    }
    free(all->items);
    mpx_index_fini(&all->index);
}

static struct mpx_family_bounds *find(const struct mpx_bounds *all, const char *base,
                                      size_t length)
{
    uint32_t hash = mpx_hash_bytes(base, length);
    uint32_t at = mpx_index_start(&all->index, hash);
    for (uint32_t i; mpx_index_next(&all->index, hash, &at, &i);)
        if (strncmp(all->items[i].base, base, length) == 0 && !all->items[i].base[length])
            return &all->items[i];
    return NULL;
}

static struct mpx_family_bounds *add(struct mpx_bounds *all, const char *base,
                                     size_t length)
{
    if (!MPX_RESERVE(all->items, all->room, all->count + 1) ||
        !mpx_index_reserve(&all->index, (uint32_t)all->count + 1))
        return NULL;
    struct mpx_family_bounds family = {.base = strndup(base, length)};
    if (!family.base)
        return NULL;
    all->items[all->count] = family;
    mpx_index_put(&all->index, mpx_hash_bytes(base, length), (uint32_t)all->count);
    return &all->items[all->count++];
}

static bool has(const struct mpx_family_bounds *family, double bound)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->bounds[i] == bound)
            return true;
    return false;
}

// One more than there may be is enough to be like no other.
static bool add_bound(struct mpx_family_bounds *family, double bound)
{
    if (has(family, bound) || family->count > MPROXY_BOUNDS_MAX)
        return true;
    if (!MPX_RESERVE(family->bounds, family->room, family->count + 1))
        return false;
    family->bounds[family->count++] = bound;
    return true;
}

// The bound of a bucket; false: it is none.
static bool read_bucket(const char *name, size_t *base_length, double *bound)
{
    static const char suffix[] = "_bucket";
    size_t length = sizeof suffix - 1, all = mproxy_metric_base_length(name);
    const char *at = name + all;
    if (all <= length || memcmp(at - length, suffix, length) != 0)
        return false;
    if (mproxy_metric_check_name(name, strlen(name), NULL) != MPROXY_OK)
        return false; // its labels can't be taken apart
    *base_length = all - length;
    struct mpx_label label;
    while (mpx_label_next(&at, &label))
        if (mpx_label_is(&label, "le"))
            return mpx_label_bound(&label, bound) && isfinite(*bound);
    return false;
}

// One more bucket of a family that no histogram has closed.
static bool take_counted(struct mpx_bounds *all, const char *base, size_t length,
                         double bound)
{
    struct mpx_family_bounds *family = find(all, base, length);
    if (!family && (family = add(all, base, length)))
        family->is_counted = true;
    return family && add_bound(family, bound);
}

// What an earlier proxy counted stands in the state file, and so in the store.
static bool scan(struct mpx_bounds *all, const mproxy_store *store)
{
    for (uint32_t id = 0; !all->scanned && id < mpx_store_metric_bound(store); id++) {
        const mproxy_metric *metric = mproxy_store_metric_at(store, id);
        size_t length;
        double bound;
        if (!metric || !read_bucket(metric->name, &length, &bound))
            continue;
        if (!take_counted(all, metric->name, length, bound))
            return false;
    }
    return all->scanned = true;
}

static void rebuild_index(struct mpx_bounds *all)
{
    mpx_index_clear(&all->index);
    for (size_t i = 0; i < all->count; i++)
        mpx_index_put(&all->index, mpx_hash_text(all->items[i].base), (uint32_t)i);
}

static bool is_known(const struct mpx_family_bounds *family, const mproxy_store *store)
{
    char bucket[MPX_NAME_ROOM + sizeof "_bucket"];
    int length = snprintf(bucket, sizeof bucket, "%s_bucket", family->base);
    return mpx_store_has_family(store, bucket, (size_t)length);
}

// A family whose names were given back may come again with other bounds.
static void forget_unknown(struct mpx_bounds *all, const mproxy_store *store)
{
    size_t kept = 0;
    uint64_t forgotten = mpx_store_metric_forgotten(store);
    if (forgotten == all->forgotten)
        return;
    all->forgotten = forgotten;
    for (size_t i = 0; i < all->count; i++) {
        if (is_known(&all->items[i], store)) {
            all->items[kept++] = all->items[i];
            continue;
        }
        free(all->items[i].base);
        free(all->items[i].bounds);
    }
    all->count = kept;
    rebuild_index(all);
}

static bool are_equal(const struct mpx_family_bounds *family, const double *bounds,
                      size_t count)
{
    if (family->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!has(family, bounds[i]))
            return false;
    return true;
}

static bool take_first(struct mpx_bounds *all, const char *base, size_t length,
                       const double *bounds, size_t count)
{
    double *copy = malloc((count + 1) * sizeof *copy);
    struct mpx_family_bounds *family = copy ? add(all, base, length) : NULL;
    if (!family) {
        free(copy);
        return false;
    }
    memcpy(copy, bounds, count * sizeof *copy);
    family->bounds = copy;
    family->count = family->room = count;
    return true;
}

mproxy_status mpx_bounds_take(struct mpx_bounds *all, const mproxy_store *store,
                              const char *name, const double *bounds, size_t count,
                              mproxy_error *err)
{
    size_t length = mproxy_metric_base_length(name);
    forget_unknown(all, store);
    bool done = scan(all, store);
    struct mpx_family_bounds *family = done ? find(all, name, length) : NULL;
    if (family && are_equal(family, bounds, count)) {
        family->is_counted = false;
        return MPROXY_OK;
    }
    if (family)
        return mpx_fail(err, MPROXY_E_TYPE, "histogram '%.100s': has other bounds", name);
    if (done && take_first(all, name, length, bounds, count))
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_NOMEM, "histogram '%.100s': no memory", name);
}

mproxy_status mpx_bounds_take_counter(struct mpx_bounds *all, const mproxy_store *store,
                                      const char *name, mproxy_error *err)
{
    size_t length;
    double bound;
    if (!read_bucket(name, &length, &bound))
        return MPROXY_OK;
    forget_unknown(all, store);
    const struct mpx_family_bounds *family =
        scan(all, store) ? find(all, name, length) : NULL;
    if (family && !family->is_counted)
        return has(family, bound)
                   ? MPROXY_OK
                   : mpx_fail(err, MPROXY_E_TYPE,
                              "metric '%.100s': is a bucket of a histogram that has none "
                              "of this bound",
                              name);
    if (all->scanned && take_counted(all, name, length, bound))
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_NOMEM, "metric '%.100s': no memory", name);
}
