// The life of a segment: its birth and its end; what fork makes of it is in child.c.
//
// Birth. The first page (and a second piece, when the job's description is long) is put
// together in memory and written by one write(), under a name that readers pass over, by
// a descriptor that holds the lock. Then the file is renamed, mapped, and the descriptor
// closed: a reader that sees the name sees a whole, locked segment, and the mapping
// keeps the lock until the process is gone. Whatever fails on the way leaves no file.
//
// Memory. Addresses are reserved once, without memory, and never move: threads hold
// pointers into their rows without any lock. If the limit of locked memory does not
// allow a reservation, row 0 is what the first page holds, and that is all.
//
// All this runs in other people's programs, in a child of fork maybe inside malloc:
// memory comes from mmap() only, and nothing is printed.

#include "writer/writer.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "segment/rendezvous.h"
#include "writer/identity.h"
#include "writer/parts.h"

static void *map_memory(size_t length)
{
    void *p = mpx_mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
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

bool mpx_writer_image_init(struct mpx_writer_image *image, struct mpx_writer *w,
                           size_t job_size)
{
    size_t page = w->page_size, need = job_size + sizeof(struct mpx_rec_next);
    bool fits = need <= MPX_WRITER_LOG_ROOM;
    *image = (struct mpx_writer_image){.at = w->page, .page = page, .size = page};
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

void mpx_writer_image_fini(struct mpx_writer_image *image, struct mpx_writer *w)
{
    if (image->at && image->at != w->page)
        mpx_munmap(image->at, image->size);
}

void mpx_writer_fill_header(struct mpx_seg_header *h,
                            const struct mpx_writer_image *image, uint32_t rank,
                            uint32_t kind)
{
    h->magic = MPX_SEG_MAGIC;
    h->version = MPX_SEG_VERSION;
    h->page_size = (uint32_t)image->page;
    h->rank = rank;
    h->kind = kind;
    h->log_count = image->size > image->page ? 2 : 1;
}

unsigned mpx_writer_image_write(struct mpx_writer *w,
                                const struct mpx_writer_image *image,
                                const char *dir_path, bool is_bounded)
{
    struct mpx_seg_header *header = (void *)image->at;
    unsigned reasons =
        mpx_segment_file_begin(&w->file, dir_path, is_bounded, header, image->size);
    if (reasons || w->file.fd < 0)
        return reasons;
    return mpx_segment_file_rename(&w->file, header);
}

static bool map_second(struct mpx_writer *w, const struct mpx_writer_image *image)
{
    size_t length = image->size - image->page;
    void *at = mpx_writer_reserve(length);
    if (!at)
        return false;
    w->chunks[1] =
        (struct mpx_writer_chunk){.at = at, .length = length, .used = image->job_size};
    return mpx_mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                    w->file.fd, (off_t)image->page) != MAP_FAILED;
}

unsigned mpx_writer_image_map(struct mpx_writer *w, const struct mpx_writer_image *image)
{
    int flags = MAP_SHARED | MAP_FIXED;
    bool has_second = image->size > image->page;
    if ((has_second && !map_second(w, image)) ||
        mpx_mmap(w->header, image->page, PROT_READ | PROT_WRITE, flags, w->file.fd, 0) ==
            MAP_FAILED) {
        mpx_segment_file_abandon(&w->file);
        return MPX_OFF_MEMORY;
    }
    if (!mpx_segment_file_finish(&w->file, w->header)) {
        mpx_segment_file_abandon(&w->file);
        return MPX_OFF_DESCRIPTOR;
    }
    const struct mpx_seg_header *header = (const void *)image->at;
    w->published = header->log_count;
    w->chunks[0] = (struct mpx_writer_chunk){.at = (char *)w->header + MPX_SEG_LOG_OFFSET,
                                             .length = MPX_WRITER_LOG_ROOM,
                                             .used = sizeof(struct mpx_rec_next)};
    if (!has_second)
        w->chunks[0].used = image->job_size;
    w->chunk_count = has_second ? 2 : 1;
    w->total_log = image->job_size;
    return 0;
}

static mproxy_status bear(struct mpx_writer *w, const struct mpx_writer_image *image,
                          const struct mpx_writer_birth *birth, unsigned *reasons,
                          mproxy_error *err)
{
    char text[160];
    *reasons = mpx_writer_image_write(w, image, birth->dir_path, !birth->is_proxys);
    if (!*reasons && w->file.fd < 0)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "%s: no such directory", birth->dir_path);
    if (!*reasons)
        *reasons = mpx_writer_image_map(w, image);
    if (*reasons)
        return mpx_fail(err, MPROXY_E_SYSTEM, "segment in %s: %s", birth->dir_path,
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
    w->file.fd = -1;
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
    struct mpx_writer *w = make_writer((size_t)page), *before = *out;
    if (!w)
        return mpx_fail_errno(err, "memory for a segment");
    *out = w;
    struct mpx_writer_image image;
    mproxy_status status;
    if (mpx_writer_image_init(&image, w, job_record_size(birth->job))) {
        write_job_record(birth->job, image.job_size, image.job);
        mpx_writer_fill_header((void *)image.at, &image, birth->rank, birth->kind);
        mpx_identity_read((void *)image.at);
        status = bear(w, &image, birth, reasons, err);
        mpx_writer_image_fini(&image, w);
    } else {
        status = mpx_fail_errno(err, "memory for a segment");
    }
    if (status) {
        *out = before;
        mpx_writer_close(w);
    }
    return status;
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
    if (w->old.saved)
        mpx_munmap(w->old.saved, w->old.saved_bytes);
    mpx_munmap(w->header, w->region_bytes);
    mpx_munmap(w, sizeof *w);
}
