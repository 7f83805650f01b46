// Units: from the segments of a process to what the ledger takes.

#include "processes/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum {
    SAMPLE_FIRST_MS = 1000,
    SAMPLE_PERIOD_MS = 5000,
    IMAGES_MAX = 64,   // of a unit
    IMAGES_FIRST = 16, // stay: the client looks there whether the process has started
};

static const struct mpx_seg_header *header_of(const struct mpx_segment *seg)
{
    return mpx_reader_header(seg->reader);
}

static bool is_launch(const struct mpx_segment *seg)
{
    return header_of(seg)->kind == MPX_SEG_LAUNCH;
}

static bool is_local(const struct mpx_segments *s, const struct mpx_unit *u)
{
    return u->pid_ns != 0 && u->pid_ns == mpx_procfs_namespace(s->procfs);
}

static struct mpx_unit **bucket_of(struct mpx_segments *s, const struct mpx_unit *u)
{
    uint64_t hash =
        (u->pid_ns * 31 + u->start_ticks) * UINT64_C(0x9E3779B97F4A7C15) ^ u->pid;
    hash = (hash ^ hash >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return &s->identities[(hash >> 32) % MPX_SEGMENT_BUCKETS];
}

static bool is_same_process(const struct mpx_unit *a, const struct mpx_unit *b)
{
    return a->pid == b->pid && a->start_ticks == b->start_ticks &&
           a->pid_ns == b->pid_ns && a->uid == b->uid;
}

static struct mpx_unit *find_unit(struct mpx_segments *s, const struct mpx_unit *like)
{
    struct mpx_unit *u = *bucket_of(s, like);
    while (u && !(is_same_process(u, like) && strcmp(u->jobid, like->jobid) == 0))
        u = u->next;
    return u;
}

// ---- birth and end

// Later segments of the same identity belong to another unit from now on.
static void unlist(struct mpx_segments *s, struct mpx_unit *u)
{
    if (!u->listed)
        return;
    struct mpx_unit **link = bucket_of(s, u);
    while (*link != u)
        link = &(*link)->next;
    *link = u->next;
    u->listed = false;
}

static struct mpx_unit *add_unit(struct mpx_segments *s, const struct mpx_unit *like)
{
    struct mpx_unit *u = malloc(sizeof *u);
    if (!u)
        return NULL;
    *u = *like;
    u->process.key = ++s->next_key;
    u->process.uid = u->uid;
    u->sample_at_ms = s->boot_ms + SAMPLE_FIRST_MS;
    u->list_next = s->units;
    u->list_link = &s->units;
    if (s->units)
        s->units->list_link = &u->list_next;
    s->units = u;
    if (u->solo)
        return u;
    struct mpx_unit **bucket = bucket_of(s, u);
    u->next = *bucket;
    *bucket = u;
    u->listed = true;
    struct mpx_sample_key key = {u->pid_ns, u->pid, u->start_ticks, u->uid};
    if (s->samples)
        u->sample = mpx_samples_claim(s->samples, &key);
    if (u->sample != MPX_SAMPLE_NONE)
        mpx_samples_get(s->samples, u->sample, &u->used);
    return u;
}

void mpx_unit_free(struct mpx_segments *s, struct mpx_unit *u)
{
    unlist(s, u);
    *u->list_link = u->list_next;
    if (u->list_next)
        u->list_next->list_link = u->list_link;
    mproxy_job_clear(&u->note);
    free(u->segments);
    free(u->parts);
    free(u->names);
    free(u);
}

static bool reserve(struct mpx_unit *u)
{
    if (u->count < u->room)
        return true;
    size_t room = u->room ? u->room * 2 : 2;
    struct mpx_segment **segments = realloc(u->segments, room * sizeof(*segments));
    if (segments)
        u->segments = segments;
    mproxy_part *parts = realloc(u->parts, (room + 1) * sizeof *parts);
    if (parts)
        u->parts = parts;
    const char **names = realloc(u->names, room * sizeof *names);
    if (names)
        u->names = names;
    if (!segments || !parts || !names)
        return false;
    u->room = room;
    return true;
}

// What a launcher says of the job counts less than what the program says, and of several
// images the first one is asked.
static bool tells_more(const struct mpx_segment *a, const struct mpx_segment *b)
{
    if (is_launch(a) != is_launch(b))
        return is_launch(b);
    return header_of(a)->birth_boot_ns < header_of(b)->birth_boot_ns;
}

static void choose_first(struct mpx_unit *u)
{
    for (size_t i = 1; i < u->count; i++) {
        if (tells_more(u->segments[i], u->segments[0])) {
            struct mpx_segment *first = u->segments[i];
            u->segments[i] = u->segments[0];
            u->segments[0] = first;
        }
    }
    u->jobid = mpx_reader_job(u->segments[0]->reader)->jobid;
}

static int compare_births(const void *a, const void *b)
{
    const struct mpx_segment *x = *(struct mpx_segment *const *)a;
    const struct mpx_segment *y = *(struct mpx_segment *const *)b;
    return tells_more(y, x) - tells_more(x, y);
}

void mpx_unit_sort(struct mpx_unit *u)
{
    qsort(u->segments, u->count, sizeof(*u->segments), compare_births);
}

// Our client never writes such an id; the ledger puts the process into the base.
static void check_job(struct mpx_segments *s, const struct mpx_segment *seg)
{
    const char *jobid = mpx_reader_job(seg->reader)->jobid;
    mproxy_error err;
    if (jobid[0] == '\0' || mproxy_job_check_id(jobid, &err) == MPROXY_OK)
        return;
    s->stats.refused_jobs++;
    mpx_segments_warn(s, "segment '%s': %s; it counts for the node only", seg->name,
                      err.text);
}

bool mpx_unit_adopt(struct mpx_segments *s, struct mpx_segment *seg)
{
    const struct mpx_seg_header *h = header_of(seg);
    struct mpx_unit like = {
        .solo = h->kind == MPX_SEG_GATEWAY || h->kind == MPX_SEG_PASSIVE,
        .uid = h->uid,
        .pid = h->pid,
        .pid_ns = h->pid_ns,
        .start_ticks = h->start_ticks,
        .jobid = mpx_reader_job(seg->reader)->jobid,
    };
    struct mpx_unit *u = like.solo ? NULL : find_unit(s, &like);
    if (!u)
        u = add_unit(s, &like);
    if (!u)
        return false;
    if (!reserve(u)) {
        if (u->count == 0)
            mpx_unit_free(s, u);
        return false;
    }
    u->segments[u->count++] = seg;
    u->changed = true;
    seg->unit = u;
    choose_first(u);
    check_job(s, seg);
    return true;
}

bool mpx_unit_adopt_note(struct mpx_segments *s, struct mpx_segment *seg, uint32_t uid,
                         uint32_t reasons, const char *jobid, int64_t start_boot_ms)
{
    struct mpx_unit like = {.solo = true, .uid = uid};
    mproxy_job job = {.jobid = (char *)(uintptr_t)jobid};
    if (mproxy_job_copy(&job, &like.note) != MPROXY_OK)
        return false;
    struct mpx_unit *u = add_unit(s, &like);
    if (!u) {
        mproxy_job_clear(&like.note);
        return false;
    }
    u->jobid = u->note.jobid;
    if (!reserve(u)) {
        mpx_unit_free(s, u);
        return false;
    }
    u->segments[u->count++] = seg;
    seg->unit = u;
    seg->final = true;
    u->process.uncounted = reasons;
    if (start_boot_ms <= 0 || start_boot_ms > s->boot_ms)
        start_boot_ms = s->boot_ms;
    u->process.start_boot_ms = start_boot_ms;
    u->process.start_wall_ms =
        (int64_t)(s->wall_us / 1000) - (s->boot_ms - start_boot_ms);
    return true;
}

void mpx_unit_remove(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct mpx_unit *u = seg->unit;
    size_t i = 0;
    while (u->segments[i] != seg)
        i++;
    u->segments[i] = u->segments[--u->count];
    seg->unit = NULL;
    if (u->count > 0) {
        choose_first(u);
        return;
    }
    if (s->samples)
        mpx_samples_drop(s->samples, u->sample);
    mpx_unit_free(s, u);
}

// ---- reading

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

// False: for want of memory it is to be done again.
static bool compute(struct mpx_segments *s, struct mpx_segment *seg)
{
    struct mpx_def_table *table = mpx_reader_table(seg->reader);
    const mproxy_layout *layout;
    mproxy_error refusal = {0}, err;
    struct mpx_user *user = mpx_users_get(s->users, seg->unit->uid);
    if (!user)
        return false;
    mproxy_status status =
        mpx_vectors_of(s->vectors, user, table, &layout, &refusal, &err);
    seg->is_cut = status == MPROXY_E_LIMIT || mpx_vectors_is_cut(table);
    if (refusal.status != MPROXY_OK)
        mpx_segments_warn(s, "segment '%s': %s", seg->name, refusal.text);
    if (status != MPROXY_OK)
        mpx_segments_warn(s, "segment '%s': %s", seg->name, err.text);
    if (status != MPROXY_OK || !layout)
        return status != MPROXY_E_NOMEM;
    if (layout != seg->layout && !follow_layout(seg, layout))
        return false;
    mpx_vectors_allow_negative(s->vectors, is_our_own(seg));
    mpx_vectors_compute(s->vectors, table, mpx_reader_columns(seg->reader), seg->values);
    return true;
}

static void take_state(struct mpx_unit *u, const struct mpx_segment *seg)
{
    const struct mpx_reader_state *state = mpx_reader_state(seg->reader);
    struct mpx_process_values last = {.set = state->final_set};
    memcpy(last.value, state->final, sizeof last.value);
    mpx_process_values_merge(&u->used, &last);
    if (is_launch(seg))
        return;
    u->started |= state->started;
    u->finished |= state->finished;
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
    if (status != MPROXY_OK && status != MPROXY_E_NOMEM && status != MPROXY_E_SYSTEM) {
        seg->damaged = true;
        s->stats.damaged++;
        u->changed = true;
        mpx_segments_warn(s, "%s; its last good values are kept", err.text);
    } else if (status != MPROXY_OK) {
        return; // the next round reads it, and folds it no sooner
    }
    if (changed || seg->stale) {
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

// ---- life

static bool all_final(const struct mpx_unit *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (!u->segments[i]->final)
            return false;
    return true;
}

// Where the pid says nothing, a second look a round later must do: an exec between two
// images takes less time.
bool mpx_unit_check_life(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->gone)
        return false;
    if (!all_final(u)) {
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

static bool sets_gauge(const struct mpx_segment *seg)
{
    for (size_t i = 0; seg->layout && i < seg->layout->count; i++)
        if (seg->layout->metrics[i]->type == MPROXY_GAUGE && !isnan(seg->values[i]))
            return true;
    return false;
}

// Whether all that an image adds are its counters: a process counts once in a gauge.
static bool is_plain(const struct mpx_segment *seg)
{
    const struct mpx_reader_state *state = mpx_reader_state(seg->reader);
    return seg->final && !sets_gauge(seg) && header_of(seg)->image >= IMAGES_FIRST &&
           !is_launch(seg) && !state->started && !state->finished && !state->final_set;
}

void mpx_unit_split(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->solo || u->count <= IMAGES_MAX)
        return;
    struct mpx_unit like = {.solo = true, .uid = u->uid, .jobid = u->jobid};
    struct mpx_unit *apart = add_unit(s, &like);
    if (!apart)
        return;
    for (size_t i = u->count; i-- > 1;) {
        struct mpx_segment *seg = u->segments[i];
        if (!is_plain(seg))
            continue;
        if (!reserve(apart))
            break;
        u->segments[i] = u->segments[--u->count];
        apart->segments[apart->count++] = seg;
        seg->unit = apart;
    }
    if (apart->count == 0) {
        mpx_unit_free(s, apart);
        return;
    }
    choose_first(apart);
    u->changed = true;
}

// A process that changed its job by exec has two units; only the one that counts now, or
// the one that there is, may take what /proc says.
static bool is_current(struct mpx_segments *s, const struct mpx_unit *u)
{
    if (!all_final(u))
        return true;
    for (const struct mpx_unit *o = *bucket_of(s, u); o; o = o->next)
        if (o != u && is_same_process(o, u) && !all_final(o))
            return false;
    return true;
}

void mpx_unit_sample(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->solo || u->gone || s->boot_ms < u->sample_at_ms || !is_local(s, u) ||
        !is_current(s, u))
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
        const struct mpx_seg_header *h = header_of(u->segments[i]);
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

static void tell_parts(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    p->part_count = 0;
    p->uncounted = 0;
    if (!u->solo) {
        mpx_vectors_fill_process(&u->used, u->started, u->finished, u->values);
        u->parts[p->part_count++] = (mproxy_part){s->process_layout, u->values};
    }
    for (size_t i = 0; i < u->count; i++) {
        const struct mpx_segment *seg = u->segments[i];
        p->uncounted |= mpx_reader_state(seg->reader)->flags;
        if (seg->damaged)
            p->uncounted |= MPX_OFF_DAMAGED;
        if (seg->is_cut)
            p->uncounted |= MPX_OFF_NAMES;
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
        if (header_of(u->segments[i])->rank > rank)
            rank = header_of(u->segments[i])->rank;
    return rank;
}

static void describe(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    const struct mpx_segment *first = u->segments[0];
    p->job = first->reader ? mpx_reader_job(first->reader) : &u->note;
    p->final = u->gone && all_final(u);
    for (size_t i = 0; i < u->count; i++)
        u->names[i] = u->segments[i]->key;
    p->segments = u->names;
    p->segment_count = u->count;
    if (!first->reader)
        return;
    p->rank = rank_of(u);
    p->passive = header_of(first)->kind == MPX_SEG_PASSIVE;
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
        if (!mpx_unit_keep_last_gauges(s, u))
            return mpx_fail(err, MPROXY_E_NOMEM, "segment '%s': no memory",
                            u->segments[0]->name);
        u->process.version++;
        u->changed = false;
    }
    describe(s, u);
    // The ledger may fold it now, and take nothing more for it.
    if (u->process.final)
        unlist(s, u);
    return mproxy_ledger_process(s->ledger, &u->process, err);
}
