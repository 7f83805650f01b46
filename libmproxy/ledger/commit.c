// Making a round durable: sealing, absorbing, and the rename that says so.
//
// One rename moves the node from one consistent state to the next. What is true after it
// only is prepared beside what holds now, and put in its place once the file is there:
// * A share whose processes are gone for longer than it lingers becomes *sealing*; it is
//   *sealed*, and told to be so, when the file says it. If the write fails it is open
//   again.
// * Shares that were released go into a copy of the base, and their numbers into a copy
//   of the set that the base has absorbed. The copies replace the base after the rename;
//   if the write fails they are dropped and the release is asked for again.
// * Names of segments that were folded are *pending*. They may be unlinked once the file
//   that lists them is in place, and leave the list when they are gone.
//
// Nothing is written when nothing in the file would change: a node whose jobs start and
// end nothing writes no state.

#include "ledger/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/err.h"
#include "source/spans.h"
#include "ledger/state.h"
#include "ledger/state_file.h"
#include "store/metric.h"

// A share whose processes are gone may still be written to by passive ones: they have to
// end first, so that a sealed share has everything.
static bool is_over(const struct mproxy_ledger *l, const struct mpx_share *s)
{
    return mpx_share_is_open(s) && s->live == 0 && s->missing == 0 &&
           (s->expired || l->boot_ms - s->end_boot_ms > l->linger_ms);
}

int mproxy_ledger_is_idle(const mproxy_ledger *l, const char *jobid, uint32_t uid)
{
    uint32_t hash = mpx_job_hash(uid, jobid);
    for (uint32_t i = 0; i < l->share_count; i++) {
        const struct mpx_share *s = l->shares[i];
        if (s->job_hash == hash && s->uid == uid && strcmp(s->job.jobid, jobid) == 0 &&
            s->passive > 0 && is_over(l, s))
            return 1;
    }
    return 0;
}

bool mpx_ledger_is_unread(const struct mproxy_ledger *l, uint32_t uid)
{
    for (size_t i = 0; i < l->unread_count && !l->all_unread; i++)
        if (l->unread[i] == uid)
            return true;
    return l->all_unread;
}

void mpx_ledger_mark_seals(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (!is_over(l, s) || s->passive > 0 || mpx_ledger_is_unread(l, s->uid))
            continue;
        s->spread = mpx_rank_condense(&s->ranks, s->slots.count);
        if (!s->spread) // no memory: it is sealed in a later round
            continue;
        s->state = MPX_SHARE_SEALING;
        l->dirty = true;
    }
}

// The base and its set as they will be once the released shares are in it.
struct absorption {
    struct mpx_slots base;
    mproxy_span *spans;
    size_t count;
};

static void absorption_fini(struct absorption *a)
{
    mpx_slots_fini(&a->base);
    free(a->spans);
    *a = (struct absorption){0};
}

static bool absorb_share(struct absorption *a, const struct mpx_share *s)
{
    for (uint32_t i = 0; i < s->slots.count; i++) {
        if (s->slots.metrics[i]->type != MPROXY_COUNTER)
            continue;
        uint32_t slot = mpx_slots_add(&a->base, s->slots.metrics[i]);
        if (slot == MPX_NO_SLOT)
            return false;
        if (!isfinite(a->base.folded[slot].total + s->slots.folded[i].total))
            continue;
        a->base.folded[slot].total += s->slots.folded[i].total;
        a->base.shown[slot].total += s->slots.shown[i].total;
        if (a->base.shown[slot].ts_us < s->slots.shown[i].ts_us)
            a->base.shown[slot].ts_us = s->slots.shown[i].ts_us;
    }
    mpx_spans_add(a->spans, &a->count, s->number);
    return true;
}

static uint32_t count_released(const struct mproxy_ledger *l)
{
    uint32_t released = 0;
    for (uint32_t i = 0; i < l->share_count; i++)
        released += l->shares[i]->released;
    return released;
}

// False when there is no memory: nothing is absorbed in this round.
static bool absorption_init(struct mproxy_ledger *l, struct absorption *a)
{
    *a = (struct absorption){0};
    a->spans = malloc((l->absorbed_count + count_released(l) + 1) * sizeof *a->spans);
    if (!a->spans || !mpx_slots_copy(&l->base->slots, &a->base)) {
        absorption_fini(a);
        return false;
    }
    if (l->absorbed_count)
        memcpy(a->spans, l->absorbed, l->absorbed_count * sizeof *a->spans);
    a->count = l->absorbed_count;
    bool ok = true;
    for (uint32_t i = 0; ok && i < l->share_count; i++)
        if (l->shares[i]->released)
            ok = absorb_share(a, l->shares[i]);
    ok = ok && mpx_ledger_reserve_next(l, a->base.count);
    if (!ok)
        absorption_fini(a);
    return ok;
}

static void clear_releases(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++)
        l->shares[i]->released = false;
}

static void absorption_apply(struct mproxy_ledger *l, struct absorption *a)
{
    mpx_slots_fini(&l->base->slots);
    free(l->absorbed);
    l->base->slots = a->base;
    l->absorbed = a->spans;
    l->absorbed_count = a->count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->share_count; i++) {
        if (l->shares[i]->released)
            mpx_share_free(l->shares[i]);
        else
            l->shares[kept++] = l->shares[i];
    }
    l->share_count = kept;
    l->base->folded = true;
    mpx_ledger_sum_base(l);
    l->base->changed = true;
}

static void settle(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (!s->durable)
            s->durable = s->changed = true;
        s->durable_live = mpx_share_durable_live(s);
        if (s->state != MPX_SHARE_SEALING)
            continue;
        s->state = MPX_SHARE_SEALED;
        s->changed = true;
        mpx_rank_fini(&s->ranks);
    }
    for (uint32_t i = 0; i < l->pending.count; i++)
        l->pending.items[i].durable = true;
    l->pending_on_disk = l->pending.count;
    l->dirty = false;
    l->stats.writes++;
    l->stats.state_bytes = l->encoded.size;
}

static void undo_seals(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (s->state != MPX_SHARE_SEALING)
            continue;
        s->state = MPX_SHARE_OPEN;
        free(s->spread);
        s->spread = NULL;
    }
    l->stats.failed_writes++;
}

static mproxy_status write_state(struct mproxy_ledger *l,
                                 const struct mpx_state_view *view, mproxy_error *err)
{
    mproxy_status status = mpx_state_encode(l, view, err);
    if (status == MPROXY_OK)
        status = mpx_state_file_replace(l->dir_fd, l->encoded.data, l->encoded.size, err);
    return status;
}

mproxy_status mpx_ledger_commit(struct mproxy_ledger *l, mproxy_error *err)
{
    struct mpx_state_view view = {&l->base->slots, l->absorbed, l->absorbed_count};
    struct absorption a = {0};
    bool absorbing = count_released(l) > 0 && absorption_init(l, &a);
    if (absorbing) {
        view = (struct mpx_state_view){&a.base, a.spans, a.count};
        l->dirty = true;
    } else
        clear_releases(l);
    if (!l->dirty)
        return MPROXY_OK;
    mproxy_status status = write_state(l, &view, err);
    l->is_behind = status != MPROXY_OK;
    if (status != MPROXY_OK) {
        undo_seals(l);
        clear_releases(l);
        absorption_fini(&a);
        return status;
    }
    settle(l);
    if (absorbing) {
        MPX_CRASH_POINT("release.absorbed");
        absorption_apply(l, &a);
    }
    return MPROXY_OK;
}
