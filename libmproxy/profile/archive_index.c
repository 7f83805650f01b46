// The index of an archive: what is stored, by key, in memory.
//
// It is immutable. The storing thread makes another one and puts it in its place; readers hold
// the one that they took, with entries and bodies counted by reference, so a list of a hundred
// thousand profiles is walked without a lock while a run is being stored.
//
// A *body* is what a profile is: description, user, and of each share just enough to see whether
// a state is newer and whether a share may be released. Values stay in the file. An *entry* is a
// body in a file, under a key. One body may have several entries one after the other, when its
// key changes; a reader goes on seeing it under the key that it knew.
//
// Keys are made from what the bodies say, never from file names: the newest run of a job id has
// the id, each older one ID@START_TIME. Users may choose ids that look like such a key, so a key
// that is some job's id is stepped over. File names only follow, and are escaped so that no id
// leaves the directory.
#include "profile/archive_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "source/identity.h"

enum { NAME_MAX_BYTES = 200, NAME_KEPT_BYTES = 180 };

struct mpx_stamp mpx_stamp_of(const struct stat *st)
{
    return (struct mpx_stamp){
        .inode = st->st_ino,
        .size = st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    };
}

// A command that is not the run's is the share's own; others are borrowed.
static bool index_share(struct mpx_archive_body *body, const struct mpx_profile_share *s)
{
    struct mpx_archive_share *share = &body->shares[body->share_count];
    *share = (struct mpx_archive_share){
        .number = s->number,
        .epoch = s->epoch,
        .sequence = s->sequence,
        .sealed = s->sealed,
        .start_ms = s->start_ms,
        .end_ms = s->end_ms,
        .command = body->desc.command,
    };
    memcpy(share->directory, s->directory, sizeof share->directory);
    if (s->command && strcmp(s->command, body->desc.command) != 0)
        share->command = strdup(s->command);
    if (!share->command)
        return false;
    if (body->share_count == 0 || s->start_ms < body->start_ms)
        body->start_ms = s->start_ms;
    if (body->share_count == 0 || s->start_ms > body->last_start_ms)
        body->last_start_ms = s->start_ms;
    body->share_count++;
    return true;
}

struct mpx_archive_body *mpx_archive_body_new(const mproxy_profile *p)
{
    struct mpx_archive_body *body =
        calloc(1, sizeof *body + p->share_count * sizeof *body->shares);
    if (!body)
        return NULL;
    atomic_init(&body->refs, 1);
    if (mproxy_job_copy(&p->desc, &body->desc) != MPROXY_OK) {
        free(body);
        return NULL;
    }
    body->uid = p->uid;
    body->start_ms = body->last_start_ms = 1000 * p->desc.start_time;
    for (size_t i = 0; i < p->share_count; i++)
        if (!index_share(body, &p->shares[i])) {
            mpx_archive_body_unref(body);
            return NULL;
        }
    return body;
}

static void free_command(const struct mpx_archive_body *body,
                         const struct mpx_archive_share *share)
{
    union {
        const char *from;
        void *to;
    } command = {.from = share->command};
    if (share->command != body->desc.command)
        free(command.to);
}

void mpx_archive_body_unref(struct mpx_archive_body *body)
{
    if (!body || atomic_fetch_sub(&body->refs, 1) != 1)
        return;
    for (size_t i = 0; i < body->share_count; i++)
        free_command(body, &body->shares[i]);
    mproxy_job_clear(&body->desc);
    free(body);
}

struct mpx_archive_entry *mpx_archive_entry_new(struct mpx_archive_body *body,
                                                const char *file,
                                                const struct mpx_stamp *stamp)
{
    struct mpx_archive_entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    atomic_init(&e->refs, 1);
    e->file = strdup(file);
    if (!e->file) {
        free(e);
        return NULL;
    }
    atomic_fetch_add(&body->refs, 1);
    e->body = body;
    e->stamp = *stamp;
    e->item = (mproxy_archive_item){
        .desc = &body->desc,
        .uid = body->uid,
    };
    return e;
}

struct mpx_archive_entry *mpx_archive_entry_ref(struct mpx_archive_entry *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void mpx_archive_entry_unref(struct mpx_archive_entry *e)
{
    if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    mpx_archive_body_unref(e->body);
    free(e->key);
    free(e->file);
    free(e);
}

// By job id; of one id the newest first. The rest makes the order total.
static int by_age(const void *a, const void *b)
{
    const struct mpx_archive_entry *x = *(struct mpx_archive_entry *const *)a;
    const struct mpx_archive_entry *y = *(struct mpx_archive_entry *const *)b;
    int order = strcmp(x->body->desc.jobid, y->body->desc.jobid);
    if (order)
        return order;
    if (x->body->last_start_ms != y->body->last_start_ms)
        return x->body->last_start_ms > y->body->last_start_ms ? -1 : 1;
    return strcmp(x->file, y->file);
}

static int by_key(const void *a, const void *b)
{
    const struct mpx_archive_entry *x = *(struct mpx_archive_entry *const *)a;
    const struct mpx_archive_entry *y = *(struct mpx_archive_entry *const *)b;
    return strcmp(x->key, y->key);
}

// Give the entry in `*slot` this key; one that readers know under another key is copied.
static bool set_key(struct mpx_archive_entry **slot, const char *key)
{
    struct mpx_archive_entry *e = *slot;
    if (e->key && strcmp(e->key, key) == 0)
        return true;
    if (e->key) {
        struct mpx_archive_entry *copy =
            mpx_archive_entry_new(e->body, e->file, &e->stamp);
        if (!copy)
            return false;
        mpx_archive_entry_unref(e);
        *slot = e = copy;
    }
    e->key = strdup(key);
    e->item.key = e->key;
    return e->key != NULL;
}

static bool is_newest(const struct mpx_archive_index *index, size_t i)
{
    return i == 0 || strcmp(index->entries[i - 1]->body->desc.jobid,
                            index->entries[i]->body->desc.jobid) != 0;
}

// Whether some job of the index, still in order of ids, is called this.
static bool is_id(const struct mpx_archive_index *index, const char *text)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(index->entries[middle]->body->desc.jobid, text);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

// `copy` counts the runs of one id and second, and steps over ids that look like the key.
static bool name_older(struct mpx_archive_index *index, size_t i, unsigned *copy)
{
    const struct mpx_archive_body *body = index->entries[i]->body;
    for (;; ++*copy) {
        struct mpx_buf key = MPX_BUF_INIT;
        mpx_buf_addf(&key, "%s@%" PRId64, body->desc.jobid, body->desc.start_time);
        if (*copy > 0)
            mpx_buf_addf(&key, ".%u", *copy + 1);
        const char *text = mpx_buf_text(&key);
        bool taken = text && is_id(index, text);
        bool ok = text && !taken && set_key(&index->entries[i], text);
        mpx_buf_free(&key);
        if (!taken)
            return ok;
    }
}

static bool set_keys(struct mpx_archive_index *index)
{
    unsigned copy = 0;
    bool ok = true;
    for (size_t i = 0; i < index->count && ok; i++) {
        if (is_newest(index, i)) {
            ok = set_key(&index->entries[i], index->entries[i]->body->desc.jobid);
            copy = 0;
            continue;
        }
        const struct mpx_archive_entry *newer = index->entries[i - 1];
        bool is_same_second =
            !is_newest(index, i - 1) &&
            newer->body->desc.start_time == index->entries[i]->body->desc.start_time;
        copy = is_same_second ? copy + 1 : 0;
        ok = name_older(index, i, &copy);
    }
    return ok;
}

struct mpx_archive_index *mpx_archive_index_new(struct mpx_archive_entry *const *entries,
                                                size_t count)
{
    struct mpx_archive_index *index =
        calloc(1, sizeof *index + count * sizeof *index->entries);
    if (!index)
        return NULL;
    atomic_init(&index->refs, 1);
    for (; index->count < count; index->count++)
        index->entries[index->count] = mpx_archive_entry_ref(entries[index->count]);
    qsort(index->entries, count, sizeof *index->entries, by_age);
    if (!set_keys(index)) {
        mpx_archive_index_unref(index);
        return NULL;
    }
    qsort(index->entries, count, sizeof *index->entries, by_key);
    return index;
}

struct mpx_archive_index *mpx_archive_index_ref(struct mpx_archive_index *index)
{
    atomic_fetch_add(&index->refs, 1);
    return index;
}

void mpx_archive_index_unref(struct mpx_archive_index *index)
{
    if (!index || atomic_fetch_sub(&index->refs, 1) != 1)
        return;
    for (size_t i = 0; i < index->count; i++)
        mpx_archive_entry_unref(index->entries[i]);
    free(index);
}

struct mpx_archive_entry *mpx_archive_index_find(const struct mpx_archive_index *index,
                                                 const char *key)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(index->entries[middle]->key, key);
        if (order == 0)
            return index->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct mpx_archive_share *
mpx_archive_find_share(const struct mpx_archive_body *body, const uint8_t *directory,
                       uint64_t number)
{
    size_t low = 0, high = body->share_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mpx_archive_share *s = &body->shares[middle];
        int order = mpx_share_id_compare(s->directory, s->number, directory, number);
        if (order == 0)
            return s;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool mpx_archive_is_within(const struct mpx_archive_body *a,
                           const struct mpx_archive_body *b)
{
    if (strcmp(a->desc.jobid, b->desc.jobid) != 0 || a->uid != b->uid)
        return false;
    if (a->share_count == 0)
        return a->desc.start_time == b->desc.start_time;
    for (size_t i = 0; i < a->share_count; i++)
        if (!mpx_archive_find_share(b, a->shares[i].directory, a->shares[i].number))
            return false;
    return true;
}

static bool is_plain(const char *c, bool first)
{
    return (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
           (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || (*c == '.' && !first);
}

void mpx_archive_file_name(struct mpx_buf *out, const char *jobid)
{
    // FNV-1a: names on disk are made of it, so it stays what it is.
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *c = jobid; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
        if (is_plain(c, c == jobid))
            mpx_buf_add(out, c, 1);
        else
            mpx_buf_addf(out, "%%%02X", (unsigned char)*c);
    }
    if (out->size <= NAME_MAX_BYTES)
        return;
    out->size = NAME_KEPT_BYTES;
    mpx_buf_addf(out, "~%016" PRIx64, hash);
}
