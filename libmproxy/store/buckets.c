// Sets of buckets that somebody holds, in a table by name; buckets.h says what a set is.
//
// The bounds of a set that nobody holds are not kept here but found again: if the store knows the
// bucket without a bound (`le="+Inf"`), its names are looked through for the others. This takes
// a walk over all names, but only for a histogram that was known, is held by nobody and comes
// again; and it needs no list that would have to be saved, for the names are.
//
// Which names are buckets of a set is decided by writing the name that a bucket of this bound
// would have, and comparing: labels stand in order in both, so equal sets have equal names, and
// a label that only looks like `le` can't be taken for it.
//
// A set that turns out to have other bounds than it is asked for leaves nothing behind.

#include "store/buckets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/label.h"
#include "metric/order.h"
#include "store/metric.h"
#include "store/names.h"
#include "store/table.h"

struct mpx_bucket_set {
    const char *name; // first: the table's key
    uint32_t place, holders;
    double *bounds; // rising
    size_t count, room;
};

struct mpx_buckets {
    struct mpx_names *names;
    struct mpx_table table;
};

struct mpx_buckets *mpx_buckets_new(struct mpx_names *names)
{
    struct mpx_buckets *all = calloc(1, sizeof *all);
    if (all)
        all->names = names;
    return all;
}

static void free_set(struct mpx_bucket_set *set)
{
    if (set)
        free(set->bounds);
    free(set);
}

void mpx_buckets_free(struct mpx_buckets *all)
{
    if (!all)
        return;
    for (uint32_t i = 0; i < all->table.bound; i++)
        free_set(all->table.items[i]);
    mpx_table_fini(&all->table);
    free(all);
}

// ---- bounds

static int compare_bounds(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool add_bound(struct mpx_bucket_set *set, double bound)
{
    if (!MPX_RESERVE(set->bounds, set->room, set->count + 1))
        return false;
    set->bounds[set->count++] = bound;
    return true;
}

// Equal ones count once: `1` and `1.0` are the same bucket.
static void sort_bounds(struct mpx_bucket_set *set)
{
    size_t kept = 0;
    if (set->count > 0)
        qsort(set->bounds, set->count, sizeof *set->bounds, compare_bounds);
    for (size_t i = 0; i < set->count; i++)
        if (kept == 0 || set->bounds[kept - 1] != set->bounds[i])
            set->bounds[kept++] = set->bounds[i];
    set->count = kept;
}

static bool has(const struct mpx_bucket_set *set, double bound)
{
    return set->count > 0 &&
           bsearch(&bound, set->bounds, set->count, sizeof bound, compare_bounds) != NULL;
}

bool mpx_buckets_are(const struct mpx_bucket_set *set, const double *bounds, size_t count)
{
    if (set->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!has(set, bounds[i]))
            return false;
    return true;
}

// ---- sets that nobody holds

// The name of one bucket: the suffix goes before the labels, `le` behind them.
static void name_bucket(char *out, size_t room, const char *set, const char *le)
{
    size_t base = strcspn(set, "{"), length = strlen(set);
    int inner = base < length ? (int)(length - base - 2) : 0; // without the braces
    snprintf(out, room, "%.*s_bucket{%.*s%sle=\"%s\"}", (int)base, set, inner,
             set + base + (inner > 0), inner ? "," : "", le);
}

// The finite bound of a metric that is a bucket of this set.
static bool read_bucket(const mproxy_metric *metric, const char *set, double *bound)
{
    char name[MPX_NAME_ROOM + 16], le[64];
    const char *at = metric->name + metric->base_length;
    struct mpx_label label;
    size_t base = strcspn(set, "{");
    if (metric->base_length != base + strlen("_bucket") ||
        memcmp(metric->name, set, base) != 0 || metric->type != MPROXY_COUNTER)
        return false;
    while (mpx_label_next(&at, &label))
        if (mpx_label_is(&label, "le") && label.value_length < sizeof le) {
            memcpy(le, label.value, label.value_length);
            le[label.value_length] = '\0';
            name_bucket(name, sizeof name, set, le);
            return strcmp(name, metric->name) == 0 && mpx_label_bound(&label, bound) &&
                   isfinite(*bound);
        }
    return false;
}

// False: no memory.
static bool take_known(struct mpx_buckets *all, struct mpx_bucket_set *set)
{
    char last[MPX_NAME_ROOM + 32];
    name_bucket(last, sizeof last, set->name, "+Inf");
    if (!mpx_names_lookup(all->names, last, MPROXY_COUNTER))
        return true;
    for (uint32_t id = 0; id < mpx_names_bound(all->names); id++) {
        const mproxy_metric *metric = mpx_names_at(all->names, id);
        double bound;
        if (metric && read_bucket(metric, set->name, &bound) && !add_bound(set, bound))
            return false;
    }
    sort_bounds(set);
    return true;
}

static bool set_bounds(struct mpx_bucket_set *set, const double *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!add_bound(set, bounds[i]))
            return false;
    sort_bounds(set);
    return true;
}

static struct mpx_bucket_set *set_new(struct mpx_buckets *all, const char *name,
                                      const double *bounds, size_t count)
{
    size_t length = strlen(name) + 1;
    struct mpx_bucket_set *set =
        mpx_table_reserve(&all->table) ? calloc(1, sizeof *set + length) : NULL;
    if (!set)
        return NULL;
    char *copy = (char *)(set + 1);
    memcpy(copy, name, length);
    set->name = copy;
    if (take_known(all, set) && (set->count > 0 || set_bounds(set, bounds, count)))
        return set;
    free_set(set);
    return NULL;
}

// ---- holding

mproxy_status mpx_buckets_hold(struct mpx_buckets *all, const char *name,
                               const double *bounds, size_t count,
                               struct mpx_bucket_set **out, mproxy_error *err)
{
    uint32_t hash = mpx_hash_text(name);
    struct mpx_bucket_set *set = mpx_table_find(&all->table, hash, name, strlen(name));
    bool is_new = !set;
    if (is_new)
        set = set_new(all, name, bounds, count);
    if (!set)
        return mpx_fail(err, MPROXY_E_NOMEM, "histogram '%.100s': no memory", name);
    if (!mpx_buckets_are(set, bounds, count)) {
        if (is_new)
            free_set(set);
        return mpx_fail(err, MPROXY_E_TYPE,
                        "histogram '%.100s': its bounds are not those that others have",
                        name);
    }
    if (is_new)
        set->place = mpx_table_add(&all->table, hash, set);
    set->holders++;
    *out = set;
    return MPROXY_OK;
}

void mpx_buckets_leave(struct mpx_buckets *all, struct mpx_bucket_set *set)
{
    if (!set || --set->holders > 0)
        return;
    mpx_table_remove(&all->table, mpx_hash_text(set->name), set->place);
    free_set(set);
}
