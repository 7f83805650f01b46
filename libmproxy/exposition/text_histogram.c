// Counters NAME_bucket{le}, NAME_sum and NAME_count that belong together are one family
// in text: a histogram.
//
// The API of programs counts a histogram as plain counters, since those add up over
// processes and nodes like any other; only in text, where a reader expects `# TYPE NAME
// histogram`, are they put together again. That is done here, and only if it leaves
// nothing out: each set of labels must have buckets with bounds that are numbers and
// differ, a sum and a count, and there must be no sum or count without buckets. Buckets
// must not fall, nor be more than the count, which the last one is if it has no bound: a
// plain counter of another job may bear a bucket's name, and readers refuse a page with such
// a histogram. Otherwise all of them are shown as the counters that they are.
//
// Buckets are held until their family ends, since their numeric order is another than
// the order of their names. Sums and counts are looked up, and the families they are of
// remembered, so that they are not shown a second time when their turn comes.
//
// Bounds are read and written without regard for the program's locale.

#include "exposition/text_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exposition/number.h"
#include "metric/label.h"

#define BLOCK_SIZE (32 * 1024 - 64)

struct block {
    struct block *next;
    size_t size;
    char bytes[];
};

// Texts that are given back all at once.
struct arena {
    struct block *blocks;
    size_t used; // of the first block
};

// A copy with a NUL behind it; NULL: no memory.
static char *arena_text(struct arena *a, const char *text, size_t length)
{
    if (!a->blocks || a->blocks->size - a->used < length + 1) {
        size_t room = length + 1 > BLOCK_SIZE ? length + 1 : BLOCK_SIZE;
        struct block *block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        block->next = a->blocks;
        block->size = room;
        a->blocks = block;
        a->used = 0;
    }
    char *copy = a->blocks->bytes + a->used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    a->used += length + 1;
    return copy;
}

static void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}

// One bucket. Buckets of one cursor and equal `set` are one histogram.
struct bucket {
    size_t cursor;
    const char *set; // its labels without le
    double le;
    const char *le_text;
    mproxy_entry entry;
    mproxy_entry sum, count; // of its set
};

struct collection {
    struct bucket *buckets;
    size_t count;
    struct arena texts;
};

// False: not a bucket of a histogram, or no memory.
static bool read_bucket(struct mpx_text *t, struct collection *all, struct bucket *bucket)
{
    const mproxy_metric *metric = bucket->entry.metric;
    struct mpx_label le;
    mpx_buf_clear(&t->name);
    mpx_labels_but_le(&t->name, metric->name + metric->base_length, &le);
    const char *set = mpx_buf_text(&t->name);
    if (!set || !le.name || !mpx_label_bound(&le, &bucket->le))
        return false;
    bucket->le_text = arena_text(&all->texts, le.value, le.value_length);
    bucket->set = arena_text(&all->texts, set, t->name.size);
    return bucket->le_text && bucket->set && metric->type == MPROXY_COUNTER &&
           mpx_metric_of(metric)->text && isfinite(bucket->entry.value.total);
}

static bool collect(struct mpx_text *t, struct collection *all)
{
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++)
        count += t->cursors[i].family.end - t->cursors[i].family.at;
    all->buckets = calloc(count, sizeof *all->buckets);
    if (!all->buckets)
        return false;
    for (size_t i = 0; i < t->count; i++) {
        struct mpx_range r = t->cursors[i].family;
        for (; r.at < r.end; r.at++) {
            struct bucket *bucket = &all->buckets[all->count++];
            bucket->cursor = i;
            bucket->entry = mpx_view_entry(r.view, r.at);
            if (!read_bucket(t, all, bucket))
                return false;
        }
    }
    return true;
}

static int compare_sets(const struct bucket *a, const struct bucket *b)
{
    if (a->cursor != b->cursor)
        return a->cursor < b->cursor ? -1 : 1;
    return strcmp(a->set, b->set);
}

static int compare_buckets(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    int order = compare_sets(x, y);
    return order ? order : (x->le > y->le) - (x->le < y->le);
}

// The counter STEM SUFFIX SET that belongs to a set; without metric if there is none to show.
static mproxy_entry find_part(struct mpx_text *t, const struct mpx_family *stem,
                              const char *suffix, const struct bucket *bucket)
{
    mproxy_entry entry;
    mpx_buf_clear(&t->name);
    mpx_buf_add(&t->name, stem->base, stem->length);
    mpx_buf_add_text(&t->name, suffix);
    mpx_buf_add_text(&t->name, bucket->set);
    const char *name = mpx_buf_text(&t->name);
    if (!name || !mproxy_view_find(t->cursors[bucket->cursor].view, name, &entry) ||
        entry.metric->type != MPROXY_COUNTER || !isfinite(entry.value.total) ||
        mpx_ids_has(&t->claimed, mpx_metric_of(entry.metric)->family->id))
        return (mproxy_entry){0};
    return entry;
}

// Entries that a cursor's view has of STEM SUFFIX; -1: no memory.
static long count_parts(struct mpx_text *t, const struct mpx_family *stem,
                        const char *suffix, size_t cursor)
{
    mpx_buf_clear(&t->name);
    mpx_buf_add(&t->name, stem->base, stem->length);
    mpx_buf_add_text(&t->name, suffix);
    const char *name = mpx_buf_text(&t->name);
    if (!name)
        return -1;
    struct mpx_range range = mpx_select(t->cursors[cursor].view, name);
    return (long)(range.end - range.at);
}

static bool is_first_of_set(const struct collection *all, size_t i)
{
    return i == 0 || compare_sets(&all->buckets[i - 1], &all->buckets[i]) != 0;
}

static bool rises(const struct collection *all, size_t i)
{
    const struct bucket *bucket = &all->buckets[i];
    double value = bucket->entry.value.total, count = bucket->count.value.total;
    if (!is_first_of_set(all, i) && value < bucket[-1].entry.value.total)
        return false;
    return bucket->le == INFINITY ? value == count : value <= count;
}

// A set without sum or count, a sum or count without a set, a bound given twice, buckets that
// fall: then nothing is put together, for nothing may be left out.
static bool find_parts(struct mpx_text *t, struct collection *all,
                       const struct mpx_family *stem)
{
    long sets = 0;
    for (size_t i = 0; i < all->count; i++) {
        struct bucket *bucket = &all->buckets[i];
        bool is_first = is_first_of_set(all, i);
        if (!is_first && bucket[-1].le == bucket->le)
            return false;
        bucket->sum = is_first ? find_part(t, stem, "_sum", bucket) : bucket[-1].sum;
        bucket->count =
            is_first ? find_part(t, stem, "_count", bucket) : bucket[-1].count;
        if (!bucket->sum.metric || !bucket->count.metric || !rises(all, i))
            return false;
        if (i == 0 || bucket[-1].cursor != bucket->cursor)
            sets = 0;
        sets += is_first;
        bool is_last = i + 1 == all->count || bucket[1].cursor != bucket->cursor;
        if (is_last && (count_parts(t, stem, "_sum", bucket->cursor) != sets ||
                        count_parts(t, stem, "_count", bucket->cursor) != sets))
            return false;
    }
    return true;
}

// OpenMetrics wants small integers as "1.0" and powers of ten from 10^6 on as "1e+06".
static const char *canonical_le(const struct bucket *bucket, char out[MPROXY_NUMBER_MAX])
{
    if (isinf(bucket->le))
        return bucket->le > 0 ? "+Inf" : "-Inf";
    char *end = mpx_write_shortest(out, bucket->le);
    *end = '\0';
    if (bucket->le == floor(bucket->le) && fabs(bucket->le) < 1e6) {
        end = mpx_write_number(out, bucket->le);
        memcpy(end, ".0", 3);
    }
    return out;
}

static void put_bucket(struct mpx_text *t, const struct mpx_family *buckets,
                       const struct bucket *bucket, const char *le, double value)
{
    const mproxy_metric *metric = bucket->entry.metric;
    mpx_sink_add(t->sink, buckets->base, buckets->length);
    mpx_text_labels(t, &t->cursors[bucket->cursor], metric->name + metric->base_length,
                    le);
    mpx_text_value(t, value);
}

static void put_part(struct mpx_text *t, const struct bucket *bucket,
                     const mproxy_entry *part)
{
    const mproxy_metric *metric = part->metric;
    mpx_sink_add(t->sink, metric->name, metric->base_length);
    mpx_text_labels(t, &t->cursors[bucket->cursor], metric->name + metric->base_length,
                    NULL);
    mpx_text_value(t, part->value.total);
}

static void put_histogram(struct mpx_text *t, const struct mpx_family *buckets,
                          const struct collection *all)
{
    char number[MPROXY_NUMBER_MAX];
    mpx_text_header(t, buckets->stem, "histogram");
    for (size_t i = 0; i < all->count && !t->sink->status; i++) {
        const struct bucket *bucket = &all->buckets[i];
        if (t->o.received_only && !mpx_is_received(&bucket->count))
            continue;
        const char *le =
            t->is_openmetrics ? canonical_le(bucket, number) : bucket->le_text;
        put_bucket(t, buckets, bucket, le, bucket->entry.value.total);
        if (i + 1 < all->count && compare_sets(bucket, bucket + 1) == 0)
            continue;
        if (bucket->le != INFINITY)
            put_bucket(t, buckets, bucket, "+Inf", bucket->count.value.total);
        put_part(t, bucket, &bucket->sum);
        put_part(t, bucket, &bucket->count);
    }
}

bool mpx_text_histogram(struct mpx_text *t, const struct mpx_family *buckets)
{
    struct collection all = {.buckets = NULL};
    bool is_one = !mpx_ids_has(&t->claimed, buckets->stem->id) && collect(t, &all);
    if (is_one) {
        qsort(all.buckets, all.count, sizeof *all.buckets, compare_buckets);
        is_one = find_parts(t, &all, buckets->stem);
    }
    if (is_one) {
        put_histogram(t, buckets, &all);
        mpx_ids_add(t, &t->claimed, buckets->id);
        mpx_ids_add(t, &t->claimed, buckets->stem->id);
        mpx_ids_add(t, &t->histograms, buckets->stem->id);
    }
    free(all.buckets);
    arena_fini(&all.texts);
    return is_one;
}
