// From a unit to what the ledger takes.

#include "processes/private.h"

#include "base/err.h"

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

static void tell_parts(const struct mpx_segments *s, struct mpx_unit *u)
{
    mproxy_process *p = &u->process;
    p->part_count = 0;
    p->uncounted = 0;
    if (!u->solo) {
        // An exec takes its time: whether another image comes is known when it is gone.
        struct mpx_process_end end = {.started = u->started,
                                      .finished = u->finished,
                                      .left = p->final && u->started && u->left &&
                                              !u->finished};
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
        if (!mpx_unit_keep_last_gauges(s, u))
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
