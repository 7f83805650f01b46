// The push gateway's front: calls that change groups, and their part in a round.
//
// A group is a source of its own, told to the reduction in the first round after it has
// changed. What a round costs is what was pushed since the one before. When the group is
// deleted or has expired the reduction is told that it is gone, by its number, since the proxy
// has other sources of that kind.
//
// Groups that changed, and those that went, are lists of what the next round has to tell. What
// can't be told for want of memory stays in its list for the round after.
//
// Groups with a time to live are looked through only when the earliest of them is due.
//
// Groups that come, go, or get other series make the sums be planned anew, which costs what all
// hold: a second or more beside a million series. So that this never takes more than a tenth
// of the time, a round that took long is followed by others in which such groups wait; values
// of series that are shown already do not.

#include "push/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/options.h"
#include "push/match.h"

enum {
    GROUPS_MAX = 100000,
    SERIES_MAX = 2000000,
    BYTES_MAX = 256 << 20,
    ROUND_COPY = 256 << 10, // bytes, by which a round goes on copying
    LONG_MS = 20,           // of a publication that is followed by a wait
    WAIT_BY = 10            // times as long
};

// ---- rounds

static mproxy_source source_of(const struct mproxy_push *p, uint64_t number,
                               uint64_t sequence)
{
    mproxy_source s = {.struct_size = sizeof s,
                       .kind = MPROXY_SOURCE_TARGET,
                       .number = number,
                       .epoch = mproxy_ledger_epoch(p->o.ledger),
                       .sequence = sequence,
                       .host = p->host};
    memcpy(s.directory, mproxy_ledger_directory(p->o.ledger), sizeof s.directory);
    return s;
}

static mproxy_status tell_gone(struct mproxy_push *p, const mproxy_round *round,
                               mproxy_error *err)
{
    while (p->gone_count > 0) {
        const struct mpx_push_gone *gone = &p->gone[p->gone_count - 1];
        const mproxy_source source = source_of(p, gone->number, gone->sequence);
        const mproxy_change change = {
            .struct_size = sizeof change, .source = &source, .gone = 1};
        mproxy_status status = mproxy_reduction_apply(round->reduction, &change, err);
        if (status != MPROXY_OK)
            return status;
        p->gone_count--;
    }
    return MPROXY_OK;
}

static mproxy_value time_value(uint64_t wall_us, uint64_t changed_us)
{
    return mproxy_value_gauge((double)wall_us / 1e6, changed_us);
}

static void fill_values(struct mproxy_push *p, const struct mpx_push_group *g)
{
    const struct mpx_push_slots *slots = g->slots;
    size_t count = slots ? slots->count : 0;
    for (size_t i = 0; i < count; i++)
        p->told[i] = mproxy_metric_type(slots->metrics[i]) == MPROXY_COUNTER
                         ? mproxy_value_counter(slots->values[i], slots->changed_us[i])
                         : mproxy_value_gauge(slots->values[i], slots->changed_us[i]);
    uint64_t last_us =
        g->times.pushed_us > g->times.failed_us ? g->times.pushed_us : g->times.failed_us;
    p->told[count] = time_value(g->times.pushed_us, last_us);
    p->told[count + 1] = time_value(g->times.failed_us, last_us);
}

static mproxy_status tell_group(struct mproxy_push *p, struct mpx_push_group *g,
                                const mproxy_round *round, mproxy_error *err)
{
    const mproxy_metric *const none[2] = {g->pushed, g->failed};
    size_t count = g->slots ? g->slots->count : 0;
    if (!MPX_RESERVE(p->told, p->told_room, count + 2))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to show a group");
    fill_values(p, g);
    mproxy_source source = source_of(p, g->number, g->sequence + 1);
    source.count = count + 2;
    source.metrics = g->slots ? g->slots->metrics : none;
    source.values = p->told;
    mproxy_status status = mproxy_reduction_put(round->reduction, &source, err);
    if (status != MPROXY_OK)
        return status;
    g->sequence++;
    g->is_dirty = g->is_reshaped = false;
    return MPROXY_OK;
}

static mproxy_status show(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_push *p = self;
    bool waits = round->boot_ms < p->reshape_ms;
    size_t kept = 0, i = 0;
    p->is_reshaped = !waits && p->gone_count > 0;
    mproxy_status status = waits ? MPROXY_OK : tell_gone(p, round, err);
    for (; i < p->dirty_count && status == MPROXY_OK; i++) {
        struct mpx_push_group *g = p->dirty[i];
        if (g->is_reshaped && waits) {
            p->dirty[kept++] = g;
            continue;
        }
        p->is_reshaped |= g->is_reshaped;
        status = tell_group(p, g, round, err);
        if (status != MPROXY_OK)
            p->dirty[kept++] = g;
    }
    memmove(p->dirty + kept, p->dirty + i,
            (p->dirty_count - i) * sizeof(struct mpx_push_group *));
    p->dirty_count = kept + p->dirty_count - i;
    p->shown_ns = mpx_clock_ns(CLOCK_MONOTONIC);
    return status;
}

// How long it took to publish is known when it is over.
static void take_time(struct mproxy_push *p, const mproxy_round *round)
{
    int64_t took_ms = (mpx_clock_ns(CLOCK_MONOTONIC) - p->shown_ns) / 1000000;
    if (p->is_reshaped && took_ms >= LONG_MS)
        p->reshape_ms = round->boot_ms + WAIT_BY * took_ms;
}

// The earliest that is left is found on the way.
static mproxy_status expire(struct mproxy_push *p, int64_t now_ms, mproxy_error *err)
{
    struct mpx_push_group **due = NULL;
    size_t count = 0, room = 0;
    bool ok = true;
    if (now_ms < p->expires_ms)
        return MPROXY_OK;
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < p->table.group_count && ok; i++) {
        struct mpx_push_group *g = p->table.groups[i];
        int64_t at_ms = g->times.expires_ms;
        if (at_ms > now_ms && at_ms < next_ms)
            next_ms = at_ms;
        if (at_ms > 0 && at_ms <= now_ms && (ok = MPX_RESERVE(due, room, count + 1)))
            due[count++] = g;
    }
    mproxy_status status = ok ? mpx_push_drop(p, due, count, err)
                              : mpx_fail(err, MPROXY_E_NOMEM, "no memory to drop groups");
    if (status == MPROXY_OK) {
        p->stats.expired += count;
        p->expires_ms = next_ms;
    }
    free(due);
    return status;
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    return expire(self, round->boot_ms, err);
}

// Somebody may have removed the file from under us.
static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_push *p = self;
    mproxy_status status = MPROXY_OK;
    take_time(p, round);
    if (!mpx_push_journal_is_there(p->journal)) {
        status = mpx_push_journal_turn(p->journal, err);
        if (status == MPROXY_OK)
            mpx_push_copy_all(p);
    }
    mpx_push_copy(p, ROUND_COPY);
    return status;
}

const mproxy_input *mproxy_push_input(const mproxy_push *push)
{
    return &push->input;
}

// ---- calls

static mproxy_status count_result(struct mproxy_push *p, mproxy_status status)
{
    p->stats.pushes += status == MPROXY_OK;
    p->stats.refused += status != MPROXY_OK;
    return status;
}

mproxy_status mproxy_push_take(mproxy_push *push, const mproxy_pushed *pushed,
                               mproxy_error *err)
{
    MPX_REQUIRE(push && pushed, err);
    mproxy_pushed o;
    struct mpx_push_labels labels = {.count = 0};
    mproxy_status status = MPX_OPTIONS_TAKE(mproxy_pushed, ttl_ms, &o, pushed, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.path && o.verb >= MPROXY_PUSH_ADD && o.verb <= MPROXY_PUSH_SUM, err);
    status = mpx_push_labels_of_path(o.path, &labels, err);
    if (status == MPROXY_OK)
        status = mpx_push_page(push, &labels, &o, err);
    mpx_push_labels_fini(&labels);
    return count_result(push, status);
}

static mproxy_status drop(struct mproxy_push *p, struct mpx_push_group *const *groups,
                          size_t count, size_t *deleted, mproxy_error *err)
{
    mproxy_status status = mpx_push_drop(p, groups, count, err);
    if (status == MPROXY_OK && deleted)
        *deleted = count;
    if (status == MPROXY_OK)
        mpx_push_copy(p, p->frames.size);
    return count_result(p, status);
}

mproxy_status mproxy_push_delete(mproxy_push *push, const char *path, size_t *deleted,
                                 mproxy_error *err)
{
    MPX_REQUIRE(push && path, err);
    struct mpx_push_labels labels, filled;
    mproxy_status status = mpx_push_labels_of_path(path, &labels, err);
    if (status != MPROXY_OK)
        return count_result(push, status);
    if (!mpx_push_labels_filled(&labels, &filled)) {
        mpx_push_labels_fini(&labels);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a path");
    }
    struct mpx_push_group *g = mpx_push_group_find(&push->table, &filled);
    mpx_push_labels_fini(&labels);
    mpx_push_labels_fini(&filled);
    return drop(push, &g, g ? 1 : 0, deleted, err);
}

static bool fits_any(struct mpx_push_selector *const *selectors, size_t count,
                     const struct mpx_push_group *g)
{
    for (size_t i = 0; i < count; i++)
        if (mpx_push_selector_fits(selectors[i], &g->labels))
            return true;
    return false;
}

static mproxy_status drop_fitting(struct mproxy_push *p,
                                  struct mpx_push_selector *const *selectors,
                                  size_t count, size_t *deleted, mproxy_error *err)
{
    struct mpx_push_group **found =
        malloc((p->table.group_count + 1) * sizeof(struct mpx_push_group *));
    size_t found_count = 0;
    if (!found)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to delete groups");
    for (size_t i = 0; i < p->table.group_count; i++)
        if (fits_any(selectors, count, p->table.groups[i]))
            found[found_count++] = p->table.groups[i];
    mproxy_status status = drop(p, found, found_count, deleted, err);
    free(found);
    return status;
}

mproxy_status mproxy_push_delete_matching(mproxy_push *push, const char *const *selectors,
                                          size_t count, size_t *deleted,
                                          mproxy_error *err)
{
    MPX_REQUIRE(push && (selectors || count == 0), err);
    struct mpx_push_selector **all =
        calloc(count + 1, sizeof(struct mpx_push_selector *));
    if (!all)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for selectors");
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++)
        status = mpx_push_selector_new(selectors[i], &all[i], err);
    if (status == MPROXY_OK)
        status = drop_fitting(push, all, count, deleted, err);
    for (size_t i = 0; i < count; i++)
        mpx_push_selector_free(all[i]);
    free(all);
    return status;
}

mproxy_status mproxy_push_move(mproxy_push *push, int state_fd, mproxy_error *err)
{
    MPX_REQUIRE(push && state_fd >= 0, err);
    mproxy_status status = mpx_push_journal_move(push->journal, state_fd, err);
    if (status == MPROXY_OK)
        mpx_push_copy_all(push);
    return status;
}

mproxy_status mproxy_push_get_stats(const mproxy_push *push, mproxy_push_stats *out)
{
    MPX_REQUIRE(push && out, NULL);
    mproxy_push_stats stats = push->stats;
    stats.groups = push->table.group_count;
    stats.series = push->table.slot_count;
    stats.bytes = mpx_push_journal_bytes(push->journal);
    return MPX_STRUCT_GIVE(mproxy_push_stats, expired, out, &stats, NULL);
}

// ---- life

static mproxy_status take_options(struct mproxy_push *p,
                                  const mproxy_push_options *options, mproxy_error *err)
{
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_push_options, log_arg, &p->o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(p->o.store && p->o.ledger && p->o.state_fd >= 0, err);
    p->o.max_groups = p->o.max_groups ? p->o.max_groups : GROUPS_MAX;
    p->o.max_series = p->o.max_series ? p->o.max_series : SERIES_MAX;
    p->o.max_bytes = p->o.max_bytes ? p->o.max_bytes : BYTES_MAX;
    p->logger = (struct mpx_logger){p->o.log, p->o.log_arg};
    p->table.store = p->o.store;
    p->host = strdup(p->o.host ? p->o.host : "");
    return p->host ? MPROXY_OK : mpx_fail(err, MPROXY_E_NOMEM, "no memory for a name");
}

// All groups are to be shown, and to be written into the file that was begun.
static mproxy_status begin(struct mproxy_push *p, mproxy_error *err)
{
    if (!mpx_push_reserve(p, 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for groups");
    p->expires_ms = 0; // looked at in the first round
    for (size_t i = 0; i < p->table.group_count; i++)
        mpx_push_touch(p, p->table.groups[i]);
    for (size_t i = 0; i < p->table.group_count; i++)
        p->table.groups[i]->written = mpx_push_journal_generation(p->journal) - 1;
    mpx_push_copy_all(p);
    if (mpx_push_journal_bytes(p->journal) > mpx_push_journal_most(p->o.max_bytes))
        mpx_push_copy(p, SIZE_MAX / 8); // many proxies were killed while they copied
    if (p->table.group_count > 0)
        mpx_say(&p->logger, MPROXY_LOG_INFO, "%zu groups were pushed before, %zu series",
                p->table.group_count, p->table.slot_count);
    return MPROXY_OK;
}

mproxy_status mproxy_push_open(const mproxy_push_options *options, mproxy_push **out,
                               mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    struct mproxy_push *p = calloc(1, sizeof *p);
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for pushes");
    mproxy_status status = take_options(p, options, err);
    if (status == MPROXY_OK)
        status = mproxy_parser_new(NULL, &p->parser, err);
    if (status == MPROXY_OK)
        status = mpx_push_load(p, err);
    if (status == MPROXY_OK)
        status = begin(p, err);
    if (status != MPROXY_OK) {
        mproxy_push_close(p);
        return status;
    }
    p->input = (mproxy_input){.struct_size = sizeof p->input,
                              .name = "pushed groups",
                              .self = p,
                              .before_round = before_round,
                              .show = show,
                              .after_round = after_round};
    *out = p;
    return MPROXY_OK;
}

void mproxy_push_close(mproxy_push *push)
{
    if (!push)
        return;
    mpx_push_table_fini(&push->table);
    mpx_push_journal_close(push->journal);
    mproxy_parser_free(push->parser);
    mpx_push_plan_fini(&push->plan);
    mpx_buf_free(&push->frames);
    free(push->carried.keys);
    free(push->carried.values);
    free(push->known);
    free(push->stale);
    free(push->made);
    free(push->dirty);
    free(push->gone);
    free(push->told);
    free(push->host);
    free(push);
}
