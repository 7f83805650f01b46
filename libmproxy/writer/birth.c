// The life of a segment: its birth, its end, and what fork makes of it.
//
// Birth. The first page (and a second piece, when the job's description is long) is put
// together in memory and written by one write(), under a name that readers pass over, by
// a descriptor that holds the lock. Then the file is mapped, renamed, and the descriptor
// closed: a reader that sees the name sees a whole, locked segment, and the mapping
// keeps the lock until the process is gone. Whatever fails on the way leaves no file.
//
// Memory. Addresses are reserved once, without memory, and never move: threads hold
// pointers into their rows without any lock. If the limit of locked memory does not
// allow a reservation, row 0 is what the first page holds, and that is all.
//
// Fork. The child shares the parent's mapping at first, so before it may write anything
// anonymous memory is mapped over every address of the segment (detach). The definitions
// are saved before that, since the log is in the file. Then the child gets a file of its
// own with the same definitions in the same slots (rebirth), because handles and
// pointers into rows stay as they are. If it can't have one, its memory can still be
// written, and nobody reads it.
//
// All this runs in other people's programs, in a child of fork maybe inside malloc:
// memory comes from mmap() only, and nothing is printed.

#include "writer/writer.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "segment/rendezvous.h"
#include "writer/parts.h"

static void *map_memory(size_t length)
{
    void *p = mpx_mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool map_memory_at(void *at, size_t length)
{
    return length == 0 ||
           mpx_mmap(at, length, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                    0) != MAP_FAILED;
}

// ---- birth

static const char *job_string(const mproxy_job *job, int index)
{
    const char *strings[6] = {job->jobid,     job->command, job->nodelist,
                              job->partition, job->cluster, job->run_dir};
    return strings[index] ? strings[index] : "";
}

static size_t job_field_length(const mproxy_job *job, int index)
{
    static const size_t longest[6] = {MPROXY_JOB_ID_MAX,    MPROXY_JOB_COMMAND_MAX,
                                      MPROXY_JOB_FIELD_MAX, MPROXY_JOB_FIELD_MAX,
                                      MPROXY_JOB_FIELD_MAX, MPROXY_JOB_FIELD_MAX};
    return strnlen(job_string(job, index), longest[index]);
}

static size_t job_record_size(const mproxy_job *job)
{
    size_t size = sizeof(struct mpx_rec_job);
    for (int i = 0; i < 6; i++)
        size += job_field_length(job, i) + 1;
    return mpx_writer_round(size, 8);
}

static void write_job_record(const mproxy_job *job, size_t size, void *at)
{
    struct mpx_rec_job *record = at;
    record->head = (struct mpx_rec_head){.type = MPX_REC_JOB, .size = (uint32_t)size};
    record->job_size = job->size;
    record->start_time = job->start_time;
    char *text = (char *)(record + 1);
    for (int i = 0; i < 6; i++) {
        size_t length = job_field_length(job, i);
        record->length[i] = (uint32_t)length;
        memcpy(text, job_string(job, i), length);
        text += length + 1; // the image is zero
    }
}

// The first page, and a second part when the job record is too long for it.
struct image {
    char *at;
    size_t page, size; // of the first page, of both parts
    void *job;         // room for the job record
    size_t job_size;
};

static bool image_init(struct image *image, struct mpx_writer *w, size_t job_size)
{
    size_t page = w->page_size, need = job_size + sizeof(struct mpx_rec_next);
    bool fits = need <= MPX_WRITER_LOG_ROOM;
    *image = (struct image){.at = w->page, .page = page, .size = page};
    image->job_size = job_size;
    if (!fits)
        image->size += mpx_writer_round(need, page);
    if (image->size > sizeof w->page)
        image->at = map_memory(image->size);
    else
        memset(w->page, 0, sizeof w->page);
    if (!image->at)
        return false;
    image->job = image->at + (fits ? MPX_SEG_LOG_OFFSET : page);
    if (fits)
        return true;
    struct mpx_rec_next *next = (void *)(image->at + MPX_SEG_LOG_OFFSET);
    *next = (struct mpx_rec_next){.head = {MPX_REC_NEXT, sizeof *next},
                                  .offset = page,
                                  .length = image->size - page};
    return true;
}

static void image_fini(struct image *image, struct mpx_writer *w)
{
    if (image->at && image->at != w->page)
        mpx_munmap(image->at, image->size);
}

static void fill_header(struct mpx_seg_header *h, const struct image *image,
                        uint32_t rank, uint32_t kind)
{
    h->magic = MPX_SEG_MAGIC;
    h->version = MPX_SEG_VERSION;
    h->page_size = (uint32_t)image->page;
    h->rank = rank;
    h->kind = kind;
    h->log_count = image->size > image->page ? 2 : 1;
    mpx_segment_identify(h);
}

static unsigned map_image(struct mpx_writer *w, const struct image *image, int fd)
{
    int prot = PROT_READ | PROT_WRITE;
    size_t page = image->page, more = image->size - page;
    void *second = NULL;
    if (more) {
        second = mpx_mmap(NULL, more, prot, MAP_SHARED, fd, (off_t)page);
        if (second == MAP_FAILED)
            return MPX_OFF_MEMORY;
    }
    if (mpx_mmap(w->header, page, prot, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) ==
        MAP_FAILED) {
        if (second)
            mpx_munmap(second, more);
        return MPX_OFF_MEMORY;
    }
    char *log = (char *)w->header + MPX_SEG_LOG_OFFSET;
    size_t used = second ? sizeof(struct mpx_rec_next) : image->job_size;
    w->chunks[0] =
        (struct mpx_writer_chunk){.at = log, .length = MPX_WRITER_LOG_ROOM, .used = used};
    w->chunk_count = 1;
    if (second)
        w->chunks[w->chunk_count++] = (struct mpx_writer_chunk){
            .at = second, .length = more, .used = image->job_size};
    w->total_log = image->job_size;
    w->rows[0].at = (char *)w->header + MPX_SEG_ROW0_OFFSET;
    return 0;
}

static mproxy_status bear(struct mpx_writer *w, const struct image *image,
                          const char *dir_path, bool is_bounded, unsigned *reasons,
                          mproxy_error *err)
{
    char text[160];
    int fd;
    *reasons = mpx_segment_file_begin(&w->file, dir_path, is_bounded,
                                      (const void *)image->at, image->size, &fd);
    if (!*reasons && fd < 0)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "%s: no such directory", dir_path);
    if (!*reasons) {
        *reasons = map_image(w, image, fd);
        if (*reasons)
            mpx_segment_file_abandon(&w->file, fd);
        else
            *reasons = mpx_segment_file_finish(&w->file, w->header, fd);
    }
    if (*reasons)
        return mpx_fail(err, MPROXY_E_SYSTEM, "segment in %s: %s", dir_path,
                        mpx_off_reason_text(*reasons, text, sizeof text));
    return MPROXY_OK;
}

// Page 0 and row 0, which go on to any page that the file is mapped by.
static char *reserve_region(struct mpx_writer *w)
{
    size_t page = w->page_size, all = MPX_SEG_ROW0_OFFSET + MPX_WRITER_ROW_BYTES;
    w->region_bytes = mpx_writer_round(all, page);
    char *region = mpx_writer_reserve(w->region_bytes);
    if (region)
        return region;
    // Locked memory may be short: then row 0 is what the first page holds.
    w->region_bytes = page;
    return mpx_writer_reserve(w->region_bytes);
}

static struct mpx_writer *make_writer(size_t page)
{
    struct mpx_writer *w = map_memory(sizeof *w);
    if (!w)
        return NULL;
    w->row_count = 1;
    w->page_size = page;
    char *region = reserve_region(w);
    if (!region) {
        mpx_munmap(w, sizeof *w);
        return NULL;
    }
    uint32_t first = mpx_seg_row0_first((uint32_t)page);
    w->header = (void *)region;
    w->rows[0] = (struct mpx_writer_row_memory){
        .at = region + MPX_SEG_ROW0_OFFSET,
        .extent = first,
        .capacity = w->region_bytes > page ? MPX_SEG_SLOTS_MAX : first};
    return w;
}

mproxy_status mpx_writer_open(const struct mpx_writer_birth *birth,
                              struct mpx_writer **out, unsigned *reasons,
                              mproxy_error *err)
{
    *reasons = MPX_OFF_MEMORY;
    long page = birth->page_size ? (long)birth->page_size : sysconf(_SC_PAGESIZE);
    if (!mpx_seg_page_is_known(page))
        return mpx_fail(err, MPROXY_E_SYSTEM, "pages of %ld bytes, not of %d to %d", page,
                        MPX_SEG_PAGE, MPX_SEG_PAGE_MAX);
    struct mpx_writer *w = make_writer((size_t)page);
    if (!w)
        return mpx_fail_errno(err, "memory for a segment");
    struct image image;
    if (!image_init(&image, w, job_record_size(birth->job))) {
        mpx_writer_close(w);
        return mpx_fail_errno(err, "memory for a segment");
    }
    write_job_record(birth->job, image.job_size, image.job);
    fill_header((void *)image.at, &image, birth->rank, birth->kind);
    mproxy_status status =
        bear(w, &image, birth->dir_path, !birth->is_proxys, reasons, err);
    image_fini(&image, w);
    if (status) {
        mpx_writer_close(w);
        return status;
    }
    *out = w;
    return MPROXY_OK;
}

void mpx_writer_close(struct mpx_writer *w)
{
    if (!w)
        return;
    // A row with a hole is left: somebody else may live in the hole.
    for (uint32_t i = 1; i < MPX_SEG_ROWS_MAX && w->rows[i].at; i++)
        if (w->rows[i].capacity == MPX_SEG_SLOTS_MAX)
            mpx_munmap(w->rows[i].at, MPX_WRITER_ROW_BYTES);
    for (uint32_t i = 1; i < w->chunk_count; i++)
        mpx_munmap(w->chunks[i].at, w->chunks[i].length);
    if (w->saved)
        mpx_munmap(w->saved, w->saved_bytes);
    mpx_munmap(w->header, w->region_bytes);
    mpx_munmap(w, sizeof *w);
}

// ---- fork

// Walks the records of all chunks; what tells where things lie in the old file stays out.
static void save_records(struct mpx_writer *w)
{
    size_t total = 0;
    for (uint32_t i = 0; i < w->chunk_count; i++)
        total += w->chunks[i].used;
    w->saved_bytes = mpx_writer_round(total, w->page_size);
    w->saved_used = 0;
    w->saved = map_memory(w->saved_bytes);
    if (!w->saved)
        return;
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        const struct mpx_writer_chunk *c = &w->chunks[i];
        for (size_t at = 0; at < c->used;) {
            const struct mpx_rec_head *head = (const void *)(c->at + at);
            if (head->type == MPX_REC_JOB || head->type == MPX_REC_METRIC) {
                memcpy(w->saved + w->saved_used, head, head->size);
                w->saved_used += head->size;
            }
            at += head->size;
        }
    }
}

static size_t region_used(const struct mpx_writer *w)
{
    return MPX_SEG_ROW0_OFFSET + (size_t)w->rows[0].extent * 8;
}

bool mpx_writer_detach(struct mpx_writer *w)
{
    struct mpx_seg_header header = *w->header;
    if (!w->saved && w->chunk_count)
        save_records(w);
    for (uint32_t i = 1; i < w->chunk_count; i++)
        mpx_munmap(w->chunks[i].at, w->chunks[i].length);
    w->chunk_count = 0;
    w->file.attached = false;
    bool ok = map_memory_at(w->header, region_used(w));
    for (uint32_t i = 1; i < w->row_count; i++) {
        ok = map_memory_at(w->rows[i].at, (size_t)w->rows[i].extent * 8) && ok;
        w->rows[i].extent = 0;
    }
    if (!ok)
        return false;
    header.flags = header.log_count = header.started = header.finished = 0;
    header.left = 0;
    header.end_wall_ns = header.final_set = 0;
    memset(header.final, 0, sizeof header.final);
    *w->header = header;
    return true;
}

// Row 0 as large as it was, then the definitions.
static unsigned restore_log(struct mpx_writer *w, size_t from)
{
    struct mpx_writer_row_memory *row = &w->rows[0];
    uint32_t had = row->extent;
    row->extent = mpx_seg_row0_first((uint32_t)w->page_size);
    unsigned reasons = mpx_writer_extend(w, 0, had);
    if (reasons) {
        row->extent = had;
        return reasons;
    }
    while (from < w->saved_used) {
        const struct mpx_rec_head *head = (const void *)(w->saved + from);
        if ((reasons = mpx_writer_make_room(w, w->saved_used - from)))
            return reasons;
        void *record = mpx_writer_take_record(w, head->type, head->size);
        memcpy(record, head, head->size);
        mpx_writer_publish(w);
        from += head->size;
    }
    return 0;
}

static mproxy_status rebirth_saved(struct mpx_writer *w, struct image *image,
                                   unsigned *reasons, mproxy_error *err)
{
    char dir[MPX_SEGMENT_PATH_MAX];
    memcpy(dir, w->file.path, w->file.dir_length);
    dir[w->file.dir_length] = '\0';
    memcpy(image->job, w->saved, image->job_size);
    fill_header((void *)image->at, image, w->header->rank, w->header->kind);
    mproxy_status status = bear(w, image, dir, w->file.bounded, reasons, err);
    if (status)
        return status;
    *reasons = restore_log(w, image->job_size);
    if (!*reasons)
        return MPROXY_OK;
    // What is defined so far counts; nothing more can be had.
    w->file.attached = false;
    w->header->flags |= *reasons;
    return mpx_writer_fail(w, *reasons, err);
}

mproxy_status mpx_writer_rebirth(struct mpx_writer *w, unsigned *reasons,
                                 mproxy_error *err)
{
    *reasons = MPX_OFF_MEMORY;
    if (!w->saved)
        return mpx_fail(err, MPROXY_E_SYSTEM, "memory for a segment");
    struct image image;
    const struct mpx_rec_head *job = (const void *)w->saved;
    if (!image_init(&image, w, job->size))
        return mpx_fail_errno(err, "memory for a segment");
    mproxy_status status = rebirth_saved(w, &image, reasons, err);
    image_fini(&image, w);
    if (status == MPROXY_OK) {
        mpx_munmap(w->saved, w->saved_bytes);
        w->saved = NULL;
    }
    return status;
}
