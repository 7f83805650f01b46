// Units: which segments are one process.
//
// A process that calls exec leaves a segment behind and begins another one. To the
// ledger it is one process all the same: its counters add up, it counts once in a gauge,
// and it is alive while any of its segments is. So segments of the same user, PID
// namespace, pid, start time and job are one unit. The job belongs to the identity
// because an exec may change it; then there are two units, and what /proc says of the
// process goes to the one that counts now.
//
// The first segment of a unit tells job and times: the oldest of the program's own, a
// launcher's only if there is no other.
//
// Segments that the proxy writes itself, and links of processes that do not count, are
// units of their own (`solo`): no process has their identity, and two of them never
// belong together.
//
// A unit that was handed over as final is taken out of the index: what comes under its
// identity later, as with a pid that was given again, belongs to another unit.
//
// A process that calls exec in a loop would collect segments without end. Beyond 64 of
// them the images in the middle, which are over and add nothing but counters, are split
// off as a process of their own and folded; the first ones stay, since the client looks
// there whether its process has started.

#include "processes/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/metric.h"

enum {
    SAMPLE_FIRST_MS = 1000,
    IMAGES_MAX = 64,   // of a unit
    IMAGES_FIRST = 16, // stay: the client looks there whether the process has started
};

static bool is_same_process(const struct mpx_unit *a, const struct mpx_unit *b)
{
    return a->pid == b->pid && a->start_ticks == b->start_ticks &&
           a->pid_ns == b->pid_ns && a->uid == b->uid;
}

static uint32_t hash_of(const struct mpx_unit *u)
{
    return mpx_hash_u64((u->pid_ns * 31 + u->start_ticks) * UINT64_C(0x9E3779B97F4A7C15) ^
                        u->pid);
}

static struct mpx_unit *find_unit(const struct mpx_segments *s,
                                  const struct mpx_unit *like)
{
    uint32_t hash = hash_of(like), at = mpx_index_start(&s->by_identity, hash);
    for (uint32_t i; mpx_index_next(&s->by_identity, hash, &at, &i);)
        if (is_same_process(s->units[i], like) &&
            strcmp(s->units[i]->jobid, like->jobid) == 0)
            return s->units[i];
    return NULL;
}

// ---- birth and end

void mpx_unit_unlist(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->listed)
        mpx_index_remove(&s->by_identity, u->hash, u->place);
    u->listed = false;
}

static bool reserve_unit(struct mpx_segments *s)
{
    return MPX_RESERVE(s->units, s->unit_room, s->unit_count + 1) &&
           mpx_index_reserve(&s->by_identity, (uint32_t)s->unit_count + 1);
}

static struct mpx_unit *add_unit(struct mpx_segments *s, const struct mpx_unit *like)
{
    struct mpx_unit *u = reserve_unit(s) ? malloc(sizeof *u) : NULL;
    if (!u)
        return NULL;
    *u = *like;
    u->process.key = ++s->next_key;
    u->process.uid = u->uid;
    u->sample_at_ms = s->boot_ms + SAMPLE_FIRST_MS;
    u->place = (uint32_t)s->unit_count;
    s->units[s->unit_count++] = u;
    if (u->solo)
        return u;
    u->hash = hash_of(u);
    mpx_index_put(&s->by_identity, u->hash, u->place);
    u->listed = true;
    struct mpx_sample_key key = {u->pid_ns, u->pid, u->start_ticks, u->uid};
    if (s->samples)
        u->sample = mpx_samples_claim(s->samples, &key);
    if (u->sample != MPX_SAMPLE_NONE)
        mpx_samples_get(s->samples, u->sample, &u->used);
    return u;
}

static void free_unit(struct mpx_segments *s, struct mpx_unit *u)
{
    mpx_unit_unlist(s, u);
    struct mpx_unit *last = s->units[--s->unit_count];
    if (last->listed)
        mpx_index_move(&s->by_identity, last->hash, last->place, u->place);
    last->place = u->place;
    s->units[last->place] = last;
    mproxy_job_clear(&u->note);
    free(u->segments);
    free(u->parts);
    free(u->names);
    free(u);
}

static bool reserve(struct mpx_unit *u)
{
    size_t room = mpx_array_room(u->room, u->count + 1);
    if (room == u->room)
        return true;
    if (!MPX_RESERVE_TO(u->segments, room) || !MPX_RESERVE_TO(u->parts, room + 1) ||
        !MPX_RESERVE_TO(u->names, room))
        return false;
    u->room = room;
    return true;
}

// What a launcher says of the job counts less than what the program says, and of several
// images the first one is asked.
static bool tells_more(const struct mpx_segment *a, const struct mpx_segment *b)
{
    if (mpx_segment_is_launch(a) != mpx_segment_is_launch(b))
        return mpx_segment_is_launch(b);
    return mpx_segment_header(a)->birth_boot_ns < mpx_segment_header(b)->birth_boot_ns;
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

bool mpx_unit_adopt(struct mpx_segments *s, struct mpx_segment *seg)
{
    const struct mpx_seg_header *h = mpx_segment_header(seg);
    struct mpx_unit like = {
        .solo = h->kind == MPX_SEG_GATEWAY || h->kind == MPX_SEG_PASSIVE,
        .uid = mpx_reader_user(seg->reader),
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
            free_unit(s, u);
        return false;
    }
    u->segments[u->count++] = seg;
    u->changed = true;
    seg->unit = u;
    choose_first(u);
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
        free_unit(s, u);
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
    free_unit(s, u);
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
    return seg->final && !sets_gauge(seg) &&
           mpx_segment_header(seg)->image >= IMAGES_FIRST &&
           !mpx_segment_is_launch(seg) && !state->started && !state->finished &&
           !state->final_set;
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
        free_unit(s, apart);
        return;
    }
    choose_first(apart);
    u->changed = true;
}

// ---- life

bool mpx_unit_is_final(const struct mpx_unit *u)
{
    for (size_t i = 0; i < u->count; i++)
        if (!u->segments[i]->final)
            return false;
    return true;
}

bool mpx_unit_is_current(const struct mpx_segments *s, const struct mpx_unit *u)
{
    if (!mpx_unit_is_final(u))
        return true;
    uint32_t hash = hash_of(u), at = mpx_index_start(&s->by_identity, hash);
    for (uint32_t i; mpx_index_next(&s->by_identity, hash, &at, &i);)
        if (s->units[i] != u && is_same_process(s->units[i], u) &&
            !mpx_unit_is_final(s->units[i]))
            return false;
    return true;
}
