// Groups and their files: what is written when, and how it is read back.
//
// A push is written before it is answered, and before anything of it is shown: as a change when
// the newest file has the group with these series, else whole, behind the series that this
// file does not tell yet. All records say what is, so that a push whose answer was lost is
// there or not there, and one that was answered counts once, sums included.
//
// A file that has become long is followed by another. While groups are copied into it, each
// push goes on with some of that work, four times as many bytes as it wrote itself, and each
// round with some more; so neither a push nor a round ever waits for all of it.
//
// The bound of bytes is one of what all groups hold, not of the files, which may be four times as
// long: it is pushes that are refused. Deleting and copying make room, so they have no bound.

#include "push/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"

enum { COPY_BY = 4 };

// ---- writing

static void put_series(struct mproxy_push *p, uint64_t key)
{
    uint32_t id = mpx_push_series_of(key);
    struct mpx_push_series *s = &p->table.series[id];
    if (s->written == mpx_push_journal_generation(p->journal))
        return;
    const struct mpx_push_record record = {.kind = MPX_PUSH_SERIES,
                                           .id = id,
                                           .type = s->type,
                                           .family_kind = s->kind,
                                           .name = s->name,
                                           .family = p->table.families[s->family].name,
                                           .help = s->help};
    mpx_push_record_put(&p->frames, &record);
}

static bool put_group(struct mproxy_push *p, const struct mpx_push_group *g,
                      const struct mpx_push_slots *slots,
                      const struct mpx_push_times *times)
{
    size_t count = slots ? slots->count : 0;
    uint32_t *ids = malloc((count + 1) * sizeof *ids);
    if (!ids)
        return false;
    for (size_t i = 0; i < count; i++) {
        put_series(p, slots->keys[i]);
        ids[i] = mpx_push_series_of(slots->keys[i]);
    }
    const struct mpx_push_record record = {.kind = MPX_PUSH_GROUP,
                                           .number = g->number,
                                           .times = *times,
                                           .labels = g->labels.texts.data,
                                           .labels_length = g->labels.texts.size,
                                           .count = count,
                                           .ids = ids,
                                           .values = slots ? slots->values : NULL,
                                           .changed_us =
                                               slots ? slots->changed_us : NULL};
    mpx_push_record_put(&p->frames, &record);
    free(ids);
    return true;
}

static void put_change(struct mproxy_push *p, const struct mpx_push_group *g,
                       const struct mpx_push_times *times,
                       const struct mpx_push_plan *change)
{
    const struct mpx_push_record record = {.kind = MPX_PUSH_CHANGE,
                                           .number = g->number,
                                           .times = *times,
                                           .count = change->count,
                                           .slots = change->slots,
                                           .values = change->values};
    mpx_push_record_put(&p->frames, &record);
}

static void is_written(struct mproxy_push *p, struct mpx_push_group *g,
                       const struct mpx_push_slots *slots)
{
    uint64_t generation = mpx_push_journal_generation(p->journal);
    if (g->written != generation)
        p->to_copy--;
    g->written = generation;
    for (size_t i = 0; slots && i < slots->count; i++)
        p->table.series[mpx_push_series_of(slots->keys[i])].written = generation;
}

static mproxy_status append(struct mproxy_push *p, mproxy_error *err)
{
    return mpx_push_journal_append(p->journal, &p->frames, err);
}

mproxy_status mpx_push_write(struct mproxy_push *p, struct mpx_push_group *g,
                             const struct mpx_push_slots *slots,
                             const struct mpx_push_times *times,
                             const struct mpx_push_plan *change, mproxy_error *err)
{
    bool is_there = g->written == mpx_push_journal_generation(p->journal);
    mpx_buf_clear(&p->frames);
    if (is_there && change) {
        put_change(p, g, times, change);
        return append(p, err);
    }
    slots = slots ? slots : g->slots;
    if (!put_group(p, g, slots, times))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to write a group down");
    if (change) // its slots are still those before
        put_change(p, g, times, change);
    mproxy_status status = append(p, err);
    if (status == MPROXY_OK)
        is_written(p, g, slots);
    return status;
}

// ---- groups come and go

bool mpx_push_reserve(struct mproxy_push *p, size_t more)
{
    return MPX_RESERVE(p->dirty, p->dirty_room, p->table.group_count + 2) &&
           MPX_RESERVE(p->gone, p->gone_room, p->gone_count + more);
}

void mpx_push_touch(struct mproxy_push *p, struct mpx_push_group *g)
{
    if (g->is_dirty)
        return;
    g->is_dirty = true;
    p->dirty[p->dirty_count++] = g;
}

static void forget_dirty(struct mproxy_push *p, const struct mpx_push_group *g)
{
    for (size_t i = 0; g->is_dirty && i < p->dirty_count; i++)
        if (p->dirty[i] == g) {
            p->dirty[i] = p->dirty[--p->dirty_count];
            return;
        }
}

void mpx_push_release(struct mproxy_push *p, uint32_t series)
{
    uint32_t parsed = p->table.series[series].parsed;
    if (!mpx_push_series_leave(&p->table, series) || parsed == 0)
        return;
    p->known[parsed - 1] = 0;
    if (mproxy_parser_forget(p->parser, parsed - 1, NULL) == MPROXY_E_BUSY &&
        MPX_RESERVE(p->stale, p->stale_room, p->stale_count + 1))
        p->stale[p->stale_count++] = parsed - 1;
}

void mpx_push_remove(struct mproxy_push *p, struct mpx_push_group *g)
{
    if (g->sequence > 0)
        p->gone[p->gone_count++] = (struct mpx_push_gone){g->number, g->sequence};
    forget_dirty(p, g);
    if (g->written != mpx_push_journal_generation(p->journal))
        p->to_copy--;
    struct mpx_push_slots *slots = mpx_push_group_remove(&p->table, g);
    for (size_t i = 0; slots && i < slots->count; i++)
        mpx_push_release(p, mpx_push_series_of(slots->keys[i]));
    free(slots);
}

mproxy_status mpx_push_drop(struct mproxy_push *p, struct mpx_push_group *const *groups,
                            size_t count, mproxy_error *err)
{
    if (!mpx_push_reserve(p, count))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to delete groups");
    mpx_buf_clear(&p->frames);
    for (size_t i = 0; i < count; i++) {
        const struct mpx_push_record record = {.kind = MPX_PUSH_GONE,
                                               .number = groups[i]->number};
        mpx_push_record_put(&p->frames, &record);
    }
    mproxy_status status = count > 0 ? append(p, err) : MPROXY_OK;
    for (size_t i = 0; status == MPROXY_OK && i < count; i++)
        mpx_push_remove(p, groups[i]);
    return status;
}

// ---- files that follow each other

void mpx_push_copy_all(struct mproxy_push *p)
{
    p->to_copy = p->table.group_count;
    p->copy_at = 0;
}

static void begin_copy(struct mproxy_push *p)
{
    if (mpx_push_journal_is_long(p->journal, p->table.live_bytes) &&
        mpx_push_journal_turn(p->journal, NULL) == MPROXY_OK)
        mpx_push_copy_all(p);
}

void mpx_push_copy(struct mproxy_push *p, size_t bytes)
{
    uint64_t generation = mpx_push_journal_generation(p->journal);
    begin_copy(p);
    if (!mpx_push_journal_has_older(p->journal) && p->to_copy == 0)
        return;
    for (size_t done = 0; p->to_copy > 0 && done < COPY_BY * bytes;) {
        if (p->copy_at >= p->table.group_count)
            p->copy_at = 0; // places were exchanged meanwhile
        struct mpx_push_group *g = p->table.groups[p->copy_at++];
        generation = mpx_push_journal_generation(p->journal);
        if (g->written == generation) {
            done += 16;
            continue;
        }
        if (mpx_push_write(p, g, NULL, &g->times, NULL, NULL) != MPROXY_OK)
            return; // no room: later
        done += p->frames.size;
    }
    if (p->to_copy == 0)
        mpx_push_journal_settle(p->journal);
}
