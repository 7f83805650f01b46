// The record log of a segment, parsed once per record, never trusted.
//
// Everything below the published count is immutable, says the format; a hostile writer
// changes it all the same. So each record is copied before it is judged, and what was
// judged is the copy. Sizes are checked against the chunk, the file and the bound of a
// record before a byte behind them is looked at.
//
// METRIC records are collected for the table (table.c), as bytes; JOB and EXTENT records
// are understood here. Extents of a row come in the order of their slots and do not
// overlap, and all together are no more than the file can hold: this bounds what a round
// reads.
//
// A log may speak of bytes that are in the file and not in our mapping, because its
// owner has no budget left for them. Then reading stops before that record and goes on
// from there later. mpx_records_rewind() goes back to a mark in the same way when what
// was read could not be used for want of memory.
//
// A record of an unknown type is passed over: a later release may add types, not change
// them.

#include "reader/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/utf8.h"

enum { RECORD_MAX = 128 << 10, JOB_STRINGS = 6, JOB_STRING_MAX = 64 << 10 };

// What is left of the file for one read.
struct source {
    const unsigned char *base;
    uint64_t size;
    bool more;
};

void mpx_records_free(struct mpx_records *log)
{
    mproxy_job_clear(&log->job);
    free(log->extents);
    free(log->row_end);
    *log = (struct mpx_records){0};
}

struct mpx_records_mark mpx_records_mark(const struct mpx_records *log)
{
    return (struct mpx_records_mark){log->at, log->end, log->bytes, log->seen,
                                     log->extent_count};
}

void mpx_records_rewind(struct mpx_records *log, const struct mpx_records_mark *mark)
{
    while (log->extent_count > mark->extent_count) {
        const struct mpx_extent *e = &log->extents[--log->extent_count];
        log->row_end[e->row] -= e->count;
        log->extent_slots -= e->count;
    }
    log->at = mark->at;
    log->end = mark->end;
    log->bytes = mark->bytes;
    log->seen = mark->seen;
    if (log->seen == 0) {
        mproxy_job_clear(&log->job);
        log->has_job = false;
    }
}

static char *copy_string(const char *text, size_t length, bool as_is)
{
    char *copy = malloc(length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (!as_is)
        mpx_utf8_make_printable(copy, length);
    return copy;
}

// The job id stays as it is: one that may not name a job puts the process into the base, a
// changed one could put it into another job.
static mproxy_status read_job(struct mpx_records *log, const char *record,
                              mproxy_error *err)
{
    struct mpx_rec_job r;
    memcpy(&r, record, sizeof r);
    const char *at = record + sizeof r;
    size_t left = r.head.size - sizeof r;
    mproxy_job *job = &log->job;
    char **strings[JOB_STRINGS] = {&job->jobid,     &job->command, &job->nodelist,
                                   &job->partition, &job->cluster, &job->run_dir};
    for (int i = 0; i < JOB_STRINGS; i++) {
        if (r.length[i] > JOB_STRING_MAX || r.length[i] >= left || at[r.length[i]])
            return mpx_fail(err, MPROXY_E_CORRUPT,
                            "job record: string %d of %u bytes, %zu are left", i,
                            r.length[i], left);
        *strings[i] = copy_string(at, r.length[i], i == 0);
        if (!*strings[i])
            return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the job record");
        at += r.length[i] + 1;
        left -= r.length[i] + 1;
    }
    job->size = r.job_size;
    job->start_time = r.start_time;
    log->has_job = true;
    return MPROXY_OK;
}

static bool make_row(struct mpx_records *log, uint32_t row)
{
    return MPX_RESERVE_ZEROED(log->row_end, log->row_room, (size_t)row + 1);
}

static mproxy_status add_extent(struct mpx_records *log, const struct mpx_extent *e,
                                mproxy_error *err)
{
    if (!MPX_RESERVE(log->extents, log->extent_room, log->extent_count + 1u))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %u extents",
                        log->extent_count + 1);
    if (!make_row(log, e->row))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for row %u", e->row);
    log->extents[log->extent_count++] = *e;
    log->extent_slots += e->count;
    log->row_end[e->row] += e->count;
    return MPROXY_OK;
}

// Extents follow each other in a row, and together they are not more than the file: else a
// small file could make each round read gigabytes.
static mproxy_status read_extent(struct mpx_records *log, const char *record,
                                 uint64_t size, mproxy_error *err)
{
    struct mpx_rec_extent r;
    memcpy(&r, record, sizeof r);
    if (r.row == 0 && r.first == 0 && r.offset == MPX_SEG_ROW0_OFFSET)
        return MPROXY_OK; // known from birth
    if (r.row >= MPX_SEG_ROWS_MAX || r.count > MPX_SEG_SLOTS_MAX || r.count == 0 ||
        r.first > MPX_SEG_SLOTS_MAX - r.count ||
        r.first != (r.row < log->row_room ? log->row_end[r.row] : 0))
        return mpx_fail(err, MPROXY_E_CORRUPT, "extent: row %u, slots %u + %u", r.row,
                        r.first, r.count);
    uint64_t bytes = r.count * UINT64_C(8);
    if (r.offset % 8 != 0 || r.offset < MPX_SEG_PAGE || r.offset > size ||
        bytes > size - r.offset || (log->extent_slots + r.count) * 8 > size)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "extent: %u slots at offset %llu of a file of %llu bytes",
                        r.count, (unsigned long long)r.offset, (unsigned long long)size);
    struct mpx_extent e = {r.row, r.first, r.count, r.offset};
    return add_extent(log, &e, err);
}

static mproxy_status read_next(struct mpx_records *log, const char *record, uint64_t size,
                               mproxy_error *err)
{
    struct mpx_rec_next r;
    memcpy(&r, record, sizeof r);
    if (r.offset % 8 != 0 || r.offset < MPX_SEG_LOG_OFFSET || r.offset > size ||
        r.length > size - r.offset)
        return mpx_fail(err, MPROXY_E_CORRUPT,
                        "log: %llu bytes at offset %llu of a file of %llu bytes",
                        (unsigned long long)r.length, (unsigned long long)r.offset,
                        (unsigned long long)size);
    log->at = r.offset;
    log->end = r.offset + r.length;
    return MPROXY_OK;
}

static size_t least_size(uint32_t type)
{
    switch (type) {
    case MPX_REC_JOB:
        return sizeof(struct mpx_rec_job);
    case MPX_REC_METRIC:
        return sizeof(struct mpx_rec_metric);
    case MPX_REC_EXTENT:
        return sizeof(struct mpx_rec_extent);
    case MPX_REC_NEXT:
        return sizeof(struct mpx_rec_next);
    default:
        return sizeof(struct mpx_rec_head);
    }
}

// Copy the next record to the end of `copy`: the writer may change its bytes as we look.
static mproxy_status copy_record(struct mpx_records *log, const struct source *from,
                                 struct mpx_buf *copy, struct mpx_rec_head *head,
                                 mproxy_error *err)
{
    if (log->end - log->at < sizeof *head)
        return mpx_fail(err, MPROXY_E_CORRUPT, "record %u: outside of its chunk",
                        log->seen);
    memcpy(head, from->base + log->at, sizeof *head);
    if (head->size % 8 != 0 || head->size < least_size(head->type) ||
        head->size > RECORD_MAX || head->size > log->end - log->at)
        return mpx_fail(err, MPROXY_E_CORRUPT, "record %u: type %u of %u bytes",
                        log->seen, head->type, head->size);
    if (log->bytes + head->size > from->size)
        return mpx_fail(err, MPROXY_E_CORRUPT, "record %u: more log than file",
                        log->seen);
    if (!mpx_buf_reserve(copy, head->size))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the log");
    memcpy(copy->data + copy->size, from->base + log->at, head->size);
    memcpy(copy->data + copy->size, head, sizeof *head);
    return MPROXY_OK;
}

// Whether a record speaks of bytes that are not mapped, though the file has them.
static bool is_beyond(const struct mpx_rec_head *head, const char *record,
                      const struct source *from)
{
    if (!from->more)
        return false;
    if (head->type == MPX_REC_EXTENT) {
        struct mpx_rec_extent r;
        memcpy(&r, record, sizeof r);
        return r.offset > from->size || r.count * UINT64_C(8) > from->size - r.offset;
    }
    if (head->type == MPX_REC_NEXT) {
        struct mpx_rec_next r;
        memcpy(&r, record, sizeof r);
        return r.offset > from->size || r.length > from->size - r.offset;
    }
    return false;
}

static mproxy_status read_record(struct mpx_records *log, const struct mpx_rec_head *head,
                                 const char *record, uint64_t size,
                                 struct mpx_buf *metrics, mproxy_error *err)
{
    bool may_come = head->type == MPX_REC_NEXT || head->type == MPX_REC_EXTENT;
    if (!log->has_job && head->type != MPX_REC_JOB && !may_come)
        return mpx_fail(err, MPROXY_E_CORRUPT, "record %u: type %u before the job's",
                        log->seen, head->type);
    switch (head->type) {
    case MPX_REC_JOB:
        if (log->has_job)
            return mpx_fail(err, MPROXY_E_CORRUPT, "record %u: a second job", log->seen);
        return read_job(log, record, err);
    case MPX_REC_METRIC:
        metrics->size += head->size; // it stays where it was copied to
        return MPROXY_OK;
    case MPX_REC_EXTENT:
        return read_extent(log, record, size, err);
    case MPX_REC_NEXT:
        return read_next(log, record, size, err);
    default:
        return MPROXY_OK; // of a later release, which may add but not change
    }
}

mproxy_status mpx_records_read(struct mpx_records *log, const unsigned char *base,
                               uint64_t size, uint32_t count, bool more,
                               struct mpx_buf *metrics, mproxy_error *err)
{
    if (count < log->seen || count > MPX_SEG_RECORDS_MAX)
        return mpx_fail(err, MPROXY_E_CORRUPT, "%u records after %u, at most %d", count,
                        log->seen, MPX_SEG_RECORDS_MAX);
    if (log->end == 0) { // also after going back to the very first
        log->at = MPX_SEG_LOG_OFFSET;
        log->end = MPX_SEG_ROW0_OFFSET;
        struct mpx_extent birth = {0, 0, mpx_seg_row0_first(log->page_size),
                                   MPX_SEG_ROW0_OFFSET};
        mproxy_status status = add_extent(log, &birth, err);
        if (status != MPROXY_OK)
            return status;
    }
    struct source from = {base, size, more};
    while (log->seen < count) {
        struct mpx_rec_head head;
        mproxy_status status = copy_record(log, &from, metrics, &head, err);
        if (status != MPROXY_OK)
            return status;
        const char *record = metrics->data + metrics->size;
        if (is_beyond(&head, record, &from))
            return MPROXY_OK;
        log->at += head.size; // read_record() may go to another chunk
        log->bytes += head.size;
        status = read_record(log, &head, record, size, metrics, err);
        if (status != MPROXY_OK)
            return status;
        log->seen++;
    }
    return MPROXY_OK;
}
