// A share: what ended in it, what lives in it, and what it shows of both.
//
// Each metric of a share has a slot with two values, `folded` and `shown`. Folded is the
// residue: the sum over processes that have ended, which the state file keeps. Shown is
// folded plus the living, computed anew whenever a process of the share has changed;
// nothing is kept by difference, because a difference drifts and a bad value would never
// leave it.
//
// Processes of one program have the same layout, so their values are rows of equal
// length. The rows of a layout are added up column by column first (columns.c), four at
// a time, and only the sums go through the map from columns to slots, so that it is
// followed once per column and not once per value.
//
// Invariants:
// * A counter that is shown never falls. A sum that is lower by rounding alone, since it
//   was added up in another order, keeps what it was.
// * Only finite values count. One that would make a sum infinite is left out of it.
// * Gauges count once per process, with min, max, hits and total; in the base they are
//   shown of living processes only, for there nobody ends a job.
// * Calls that prepare may fail for want of memory and have changed no count then; calls
//   that count cannot fail. The slots of all columns are there before the first value is
//   added.
//
// Of ranks the share keeps a row each until it is sealed, and from then on only the
// spread: n, sum, min and max, and who holds them.

#include "ledger/share.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/names.h"

struct mpx_share *mpx_share_new(uint64_t number, const mproxy_metric *walltime)
{
    struct mpx_share *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->number = number;
    s->walltime_slot = MPX_NO_SLOT;
    if (walltime) {
        s->walltime_slot = mpx_slots_add(&s->slots, walltime);
        if (s->walltime_slot == MPX_NO_SLOT) {
            mpx_share_free(s);
            return NULL;
        }
    }
    mpx_share_begin(s);
    return s;
}

void mpx_share_free(struct mpx_share *s)
{
    if (!s)
        return;
    mproxy_job_clear(&s->job);
    mpx_slots_fini(&s->slots);
    mpx_slots_fini(&s->node);
    mpx_rank_fini(&s->ranks);
    for (uint32_t i = 0; i < s->map_room; i++)
        free(s->maps[i]);
    free(s->maps);
    free(s->node_map);
    free(s->spread);
    free(s);
}

void mpx_share_begin(struct mpx_share *s)
{
    s->first = NULL;
    s->last = &s->first;
    s->live = s->passive = s->missing = 0;
    s->changed = false;
}

void mpx_share_join(struct mpx_share *s, struct mpx_member *m)
{
    m->share = s;
    m->next = NULL;
    *s->last = m;
    s->last = &m->next;
    if (m->final)
        return;
    if (m->process->passive)
        s->passive++;
    else
        s->live++;
}

static bool reserve_map(struct mpx_share *s, uint32_t id)
{
    return MPX_RESERVE_ZEROED(s->maps, s->map_room, id + (size_t)1);
}

static bool is_other_type(const struct mpx_share *s, const mproxy_metric *metric)
{
    const mproxy_metric *twin = s->number != 0 ? mpx_metric_twin(metric) : NULL;
    return twin && mpx_slots_find(&s->slots, twin) != MPX_NO_SLOT;
}

bool mpx_share_map(struct mpx_share *s, const struct mpx_columns *columns,
                   const mproxy_metric *but)
{
    if (columns->id < s->map_room && s->maps[columns->id])
        return true;
    size_t count = columns->key->count;
    uint32_t *map = reserve_map(s, columns->id) ? calloc(count + 1, sizeof *map) : NULL;
    if (!map)
        return false;
    for (size_t i = 0; i < count; i++) {
        const mproxy_metric *metric = columns->key->metrics[i];
        bool is_refused = is_other_type(s, metric);
        map[count] |= is_refused;
        map[i] = MPX_NO_SLOT;
        if (metric == but || is_refused)
            continue;
        map[i] = mpx_slots_add(&s->slots, metric);
        if (map[i] == MPX_NO_SLOT) {
            free(map);
            return false;
        }
    }
    s->maps[columns->id] = map;
    return true;
}

bool mpx_share_refuses(const struct mpx_share *s, const struct mpx_columns *columns)
{
    return s->maps[columns->id][columns->key->count] != 0;
}

void mpx_share_unmap(struct mpx_share *s, const struct mpx_columns *columns)
{
    if (columns->id >= s->map_room)
        return;
    free(s->maps[columns->id]);
    s->maps[columns->id] = NULL;
}

static void mark_mapped(const struct mpx_share *s, const struct mpx_columns_set *columns,
                        bool *is_mapped)
{
    for (uint32_t id = 0; id < columns->count && id < s->map_room; id++)
        for (size_t i = 0; s->maps[id] && i < columns->items[id]->key->count; i++)
            if (s->maps[id][i] != MPX_NO_SLOT)
                is_mapped[s->maps[id][i]] = true;
}

bool mpx_share_drop_gauges(struct mpx_share *base, const struct mpx_columns_set *columns)
{
    struct mpx_slots *slots = &base->slots, kept = {0};
    bool *is_mapped = calloc(slots->count + 1u, sizeof *is_mapped);
    bool ok = is_mapped != NULL;
    if (ok)
        mark_mapped(base, columns, is_mapped);
    for (uint32_t i = 0; ok && i < slots->count; i++) {
        if (slots->metrics[i]->type == MPROXY_GAUGE && slots->shown[i].hits == 0 &&
            !is_mapped[i])
            continue;
        uint32_t slot = mpx_slots_add(&kept, slots->metrics[i]);
        ok = slot != MPX_NO_SLOT;
        if (ok) {
            kept.folded[slot] = slots->folded[i];
            kept.shown[slot] = slots->shown[i];
        }
    }
    free(is_mapped);
    if (!ok || kept.count == slots->count) {
        mpx_slots_fini(&kept);
        return ok;
    }
    mpx_slots_fini(slots);
    *slots = kept;
    for (uint32_t id = 0; id < base->map_room; id++) {
        free(base->maps[id]);
        base->maps[id] = NULL;
    }
    base->changed = true;
    return true;
}

static bool add_node(struct mpx_slots *slots, const mproxy_layout *layout, uint32_t *map)
{
    for (size_t i = 0; i < layout->count; i++)
        if ((map[i] = mpx_slots_add(slots, layout->metrics[i])) == MPX_NO_SLOT)
            return false;
    return true;
}

// A device that went away leaves the job what it counted on it, and nothing else: its gauges say
// nothing any more, and a long job would keep all interfaces that were ever there.
static bool keep_node(const struct mpx_share *s, struct mpx_slots *kept)
{
    for (uint32_t i = 0; i < s->node.count; i++) {
        const mproxy_metric *metric = s->node.metrics[i];
        uint32_t slot = mpx_slots_find(kept, metric);
        if (slot == MPX_NO_SLOT) {
            if (metric->type == MPROXY_GAUGE || s->node.shown[i].total == 0)
                continue;
            slot = mpx_slots_add(kept, metric);
        }
        if (slot == MPX_NO_SLOT)
            return false;
        kept->folded[slot] = s->node.folded[i];
        kept->shown[slot] = s->node.shown[i];
    }
    return true;
}

bool mpx_share_map_node(struct mpx_share *s, const mproxy_layout *layout)
{
    if (s->node_layout == layout)
        return true;
    struct mpx_slots kept = {0};
    uint32_t *map = calloc(layout->count + 1, sizeof *map);
    if (!map || !add_node(&kept, layout, map) || !keep_node(s, &kept)) {
        mpx_slots_fini(&kept);
        free(map);
        return false;
    }
    mpx_slots_fini(&s->node);
    s->node = kept;
    free(s->node_map);
    s->node_map = map;
    s->node_layout = layout;
    return true;
}

static bool counts_ranks(const struct mpx_share *s, const mproxy_process *p)
{
    return s->number != 0 && !p->passive && p->part_count > 0;
}

bool mpx_share_map_ranks(struct mpx_share *s)
{
    for (struct mpx_member *m = s->first; m; m = m->next)
        if (m->final && counts_ranks(s, m->process) &&
            !mpx_rank_reserve(&s->ranks, m->process->rank, s->slots.count))
            return false;
    return true;
}

// Merge the gauges of a part that are set.
static void merge_gauges(const struct mpx_columns *columns, const uint32_t *map,
                         const double *values, mproxy_value *into)
{
    for (uint32_t g = 0; g < columns->gauge_count; g++) {
        uint32_t column = columns->gauges[g];
        if (map[column] == MPX_NO_SLOT ||
            !isfinite(into[map[column]].total + values[column]))
            continue;
        mproxy_value one = mproxy_value_gauge(values[column], 0);
        mproxy_value_merge(MPROXY_GAUGE, &into[map[column]], &one);
    }
}

static void fold_part(struct mpx_share *s, const struct mpx_columns *columns,
                      const double *values, struct mpx_rank_row *row)
{
    const uint32_t *map = s->maps[columns->id];
    for (size_t i = 0; i < columns->key->count; i++) {
        if (map[i] == MPX_NO_SLOT || columns->key->metrics[i]->type == MPROXY_GAUGE ||
            !isfinite(s->slots.folded[map[i]].total + values[i]))
            continue;
        s->slots.folded[map[i]].total += values[i];
        if (row)
            mpx_rank_add(row, map[i], values[i]);
    }
    if (s->number != 0)
        merge_gauges(columns, map, values, s->slots.folded);
}

static void add_uncounted(const struct mpx_share *s, uint32_t uncounted,
                          const mproxy_metric *const reasons[32], mproxy_value *into)
{
    for (unsigned bit = 0; bit < 32 && uncounted >> bit; bit++) {
        if (!(uncounted >> bit & 1) || !reasons[bit])
            continue;
        uint32_t slot = mpx_slots_find(&s->slots, reasons[bit]);
        if (slot != MPX_NO_SLOT)
            into[slot].total += 1;
    }
}

void mpx_share_fold(struct mpx_share *s, const mproxy_metric *const reasons[32])
{
    for (struct mpx_member *m = s->first; m; m = m->next) {
        const mproxy_process *p = m->process;
        if (!m->final)
            continue;
        struct mpx_rank_row *row =
            counts_ranks(s, p) ? mpx_rank_row(&s->ranks, p->rank) : NULL;
        for (size_t i = 0; i < p->part_count; i++)
            fold_part(s, m->columns[i], p->parts[i].values, row);
        add_uncounted(s, m->uncounted, reasons, s->slots.folded);
        s->folded = true;
    }
}

uint32_t mpx_share_durable_live(const struct mpx_share *s)
{
    uint32_t live = s->live + s->missing;
    return live > s->expected ? live : s->expected;
}

void mpx_share_count_lost(struct mpx_share *s, bool whole, const mproxy_metric *reason)
{
    uint32_t here = 0;
    for (const struct mpx_member *m = s->first; m && s->expected > 0; m = m->next)
        here += whole || m->final;
    uint32_t lost = s->expected > here ? s->expected - here : 0;
    s->expected = whole ? 0 : lost;
    if (!whole || lost == 0)
        return;
    uint32_t slot = reason ? mpx_slots_find(&s->slots, reason) : MPX_NO_SLOT;
    if (slot != MPX_NO_SLOT)
        s->slots.folded[slot].total += lost;
    s->incomplete = s->folded = s->changed = true;
}

// Collect the rows of the live processes by layout; the layouts in order of appearance.
static struct mpx_columns *gather(struct mpx_share *s)
{
    struct mpx_columns *first = NULL, **last = &first;
    for (struct mpx_member *m = s->first; m; m = m->next) {
        for (size_t i = 0; !m->final && i < m->process->part_count; i++) {
            struct mpx_columns *columns = m->columns[i];
            if (columns->row_count == 0) {
                *last = columns;
                last = &columns->next;
                columns->next = NULL;
            }
            columns->rows[columns->row_count++] = m->process->parts[i].values;
        }
    }
    return first;
}

static void add_columns(const struct mpx_share *s, struct mpx_columns *columns,
                        mproxy_value *next)
{
    const uint32_t *map = s->maps[columns->id];
    mpx_columns_sum(columns);
    // A gauge's column is skipped by its type: walk the gaps between gauges.
    size_t from = 0;
    for (uint32_t g = 0; g <= columns->gauge_count; g++) {
        size_t to = g < columns->gauge_count ? columns->gauges[g] : columns->key->count;
        for (size_t i = from; i < to; i++)
            if (map[i] != MPX_NO_SLOT)
                next[map[i]].total += columns->sums[i];
        from = to + 1;
    }
    for (uint32_t r = 0; r < columns->row_count; r++)
        merge_gauges(columns, map, columns->rows[r], next);
    columns->row_count = 0;
}

// A sum taken in another order may differ in its last bits; that is no step back.
static bool is_rounding(double before, double now)
{
    return now < before && before - now <= before * 1e-12;
}

static bool differs(mproxy_type type, const mproxy_value *a, const mproxy_value *b)
{
    if (a->total != b->total)
        return true;
    return type == MPROXY_GAUGE &&
           (a->hits != b->hits || a->min != b->min || a->max != b->max);
}

static void show(struct mpx_share *s, mproxy_value *next, uint64_t wall_us)
{
    for (uint32_t i = 0; i < s->slots.count; i++) {
        mproxy_type type = s->slots.metrics[i]->type;
        mproxy_value *shown = &s->slots.shown[i];
        if (type == MPROXY_COUNTER &&
            (is_rounding(shown->total, next[i].total) || !isfinite(next[i].total)))
            next[i].total = shown->total;
        next[i].ts_us = shown->ts_us;
        if (!differs(type, &next[i], shown))
            continue;
        next[i].ts_us = wall_us;
        *shown = next[i];
        s->changed = true;
    }
}

void mpx_share_sum(struct mpx_share *s, const mproxy_metric *const reasons[32],
                   mproxy_value *next, uint64_t wall_us)
{
    if (s->walltime_slot != MPX_NO_SLOT)
        s->slots.folded[s->walltime_slot].total = (double)s->walltime_ms / 1000;
    if (s->slots.count > 0)
        memcpy(next, s->slots.folded, s->slots.count * sizeof *next);
    for (struct mpx_columns *columns = gather(s), *after; columns; columns = after) {
        after = columns->next;
        add_columns(s, columns, next);
    }
    for (struct mpx_member *m = s->first; m; m = m->next)
        if (!m->final)
            add_uncounted(s, m->uncounted, reasons, next);
    show(s, next, wall_us);
    s->folded = false;
}

void mpx_share_show_walltime(struct mpx_share *s, uint64_t wall_us)
{
    if (s->walltime_slot == MPX_NO_SLOT)
        return;
    mproxy_value *shown = &s->slots.shown[s->walltime_slot];
    double seconds = (double)s->walltime_ms / 1000;
    if (shown->total == seconds)
        return;
    s->slots.folded[s->walltime_slot].total = seconds;
    shown->total = seconds;
    shown->ts_us = wall_us;
    s->changed = true;
}

bool mpx_share_count_node(struct mpx_share *s, const mproxy_value *values)
{
    bool fresh = false;
    for (size_t i = 0; i < s->node_layout->count; i++) {
        uint32_t slot = s->node_map[i];
        mproxy_value *shown = &s->node.shown[slot], *baseline = &s->node.folded[slot];
        // hits marks a baseline that has been taken.
        if (s->node_layout->metrics[i]->type == MPROXY_GAUGE) {
            *shown = values[i];
            baseline->hits = 1;
            continue;
        }
        if (baseline->hits == 0) {
            *baseline = (mproxy_value){.total = values[i].total, .hits = 1};
            shown->ts_us = values[i].ts_us;
            fresh = true;
        }
        double counted = values[i].total - baseline->total;
        if (counted < shown->total) // the reader of it was restarted and began anew
            baseline->total = values[i].total - shown->total;
        else if (counted > shown->total) {
            shown->total = counted;
            shown->ts_us = values[i].ts_us;
        }
    }
    s->changed = s->node_sampled = true;
    return fresh;
}
