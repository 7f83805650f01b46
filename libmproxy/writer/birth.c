// The life of a segment: its birth and its end; what fork makes of it is in child.c.
//
// Birth. The header and the log (in a second piece, when the job's description is long) are
// put together in memory and written by one call, by a descriptor that holds the lock, to a
// file of the final name, which readers pass over as long as its magic is 0. Then the file is
// mapped, the descriptor closed and the magic written: a reader that sees it sees a whole,
// locked segment, and the mapping keeps the lock until the process is gone. Whatever fails on
// the way leaves no file. A file made under another name and renamed costs a forked child 13
// us more.
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

static void lead_to_second(struct mpx_writer_image *image)
{
    struct mpx_rec_next *next = (void *)(image->mapped + MPX_SEG_LOG_OFFSET);
    *next = (struct mpx_rec_next){.head = {MPX_REC_NEXT, sizeof *next},
                                  .offset = image->page,
                                  .length = image->start.size - image->page};
}

// A larger page is written whole: it may be several of the system's, which all have to be had.
bool mpx_writer_image_init(struct mpx_writer_image *image, struct mpx_writer *w,
                           size_t job_size)
{
    size_t page = w->page_size, need = job_size + sizeof(struct mpx_rec_next);
    bool fits = need <= MPX_WRITER_LOG_ROOM;
    size_t size = fits ? page : page + mpx_writer_round(need, page);
    *image = (struct mpx_writer_image){
        .start = {.size = size}, .page = page, .job_size = job_size};
    if (size == MPX_SEG_PAGE) {
        image->start.header = &w->first.header;
        image->start.parts[0] = (struct iovec){&w->first, sizeof w->first};
        image->job = w->log;
        return true;
    }
    image->mapped = map_memory(size);
    if (!image->mapped)
        return false;
    image->start.header = (void *)image->mapped;
    image->start.parts[0] = (struct iovec){image->mapped, size};
    image->job = image->mapped + (fits ? MPX_SEG_LOG_OFFSET : page);
    if (!fits)
        lead_to_second(image);
    return true;
}

void mpx_writer_image_fini(struct mpx_writer_image *image)
{
    if (image->mapped)
        mpx_munmap(image->mapped, image->start.size);
}

void mpx_writer_fill_header(const struct mpx_writer_image *image, uint32_t rank,
                            uint32_t kind)
{
    *image->start.header = (struct mpx_seg_header){
        .version = MPX_SEG_VERSION,
        .page_size = (uint32_t)image->page,
        .rank = rank,
        .kind = kind,
        .log_count = image->start.size > image->page ? 2 : 1,
    };
}

unsigned mpx_writer_image_write(struct mpx_writer *w, struct mpx_writer_image *image,
                                const char *dir_path, bool is_bounded)
{
    if (!image->mapped)
        image->start.parts[1] = (struct iovec){image->job, image->job_size};
    return mpx_segment_file_begin(&w->file, dir_path, is_bounded, &image->start);
}

static bool map_second(struct mpx_writer *w, const struct mpx_writer_image *image)
{
    size_t length = image->start.size - image->page;
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
    bool has_second = image->start.size > image->page;
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
    __atomic_store_n(&w->header->magic, MPX_SEG_MAGIC, __ATOMIC_RELEASE);
    w->published = image->start.header->log_count;
    w->chunks[0] = (struct mpx_writer_chunk){.at = (char *)w->header + MPX_SEG_LOG_OFFSET,
                                             .length = MPX_WRITER_LOG_ROOM,
                                             .used = sizeof(struct mpx_rec_next)};
    if (!has_second)
        w->chunks[0].used = image->job_size;
    w->chunk_count = has_second ? 2 : 1;
    w->total_log = image->job_size;
    return 0;
}

static mproxy_status bear(struct mpx_writer *w, struct mpx_writer_image *image,
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

void mpx_writer_free(struct mpx_writer *w)
{
    if (w->has_room)
        memset(w, 0, sizeof *w);
    else
        mpx_munmap(w, sizeof *w);
}

static struct mpx_writer *make_writer(size_t page, void *room)
{
    struct mpx_writer *w = room ? room : map_memory(sizeof *w);
    if (!w)
        return NULL;
    w->has_room = room != NULL;
    w->row_count = 1;
    w->page_size = page;
    w->file.fd = -1;
    w->file.other = w->other;
    char *region = reserve_region(w);
    if (!region) {
        mpx_writer_free(w);
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
    struct mpx_writer *w = make_writer((size_t)page, birth->room), *before = *out;
    if (!w)
        return mpx_fail_errno(err, "memory for a segment");
    *out = w;
    struct mpx_writer_image image;
    mproxy_status status;
    if (mpx_writer_image_init(&image, w, job_record_size(birth->job))) {
        write_job_record(birth->job, image.job_size, image.job);
        mpx_writer_fill_header(&image, birth->rank, birth->kind);
        mpx_identity_read(image.start.header);
        status = bear(w, &image, birth, reasons, err);
        mpx_writer_image_fini(&image);
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
    mpx_writer_free(w);
}
