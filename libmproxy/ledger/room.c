// How much of a round is folded while the file system is full.
//
// What is folded makes the state larger, and the segments that it was read from are removed
// once it is written, not before. All at once it may not fit where bit by bit it does, since
// each bite gives room for the next. So a round folds no more than the blocks of both state
// files and what is free can hold twice; the rest goes on as if it lived. One process, the
// one that takes least, is always folded, unless the state as it is can't be written.
//
// Not covered: names of living processes are in their share's slots, and so in the state.

#include "ledger/private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "ledger/state_file.h"
#include "store/exempt.h"
#include "store/metric.h"

enum {
    PLENTY = 64 << 20, // bytes that are free: not asked for more
    SLOT_BYTES =
        64, // at most, of one metric in a share: its value and in the row of a rank
    NAME_BYTES = 24,   // of a name in a table, besides its text
    SHARE_BYTES = 512, // of a share, besides the texts of its job
};

static uint64_t size_of(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size
                                                                : 0;
}

// By how much the state may grow and still be written, whichever file is the next.
static uint64_t room_for_folds(const struct mproxy_ledger *l)
{
    struct statvfs fs;
    if (l->dir_fd < 0 || fstatvfs(l->dir_fd, &fs) != 0)
        return UINT64_MAX;
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room >= PLENTY)
        return UINT64_MAX;
    room += size_of(l->dir_fd, MPX_STATE_FILE) + size_of(l->dir_fd, MPX_STATE_SPARE);
    uint64_t used = 2 * l->encoded.size;
    return room > used ? (room - used) / 2 : 0;
}

static uint64_t growth_by_layout(const struct mproxy_ledger *l,
                                 const mproxy_layout *layout)
{
    bool is_known = l->file_forgotten == mpx_store_metric_forgotten(l->store);
    uint64_t bytes = 0;
    for (size_t i = 0; i < layout->count; i++) {
        const mproxy_metric *m = layout->metrics[i];
        bytes += SLOT_BYTES;
        if (!is_known || m->id >= l->file_index_room || !l->file_index[m->id])
            bytes += strlen(m->name) + strlen(mproxy_metric_doc(m)) + NAME_BYTES;
    }
    return bytes;
}

static uint64_t growth_by(const struct mproxy_ledger *l, const mproxy_process *p)
{
    uint64_t bytes = SHARE_BYTES + strlen(p->job->command ? p->job->command : "");
    for (size_t i = 0; i < p->part_count; i++)
        bytes += growth_by_layout(l, p->parts[i].layout);
    for (size_t i = 0; i < p->segment_count; i++)
        bytes += strlen(p->segments[i]) + NAME_BYTES;
    return bytes;
}

static bool has_final(const struct mproxy_ledger *l)
{
    for (size_t i = 0; i < l->member_count; i++)
        if (l->members[i].final)
            return true;
    return false;
}

void mpx_ledger_choose_folds(struct mproxy_ledger *l)
{
    uint64_t room = has_final(l) ? room_for_folds(l) : UINT64_MAX, least = UINT64_MAX;
    struct mpx_member *smallest = NULL;
    bool folds = false;
    for (size_t i = 0; i < l->member_count && room != UINT64_MAX; i++) {
        struct mpx_member *m = l->order[i];
        if (!m->final)
            continue;
        uint64_t growth = growth_by(l, m->process);
        if (growth < least) {
            least = growth;
            smallest = m;
        }
        m->final = growth <= room && !l->is_behind;
        room -= m->final ? growth : 0;
        folds |= m->final;
    }
    if (smallest && !folds && !l->is_behind)
        smallest->final = true;
}
