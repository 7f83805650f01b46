// Writing the state file: the ledger as bytes.
//
// Everything of variable length is preceded by its count, and every metric is named
// once, in a table; the rest refers to its position there. The table's bytes are kept
// between writes, so that a state of 10,000 metrics costs no formatting of names. A metric
// that no share counts any more stays in it until the store gives a name back: then ids
// may stand for other metrics, and the table is made anew of what is used.
//
// Shares that were released are left out, for the base that is written with them
// contains them. Values of the living are not written: they are in their segments. What
// is shown is written only where it cannot be computed again, as the times of last
// change and the node's metrics.
//
// Numbers are varints, values are eight bytes as they are in memory, on little-endian
// machines alone; a checksum over the body finds damage.

#include "ledger/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/boot.h"
#include "base/codec.h"
#include "base/err.h"
#include "store/exempt.h"
#include "store/metric.h"

static bool reserve_file_index(struct mproxy_ledger *l)
{
    return MPX_RESERVE_ZEROED(l->file_index, l->file_index_room,
                              mpx_store_metric_bound(l->store));
}

static void forget_table(struct mproxy_ledger *l)
{
    mpx_buf_clear(&l->table);
    l->file_metrics = 0;
    if (l->file_index_room > 0)
        memset(l->file_index, 0, l->file_index_room * sizeof *l->file_index);
    l->file_forgotten = mpx_store_metric_forgotten(l->store);
}

static void list_metrics(struct mproxy_ledger *l, const struct mpx_slots *v)
{
    for (uint32_t i = 0; i < v->count; i++) {
        const mproxy_metric *m = v->metrics[i];
        if (l->file_index[m->id])
            continue;
        size_t before = l->table.size;
        mpx_put_u64(&l->table, (uint64_t)m->type);
        mpx_put_string(&l->table, m->name);
        mpx_put_string(&l->table, mproxy_metric_doc(m));
        if (l->table.failed) {
            l->table.size = before;
            return;
        }
        l->file_index[m->id] = ++l->file_metrics;
    }
}

static bool list_all_metrics(struct mproxy_ledger *l, const struct mpx_state_view *view)
{
    if (l->file_forgotten != mpx_store_metric_forgotten(l->store))
        forget_table(l);
    if (!reserve_file_index(l))
        return false;
    l->table.failed = false;
    list_metrics(l, view->base);
    for (uint32_t i = 0; i < l->share_count; i++) {
        list_metrics(l, &l->shares[i]->slots);
        list_metrics(l, &l->shares[i]->node);
    }
    return !l->table.failed;
}

static void put_value(struct mpx_buf *b, mproxy_type type, const mproxy_value *v,
                      uint64_t ts_us)
{
    mpx_put_double(b, v->total);
    if (type == MPROXY_GAUGE) {
        mpx_put_double(b, v->min);
        mpx_put_double(b, v->max);
        mpx_put_double(b, v->hits);
    }
    mpx_put_u64(b, ts_us);
}

static void put_slots(struct mproxy_ledger *l, const struct mpx_slots *v)
{
    mpx_put_u64(&l->encoded, v->count);
    for (uint32_t i = 0; i < v->count; i++) {
        mpx_put_u64(&l->encoded, l->file_index[v->metrics[i]->id] - 1);
        put_value(&l->encoded, v->metrics[i]->type, &v->folded[i], v->shown[i].ts_us);
    }
}

static void put_node(struct mproxy_ledger *l, const struct mpx_slots *v)
{
    uint32_t sampled = 0;
    for (uint32_t i = 0; i < v->count; i++)
        sampled += v->folded[i].hits > 0;
    mpx_put_u64(&l->encoded, sampled);
    for (uint32_t i = 0; i < v->count; i++) {
        if (v->folded[i].hits == 0)
            continue;
        mpx_put_u64(&l->encoded, l->file_index[v->metrics[i]->id] - 1);
        mpx_put_double(&l->encoded, v->folded[i].total);
        put_value(&l->encoded, v->metrics[i]->type, &v->shown[i], v->shown[i].ts_us);
    }
}

static void put_row(struct mpx_buf *b, const struct mpx_rank_row *row)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < row->count; i++)
        used += !isnan(row->values[i]);
    mpx_put_u64(b, row->rank);
    mpx_put_u64(b, used);
    uint32_t before = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        if (isnan(row->values[i]))
            continue;
        mpx_put_u64(b, i - before);
        mpx_put_double(b, row->values[i]);
        before = i;
    }
}

static void put_spread(struct mpx_buf *b, const mproxy_ranks *r)
{
    mpx_put_u64(b, r->n);
    if (r->n == 0)
        return;
    mpx_put_double(b, r->sum);
    mpx_put_double(b, r->min);
    mpx_put_double(b, r->max);
    mpx_put_u64(b, r->min_rank);
    mpx_put_u64(b, r->max_rank);
}

static void put_ranks(struct mpx_buf *b, const struct mpx_share *s)
{
    if (s->spread) {
        for (uint32_t i = 0; i < s->slots.count; i++)
            put_spread(b, &s->spread[i]);
        return;
    }
    mpx_put_u64(b, s->ranks.overflow);
    mpx_put_u64(b, s->ranks.count);
    for (uint32_t i = 0; i < s->ranks.count; i++)
        put_row(b, &s->ranks.rows[i]);
}

static void put_job(struct mpx_buf *b, const mproxy_job *job)
{
    mpx_put_string(b, job->jobid);
    mpx_put_string(b, job->command);
    mpx_put_string(b, job->nodelist);
    mpx_put_string(b, job->partition);
    mpx_put_string(b, job->cluster);
    mpx_put_string(b, job->run_dir);
    mpx_put_u64(b, job->size);
    mpx_put_i64(b, job->start_time);
}

static void put_share(struct mproxy_ledger *l, const struct mpx_share *s)
{
    struct mpx_buf *b = &l->encoded;
    mpx_put_u64(b, s->number);
    mpx_put_u64(b, s->uid);
    put_job(b, &s->job);
    mpx_put_u64(b, (s->state != MPX_SHARE_OPEN ? 1u : 0u) | (s->incomplete ? 2u : 0u) |
                       (s->expired ? 4u : 0u) | (uint64_t)mpx_share_durable_live(s) << 3);
    mpx_put_i64(b, s->start_boot_ms);
    mpx_put_i64(b, s->end_boot_ms);
    mpx_put_i64(b, s->start_ms);
    mpx_put_i64(b, s->end_ms);
    mpx_put_i64(b, s->walltime_ms);
    mpx_put_i64(b, s->covered_boot_ms);
    put_slots(l, &s->slots);
    put_ranks(b, s);
    put_node(l, &s->node);
}

static void put_absorbed(struct mpx_buf *b, const mproxy_span *spans, size_t count)
{
    mpx_put_u64(b, count);
    uint64_t end = 0; // of the span before
    for (size_t i = 0; i < count; i++) {
        mpx_put_u64(b, spans[i].first - end);
        mpx_put_u64(b, spans[i].end - spans[i].first);
        end = spans[i].end;
    }
}

static void put_body(struct mproxy_ledger *l, const struct mpx_state_view *view)
{
    struct mpx_buf *b = &l->encoded;
    char boot[MPX_BOOT_ID_ROOM];
    mpx_boot_id(boot);
    mpx_put_bytes(b, l->directory, sizeof l->directory);
    mpx_put_string(b, boot);
    mpx_put_u64(b, l->epoch);
    mpx_put_u64(b, l->next_number);
    mpx_put_u64(b, l->refused);
    mpx_put_u64(b, l->refused_seen);
    mpx_put_u64(b, l->file_metrics);
    mpx_put_bytes(b, l->table.data, l->table.size);
    mpx_put_u64(b, l->pending.count);
    for (uint32_t i = 0; i < l->pending.count; i++)
        mpx_put_string(b, l->pending.items[i].name);
    put_absorbed(b, view->absorbed, view->absorbed_count);
    put_slots(l, view->base);
    uint32_t count = 0;
    for (uint32_t i = 0; i < l->share_count; i++)
        count += !l->shares[i]->released;
    mpx_put_u64(b, count);
    for (uint32_t i = 0; i < l->share_count; i++)
        if (!l->shares[i]->released)
            put_share(l, l->shares[i]);
}

mproxy_status mpx_state_encode(struct mproxy_ledger *l, const struct mpx_state_view *view,
                               mproxy_error *err)
{
    struct mpx_buf *b = &l->encoded;
    mpx_buf_clear(b);
    unsigned char head[MPX_STATE_HEAD] = MPX_STATE_MAGIC;
    mpx_put_bytes(b, head, sizeof head);
    if (list_all_metrics(l, view))
        put_body(l, view);
    else
        b->failed = true;
    if (b->failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "state file: no memory");
    uint32_t version = MPX_STATE_VERSION;
    uint64_t length = b->size - MPX_STATE_HEAD;
    uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)b->data + MPX_STATE_HEAD,
                                     (size_t)length);
    memcpy(b->data + 8, &version, sizeof version);
    memcpy(b->data + 12, &crc, sizeof crc);
    memcpy(b->data + 16, &length, sizeof length);
    return MPROXY_OK;
}
