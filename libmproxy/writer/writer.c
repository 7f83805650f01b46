// The writing side of a segment: the record log, the rows and the definitions.
//
// Everything is appended. Memory is there before the record that speaks of it, and the
// record is whole before the count of records is raised, by a release store; a reader
// that loads the count first can rely on all before it (reader/sample.c). What is
// published never changes.
//
// The log is a chain of chunks. Each keeps room for the record that leads to the next,
// so there is always a way on; chunks grow with the log, so that many definitions make
// few mappings. mpx_writer_make_room() can fail, mpx_writer_take_record() after it
// cannot: nothing half written is ever left.
//
// Row 0 covers every slot that is defined, before the definition is published: whatever
// else can't be had, a counter can be raised there. Rows of threads follow when a thread
// first needs them; one that can't be had costs speed and no count. A row grows in
// place, into its reservation. If a mapping failed and may have left a hole, the row
// stays as long as it is, for somebody else may live in the hole now.
//
// A failure sets its reason in the header's flags, so that the proxy tells that this
// process counts in part.
//
// The caller serialises all calls; only slots are written by others, the threads that
// own rows.

#include "writer/writer.h"

#include <string.h>

#include "base/err.h"
#include "base/sys.h"
#include "segment/rendezvous.h"
#include "writer/parts.h"

// Under mlockall(MCL_FUTURE) a reservation counts against the program's limit: give back.
char *mpx_writer_reserve(size_t length)
{
    void *p = mpx_mmap(NULL, length, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    mpx_munlock(p, length);
    return p;
}

mproxy_status mpx_writer_fail(struct mpx_writer *w, unsigned reasons, mproxy_error *err)
{
    char text[160];
    return mpx_fail(err, reasons & MPX_OFF_LIMIT ? MPROXY_E_LIMIT : MPROXY_E_SYSTEM,
                    "segment of process %u cannot grow: %s", w->header->pid,
                    mpx_off_reason_text(reasons, text, sizeof text));
}

// ---- the log

// What is stored before comes before what is stored after, whoever stops in between; other
// threads see a fork in that order too.
static void in_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

void mpx_writer_publish(struct mpx_writer *w)
{
    struct mpx_writer_chunk *c = &w->chunks[w->chunk_count - 1];
    size_t size = ((const struct mpx_rec_head *)(const void *)(c->at + c->used))->size;
    __atomic_store_n(&w->header->log_count, w->published + 1, __ATOMIC_RELEASE);
    in_order();
    w->published++;
    in_order();
    c->used += size;
    w->total_log += size;
}

void *mpx_writer_take_record(struct mpx_writer *w, uint32_t type, size_t size)
{
    struct mpx_writer_chunk *c = &w->chunks[w->chunk_count - 1];
    struct mpx_rec_head *head = (void *)(c->at + c->used);
    *head = (struct mpx_rec_head){.type = type, .size = (uint32_t)size};
    return head;
}

static unsigned add_chunk(struct mpx_writer *w, size_t size)
{
    if (w->chunk_count == MPX_WRITER_CHUNKS_MAX)
        return MPX_OFF_LIMIT;
    size_t want = size + sizeof(struct mpx_rec_next);
    if (want < w->total_log / 2)
        want = w->total_log / 2;
    size_t length = mpx_writer_round(want, w->page_size);
    uint64_t offset;
    void *at;
    bool hole;
    unsigned reasons = mpx_segment_file_grow(&w->file, length, NULL, &at, &offset, &hole);
    if (reasons)
        return reasons;
    struct mpx_rec_next *next = mpx_writer_take_record(w, MPX_REC_NEXT, sizeof *next);
    next->offset = offset;
    next->length = length;
    w->chunks[w->chunk_count] = (struct mpx_writer_chunk){.at = at, .length = length};
    in_order();
    mpx_writer_publish(w);
    w->chunk_count++;
    in_order();
    mpx_segment_file_settle(&w->file);
    return 0;
}

// Make sure that the next record of this size fits; mpx_writer_take_record() cannot fail then.
unsigned mpx_writer_make_room(struct mpx_writer *w, size_t size)
{
    // A child that could not have a file of its own, or no whole one.
    if (w->chunk_count == 0 || !w->file.attached)
        return w->file.let_go_for ? w->file.let_go_for : MPX_OFF_REMOVED;
    const struct mpx_writer_chunk *c = &w->chunks[w->chunk_count - 1];
    if (w->published + 2 > MPX_SEG_RECORDS_MAX)
        return MPX_OFF_LIMIT;
    if (c->used + size + sizeof(struct mpx_rec_next) <= c->length)
        return 0;
    return add_chunk(w, size);
}

struct mpx_seg_header *mpx_writer_header(struct mpx_writer *w)
{
    return w->header;
}

const char *mpx_writer_path(const struct mpx_writer *w)
{
    return w->file.path;
}

bool mpx_writer_is_gone(const struct mpx_writer *w)
{
    return mpx_segment_file_is_gone(&w->file);
}

bool mpx_writer_started_before(struct mpx_writer *w)
{
    return mpx_segment_file_started_before(&w->file, w->header);
}

// ---- rows

// Row 0 begins with the slots of the first page, so all extents begin on a page.
unsigned mpx_writer_extend(struct mpx_writer *w, uint32_t number, uint32_t slots)
{
    struct mpx_writer_row_memory *row = &w->rows[number];
    if (slots <= row->extent)
        return 0;
    if (slots > row->capacity)
        return MPX_OFF_LIMIT;
    // Half as much again, so that many definitions make few mappings.
    uint32_t more = slots - row->extent;
    if (more < row->extent / 2)
        more = row->extent / 2;
    // Row 0 does not end with a page: the rest of its last one is not used.
    more = (uint32_t)mpx_writer_round(more, w->page_size / 8);
    if (more > row->capacity - row->extent)
        more = row->capacity - row->extent;
    size_t length = mpx_writer_round(more * UINT64_C(8), w->page_size);
    unsigned reasons = mpx_writer_make_room(w, sizeof(struct mpx_rec_extent));
    if (reasons)
        return reasons;
    void *at = row->at + (size_t)row->extent * 8, *mapped;
    uint64_t offset;
    bool hole;
    reasons = mpx_segment_file_grow(&w->file, length, at, &mapped, &offset, &hole);
    if (hole)
        row->capacity = row->extent; // somebody else may live there now
    if (reasons)
        return reasons;
    struct mpx_rec_extent *record =
        mpx_writer_take_record(w, MPX_REC_EXTENT, sizeof *record);
    record->row = number;
    record->first = row->extent;
    record->count = more;
    record->reserved = 0;
    record->offset = offset;
    mpx_writer_publish(w);
    row->extent += more;
    in_order();
    mpx_segment_file_settle(&w->file);
    return 0;
}

struct mpx_row mpx_writer_row(const struct mpx_writer *w, uint32_t row)
{
    return (struct mpx_row){.slots = (_Atomic uint64_t *)(void *)w->rows[row].at,
                            .extent = w->rows[row].extent};
}

uint32_t mpx_writer_row_count(const struct mpx_writer *w)
{
    return w->row_count;
}

uint32_t mpx_writer_slot_end(const struct mpx_writer *w)
{
    return w->slot_end;
}

mproxy_status mpx_writer_add_row(struct mpx_writer *w, uint32_t slots, uint32_t *row,
                                 mproxy_error *err)
{
    if (w->row_count == MPX_SEG_ROWS_MAX)
        return mpx_writer_fail(w, MPX_OFF_LIMIT, err);
    // A reservation that could not be filled is there for the next try.
    struct mpx_writer_row_memory *new = &w->rows[w->row_count];
    if (!new->at) {
        new->at = mpx_writer_reserve(MPX_WRITER_ROW_BYTES);
        new->capacity = MPX_SEG_SLOTS_MAX;
    }
    if (!new->at)
        return mpx_writer_fail(w, MPX_OFF_MEMORY, err);
    unsigned reasons = mpx_writer_extend(w, w->row_count, slots ? slots : 1);
    if (reasons)
        return mpx_writer_fail(w, reasons, err);
    *row = w->row_count++;
    return MPROXY_OK;
}

mproxy_status mpx_writer_extend_row(struct mpx_writer *w, uint32_t row, uint32_t slots,
                                    mproxy_error *err)
{
    unsigned reasons = mpx_writer_extend(w, row, slots);
    return reasons ? mpx_writer_fail(w, reasons, err) : MPROXY_OK;
}

// ---- definitions

static uint32_t slots_of(enum mpx_def_kind kind, uint32_t bound_count)
{
    switch (kind) {
    case MPX_DEF_GAUGE:
        return 2;
    case MPX_DEF_HISTOGRAM:
        return bound_count + 2;
    case MPX_DEF_COUNTER:
    case MPX_DEF_FCOUNTER:
        break;
    }
    return 1;
}

struct definition {
    enum mpx_def_kind kind;
    const char *name, *doc;
    size_t name_length, doc_length;
    double scale;
    const double *bounds;
    uint32_t bound_count, slot, slot_count;
};

static size_t definition_size(const struct definition *d)
{
    return mpx_writer_round(sizeof(struct mpx_rec_metric) +
                                d->bound_count * sizeof(double) + d->name_length +
                                d->doc_length + 2,
                            8);
}

static unsigned make_room_for(struct mpx_writer *w, const struct definition *d)
{
    if (w->defs == MPX_SEG_DEFS_MAX || d->slot + d->slot_count > MPX_SEG_SLOTS_MAX)
        return MPX_OFF_LIMIT;
    unsigned reasons = mpx_writer_extend(w, 0, d->slot + d->slot_count);
    return reasons ? reasons : mpx_writer_make_room(w, definition_size(d));
}

// Its last bytes are NULs and padding, over whatever was left there half written.
static void write_definition(struct mpx_writer *w, const struct definition *d)
{
    size_t size = definition_size(d);
    struct mpx_rec_metric *record = mpx_writer_take_record(w, MPX_REC_METRIC, size);
    record->kind = d->kind;
    record->slot = d->slot;
    record->slot_count = d->slot_count;
    record->bound_count = d->bound_count;
    record->scale = d->scale;
    record->name_length = (uint32_t)d->name_length;
    record->doc_length = (uint32_t)d->doc_length;
    char *at = (char *)(record + 1);
    if (d->bound_count)
        memcpy(at, d->bounds, d->bound_count * sizeof(double));
    at += d->bound_count * sizeof(double);
    memcpy(at, d->name, d->name_length);
    at[d->name_length] = '\0';
    at += d->name_length + 1;
    memcpy(at, d->doc, d->doc_length);
    at += d->doc_length;
    memset(at, 0, size - (size_t)(at - (char *)record));
    mpx_writer_publish(w);
}

mproxy_status mpx_writer_define(struct mpx_writer *w, enum mpx_def_kind kind,
                                const char *name, const char *doc, double scale,
                                const double *bounds, uint32_t bound_count,
                                uint32_t *slot, mproxy_error *err)
{
    struct definition d = {.kind = kind,
                           .name = name,
                           .doc = doc ? doc : "",
                           .name_length = strlen(name),
                           .scale = scale,
                           .bounds = bounds,
                           .bound_count = kind == MPX_DEF_HISTOGRAM ? bound_count : 0,
                           .slot = w->slot_end};
    d.doc_length = strlen(d.doc);
    d.slot_count = slots_of(kind, d.bound_count);
    if (d.name_length == 0 || d.name_length > MPX_SEG_NAME_MAX ||
        d.doc_length > MPX_SEG_DOC_MAX || d.bound_count > MPX_SEG_BOUNDS_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "metric '%.80s': name, doc or bounds long",
                        name);
    unsigned reasons = make_room_for(w, &d);
    if (reasons) {
        w->header->flags |= reasons;
        return mpx_writer_fail(w, reasons, err);
    }
    write_definition(w, &d);
    w->defs++;
    w->slot_end += d.slot_count;
    *slot = d.slot;
    return MPROXY_OK;
}

// ---- what follows from the log

const struct mpx_rec_head *mpx_writer_next(struct mpx_writer_walk *walk)
{
    if (walk->records == 0)
        return NULL;
    const struct mpx_writer_chunk *c = &walk->chunks[walk->chunk];
    const struct mpx_rec_head *head = (const void *)(c->at + walk->at);
    walk->records--;
    walk->at += head->size;
    if (head->type == MPX_REC_NEXT) {
        walk->chunk++;
        walk->at = 0;
    }
    return head;
}

static void follow_record(struct mpx_writer *w, const struct mpx_rec_head *head)
{
    w->chunks[w->chunk_count - 1].used += head->size;
    w->total_log += head->size;
    if (head->type == MPX_REC_NEXT)
        w->chunks[w->chunk_count++].used = 0;
    if (head->type == MPX_REC_METRIC) {
        const struct mpx_rec_metric *m = (const void *)head;
        w->defs++;
        w->slot_end = m->slot + m->slot_count;
    }
    if (head->type == MPX_REC_EXTENT) {
        const struct mpx_rec_extent *e = (const void *)head;
        w->rows[e->row].extent = e->first + e->count;
        if (e->row >= w->row_count)
            w->row_count = e->row + 1;
    }
}

// Not written where it is so already: a forked child would be given a page for it.
static void set_extent(struct mpx_writer_row_memory *row, uint32_t extent)
{
    if (row->extent != extent)
        row->extent = extent;
}

// The last mapping is in use if the log tells of it. Else nobody knows of it, and a forked child
// would keep the file of its parent: a row's addresses are reserved again, others given back.
static void settle_mapping(struct mpx_writer *w)
{
    char *at = w->file.mapped_at;
    size_t length = w->file.mapped_length;
    mpx_segment_file_settle(&w->file);
    if (length == 0)
        return;
    for (uint32_t i = 1; i < w->chunk_count; i++)
        if (w->chunks[i].at == at)
            return;
    for (uint32_t i = 0; i < MPX_SEG_ROWS_MAX && w->rows[i].at; i++) {
        const struct mpx_writer_row_memory *row = &w->rows[i];
        if (at < row->at || at >= row->at + row->capacity * UINT64_C(8))
            continue;
        if (at >= row->at + row->extent * UINT64_C(8))
            mpx_mmap(at, length, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        return;
    }
    mpx_munmap(at, length);
}

void mpx_writer_resume(struct mpx_writer *w)
{
    mpx_segment_file_forget(&w->file);
    if (w->chunk_count == 0)
        return;
    w->published = __atomic_load_n(&w->header->log_count, __ATOMIC_ACQUIRE);
    w->total_log = 0;
    w->slot_end = w->defs = 0;
    set_extent(&w->rows[0], mpx_seg_row0_first((uint32_t)w->page_size));
    for (uint32_t i = 1; i < w->row_count; i++)
        set_extent(&w->rows[i], 0);
    w->chunk_count = 1;
    w->chunks[0].used = 0;
    struct mpx_writer_walk walk = {.chunks = w->chunks, .records = w->published};
    const struct mpx_rec_head *head;
    while ((head = mpx_writer_next(&walk)))
        follow_record(w, head);
    if (w->slot_end < w->slots_taken)
        w->slot_end = w->slots_taken;
    settle_mapping(w);
}

void mpx_writer_each(const struct mpx_writer *w, mpx_writer_visit *visit, void *arg)
{
    struct mpx_writer_walk walk = {.chunks = w->chunks,
                                   .records = w->chunk_count ? w->published : 0};
    const struct mpx_rec_head *head;
    while ((head = mpx_writer_next(&walk)))
        if (head->type == MPX_REC_METRIC)
            visit((const void *)head, arg);
}
