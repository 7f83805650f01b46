// The ledger as sources.

#include "ledger/private.h"

#include <string.h>

#include "base/err.h"
#include "base/options.h"

static mproxy_source common(const struct mproxy_ledger *l, mproxy_source_kind kind,
                            uint64_t number, uint64_t sequence)
{
    mproxy_source source = {.struct_size = sizeof source,
                            .kind = kind,
                            .number = number,
                            .epoch = l->epoch,
                            .sequence = sequence,
                            .host = l->host};
    memcpy(source.directory, l->directory, sizeof source.directory);
    return source;
}

static void take_slots(mproxy_source *source, const struct mpx_share *s)
{
    source->count = s->slots.count;
    source->metrics = s->slots.metrics;
    source->values = s->slots.shown;
}

static mproxy_source source_of_share(const struct mproxy_ledger *l,
                                     const struct mpx_share *s)
{
    mproxy_source source = common(l, MPROXY_SOURCE_SHARE, s->number, s->sequence);
    source.job = &s->job;
    source.uid = s->uid;
    source.sealed = s->state == MPX_SHARE_SEALED;
    source.idle = s->live == 0 && s->missing == 0;
    source.incomplete = s->incomplete;
    source.start_ms = s->start_ms;
    source.end_ms = s->end_ms;
    source.silent_ms = l->boot_ms - s->end_boot_ms;
    take_slots(&source, s);
    source.ranks = source.sealed ? s->spread : NULL;
    source.node_count = s->node.count;
    source.node_metrics = s->node.metrics;
    source.node_values = s->node.shown;
    return source;
}

size_t mproxy_ledger_sources(mproxy_ledger *l, const mproxy_source *const **out)
{
    *out = l->source_list;
    if (!l->ready || l->source_room < l->share_count + 2u)
        return 0;
    size_t count = 0;
    mproxy_source *base = &l->sources[count++];
    *base = common(l, MPROXY_SOURCE_BASE, 0, l->base->sequence);
    base->absorbed = l->absorbed;
    base->absorbed_count = l->absorbed_count;
    take_slots(base, l->base);
    for (uint32_t i = 0; i < l->share_count; i++)
        if (l->shares[i]->durable)
            l->sources[count++] = source_of_share(l, l->shares[i]);
    if (l->node_source_layout) {
        mproxy_source *node = &l->sources[count++];
        *node = common(l, MPROXY_SOURCE_NODE, 0, l->node_sequence);
        node->count = l->node_source_layout->count;
        node->metrics = l->node_source_layout->metrics;
        node->values = l->node_source;
    }
    for (size_t i = 0; i < count; i++)
        l->source_list[i] = &l->sources[i];
    return count;
}

mproxy_status mproxy_ledger_get_stats(const mproxy_ledger *l, mproxy_ledger_stats *out)
{
    MPX_REQUIRE(l && out, NULL);
    mproxy_ledger_stats stats = l->stats;
    stats.open_shares = stats.sealed_shares = 0;
    for (uint32_t i = 0; i < l->share_count; i++)
        if (l->shares[i]->state == MPX_SHARE_SEALED)
            stats.sealed_shares++;
        else
            stats.open_shares++;
    stats.live_processes = l->tracked_count;
    stats.pending = l->pending.count;
    return MPX_STRUCT_GIVE(mproxy_ledger_stats, refused_series, out, &stats, NULL);
}
