// The segments that are known, by name. Most names stand once; see
// mpx_segments_find_shown().

#include "processes/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static void make_key(const char *name, uint64_t inode, char out[MPX_SEGMENT_KEY_MAX])
{
    snprintf(out, MPX_SEGMENT_KEY_MAX, "%s:%" PRIu64, name, inode);
}

bool mpx_segment_give_key(struct mpx_segment *seg, uint64_t inode)
{
    char key[MPX_SEGMENT_KEY_MAX];
    make_key(seg->name, inode, key);
    free(seg->key);
    seg->key = strdup(key);
    return seg->key != NULL;
}

bool mpx_segment_is_pending(const struct mpx_segments *s, const char *name,
                            uint64_t inode)
{
    char key[MPX_SEGMENT_KEY_MAX];
    make_key(name, inode, key);
    return mproxy_ledger_is_pending(s->ledger, key);
}

// The next of those that bear a name; NULL: no more.
static struct mpx_segment *next_of(const struct mpx_segments *s, const char *name,
                                   uint32_t hash, uint32_t *at)
{
    for (uint32_t i; mpx_index_next(&s->by_name, hash, at, &i);)
        if (strcmp(s->segments[i]->name, name) == 0)
            return s->segments[i];
    return NULL;
}

struct mpx_segment *mpx_segments_find_shown(struct mpx_segments *s, const char *name,
                                            uint64_t inode)
{
    uint32_t hash = mpx_hash_text(name), at = mpx_index_start(&s->by_name, hash);
    struct mpx_segment *seg = next_of(s, name, hash, &at);
    while (seg && seg->reader && mpx_reader_inode(seg->reader) != inode)
        seg = next_of(s, name, hash, &at);
    return seg;
}

struct mpx_segment *mpx_segments_find(struct mpx_segments *s, const char *name,
                                      const char *key)
{
    uint32_t hash = mpx_hash_text(name), at = mpx_index_start(&s->by_name, hash);
    struct mpx_segment *seg = next_of(s, name, hash, &at);
    while (seg && (!seg->key || strcmp(seg->key, key) != 0))
        seg = next_of(s, name, hash, &at);
    return seg;
}

bool mpx_segments_has(const struct mpx_segments *s, const char *name)
{
    uint32_t hash = mpx_hash_text(name), at = mpx_index_start(&s->by_name, hash);
    const struct mpx_segment *seg = next_of(s, name, hash, &at);
    while (seg && !seg->reader)
        seg = next_of(s, name, hash, &at);
    return seg != NULL;
}

// The account of a file's owner, if it may have one more. The others wait in the directory
// until there is room.
static struct mpx_user *admit(struct mpx_segments *s, const char *name, uint32_t uid)
{
    struct mpx_user *user = mpx_users_get(s->users, uid);
    if (user && user->files >= user->max_files) {
        s->stats.bad_crowd++;
        if (!user->told)
            mpx_segments_warn(s,
                              "segment '%s': user %u has %u of at most %u files here: "
                              "those that are more are not read",
                              name, uid, user->files, user->max_files);
        user->told = true;
        return NULL;
    }
    if (!user || s->segment_count >= MPX_SEGMENT_NAMES_MAX) {
        s->missed = true;
        mpx_segments_warn(s, "segment '%s': too many names", name);
        return NULL;
    }
    user->told &= user->files + 1 >= user->max_files;
    return user;
}

static bool reserve(struct mpx_segments *s)
{
    return MPX_RESERVE(s->segments, s->segment_room, s->segment_count + 1) &&
           mpx_index_reserve(&s->by_name, (uint32_t)s->segment_count + 1);
}

struct mpx_segment *mpx_segments_add(struct mpx_segments *s, const char *name,
                                     uint32_t uid)
{
    struct mpx_user *user = admit(s, name, uid);
    struct mpx_segment *seg = user && reserve(s) ? calloc(1, sizeof *seg) : NULL;
    if (seg)
        seg->name = strdup(name);
    if (!seg || !seg->name) {
        s->missed |= user != NULL;
        free(seg);
        return NULL;
    }
    seg->user = user;
    user->files++;
    seg->hash = mpx_hash_text(name);
    seg->place = (uint32_t)s->segment_count;
    s->segments[s->segment_count++] = seg;
    mpx_index_put(&s->by_name, seg->hash, seg->place);
    return seg;
}

static void unlist(struct mpx_segments *s, const struct mpx_segment *seg)
{
    mpx_index_remove(&s->by_name, seg->hash, seg->place);
    struct mpx_segment *last = s->segments[--s->segment_count];
    if (last == seg)
        return;
    mpx_index_move(&s->by_name, last->hash, last->place, seg->place);
    last->place = seg->place;
    s->segments[last->place] = last;
}

void mpx_segments_drop(struct mpx_segments *s, struct mpx_segment *seg)
{
    unlist(s, seg);
    seg->user->files--;
    if (seg->unit)
        mpx_unit_remove(s, seg);
    mpx_reader_close(seg->reader);
    mpx_layout_leave(seg->layout);
    free(seg->values);
    free(seg->key);
    free(seg->name);
    free(seg);
}
