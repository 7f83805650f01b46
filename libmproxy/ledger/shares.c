// The shares of a ledger as a list, and what each of them shows.

#include "ledger/private.h"

#include <string.h>

uint32_t mpx_job_hash(uint32_t uid, const char *jobid)
{
    return mpx_hash_text(jobid) ^ mpx_hash_u64(uid + UINT64_C(1));
}

bool mpx_ledger_reserve_shares(struct mproxy_ledger *l)
{
    return MPX_RESERVE(l->shares, l->share_room, l->share_count + 1u);
}

bool mpx_ledger_reserve_next(struct mproxy_ledger *l, uint32_t count)
{
    return MPX_RESERVE(l->next, l->next_room, count);
}

static uint64_t live_key(const struct mpx_share *s)
{
    uint64_t key = 1;
    for (const struct mpx_member *m = s->first; m; m = m->next) {
        if (m->final)
            continue;
        const uint64_t parts[] = {m->process->key, m->process->version, m->uncounted};
        for (int i = 0; i < 3; i++)
            key = (key ^ parts[i] ^ key >> 29) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return key;
}

void mpx_ledger_sum_share(struct mproxy_ledger *l, struct mpx_share *s)
{
    // Without the values of a process that was not heard of, the last sum is the truth.
    if (s->missing)
        return;
    uint64_t key = live_key(s);
    if (key == s->live_key && !s->folded) {
        mpx_share_show_walltime(s, l->wall_us);
        return;
    }
    s->live_key = key;
    mpx_share_sum(s, l->reasons, l->next, l->wall_us);
}

void mpx_ledger_sum_base(struct mproxy_ledger *l)
{
    struct mpx_share *base = l->base;
    if (l->refused_metric) {
        uint32_t slot = mpx_slots_find(&base->slots, l->refused_metric);
        if (slot != MPX_NO_SLOT)
            base->slots.folded[slot].total = (double)l->refused;
    }
    mpx_ledger_sum_share(l, base);
}
