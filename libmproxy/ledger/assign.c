// Preparing a round: which process belongs to which share, and all memory it will take.
//
// A process stays in the share in which it was counted first; `tracked` remembers that
// by its key for as long as it lives, and for some rounds more in which nothing is heard
// of it (its reader may have been short of descriptors). While a member of a share is
// missing in this way, what the share shows stays as it is: without the member's values
// the sum would step back.
//
// A process that is new is matched by job id and user. It opens a share of its own if
// none is open, or if it started later than --continue after the share's last sign of
// life: then the id came back, and what is open of it takes no more.
//
// Processes are taken in the order of their starts, so that what a share's older
// processes say of its end is known before a younger one is matched: the outcome does
// not depend on the order in which a directory lists its files.
//
// Nothing here changes a count. What can fail is done in mpx_ledger_prepare(), in which
// even the place where a folded segment's name will stand is reserved;
// mpx_ledger_track(), after the counting, cannot fail.

#include "ledger/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/layout.h"
#include "segment/rendezvous.h"
#include "store/exempt.h"

static int compare_starts(const void *a, const void *b)
{
    const mproxy_process *p = (*(struct mpx_member *const *)a)->process;
    const mproxy_process *q = (*(struct mpx_member *const *)b)->process;
    if (p->start_boot_ms != q->start_boot_ms)
        return p->start_boot_ms < q->start_boot_ms ? -1 : 1;
    return p->key < q->key ? -1 : p->key > q->key;
}

static void sort_members(struct mproxy_ledger *l)
{
    bool sorted = true;
    for (size_t i = 0; i < l->member_count; i++) {
        l->order[i] = &l->members[i];
        if (i > 0 && compare_starts(&l->order[i - 1], &l->order[i]) > 0)
            sorted = false;
    }
    if (!sorted)
        qsort(l->order, l->member_count, sizeof *l->order, compare_starts);
}

static bool list_columns(struct mproxy_ledger *l)
{
    size_t parts = 0;
    for (size_t i = 0; i < l->member_count; i++)
        parts += l->members[i].process->part_count;
    if (!MPX_RESERVE(l->member_columns, l->member_columns_room, parts))
        return false;
    struct mpx_columns **at = l->member_columns;
    for (size_t i = 0; i < l->member_count; i++) {
        const mproxy_process *p = l->members[i].process;
        l->members[i].columns = at;
        for (size_t k = 0; k < p->part_count; k++, at++) {
            *at = mpx_columns_get(&l->columns, p->parts[k].layout);
            if (!*at || !mpx_columns_expect(*at))
                return false;
        }
    }
    return true;
}

static struct mpx_tracked *find_tracked(const struct mproxy_ledger *l, uint64_t key)
{
    uint32_t hash = mpx_hash_u64(key);
    for (uint32_t at = mpx_index_start(&l->tracked_index, hash), i;
         mpx_index_next(&l->tracked_index, hash, &at, &i);)
        if (l->tracked[i].key == key)
            return &l->tracked[i];
    return NULL;
}

static int64_t start_of(const struct mproxy_ledger *l, const mproxy_process *p)
{
    return p->start_boot_ms < l->boot_ms ? p->start_boot_ms : l->boot_ms;
}

static bool is_job_of(const struct mpx_share *s, uint32_t hash, const mproxy_process *p)
{
    return mpx_share_is_open(s) && s->job_hash == hash && s->uid == p->uid &&
           strcmp(s->job.jobid, p->job->jobid) == 0;
}

// The open share that a process belongs to. There is more than one only while passive
// processes keep an older run's share from being sealed; its start tells them apart.
static struct mpx_share *find_open(struct mproxy_ledger *l, uint32_t hash,
                                   const mproxy_process *p)
{
    struct mpx_share *found = NULL;
    int64_t start = start_of(l, p);
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (is_job_of(s, hash, p) && start <= s->end_boot_ms + l->continue_ms &&
            (!found || start >= s->start_boot_ms))
            found = s;
    }
    return found;
}

// A job id came back: what is open of it is another run's and takes no more processes.
static void expire(struct mproxy_ledger *l, uint32_t hash, const mproxy_process *p)
{
    for (uint32_t i = 0; i < l->share_count; i++)
        if (is_job_of(l->shares[i], hash, p))
            l->shares[i]->expired = true;
}

static struct mpx_share *open_share(struct mproxy_ledger *l, uint32_t hash,
                                    const mproxy_process *p)
{
    struct mpx_share *s =
        mpx_ledger_reserve_shares(l) ? mpx_share_new(l->next_number, l->walltime) : NULL;
    if (!s || mproxy_job_copy(p->job, &s->job) != MPROXY_OK) {
        mpx_share_free(s);
        return NULL;
    }
    s->job.end_time = 0;
    s->uid = p->uid;
    s->job_hash = hash;
    s->start_boot_ms = s->end_boot_ms = s->covered_boot_ms = start_of(l, p);
    s->start_ms = s->end_ms = p->start_wall_ms > 0 ? p->start_wall_ms
                                                   : (int64_t)(l->wall_us / 1000) -
                                                         (l->boot_ms - s->start_boot_ms);
    l->shares[l->share_count++] = s;
    l->next_number++;
    l->dirty = true;
    return s;
}

static struct mpx_share *match(struct mproxy_ledger *l, const mproxy_process *p)
{
    if (!p->job || mproxy_job_check_id(p->job->jobid, NULL) != MPROXY_OK)
        return l->base;
    uint32_t hash = mpx_job_hash(p->uid, p->job->jobid);
    struct mpx_share *s = find_open(l, hash, p);
    if (s)
        return s;
    expire(l, hash, p);
    return open_share(l, hash, p);
}

// The time of a process's end, or now while it lives. A process that was killed does not
// say; that it was found ended now is the sign of life there is.
static int64_t end_of(const struct mproxy_ledger *l, const mproxy_process *p)
{
    if (!p->final || p->end_wall_ms <= 0)
        return l->boot_ms;
    int64_t end = l->boot_ms - ((int64_t)(l->wall_us / 1000) - p->end_wall_ms);
    int64_t start = start_of(l, p);
    return end < start ? start : end > l->boot_ms ? l->boot_ms : end;
}

static void count_walltime(struct mpx_share *s, int64_t start, int64_t end)
{
    if (start < s->covered_boot_ms)
        start = s->covered_boot_ms;
    if (end <= start)
        return;
    s->walltime_ms += end - start;
    s->covered_boot_ms = end;
}

static void take_times(const struct mproxy_ledger *l, struct mpx_share *s,
                       const mproxy_process *p)
{
    int64_t start = start_of(l, p), end = end_of(l, p);
    if (start < s->start_boot_ms)
        s->start_boot_ms = start;
    if (p->start_wall_ms > 0 && p->start_wall_ms < s->start_ms) {
        s->start_ms = p->start_wall_ms;
        s->changed = true;
    }
    if (p->passive)
        return;
    count_walltime(s, start, end);
    if (end <= s->end_boot_ms && s->end_ms >= s->start_ms)
        return;
    if (end > s->end_boot_ms)
        s->end_boot_ms = end;
    int64_t end_ms = (int64_t)(l->wall_us / 1000) - (l->boot_ms - s->end_boot_ms);
    s->end_ms = end_ms > s->start_ms ? end_ms : s->start_ms;
    s->changed = true;
}

static void mark_incomplete(struct mproxy_ledger *l, struct mpx_share *s)
{
    if (s->incomplete)
        return;
    s->incomplete = true;
    s->changed = l->dirty = true;
}

static void take_description(struct mproxy_ledger *l, struct mpx_share *s,
                             const mproxy_process *p)
{
    uint64_t size = p->size > p->job->size ? p->size : p->job->size;
    if (size > s->job.size) {
        s->job.size = size;
        s->changed = l->dirty = true;
    }
    if (p->uncounted || start_of(l, p) < l->lost_ms)
        mark_incomplete(l, s);
}

static bool assign(struct mproxy_ledger *l)
{
    for (size_t i = 0; i < l->member_count; i++) {
        struct mpx_member *m = l->order[i];
        struct mpx_tracked *t = find_tracked(l, m->process->key);
        struct mpx_share *s = t ? t->share : match(l, m->process);
        if (!s)
            return false;
        if (t)
            t->seen = true;
        mpx_share_join(s, m);
        if (s == l->base)
            continue;
        take_times(l, s, m->process);
        take_description(l, s, m->process);
    }
    for (uint32_t i = 0; i < l->tracked_count; i++)
        if (!l->tracked[i].seen)
            l->tracked[i].share->missing++;
    return true;
}

static bool intern_reason(struct mproxy_ledger *l, unsigned bit)
{
    char text[64], name[160];
    if (l->reasons[bit])
        return true;
    mpx_off_reason_text(1u << bit, text, sizeof text);
    snprintf(name, sizeof name, "mproxy_processes_uncounted_total{reason=\"%s\"}",
             text[0] ? text : "other");
    mproxy_status status = mpx_store_metric_exempt(
        l->store, name, MPROXY_COUNTER,
        "Processes that could not count, wholly or in part", &l->reasons[bit], NULL);
    if (status == MPROXY_OK)
        (void)mproxy_metric_ref(l->reasons[bit]);
    else
        l->reasons[bit] = NULL;
    return status != MPROXY_E_NOMEM;
}

static bool map_uncounted(struct mproxy_ledger *l, struct mpx_share *s,
                          uint32_t uncounted)
{
    for (unsigned bit = 0; bit < 32 && uncounted >> bit; bit++) {
        if (!(uncounted >> bit & 1))
            continue;
        if (!intern_reason(l, bit))
            return false;
        if (l->reasons[bit] && mpx_slots_add(&s->slots, l->reasons[bit]) == MPX_NO_SLOT)
            return false;
    }
    return true;
}

// Also for those who may turn out to have lost their segment.
static bool map_lost(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count && l->whole; i++)
        if (l->shares[i]->expected > 0 &&
            !map_uncounted(l, l->shares[i], MPX_OFF_REMOVED))
            return false;
    return true;
}

static bool map_refused(struct mproxy_ledger *l)
{
    if (!l->refused)
        return true;
    const mproxy_metric *metric;
    if (!l->refused_metric &&
        mpx_store_metric_exempt(
            l->store, "mproxy_processes_uncounted_total{reason=\"refused\"}",
            MPROXY_COUNTER, "Processes that could not count, wholly or in part", &metric,
            NULL) == MPROXY_OK)
        l->refused_metric = mproxy_metric_ref(metric);
    return !l->refused_metric ||
           mpx_slots_add(&l->base->slots, l->refused_metric) != MPX_NO_SLOT;
}

static bool map_part(struct mproxy_ledger *l, struct mpx_member *m,
                     const struct mpx_columns *columns)
{
    if (!mpx_share_map(m->share, columns, l->walltime))
        return false;
    if (mpx_share_refuses(m->share, columns)) {
        m->uncounted |= MPX_OFF_REFUSED;
        mark_incomplete(l, m->share);
    }
    return true;
}

static bool map_members(struct mproxy_ledger *l)
{
    for (size_t i = 0; i < l->member_count; i++) {
        struct mpx_member *m = l->order[i];
        for (size_t k = 0; k < m->process->part_count; k++)
            if (!map_part(l, m, m->columns[k]))
                return false;
        if (!map_uncounted(l, m->share, m->uncounted))
            return false;
    }
    return map_lost(l) && map_refused(l);
}

static bool take_name(struct mproxy_ledger *l, const char *segment)
{
    if (!MPX_RESERVE(l->names, l->name_room, l->name_count + 1))
        return false;
    l->names[l->name_count] = strdup(segment);
    return l->names[l->name_count++] != NULL;
}

static bool copy_names(struct mproxy_ledger *l)
{
    for (size_t i = 0; i < l->member_count; i++) {
        const mproxy_process *p = l->order[i]->process;
        for (size_t k = 0; l->order[i]->final && k < p->segment_count; k++)
            if (!take_name(l, p->segments[k]))
                return false;
    }
    return l->name_count == 0 ||
           mpx_pending_reserve(&l->pending, (uint32_t)l->name_count);
}

static bool reserve_node_source(struct mproxy_ledger *l)
{
    size_t count = l->node_layout ? l->node_layout->count : 0;
    return MPX_RESERVE(l->node_source, l->node_source_room, count);
}

static bool reserve_sources(struct mproxy_ledger *l)
{
    size_t room = mpx_array_room(l->source_room, l->share_count + 2u);
    if (room == l->source_room)
        return true;
    if (!MPX_RESERVE_TO(l->sources, room) || !MPX_RESERVE_TO(l->source_list, room))
        return false;
    l->source_room = room;
    return true;
}

static bool map_shares(struct mproxy_ledger *l)
{
    if (!mpx_ledger_reserve_next(l, l->base->slots.count))
        return false;
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (!mpx_share_map_ranks(s) || !mpx_ledger_reserve_next(l, s->slots.count))
            return false;
        if (l->node_layout && mpx_share_wants_node(s) &&
            !mpx_share_map_node(s, l->node_layout))
            return false;
    }
    return true;
}

static bool reserve_tracked(struct mproxy_ledger *l)
{
    uint32_t need = l->tracked_count + (uint32_t)l->member_count;
    return MPX_RESERVE(l->tracked, l->tracked_room, need) &&
           mpx_index_reserve(&l->tracked_index, need);
}

// What it takes is given back; that there is no memory for it now does no harm.
static void tighten_base(struct mproxy_ledger *l)
{
    if (l->is_base_loose)
        l->is_base_loose = !mpx_share_drop_gauges(l->base, &l->columns);
}

bool mpx_ledger_prepare(struct mproxy_ledger *l)
{
    sort_members(l);
    mpx_ledger_choose_folds(l);
    tighten_base(l);
    return list_columns(l) && reserve_tracked(l) && assign(l) && map_members(l) &&
           map_shares(l) && copy_names(l) && reserve_node_source(l) && reserve_sources(l);
}

static bool is_over(struct mpx_tracked *t)
{
    if (t->seen) // the member says whether it is final
        return false;
    if (++t->missing <= MPX_MISSING_ROUNDS_MAX)
        return false;
    t->share->folded = true; // sum again, without it
    return true;
}

void mpx_ledger_track(struct mproxy_ledger *l)
{
    bool removed = false;
    for (size_t i = 0; i < l->member_count; i++) {
        struct mpx_member *m = &l->members[i];
        struct mpx_tracked *t = find_tracked(l, m->process->key);
        if (t) {
            t->missing = 0;
            if (m->final)
                t->share = NULL;
            removed |= m->final;
        } else if (!m->final) {
            mpx_index_put(&l->tracked_index, mpx_hash_u64(m->process->key),
                          l->tracked_count);
            l->tracked[l->tracked_count++] = (struct mpx_tracked){
                .key = m->process->key, .share = m->share, .seen = true};
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->tracked_count; i++) {
        if (!l->tracked[i].share || is_over(&l->tracked[i]))
            removed = true;
        else
            l->tracked[kept++] = l->tracked[i];
    }
    l->tracked_count = kept;
    if (!removed)
        return;
    mpx_index_clear(&l->tracked_index);
    for (uint32_t i = 0; i < kept; i++)
        mpx_index_put(&l->tracked_index, mpx_hash_u64(l->tracked[i].key), i);
}
