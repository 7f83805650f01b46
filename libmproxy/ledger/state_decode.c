// Reading the state file. It is ours, but a disk is not: every count, index and number
// is checked, and memory is asked for only in proportion to the bytes that are there.
//
// The outcome is all or nothing: a ledger is filled in as bytes are read, and the caller
// closes it when this fails. Two failures are told apart, because they have different
// cures. Damage makes the daemon refuse to start, or set the file aside if it was told
// to; want of memory must never lead to that, so whatever returns NULL says which of the
// two it was (fail(), fail_memory()).
//
// What is checked beyond the checksum:
// * share numbers rise, lie below the next one, and are not among those absorbed;
// * spans of absorbed numbers rise and do not touch;
// * positions of metrics, slots and ranks are within what was read before them;
// * names of pending segments lead nowhere else, since files are unlinked by them;
// * job ids are such as may name a job, and times can be added without an overflow.
//
// A metric whose name is none to this version is refused alone: its values are read over,
// counted in the statistics, and nothing else is lost.

#include "ledger/state.h"

#include <math.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/boot.h"
#include "base/codec.h"
#include "base/err.h"
#include "source/spans.h"
#include "store/exempt.h"

// What is written was in bounds of its own; these only keep a reader from being led astray.
enum { NAME_MAX_BYTES = 512, TEXT_MAX_BYTES = 1 << 20 };

struct file_metric {
    const mproxy_metric *metric; // NULL: refused, its values are skipped
    mproxy_type type;            // in the file
};

struct decoder {
    struct mpx_cursor c;
    struct mproxy_ledger *l;
    struct file_metric *metrics;
    size_t metric_count;
    uint32_t *slots; // of the set read last, by position in it
};

static bool fail(struct decoder *d)
{
    d->c.bad = true;
    return false;
}

static bool fail_memory(struct decoder *d)
{
    d->c.no_memory = true;
    return fail(d);
}

// A sum that overflowed must not make a node's whole state unreadable.
static double get_finite(struct decoder *d)
{
    double value = mpx_get_double(&d->c);
    return isfinite(value) ? value : 0;
}

static void refuse(struct decoder *d, struct file_metric *m)
{
    m->metric = NULL;
    d->l->stats.refused_series++;
}

static bool get_metric(struct decoder *d, size_t position)
{
    uint64_t type = mpx_get_u64(&d->c);
    char *name = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    char *doc = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    if (!name || !doc || (type != MPROXY_COUNTER && type != MPROXY_GAUGE))
        fail(d);
    if (!d->c.bad) {
        struct file_metric *m = &d->metrics[position];
        m->type = (mproxy_type)type;
        mproxy_status status =
            mpx_store_metric_exempt(d->l->store, name, m->type, doc, &m->metric, NULL);
        if (status == MPROXY_E_INVALID)
            refuse(d, m);
        else if (status == MPROXY_E_NOMEM)
            fail_memory(d);
        else if (status != MPROXY_OK)
            fail(d);
    }
    free(name);
    free(doc);
    return !d->c.bad;
}

static bool get_metrics(struct decoder *d)
{
    d->metric_count = mpx_get_count(&d->c, 3);
    d->metrics = calloc(d->metric_count + 1, sizeof *d->metrics);
    d->slots = calloc(d->metric_count + 1, sizeof *d->slots);
    if (!d->metrics || !d->slots)
        return fail_memory(d);
    for (size_t i = 0; i < d->metric_count && !d->c.bad; i++)
        get_metric(d, i);
    return !d->c.bad;
}

static bool get_pending(struct decoder *d)
{
    size_t count = mpx_get_count(&d->c, 1);
    if (count > UINT32_MAX / 4)
        return fail(d);
    if (!mpx_pending_reserve(&d->l->pending, (uint32_t)count))
        return fail_memory(d);
    for (size_t i = 0; i < count && !d->c.bad; i++) {
        char *name = mpx_get_string(&d->c, NAME_MAX_BYTES);
        // Files are unlinked by them: one that leads elsewhere is none of ours.
        if (name && (name[0] == '\0' || strcmp(name, "..") == 0 || strchr(name, '/'))) {
            free(name);
            return fail(d);
        }
        if (name)
            mpx_pending_take(&d->l->pending, name, true);
    }
    d->l->pending_on_disk = d->l->pending.count;
    return !d->c.bad;
}

static bool get_absorbed(struct decoder *d)
{
    struct mproxy_ledger *l = d->l;
    size_t count = mpx_get_count(&d->c, 2);
    l->absorbed = malloc((count + 1) * sizeof *l->absorbed);
    if (!l->absorbed)
        return fail_memory(d);
    uint64_t end = 0, limit = l->next_number;
    for (size_t i = 0; i < count && !d->c.bad; i++) {
        uint64_t gap = mpx_get_u64(&d->c), length = mpx_get_u64(&d->c);
        if (length == 0 || end > limit || gap > limit - end ||
            length > limit - end - gap || gap == 0)
            return fail(d);
        l->absorbed[l->absorbed_count++] = (mproxy_span){end + gap, end + gap + length};
        end += gap + length;
    }
    return !d->c.bad;
}

static void get_value(struct decoder *d, mproxy_type type, mproxy_value *v)
{
    *v = (mproxy_value){.total = get_finite(d)};
    if (type == MPROXY_GAUGE) {
        v->min = get_finite(d);
        v->max = get_finite(d);
        v->hits = get_finite(d);
    }
    v->ts_us = mpx_get_u64(&d->c);
}

// A position in the table of metrics; NULL if it is none.
static const struct file_metric *get_metric_at(struct decoder *d)
{
    uint64_t at = mpx_get_u64(&d->c);
    if (!d->c.bad && at < d->metric_count)
        return &d->metrics[at];
    fail(d);
    return NULL;
}

static uint32_t get_slot(struct decoder *d, struct mpx_slots *v,
                         const struct file_metric *m)
{
    uint32_t slot = m->metric ? mpx_slots_add(v, m->metric) : MPX_NO_SLOT;
    if (slot == MPX_NO_SLOT && m->metric)
        fail_memory(d);
    return slot;
}

static size_t get_slots_count(struct decoder *d, size_t item_bytes)
{
    size_t count = mpx_get_count(&d->c, item_bytes);
    if (count <= d->metric_count)
        return count;
    fail(d);
    return 0;
}

static bool get_slots(struct decoder *d, struct mpx_slots *v, size_t *out_count)
{
    size_t count = get_slots_count(d, 10);
    for (size_t i = 0; i < count && !d->c.bad; i++) {
        const struct file_metric *m = get_metric_at(d);
        mproxy_value value;
        if (!m)
            return false;
        get_value(d, m->type, &value);
        // Two spellings of a name, of an older version, are one metric.
        uint32_t slot = d->slots[i] = get_slot(d, v, m);
        if (slot == MPX_NO_SLOT)
            continue;
        mproxy_value_merge(m->type, &v->folded[slot], &value);
        v->shown[slot] = v->folded[slot];
    }
    *out_count = count;
    return !d->c.bad;
}

static bool get_node(struct decoder *d, struct mpx_slots *v)
{
    size_t count = get_slots_count(d, 18);
    for (size_t i = 0; i < count && !d->c.bad; i++) {
        const struct file_metric *m = get_metric_at(d);
        mproxy_value value, baseline = {.hits = 1};
        if (!m)
            return false;
        baseline.total = get_finite(d);
        get_value(d, m->type, &value);
        uint32_t slot = get_slot(d, v, m);
        if (slot == MPX_NO_SLOT)
            continue;
        v->folded[slot] = baseline;
        v->shown[slot] = value;
    }
    return !d->c.bad;
}

static void get_row(struct decoder *d, struct mpx_share *s, size_t slot_count)
{
    uint64_t rank = mpx_get_u64(&d->c);
    size_t used = mpx_get_count(&d->c, 9);
    if (d->c.bad || rank > UINT32_MAX) {
        fail(d);
        return;
    }
    if (!mpx_rank_reserve(&s->ranks, (uint32_t)rank, s->slots.count)) {
        fail_memory(d);
        return;
    }
    struct mpx_rank_row *row = mpx_rank_row(&s->ranks, (uint32_t)rank);
    uint64_t at = 0;
    for (size_t i = 0; i < used && !d->c.bad; i++) {
        uint64_t gap = mpx_get_u64(&d->c);
        double value = get_finite(d);
        if (gap >= slot_count || at + gap >= slot_count) {
            fail(d);
            return;
        }
        at += gap;
        if (row && d->slots[at] != MPX_NO_SLOT)
            mpx_rank_add(row, d->slots[at], value);
    }
}

static mproxy_ranks get_spread(struct decoder *d)
{
    mproxy_ranks r = {.n = mpx_get_u64(&d->c)};
    if (r.n == 0)
        return r;
    r.sum = get_finite(d);
    r.min = get_finite(d);
    r.max = get_finite(d);
    uint64_t low = mpx_get_u64(&d->c), high = mpx_get_u64(&d->c);
    if (low > UINT32_MAX || high > UINT32_MAX)
        fail(d);
    r.min_rank = (uint32_t)low;
    r.max_rank = (uint32_t)high;
    return r;
}

static bool get_ranks(struct decoder *d, struct mpx_share *s, size_t slot_count)
{
    if (s->state == MPX_SHARE_OPEN) {
        s->ranks.overflow = mpx_get_u64(&d->c) != 0;
        size_t rows = mpx_get_count(&d->c, 2);
        for (size_t i = 0; i < rows && !d->c.bad; i++)
            get_row(d, s, slot_count);
        return !d->c.bad;
    }
    s->spread = calloc(s->slots.count + 1, sizeof *s->spread);
    if (!s->spread)
        return fail_memory(d);
    for (size_t i = 0; i < slot_count && !d->c.bad; i++) {
        mproxy_ranks r = get_spread(d);
        if (d->slots[i] != MPX_NO_SLOT)
            mproxy_ranks_merge(&s->spread[d->slots[i]], &r);
    }
    return !d->c.bad;
}

static bool get_job(struct decoder *d, mproxy_job *job)
{
    job->jobid = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->command = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->nodelist = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->partition = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->cluster = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->run_dir = mpx_get_string(&d->c, TEXT_MAX_BYTES);
    job->size = mpx_get_u64(&d->c);
    job->start_time = mpx_get_i64(&d->c);
    if (!d->c.bad && mproxy_job_check_id(job->jobid, NULL) != MPROXY_OK)
        fail(d);
    return !d->c.bad;
}

// Milliseconds that no sum of a few overflows, whatever a clock has said.
static int64_t get_time(struct decoder *d)
{
    const int64_t most = INT64_MAX / 1024;
    int64_t ms = mpx_get_i64(&d->c);
    return ms < -most ? -most : ms > most ? most : ms;
}

static bool get_share_body(struct decoder *d, struct mpx_share *s)
{
    uint64_t uid = mpx_get_u64(&d->c);
    if (uid > UINT32_MAX || !get_job(d, &s->job))
        return fail(d);
    uint64_t flags = mpx_get_u64(&d->c);
    s->uid = (uint32_t)uid;
    s->job_hash = mpx_job_hash(s->uid, s->job.jobid);
    s->state = flags & 1 ? MPX_SHARE_SEALED : MPX_SHARE_OPEN;
    s->incomplete = flags & 2;
    s->expired = flags & 4;
    if (flags >> 3 > UINT32_MAX)
        return fail(d);
    s->expected = s->durable_live =
        s->state == MPX_SHARE_OPEN ? (uint32_t)(flags >> 3) : 0;
    s->durable = true;
    s->start_boot_ms = get_time(d);
    s->end_boot_ms = get_time(d);
    s->start_ms = get_time(d);
    s->end_ms = get_time(d);
    s->walltime_ms = get_time(d);
    s->covered_boot_ms = get_time(d);
    size_t count;
    bool ok = get_slots(d, &s->slots, &count) && get_ranks(d, s, count) &&
              get_node(d, &s->node);
    s->node_sampled = s->node.count > 0;
    return ok;
}

static bool get_shares(struct decoder *d)
{
    struct mproxy_ledger *l = d->l;
    size_t count = mpx_get_count(&d->c, 24);
    uint64_t before = 0;
    for (size_t i = 0; i < count && !d->c.bad; i++) {
        uint64_t number = mpx_get_u64(&d->c);
        if (number <= before || number >= l->next_number ||
            mpx_spans_have(l->absorbed, l->absorbed_count, number))
            return fail(d);
        before = number;
        struct mpx_share *s =
            mpx_ledger_reserve_shares(l) ? mpx_share_new(number, l->walltime) : NULL;
        if (!s)
            return fail_memory(d);
        l->shares[l->share_count++] = s;
        get_share_body(d, s);
    }
    return !d->c.bad;
}

static bool get_body(struct decoder *d)
{
    struct mproxy_ledger *l = d->l;
    const void *id = mpx_get_bytes(&d->c, sizeof l->directory);
    char *boot = mpx_get_string(&d->c, 64);
    if (!id || !boot) {
        free(boot);
        return false;
    }
    char now[MPX_BOOT_ID_ROOM];
    mpx_boot_id(now);
    memcpy(l->directory, id, sizeof l->directory);
    l->rebooted = strcmp(boot, now) != 0;
    free(boot);
    l->epoch = mpx_get_u64(&d->c);
    l->next_number = mpx_get_u64(&d->c);
    l->refused = mpx_get_u64(&d->c);
    l->refused_seen = mpx_get_u64(&d->c);
    if (l->epoch == UINT64_MAX || l->next_number == 0 || l->next_number == UINT64_MAX)
        return fail(d);
    size_t count;
    return get_metrics(d) && get_pending(d) && get_absorbed(d) &&
           get_slots(d, &l->base->slots, &count) && get_shares(d) &&
           (d->c.at == d->c.end || fail(d));
}

static mproxy_status check_head(const unsigned char *bytes, size_t length, uint64_t *body,
                                mproxy_error *err)
{
    uint32_t version, crc;
    if (length < MPX_STATE_HEAD || memcmp(bytes, MPX_STATE_MAGIC, 8) != 0)
        return mpx_fail(err, MPROXY_E_CORRUPT, "state file: not a ledger (%zu bytes)",
                        length);
    memcpy(&version, bytes + 8, sizeof version);
    memcpy(&crc, bytes + 12, sizeof crc);
    memcpy(body, bytes + 16, sizeof *body);
    if (version != MPX_STATE_VERSION)
        return mpx_fail(err, MPROXY_E_VERSION,
                        "state file: version %u, this program reads %u", version,
                        MPX_STATE_VERSION);
    if (*body > length - MPX_STATE_HEAD)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "state file: %zu bytes, its header says %llu", length,
                        (unsigned long long)*body + MPX_STATE_HEAD);
    uint32_t found = (uint32_t)crc32_z(0, bytes + MPX_STATE_HEAD, (size_t)*body);
    if (found != crc)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "state file: checksum %08x, its header says %08x", found, crc);
    return MPROXY_OK;
}

mproxy_status mpx_state_decode(struct mproxy_ledger *l, const void *bytes, size_t length,
                               mproxy_error *err)
{
    uint64_t body = 0;
    mproxy_status status = check_head(bytes, length, &body, err);
    if (status != MPROXY_OK)
        return status;
    const unsigned char *start = (const unsigned char *)bytes + MPX_STATE_HEAD;
    struct decoder d = {.l = l, .c = {.at = start, .end = start + body}};
    bool ok = get_body(&d);
    free(d.metrics);
    free(d.slots);
    if (d.c.no_memory)
        return mpx_fail(err, MPROXY_E_NOMEM, "state file: no memory to read it");
    if (!ok)
        return mpx_fail(err, MPROXY_E_CORRUPT, "state file: damaged at byte %zu",
                        (size_t)(d.c.at - start) + MPX_STATE_HEAD);
    return MPROXY_OK;
}
