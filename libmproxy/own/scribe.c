// The scribe: a segment that the proxy writes on behalf of somebody.
//
// What comes over a socket or by HTTP would live in the proxy's memory only. It is
// written into a segment of the same directory before anybody is answered, and is read
// back from there like every other: so it outlives the proxy, and there is one way from
// a value to a sum.
//
// Metrics are known by name and outlive the segment; a change of the job begins another
// segment and leaves the values behind in the old one, which is final then. A slot is
// defined in the current segment at its first use, and again after a change.
//
// Whoever removes our file takes nothing from the sum: values move to a new file, and
// the old one, which a reader may still have mapped, is emptied slot by slot, so that
// none counts twice.
//
// Setting a counter to a value, as the push API does, is a difference: the total is the
// sum of many segments, and ours is the only one we may change. `marked` is what this
// slot held when the total that is shown was read, so that value - shown + marked is
// what it must hold now.
//
// When there is no room for a segment, `no_room` keeps the rest of a round from trying
// again for every message.

#include "own/scribe.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/err.h"
#include "base/index.h"
#include "metric/order.h"
#include "processes/segments.h"
#include "writer/writer.h"

enum { NAMES_MAX = 65536 };

struct item {
    char *name, *doc;
    mproxy_type type;
    bool defined; // in the segment there is now
    uint32_t slot;
    double marked; // value of the slot at the last mark
};

struct mpx_scribe {
    const char *dir_path;
    enum mpx_seg_kind kind;
    struct mpx_writer *writer; // NULL: none yet, or there was no room
    mproxy_job job;
    uint32_t uid;
    struct mpx_scribe_origin origin;
    bool begun;
    bool no_room; // do not try again before the next round
    struct item *items;
    size_t count, room;
    struct mpx_index index; // of items, by name
};

static bool reserve(struct mpx_scribe *s)
{
    return MPX_RESERVE(s->items, s->room, s->count + 1) &&
           mpx_index_reserve(&s->index, (uint32_t)s->count + 1);
}

static mproxy_status add_item(struct mpx_scribe *s, const char *name, mproxy_type type,
                              const char *doc, struct item **out, mproxy_error *err)
{
    if (s->count == NAMES_MAX)
        return mpx_fail(err, MPROXY_E_LIMIT, "metric '%.60s': %d names are there already",
                        name, NAMES_MAX);
    if (!reserve(s))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for metric '%.60s'", name);
    struct item item = {.name = strdup(name), .doc = strdup(doc), .type = type};
    if (!item.name || !item.doc) {
        free(item.name);
        free(item.doc);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for metric '%.60s'", name);
    }
    s->items[s->count] = item;
    mpx_index_put(&s->index, mpx_hash_text(name), (uint32_t)s->count);
    *out = &s->items[s->count++];
    return MPROXY_OK;
}

static struct item *find_known(const struct mpx_scribe *s, const char *name)
{
    uint32_t hash = mpx_hash_text(name), at = mpx_index_start(&s->index, hash);
    for (uint32_t i; mpx_index_next(&s->index, hash, &at, &i);)
        if (strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    return NULL;
}

static mproxy_status find_item(struct mpx_scribe *s, const char *name, mproxy_type type,
                               const char *doc, struct item **out, mproxy_error *err)
{
    char room[MPX_NAME_ROOM];
    struct item *known = find_known(s, name);
    if (!known) {
        mproxy_status status = mproxy_metric_check_name(name, strlen(name), err);
        if (status != MPROXY_OK)
            return status;
        name = mpx_name_ordered(name, room);
        known = find_known(s, name);
    }
    if (!known)
        return add_item(s, name, type, doc, out, err);
    *out = known;
    if (known->type == type)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_TYPE, "metric '%.100s' is a %s, not a %s", name,
                    type == MPROXY_COUNTER ? "gauge" : "counter",
                    type == MPROXY_COUNTER ? "counter" : "gauge");
}

static _Atomic uint64_t *slot_of(struct mpx_scribe *s, const struct item *item)
{
    return mpx_writer_row(s->writer, 0).slots + item->slot;
}

static double read_slot(struct mpx_scribe *s, const struct item *item)
{
    uint64_t bits = atomic_load_explicit(slot_of(s, item), memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void write_slot(struct mpx_scribe *s, const struct item *item, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    _Atomic uint64_t *slot = slot_of(s, item);
    atomic_store_explicit(slot, bits, memory_order_relaxed);
    if (item->type == MPROXY_GAUGE)
        atomic_store_explicit(slot + 1, 1, memory_order_release);
}

static void leave_segment(struct mpx_scribe *s)
{
    mpx_writer_close(s->writer);
    s->writer = NULL;
    for (size_t i = 0; i < s->count; i++)
        s->items[i].defined = false;
}

static void sign_segment(struct mpx_scribe *s)
{
    struct mpx_seg_header *h = mpx_writer_header(s->writer);
    // Counted for the user it was done for, though it is our file.
    h->uid = s->uid;
    h->group = s->origin.group;
    uint64_t birth = s->origin.birth_boot_ns;
    if (birth && birth < h->birth_boot_ns) {
        h->birth_wall_ns -= h->birth_boot_ns - birth;
        h->birth_boot_ns = birth;
    }
}

static mproxy_status open_segment(struct mpx_scribe *s, mproxy_error *err)
{
    struct mpx_writer_birth birth = {.dir_path = s->dir_path,
                                     .job = &s->job,
                                     .rank = s->origin.rank,
                                     .kind = s->kind,
                                     .is_proxys = true};
    unsigned reasons = 0;
    if (s->no_room)
        return mpx_fail(err, MPROXY_E_SYSTEM, "no room for a segment");
    mproxy_status status = mpx_writer_open(&birth, &s->writer, &reasons, err);
    s->no_room = status != MPROXY_OK;
    if (status == MPROXY_OK)
        sign_segment(s);
    return status;
}

static mproxy_status define_once(struct mpx_scribe *s, struct item *item,
                                 mproxy_error *err)
{
    mproxy_status status = s->writer ? MPROXY_OK : open_segment(s, err);
    if (status == MPROXY_OK)
        status = mpx_writer_define(
            s->writer, item->type == MPROXY_COUNTER ? MPX_DEF_FCOUNTER : MPX_DEF_GAUGE,
            item->name, item->doc, 1, NULL, 0, &item->slot, err);
    item->defined = status == MPROXY_OK;
    item->marked = 0;
    return status;
}

// Into a new segment, with the values. Whoever reads the old one still finds nothing in it.
static void move(struct mpx_scribe *s)
{
    struct mpx_writer *old = s->writer;
    s->writer = NULL;
    if (open_segment(s, NULL) != MPROXY_OK) {
        s->writer = old;
        return;
    }
    const struct mpx_row row = mpx_writer_row(old, 0);
    for (size_t i = 0; i < s->count; i++) {
        struct item *item = &s->items[i];
        uint32_t slot = item->slot;
        double marked = item->marked;
        if (!item->defined || define_once(s, item, NULL) != MPROXY_OK)
            continue;
        item->marked = marked;
        for (uint32_t k = 0; k < (item->type == MPROXY_GAUGE ? 2 : 1); k++)
            atomic_store(slot_of(s, item) + k, atomic_exchange(row.slots + slot + k, 0));
    }
    mpx_writer_close(old);
}

// A file that was removed can't grow: go on in another one.
static mproxy_status define(struct mpx_scribe *s, struct item *item, mproxy_error *err)
{
    if (item->defined)
        return MPROXY_OK;
    mproxy_status status = define_once(s, item, err);
    if (status == MPROXY_OK || !s->writer ||
        !(mpx_writer_header(s->writer)->flags & MPX_OFF_REMOVED))
        return status;
    move(s);
    return define_once(s, item, err);
}

void mpx_scribe_refuse(struct mpx_scribe *s, uint32_t reasons)
{
    if (s->writer)
        __atomic_fetch_or(&mpx_writer_header(s->writer)->flags, reasons,
                          __ATOMIC_RELAXED);
}

mproxy_status mpx_scribe_new(const char *dir_path, enum mpx_seg_kind kind,
                             struct mpx_scribe **out, mproxy_error *err)
{
    struct mpx_scribe *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a segment's names");
    s->dir_path = dir_path;
    s->kind = kind;
    *out = s;
    return MPROXY_OK;
}

void mpx_scribe_free(struct mpx_scribe *s)
{
    if (!s)
        return;
    mpx_writer_close(s->writer);
    mproxy_job_clear(&s->job);
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].doc);
    }
    free(s->items);
    mpx_index_fini(&s->index);
    free(s);
}

mproxy_status mpx_scribe_begin(struct mpx_scribe *s, const mproxy_job *job, uint32_t uid,
                               mproxy_error *err)
{
    static const mproxy_job nobody;
    mproxy_job copy;
    if (mproxy_job_copy(job ? job : &nobody, &copy) != MPROXY_OK)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a job's description");
    leave_segment(s);
    mproxy_job_clear(&s->job);
    s->job = copy;
    s->uid = uid;
    s->begun = true;
    mproxy_status status = open_segment(s, err);
    for (size_t i = 0; status == MPROXY_OK && i < s->count; i++)
        status = define(s, &s->items[i], err);
    return status;
}

void mpx_scribe_set_origin(struct mpx_scribe *s, const struct mpx_scribe_origin *origin)
{
    s->origin = *origin;
}

bool mpx_scribe_has_begun(const struct mpx_scribe *s)
{
    return s->begun;
}

bool mpx_scribe_is_for(const struct mpx_scribe *s, const mproxy_job *job)
{
    return s->begun && strcmp(s->job.jobid, job->jobid) == 0;
}

void mpx_scribe_retry(struct mpx_scribe *s)
{
    s->no_room = false;
}

mproxy_status mpx_scribe_declare(struct mpx_scribe *s, const char *name, mproxy_type type,
                                 const char *doc, mproxy_error *err)
{
    struct item *item;
    mproxy_status status = find_item(s, name, type, doc, &item, err);
    if (status == MPROXY_OK && s->begun)
        status = define(s, item, err);
    return status;
}

mproxy_status mpx_scribe_write(struct mpx_scribe *s, const char *name, mproxy_type type,
                               const char *doc, double value, mproxy_error *err)
{
    struct item *item;
    mproxy_status status = find_item(s, name, type, doc, &item, err);
    if (status == MPROXY_OK)
        status = define(s, item, err);
    if (status != MPROXY_OK)
        return status;
    if (type == MPROXY_COUNTER)
        value += read_slot(s, item);
    if (!isfinite(value))
        return mpx_fail(err, MPROXY_E_LIMIT, "metric '%.100s' would not be finite", name);
    write_slot(s, item, value);
    return MPROXY_OK;
}

mproxy_status mpx_scribe_raise(struct mpx_scribe *s, const char *name, const char *doc,
                               double value, mproxy_error *err)
{
    struct item *item;
    mproxy_status status = find_item(s, name, MPROXY_COUNTER, doc, &item, err);
    if (status == MPROXY_OK)
        status = define(s, item, err);
    if (status == MPROXY_OK && read_slot(s, item) < value)
        write_slot(s, item, value);
    return status;
}

mproxy_status mpx_scribe_adjust(struct mpx_scribe *s, const char *name, const char *doc,
                                double value, double shown, mproxy_error *err)
{
    struct item *item;
    mproxy_status status = find_item(s, name, MPROXY_COUNTER, doc, &item, err);
    if (status == MPROXY_OK)
        status = define(s, item, err);
    if (status == MPROXY_OK)
        write_slot(s, item, value - shown + item->marked);
    return status;
}

void mpx_scribe_keep(struct mpx_scribe *s)
{
    if (s->writer && access(mpx_writer_path(s->writer), F_OK) != 0 && errno == ENOENT)
        move(s);
}

void mpx_scribe_mark(struct mpx_scribe *s, const struct mpx_segments *by)
{
    bool was_read =
        s->writer && mpx_segments_has(by, strrchr(mpx_writer_path(s->writer), '/') + 1);
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].defined && was_read)
            s->items[i].marked = read_slot(s, &s->items[i]);
}
