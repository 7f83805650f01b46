// A unit in a round: what its segments and /proc say of the process, handed to the ledger.
//
// The lock of a segment is tested before its values are read: values read after the lock
// was found free are final, whatever ended the process. A segment that can't be read for
// want of memory, descriptors or room is read in the next round, and not folded before; one
// that is damaged keeps its last good values.
//
// A process has ended when all locks of its images are free and /proc no longer has its pid
// with that start. Where /proc can't tell, as for another PID namespace, two rounds in a row
// must find the locks free, since between two images of an exec they are free for a moment.
//
// A process counts once in a gauge, with the value that the last of its images has set.

#include "processes/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "store/metric.h"

enum { SAMPLE_PERIOD_MS = 5000 };

// The values follow the layout. Metrics keep their order when others come, so that what was
// known of each is found by going along both once.
static bool follow_layout(struct mpx_segment *seg, const mproxy_layout *layout)
{
    const mproxy_layout *old = seg->layout;
    double *values = malloc(layout->count * sizeof *values);
    if (!values)
        return false;
    size_t j = 0;
    for (size_t i = 0; i < layout->count; i++) {
        bool known = old && j < old->count && layout->metrics[i] == old->metrics[j];
        values[i] = known ? seg->values[j++] : 0;
    }
    free(seg->values);
    mpx_layout_use(layout);
    mpx_layout_leave(old);
    seg->values = values;
    seg->layout = layout;
    return true;
}

// Direct counters: the proxy writes them, and nobody else may say that it did.
static bool is_our_own(const struct mpx_segment *seg)
{
    return mpx_reader_header(seg->reader)->kind == MPX_SEG_PASSIVE &&
           mpx_reader_owner(seg->reader) == geteuid();
}

// What older programs send: their start and end are counted as they say.
static bool is_gateways(const struct mpx_segment *seg)
{
    return mpx_reader_header(seg->reader)->kind == MPX_SEG_GATEWAY &&
           mpx_reader_owner(seg->reader) == geteuid();
}

// False: for want of memory it is to be done again.
static bool compute(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct mpx_def_table *table = mpx_reader_table(seg->reader);
    const mproxy_layout *layout;
    mproxy_error refusal = {0}, err;
    struct mpx_user *user = mpx_users_get(s->users, seg->unit->uid);
    if (!user)
        return false;
    mpx_vectors_allow_reserved(s->vectors, is_gateways(seg));
    mproxy_status status =
        mpx_vectors_of(s->vectors, user, table, &layout, &refusal, &err);
    // What was not counted for a while stays marked: a counter of it must not fall.
    seg->uncounted |=
        status == MPROXY_E_LIMIT ? MPX_OFF_NAMES : mpx_vectors_uncounted(table);
    if (refusal.status != MPROXY_OK)
        mpx_segments_warn(s, "segment '%s': %s", seg->name, refusal.text);
    if (status != MPROXY_OK)
        mpx_segments_warn(s, "segment '%s': %s", seg->name, err.text);
    if (status != MPROXY_OK || !layout)
        return status != MPROXY_E_NOMEM;
    if (layout != seg->layout && !follow_layout(seg, layout))
        return false;
    mpx_vectors_allow_negative(s->vectors, is_our_own(seg));
    seg->refused_value |= !mpx_vectors_compute(
        s->vectors, table, mpx_reader_columns(seg->reader), seg->values);
    return true;
}

static void take_state(struct mpx_unit *u, const struct mpx_segment *seg)
{
    const struct mpx_reader_state *state = mpx_reader_state(seg->reader);
    struct mpx_process_values last = {.set = state->final_set};
    memcpy(last.value, state->final, sizeof last.value);
    mpx_process_values_merge(&u->used, &last);
    if (mpx_segment_is_launch(seg))
        return;
    u->started |= state->started;
    u->finished |= state->finished;
    if (mpx_segment_header(seg)->image < u->last_image)
        return;
    u->last_image = mpx_segment_header(seg)->image;
    u->left = state->left;
}

// The lock is tested before the values are read: what is read after it was free is final.
static void read_segment(struct mpx_segments *s, struct mpx_unit *u,
                         struct mpx_segment *seg)
{
    mproxy_error err;
    bool changed = false;
    bool final = mpx_reader_is_final(seg->reader);
    mproxy_status status =
        seg->damaged ? MPROXY_OK : mpx_reader_sample(seg->reader, &changed, &err);
    if (status == MPROXY_E_BUSY)
        mproxy_ledger_unread(s->ledger, seg->user->uid);
    if (status != MPROXY_OK && status != MPROXY_E_NOMEM && status != MPROXY_E_SYSTEM &&
        status != MPROXY_E_BUSY) {
        seg->damaged = true;
        s->stats.damaged++;
        u->changed = true;
        mpx_segments_warn(s, "%s; its last good values are kept", err.text);
    } else if (status != MPROXY_OK) {
        return; // the next round reads it, and folds it no sooner
    }
    if (changed || seg->stale ||
        mpx_vectors_may_take_more(s->vectors, mpx_reader_table(seg->reader))) {
        seg->stale = !compute(s, seg);
        take_state(u, seg);
        u->changed = true;
    }
    seg->final = final && !seg->stale;
}

void mpx_unit_read(struct mpx_segments *s, struct mpx_unit *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->segments[i]->reader && !u->segments[i]->final)
            read_segment(s, u, u->segments[i]);
}

// ---- life and use

static bool is_local(const struct mpx_segments *s, const struct mpx_unit *u)
{
    return u->pid_ns != 0 && u->pid_ns == mpx_procfs_namespace(s->procfs);
}

// Where the pid says nothing, a second look a round later must do: an exec between two
// images takes less time.
bool mpx_unit_check_life(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->gone)
        return false;
    if (!mpx_unit_is_final(u)) {
        u->final_rounds = 0;
        return false;
    }
    u->final_rounds++;
    enum mpx_life life = MPX_LIFE_UNKNOWN;
    if (u->solo)
        life = MPX_LIFE_GONE;
    else if (is_local(s, u))
        life = mpx_procfs_life(s->procfs, u->pid, u->start_ticks);
    u->gone = life == MPX_LIFE_GONE || (life == MPX_LIFE_UNKNOWN && u->final_rounds > 1);
    return u->gone && !u->solo;
}

void mpx_unit_sample(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->solo || u->gone || s->boot_ms < u->sample_at_ms || !is_local(s, u) ||
        !mpx_unit_is_current(s, u))
        return;
    u->sample_at_ms = s->boot_ms + SAMPLE_PERIOD_MS;
    struct mpx_process_values now;
    uint32_t owner = mpx_reader_owner(u->segments[0]->reader);
    if (!mpx_procfs_sample(s->procfs, u->pid, u->start_ticks, owner, &now) ||
        !mpx_process_values_merge(&u->used, &now))
        return;
    u->changed = true;
    struct mpx_sample_key key = {u->pid_ns, u->pid, u->start_ticks, u->uid};
    if (u->sample == MPX_SAMPLE_NONE && s->samples)
        u->sample = mpx_samples_add(s->samples, &key);
    if (u->sample != MPX_SAMPLE_NONE)
        mpx_samples_put(s->samples, u->sample, &u->used);
}

// ---- gauges of processes that became other programs by exec
//
// A process counts once in a gauge, with what it set last. Each of its images has a segment
// of its own, so a gauge of an image is left out once a later image has set it too.

static bool reserve_marks(struct mpx_segments *s, const mproxy_layout *layout)
{
    size_t need = 0;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->metrics[i]->id >= need)
            need = (size_t)layout->metrics[i]->id + 1;
    return MPX_RESERVE_ZEROED(s->gauge_marks, s->gauge_room, need);
}

static void keep_unmarked(struct mpx_segments *s, struct mpx_segment *seg)
{
    for (size_t i = 0; i < seg->layout->count; i++) {
        const mproxy_metric *metric = seg->layout->metrics[i];
        if (metric->type != MPROXY_GAUGE || isnan(seg->values[i]))
            continue;
        if (s->gauge_marks[metric->id] == s->gauge_mark)
            seg->values[i] = NAN;
        s->gauge_marks[metric->id] = s->gauge_mark;
    }
}

static bool keep_last_gauges(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->solo || u->count < 2)
        return true;
    for (size_t i = 0; i < u->count; i++)
        if (u->segments[i]->layout && !reserve_marks(s, u->segments[i]->layout))
            return false;
    s->gauge_mark++;
    mpx_unit_sort(u);
    for (size_t i = u->count; i-- > 0;)
        if (u->segments[i]->layout)
            keep_unmarked(s, u->segments[i]);
    return true;
}

// ---- to the ledger

static int64_t bounded(uint64_t ns, int64_t now_ms)
{
    int64_t ms = (int64_t)(ns / 1000000);
    return ms < now_ms ? ms : now_ms;
}

static void tell_times(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    int64_t wall_ms = (int64_t)(s->wall_us / 1000);
    p->start_boot_ms = s->boot_ms;
    p->start_wall_ms = wall_ms;
    p->end_wall_ms = 0;
    for (size_t i = 0; i < u->count; i++) {
        const struct mpx_seg_header *h = mpx_segment_header(u->segments[i]);
        int64_t boot = bounded(h->birth_boot_ns, s->boot_ms);
        int64_t wall = bounded(h->birth_wall_ns, wall_ms);
        int64_t end =
            bounded(mpx_reader_state(u->segments[i]->reader)->end_wall_ns, wall_ms);
        p->start_boot_ms = boot < p->start_boot_ms ? boot : p->start_boot_ms;
        p->start_wall_ms = wall < p->start_wall_ms ? wall : p->start_wall_ms;
        p->end_wall_ms = end > p->end_wall_ms ? end : p->end_wall_ms;
    }
    if (!p->final)
        p->end_wall_ms = 0;
}

// proxy_run's own segment is the only one: it became a program in which nothing counted.
static bool left_at_launch(const struct mpx_unit *u)
{
    const struct mpx_segment *first = u->segments[0];
    return mpx_segment_is_launch(first) && mpx_reader_state(first->reader)->left;
}

// An exec takes its time: whether another image comes is known when the process is gone.
static struct mpx_process_end end_of(const struct mpx_unit *u)
{
    if (u->process.final && left_at_launch(u))
        return (struct mpx_process_end){.started = true, .left = true};
    return (struct mpx_process_end){.started = u->started,
                                    .finished = u->finished,
                                    .left = u->process.final && u->started && u->left &&
                                            !u->finished};
}

static void tell_parts(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    p->part_count = 0;
    p->uncounted = 0;
    if (!u->solo) {
        struct mpx_process_end end = end_of(u);
        mpx_vectors_fill_process(&u->used, &end, u->values);
        u->parts[p->part_count++] = (mproxy_part){s->process_layout, u->values};
    }
    for (size_t i = 0; i < u->count; i++) {
        const struct mpx_segment *seg = u->segments[i];
        p->uncounted |= mpx_reader_state(seg->reader)->flags;
        if (seg->damaged)
            p->uncounted |= MPX_OFF_DAMAGED;
        if (seg->refused_value)
            p->uncounted |= MPX_OFF_VALUE;
        p->uncounted |= seg->uncounted;
        if (seg->layout)
            u->parts[p->part_count++] = (mproxy_part){seg->layout, seg->values};
    }
    p->parts = u->parts;
}

// A launcher's fork counts before it becomes the rank, and its environment tells none, which
// is the same as 0: so the image that knows better is asked.
static uint32_t rank_of(const struct mpx_unit *u)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < u->count; i++)
        if (mpx_segment_header(u->segments[i])->rank > rank)
            rank = mpx_segment_header(u->segments[i])->rank;
    return rank;
}

// The same with the number of ranks.
static uint64_t size_of(const struct mpx_unit *u)
{
    uint64_t size = 0;
    for (size_t i = 0; i < u->count; i++) {
        uint64_t known = mpx_reader_job(u->segments[i]->reader)->size;
        size = known > size ? known : size;
    }
    return size;
}

static void describe(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    const struct mpx_segment *first = u->segments[0];
    p->job = first->reader ? mpx_reader_job(first->reader) : &u->note;
    p->struct_size = sizeof *p;
    p->final = u->gone && mpx_unit_is_final(u);
    for (size_t i = 0; i < u->count; i++)
        u->names[i] = u->segments[i]->key;
    p->segments = u->names;
    p->segment_count = u->count;
    if (!first->reader)
        return;
    p->rank = rank_of(u);
    p->size = size_of(u);
    p->passive = mpx_segment_header(first)->kind == MPX_SEG_PASSIVE;
    tell_times(s, u);
    tell_parts(s, u);
}

mproxy_status mpx_unit_submit(struct mpx_segments *s, struct mpx_unit *u,
                              mproxy_error *err)
{
    if (u->process.final && mproxy_ledger_is_pending(s->ledger, u->segments[0]->key)) {
        u->folded = true;
        return MPROXY_OK;
    }
    if (u->changed || u->process.version == 0) {
        if (!keep_last_gauges(s, u))
            return mpx_fail(err, MPROXY_E_NOMEM, "segment '%s': no memory",
                            u->segments[0]->name);
        u->process.version++;
        u->changed = false;
    }
    describe(s, u);
    // The ledger may fold it now, and take nothing more for it.
    if (u->process.final)
        mpx_unit_unlist(s, u);
    return mproxy_ledger_process(s->ledger, &u->process, err);
}
