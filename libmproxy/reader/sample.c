// What a round reads of a segment.
//
// The order is what makes it right: the changing fields of the header, the number of
// records, the size of the file that these records need, the records, and last the rows
// that they announce. The writer goes the other way: room in the file first, then the
// record that speaks of it, then the number of records. So whatever is announced is
// there.
//
// A sample is taken whole or not at all. Rows are added up into scratch that all readers
// share and compared with what was known; only a difference is copied, which is also how
// the caller learns that anything has changed. If a page was lost meanwhile, nothing of
// it is used.
//
// A segment that went bad stays bad: its mapping is given back, its last good values are
// the caller's to keep, and each later sample says why. Want of memory or of descriptors
// is no such verdict; the next round reads the same records again.
//
// When the lock was free before a sample, that sample is the last: the mapping and the
// descriptor are given back.

#include "reader/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/err.h"
#include "reader/guard.h"
#include "reader/rows.h"
#include "reader/table.h"

// What is known was checked against the size when it was new, and rows that are cut off since
// are a SIGBUS: looking at the size each time would find nothing more, and is a fifth of the
// cost of a round.
enum { SIZE_PERIOD = 16 };

// A segment that grows while others are about to give room back is no more than late.
enum { CROWDED_SAMPLES = 8 };

enum { METRICS_KEPT = 64 << 10 }; // bytes of records that the next segment finds room for

static uint32_t load32(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static uint64_t load64(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void load_state(const struct mpx_seg_header *h, struct mpx_reader_state *state)
{
    memset(state, 0, sizeof *state); // it is compared bytewise
    state->flags = load32(&h->flags);
    state->started = load32(&h->started) != 0;
    state->finished = load32(&h->finished) != 0;
    state->left = load32(&h->left) != 0;
    state->end_wall_ns = load64(&h->end_wall_ns);
    state->final_set = load64(&h->final_set);
    for (int i = 0; i < MPX_SEG_FINAL_MAX; i++)
        state->final[i] = load64(&h->final[i]);
}

// A living segment goes on with what is mapped of it.
static mproxy_status follow_growth(struct mpx_reader *r, int fd, mproxy_error *err)
{
    mproxy_error why;
    mproxy_status status = mpx_reader_map(r, fd, r->size, &why);
    r->crowded = status != MPROXY_OK;
    return status == MPROXY_E_BUSY ? mpx_fail(err, status, "%s", why.text) : MPROXY_OK;
}

mproxy_status mpx_reader_follow_size(struct mpx_reader *r, mproxy_error *err)
{
    int fd = mpx_reader_borrow(r);
    if (fd < 0)
        return MPROXY_OK; // unlinked, or no descriptor: what is mapped goes on counting
    struct stat st;
    mproxy_error why;
    mproxy_status status = MPROXY_OK;
    r->trusted = 0;
    if (fstat(fd, &st) != 0)
        status = mpx_fail_errno(err, "segment '%s'", r->name);
    else if ((uint64_t)st.st_size < r->size)
        status = mpx_fail(err, MPROXY_E_CORRUPT,
                          "segment '%s': shrank from %" PRIu64 " to %lld bytes", r->name,
                          r->size, (long long)st.st_size);
    else if ((uint64_t)st.st_size > r->map_size &&
             mpx_reader_check_size((uint64_t)st.st_size, &why) != MPROXY_OK)
        status = mpx_reader_fail(r, &why, err);
    else
        r->size = (uint64_t)st.st_size;
    if (status == MPROXY_OK && r->size > r->map_size) {
        // The old mapping is still good for what is known.
        if (mpx_guard_leave())
            status = mpx_fail(err, MPROXY_E_CORRUPT, "segment '%s': lost its first page",
                              r->name);
        else
            status = follow_growth(r, fd, err);
        mpx_guard_enter(r->map, r->map_size);
    }
    mpx_reader_return(r, fd);
    return status;
}

static mproxy_status take_columns(struct mpx_reader *r, uint32_t slot_end,
                                  mproxy_error *err)
{
    size_t room = slot_end ? slot_end : 1;
    if (!MPX_RESERVE_TO(r->sum, room))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %u slots", slot_end);
    uint32_t known = r->table ? r->table->slot_end : 0;
    memset(r->sum + known, 0, (room - known) * sizeof *r->sum);
    return MPROXY_OK;
}

static mproxy_status take_table(struct mpx_reader *r, const struct mpx_buf *metrics,
                                mproxy_error *err)
{
    struct mpx_def_table *table;
    mproxy_status status =
        mpx_def_table_extend(r->rs->tables, r->user, r->table, metrics, &table, err);
    if (status != MPROXY_OK)
        return status;
    status = take_columns(r, table->slot_end, err);
    if (status != MPROXY_OK) {
        mpx_def_table_unref(r->rs->tables, table);
        return status;
    }
    mpx_def_table_unref(r->rs->tables, r->table);
    r->table = table;
    return MPROXY_OK;
}

mproxy_status mpx_reader_read_log(struct mpx_reader *r, uint32_t count, bool *changed,
                                  mproxy_error *err)
{
    struct mpx_buf *metrics = &r->rs->metrics;
    mpx_buf_clear(metrics);
    struct mpx_records_mark mark = mpx_records_mark(&r->log);
    mproxy_status status =
        mpx_records_read(&r->log, r->map, r->map_size, count, r->crowded, metrics, err);
    if (status == MPROXY_OK && mpx_guard_hit())
        status = mpx_fail(err, MPROXY_E_CORRUPT, "lost a page while it was read");
    if (status == MPROXY_OK && (metrics->size > 0 || !r->table)) {
        status = take_table(r, metrics, err);
        *changed = status == MPROXY_OK;
    }
    // Without memory the next round reads the same records.
    if (status != MPROXY_OK)
        mpx_records_rewind(&r->log, &mark);
    if (metrics->room > METRICS_KEPT)
        mpx_buf_free(metrics);
    return status;
}

static mproxy_status read_rows(struct mpx_reader *r, bool *changed, mproxy_error *err)
{
    uint32_t slot_end = r->table->slot_end;
    const uint32_t *doubles;
    uint32_t double_count = mpx_def_table_doubles(r->table, &doubles);
    uint64_t *sum = r->rs->sum;
    mpx_rows_sum(&r->log, r->map, slot_end, doubles, double_count, sum);
    if (mpx_guard_hit())
        return mpx_fail(err, MPROXY_E_CORRUPT, "lost a page while it was read");
    if (memcmp(sum, r->sum, slot_end * sizeof *sum) == 0)
        return MPROXY_OK;
    memcpy(r->sum, sum, slot_end * sizeof *sum);
    *changed = true;
    return MPROXY_OK;
}

// The order is what makes it right: number of records, then the size that they need, then
// the rows that they announce. The guard is entered and left by the caller.
static mproxy_status read_all(struct mpx_reader *r, bool *changed, mproxy_error *err)
{
    mproxy_error why;
    struct mpx_reader_state state;
    const struct mpx_seg_header *h = (const void *)r->map;
    load_state(h, &state);
    uint32_t count = load32(&h->log_count);
    mproxy_status status = MPROXY_OK;
    if (count != r->log.seen || ++r->trusted >= SIZE_PERIOD)
        status = mpx_reader_follow_size(r, err);
    if (status != MPROXY_OK)
        return status;
    if (count != r->log.seen)
        status = mpx_reader_read_log(r, count, changed, &why);
    if (status == MPROXY_OK)
        status = read_rows(r, changed, &why);
    if (status != MPROXY_OK)
        return mpx_reader_fail(r, &why, err);
    r->crowded_samples = r->log.seen < count ? r->crowded_samples + 1 : 0;
    if (r->crowded_samples >= CROWDED_SAMPLES || (r->crowded_samples > 0 && r->final))
        state.flags |= MPX_OFF_LIMIT;
    if (memcmp(&state, &r->state, sizeof state) != 0)
        *changed = true;
    r->state = state;
    return MPROXY_OK;
}

static void remember_bad(struct mpx_reader *r, const mproxy_error *why)
{
    r->bad = true;
    snprintf(r->why, sizeof r->why, "%.*s", (int)sizeof r->why - 1, why->text);
    mpx_reader_drop_mapping(r);
}

mproxy_status mpx_reader_sample(struct mpx_reader *r, bool *changed, mproxy_error *err)
{
    *changed = false;
    if (r->bad)
        return mpx_fail(err, MPROXY_E_CORRUPT, "%s", r->why);
    if (r->done)
        return MPROXY_OK;
    mproxy_error why = {0};
    bool differs = false;
    mpx_guard_enter(r->map, r->map_size);
    mproxy_status status = read_all(r, &differs, &why);
    bool hit = mpx_guard_leave();
    if (hit && status == MPROXY_OK)
        status = mpx_fail(&why, MPROXY_E_CORRUPT,
                          "segment '%s': lost a page while it was read", r->name);
    if (status == MPROXY_OK) {
        *changed = differs || !r->sampled;
        r->sampled = true;
        if (r->final) {
            r->done = true;
            mpx_reader_drop_mapping(r);
            mpx_reader_drop_descriptor(r);
        }
        return MPROXY_OK;
    }
    if (status != MPROXY_E_NOMEM && status != MPROXY_E_SYSTEM && status != MPROXY_E_BUSY)
        remember_bad(r, &why);
    return mpx_fail(err, status, "%s", why.text);
}
