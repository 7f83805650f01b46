// What fork makes of a segment: the child counts on at the same addresses, in a file of its own.
//
// The child begins with its parent's memory as the fork found it, which may be in the middle of
// another thread's change, and with the parent's file mapped and growing: other threads of the
// parent go on. So it believes `published` of its own memory, never the header's count, and
// copies the records up to there, which never change. Where things lie in the old file stays
// out of the new one.
//
// The file is made first and the mappings are replaced after, so that a child that can't have
// one can still say so in its parent's header. No mapping of the parent's may stay: it would
// keep the parent's segment from becoming final. Mappings are replaced by ones that weigh no
// more under RLIMIT_AS and RLIMIT_DATA: addresses without memory, or shared memory.

#include "writer/writer.h"

#include <string.h>

#include "base/err.h"
#include "base/sys.h"
#include "segment/rendezvous.h"
#include "writer/identity.h"
#include "writer/parts.h"

static bool map_over(void *at, size_t length, int prot)
{
    // What can be written is shared, for private memory counts against RLIMIT_DATA; it does
    // not matter with whom, as nobody reads it.
    int kind = prot == PROT_NONE ? MAP_PRIVATE : MAP_SHARED;
    return length == 0 ||
           mpx_mmap(at, length, prot, kind | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                    -1, 0) != MAP_FAILED;
}

static bool survives(const struct mpx_rec_head *head)
{
    return head->type == MPX_REC_JOB || head->type == MPX_REC_METRIC;
}

static struct mpx_writer_walk old_log(const struct mpx_writer *w)
{
    return (struct mpx_writer_walk){.chunks = w->old.chunks, .records = w->old.records};
}

// The log as it is now becomes the old one. A child that has no file has only an old one.
static void put_log_aside(struct mpx_writer *w)
{
    if (w->chunk_count == 0)
        return;
    uint32_t next = w->chunk_count < MPX_WRITER_CHUNKS_MAX;
    // With a chunk that a record leads to, though the count does not tell yet. No memcpy(), whose
    // code a child would have to touch first.
    for (uint32_t i = 0; i < w->chunk_count + next; i++) {
        w->old.chunks[i] = w->chunks[i];
        atomic_signal_fence(memory_order_seq_cst);
    }
    w->old.chunk_count = w->chunk_count;
    w->old.records = w->published;
    w->chunk_count = 0;
}

// Before the page is replaced that the old log begins in.
static void keep_first(struct mpx_writer *w)
{
    if (w->old.chunks[0].at != (char *)w->header + MPX_SEG_LOG_OFFSET)
        return;
    memcpy(w->old_first, w->old.chunks[0].at, MPX_WRITER_LOG_ROOM);
    w->old.chunks[0].at = w->old_first;
}

// How many records of the old log go into the image, and their bytes, to old.done and job_size:
// the job's, and all definitions if they fit into the first page and so do their slots. They
// mostly lie one after another: then the image has them where they are. False: there are more.
static bool choose_records(struct mpx_writer *w, struct mpx_writer_image *image)
{
    struct mpx_writer_walk walk = old_log(w);
    const struct mpx_rec_head *head;
    bool is_long = w->rows[0].extent > mpx_seg_row0_first((uint32_t)w->page_size);
    size_t room = image->start.size > image->page ? image->start.size - image->page
                                                  : MPX_WRITER_LOG_ROOM;
    const char *at = NULL;
    bool is_run = !image->mapped, is_whole = true;
    image->job_size = 0;
    w->old.done = 0;
    while ((head = mpx_writer_next(&walk))) {
        if (!survives(head))
            continue;
        // Row 0 first has to be as long as it was: the job's record alone.
        is_whole = image->job_size + head->size + sizeof(struct mpx_rec_next) <= room &&
                   !(is_long && w->old.done == 1);
        if (!is_whole)
            break;
        at = at ? at : (const char *)head;
        is_run = is_run && at + image->job_size == (const char *)head;
        image->job_size += head->size;
        w->old.done++;
    }
    if (is_run)
        image->job = (char *)(uintptr_t)at;
    return is_whole;
}

static void copy_records(const struct mpx_writer *w, char *to)
{
    struct mpx_writer_walk walk = old_log(w);
    const struct mpx_rec_head *head;
    for (uint32_t i = 0; i < w->old.done && (head = mpx_writer_next(&walk));) {
        if (!survives(head))
            continue;
        memcpy(to, head, head->size);
        to += head->size;
        i++;
    }
}

static const struct mpx_rec_head *find_job(const struct mpx_writer *w)
{
    struct mpx_writer_walk walk = old_log(w);
    const struct mpx_rec_head *head;
    while ((head = mpx_writer_next(&walk)))
        if (head->type == MPX_REC_JOB)
            return head;
    return NULL;
}

mproxy_status mpx_writer_child_begin(struct mpx_writer *w, int64_t before_fork_ns,
                                     unsigned *reasons, mproxy_error *err)
{
    mpx_segment_file_forget(&w->file);
    w->file.attached = false;
    put_log_aside(w);
    *reasons = MPX_OFF_MEMORY;
    w->old.image_bytes = 0;
    struct mpx_writer_image image;
    const struct mpx_rec_head *job = find_job(w);
    if (!job || !mpx_writer_image_init(&image, w, job->size))
        return mpx_fail_errno(err, "memory for a segment");
    char *room = image.job;
    bool is_whole = choose_records(w, &image);
    if (image.job == room)
        copy_records(w, room);
    w->old.job_size = image.job_size;
    mpx_writer_fill_header(&image, w->header->rank, w->header->kind);
    mpx_identity_of_child(image.start.header, w->header, before_fork_ns);
    image.start.header->log_count += w->old.done - 1;
    *reasons = mpx_writer_image_write(w, &image, NULL, w->file.bounded);
    // It is looked at once more.
    if (image.mapped)
        w->first.header = *image.start.header;
    bool is_there = !*reasons && w->file.fd >= 0;
    if (is_there)
        w->old.image_bytes = image.start.size;
    mpx_writer_image_fini(&image);
    w->old.is_whole = is_whole;
    if (is_there)
        return MPROXY_OK;
    return mpx_fail(err, *reasons ? MPROXY_E_SYSTEM : MPROXY_E_NOTFOUND,
                    "segment of a child: %s", *reasons ? "no file" : "no directory");
}

// The parent's rows above 0: nobody writes there but the update that is pending, if one is.
static bool detach_rows(struct mpx_writer *w, uint32_t pending)
{
    bool ok = true;
    // One that is just being added is not in row_count.
    for (uint32_t i = 1; i < MPX_SEG_ROWS_MAX && w->rows[i].at; i++) {
        int prot = i == pending ? PROT_READ | PROT_WRITE : PROT_NONE;
        ok = map_over(w->rows[i].at, (size_t)w->rows[i].extent * 8, prot) && ok;
        w->rows[i].extent = 0;
    }
    return ok;
}

static bool detach_row_0(struct mpx_writer *w)
{
    size_t used = MPX_SEG_ROW0_OFFSET + (size_t)w->rows[0].extent * 8;
    return used <= w->page_size || map_over((char *)w->header + w->page_size,
                                            used - w->page_size, PROT_READ | PROT_WRITE);
}

// The file that was made comes where the parent's first page was; or memory does.
static bool replace_first_page(struct mpx_writer *w)
{
    struct mpx_writer_image image = {
        .start = {.header = &w->first.header, .size = w->old.image_bytes},
        .page = w->page_size,
        .job_size = w->old.job_size};
    if (!w->old.image_bytes || !w->old.is_whole)
        keep_first(w);
    if (w->old.image_bytes && mpx_writer_image_map(w, &image) == MPX_OFF_NONE)
        return true;
    keep_first(w);
    w->old.image_bytes = 0;
    w->chunk_count = 0;
    struct mpx_seg_header header = {.magic = MPX_SEG_MAGIC,
                                    .pid = (uint32_t)mpx_getpid(),
                                    .rank = w->header->rank,
                                    .kind = w->header->kind};
    if (!map_over(w->header, w->page_size, PROT_READ | PROT_WRITE))
        return false;
    *w->header = header;
    return true;
}

bool mpx_writer_child_detach(struct mpx_writer *w, uint32_t pending)
{
    bool ok = detach_rows(w, pending);
    // What another thread had just mapped: behind a row, or for the log.
    ok = map_over(w->file.mapped_at, w->file.mapped_length, PROT_NONE) && ok;
    mpx_segment_file_settle(&w->file);
    ok = detach_row_0(w) && ok;
    // The parent's first page is still there, and tells of a child that counts nothing.
    if (!ok)
        __atomic_fetch_or(&w->header->flags, MPX_OFF_CHILD, __ATOMIC_RELAXED);
    return ok && replace_first_page(w);
}

// The definitions that are not there yet.
static unsigned restore_definitions(struct mpx_writer *w)
{
    struct mpx_writer_walk walk = old_log(w);
    const struct mpx_rec_head *head;
    unsigned reasons;
    for (uint32_t i = 0; (head = mpx_writer_next(&walk));) {
        if (!survives(head) || i++ < w->old.done)
            continue;
        if ((reasons = mpx_writer_make_room(w, head->size)))
            return reasons;
        memcpy(mpx_writer_take_record(w, head->type, head->size), head, head->size);
        mpx_writer_publish(w);
    }
    return 0;
}

// Row 0 as large as it was, then those.
static unsigned restore_log(struct mpx_writer *w)
{
    struct mpx_writer_row_memory *row = &w->rows[0];
    uint32_t had = row->extent, first = mpx_seg_row0_first((uint32_t)w->page_size);
    if (had == first) // not written where it is so already: that costs a page
        return w->old.is_whole ? 0 : restore_definitions(w);
    row->extent = first;
    unsigned reasons = mpx_writer_extend(w, 0, had);
    if (reasons) {
        row->extent = had;
        return reasons;
    }
    return w->old.is_whole ? 0 : restore_definitions(w);
}

static void release_old_log(struct mpx_writer *w)
{
    for (uint32_t i = 1; i < w->old.chunk_count; i++)
        mpx_munmap(w->old.chunks[i].at, w->old.chunks[i].length);
    if (w->old.saved)
        mpx_munmap(w->old.saved, w->old.saved_bytes);
    w->old.saved = NULL;
    w->old.chunk_count = w->old.records = 0;
}

// There is no file: a child of this one may have more luck.
static void save_old_log(struct mpx_writer *w)
{
    if (w->old.saved)
        return;
    size_t total = 0, used = 0;
    uint32_t records = 0;
    for (uint32_t i = 0; i < w->old.chunk_count; i++)
        total += w->old.chunks[i].used;
    size_t bytes = mpx_writer_round(total, w->page_size);
    char *saved = mpx_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (saved == MAP_FAILED)
        saved = NULL;
    struct mpx_writer_walk walk = old_log(w);
    const struct mpx_rec_head *head;
    while (saved && (head = mpx_writer_next(&walk))) {
        if (!survives(head))
            continue;
        memcpy(saved + used, head, head->size);
        used += head->size;
        records++;
    }
    release_old_log(w);
    w->old.saved = saved;
    w->old.saved_bytes = bytes;
    w->old.chunks[0] =
        (struct mpx_writer_chunk){.at = saved, .length = bytes, .used = used};
    w->old.records = records;
}

mproxy_status mpx_writer_child_restore(struct mpx_writer *w, unsigned *reasons,
                                       mproxy_error *err)
{
    *reasons = MPX_OFF_MEMORY;
    if (!w->old.image_bytes) {
        save_old_log(w);
        return mpx_fail(err, MPROXY_E_SYSTEM, "no segment");
    }
    *reasons = restore_log(w);
    release_old_log(w);
    if (!*reasons) {
        mpx_writer_resume(w);
        return MPROXY_OK;
    }
    // What is defined so far counts; nothing more can be had. Handles of the others count on
    // in their slots, which so must not be given to anybody else, in a child of this one either.
    w->file.attached = false;
    w->file.let_go_for = *reasons;
    w->slots_taken = w->slot_end;
    w->header->flags |= *reasons;
    return mpx_writer_fail(w, *reasons, err);
}

void mpx_writer_drop(struct mpx_writer *w)
{
    mpx_segment_file_forget(&w->file);
    if (w->chunks[1].at)
        mpx_munmap(w->chunks[1].at, w->chunks[1].length);
    mpx_munmap(w->header, w->region_bytes);
    mpx_writer_free(w);
}
