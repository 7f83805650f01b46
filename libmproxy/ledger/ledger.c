// The ledger: opening, the round, and what its users ask of it.
//
// It owns this node's shares and its base, and their state file. Whoever reads processes
// tells it of each of them once a round, between round_begin() and round_end(), and
// keeps what it told valid until the next round, so that nothing is copied but the names
// of segments that are folded.
//
// The end of a round has three parts, in this order:
// 1. *Prepare* (assign.c) finds each process its share and gets all memory. If there is
//    none the round is given up before anything has changed.
// 2. *Count* (here) adds up, and cannot fail: folds of processes that have ended go into
//    the residue, the living are summed on top of it. What is shown never steps back.
// 3. *Commit* (commit.c) writes the state file if anything in it has changed. If that
//    fails, folds stay in memory with the names of their segments, which are not
//    unlinked: the next round tries again, and a proxy that is killed meanwhile reads
//    the segments once more.
//
// A value is therefore in exactly one of two places at any moment in which the process
// may be killed: in a segment that is there, or in the residue of a state file that
// names the segment as pending.
//
// Sequence numbers order the states of a source within an epoch, which is raised at each
// start: they say nothing else, and no time goes into them.

#include "ledger/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/options.h"
#include "ledger/state.h"
#include "ledger/state_file.h"
#include "segment/layout.h"
#include "store/exempt.h"

enum {
    PENDING_GONE_MIN = 256 // names on disk that no longer matter, before it is rewritten
};

// Free all that is state; a fresh base takes its place, unless there is no memory.
static bool reset(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++)
        mpx_share_free(l->shares[i]);
    mpx_share_free(l->base);
    mpx_pending_fini(&l->pending);
    free(l->absorbed);
    l->share_count = 0;
    l->absorbed = NULL;
    l->absorbed_count = 0;
    l->pending_on_disk = 0;
    l->rebooted = false;
    l->is_base_loose = true;
    l->stats = (mproxy_ledger_stats){0};
    l->base = mpx_share_new(0, NULL);
    if (l->base)
        l->base->durable = true;
    return l->base != NULL;
}

void mproxy_ledger_close(mproxy_ledger *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < l->share_count; i++)
        mpx_share_free(l->shares[i]);
    mpx_share_free(l->base);
    mpx_pending_fini(&l->pending);
    mpx_columns_fini(&l->columns);
    mpx_index_fini(&l->tracked_index);
    mpx_buf_free(&l->table);
    mpx_buf_free(&l->encoded);
    for (size_t i = 0; i < l->name_count; i++)
        free(l->names[i]);
    for (int i = 0; i < 32; i++)
        mproxy_metric_unref(l->reasons[i]);
    mproxy_metric_unref(l->refused_metric);
    mproxy_metric_unref(l->walltime);
    free(l->names);
    free(l->unread);
    free(l->shares);
    free(l->absorbed);
    free(l->file_index);
    free(l->tracked);
    free(l->members);
    free(l->order);
    free(l->member_columns);
    free(l->next);
    free(l->node_source);
    free(l->sources);
    free(l->source_list);
    free(l->host);
    if (l->dir_fd >= 0)
        close(l->dir_fd);
    free(l);
}

static mproxy_status start_fresh(struct mproxy_ledger *l, mproxy_error *err)
{
    if (!reset(l))
        return mpx_fail(err, MPROXY_E_NOMEM, "ledger: no memory");
    if (getrandom(l->directory, sizeof l->directory, 0) != sizeof l->directory)
        return mpx_fail_errno(err, "ledger: random directory id");
    l->epoch = 0;
    l->next_number = 1;
    l->refused = l->refused_seen = 0;
    return MPROXY_OK;
}

static mproxy_status load(struct mproxy_ledger *l, bool discard, mproxy_error *err)
{
    struct mpx_buf bytes = MPX_BUF_INIT;
    mproxy_status status = mpx_state_file_read(l->dir_fd, &bytes, err);
    if (status == MPROXY_OK)
        status = mpx_state_decode(l, bytes.data, bytes.size, err);
    mpx_buf_free(&bytes);
    if (status == MPROXY_E_NOTFOUND)
        return start_fresh(l, err);
    if (discard && (status == MPROXY_E_CORRUPT || status == MPROXY_E_VERSION)) {
        status = mpx_state_file_set_aside(l->dir_fd, err);
        return status == MPROXY_OK ? start_fresh(l, err) : status;
    }
    return status;
}

static mproxy_status write_epoch(struct mproxy_ledger *l, mproxy_error *err)
{
    l->epoch++;
    l->dirty = true;
    mproxy_status status = mpx_ledger_commit(l, err);
    l->ready = false;
    return status;
}

static mproxy_status init(struct mproxy_ledger *l, int state_fd,
                          const mproxy_ledger_options *options, mproxy_error *err)
{
    l->linger_ms = options->linger_ms > 0 ? options->linger_ms : 0;
    l->continue_ms = options->continue_ms > 0 ? options->continue_ms : 0;
    l->host = strdup(options->host ? options->host : "");
    l->dir_fd = fcntl(state_fd, F_DUPFD_CLOEXEC, 0);
    if (l->dir_fd < 0)
        return mpx_fail_errno(err, "ledger: state directory");
    if (!l->host || !reset(l))
        return mpx_fail(err, MPROXY_E_NOMEM, "ledger: no memory");
    mproxy_status status =
        mpx_store_metric_exempt(l->store, "walltime", MPROXY_COUNTER,
                                "Seconds with live processes", &l->walltime, err);
    if (status != MPROXY_OK)
        return status;
    (void)mproxy_metric_ref(l->walltime);
    status = load(l, options->discard_damaged != 0, err);
    return status == MPROXY_OK ? write_epoch(l, err) : status;
}

mproxy_status mproxy_ledger_open(int state_fd, mproxy_store *store,
                                 const mproxy_ledger_options *options,
                                 mproxy_ledger **out, mproxy_error *err)
{
    MPX_REQUIRE(state_fd >= 0 && store && out, err);
    mproxy_ledger_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_ledger_options, discard_damaged, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    struct mproxy_ledger *l = calloc(1, sizeof *l);
    if (!l)
        return mpx_fail(err, MPROXY_E_NOMEM, "ledger: no memory");
    l->store = store;
    l->dir_fd = -1;
    status = init(l, state_fd, &o, err);
    if (status != MPROXY_OK) {
        mproxy_ledger_close(l);
        return status;
    }
    *out = l;
    return MPROXY_OK;
}

mproxy_status mproxy_ledger_move(mproxy_ledger *l, int state_fd, mproxy_error *err)
{
    MPX_REQUIRE(l && state_fd >= 0, err);
    int fd = fcntl(state_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return mpx_fail_errno(err, "ledger: state directory");
    int old = l->dir_fd;
    l->dir_fd = fd;
    for (uint32_t i = 0; i < l->share_count; i++)
        l->shares[i]->released = false; // absorbed in a round only
    l->refused_seen = 0;                // the file `refused` is a new one
    l->dirty = true;
    mproxy_status status = mpx_ledger_commit(l, err);
    if (status != MPROXY_OK) {
        l->dir_fd = old;
        close(fd);
        return status;
    }
    close(old);
    return MPROXY_OK;
}

const uint8_t *mproxy_ledger_directory(const mproxy_ledger *l)
{
    return l->directory;
}

uint64_t mproxy_ledger_epoch(const mproxy_ledger *l)
{
    return l->epoch;
}

// Times since boot say nothing after another boot: what had not ended ends now.
static void adopt_boot(struct mproxy_ledger *l)
{
    l->rebooted = false;
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        s->start_boot_ms = s->end_boot_ms = s->covered_boot_ms = l->boot_ms;
    }
}

void mproxy_ledger_round_begin(mproxy_ledger *l, int64_t boot_ms, uint64_t wall_us)
{
    l->boot_ms = boot_ms;
    l->wall_us = wall_us;
    l->member_count = 0;
    l->whole = l->all_unread = false;
    l->unread_count = 0;
    l->node_layout = NULL;
    for (uint32_t i = 0; i < l->columns.count; i++)
        if (l->columns.items[i])
            l->columns.items[i]->parts = 0;
    for (uint32_t i = 0; i < l->tracked_count; i++)
        l->tracked[i].seen = false;
    mpx_share_begin(l->base);
    for (uint32_t i = 0; i < l->share_count; i++)
        mpx_share_begin(l->shares[i]);
    if (l->rebooted)
        adopt_boot(l);
}

static bool reserve_members(struct mproxy_ledger *l)
{
    size_t room = mpx_array_room(l->member_room, l->member_count + 1);
    if (room == l->member_room)
        return true;
    if (!MPX_RESERVE_TO(l->members, room) || !MPX_RESERVE_TO(l->order, room))
        return false;
    l->member_room = room;
    return true;
}

mproxy_status mproxy_ledger_process(mproxy_ledger *l, const mproxy_process *process,
                                    mproxy_error *err)
{
    MPX_REQUIRE(l && process && process->job, err);
    MPX_REQUIRE(process->parts || process->part_count == 0, err);
    MPX_REQUIRE(process->segments || process->segment_count == 0, err);
    mproxy_status status = MPX_STRUCT_CHECK(mproxy_process, segments, process, err);
    if (status != MPROXY_OK)
        return status;
    // Folded in a round whose state file could not be written: it is counted already.
    if (process->final && process->segment_count > 0 &&
        mpx_pending_has(&l->pending, process->segments[0]))
        return MPROXY_OK;
    if (!reserve_members(l))
        return mpx_fail(err, MPROXY_E_NOMEM, "ledger: no memory for %zu processes",
                        l->member_count + 1);
    l->members[l->member_count++] = (struct mpx_member){.process = process,
                                                        .final = process->final != 0,
                                                        .uncounted = process->uncounted};
    return MPROXY_OK;
}

void mproxy_ledger_whole(mproxy_ledger *l)
{
    l->whole = true;
}

void mproxy_ledger_lost(mproxy_ledger *l, int64_t boot_ms)
{
    l->lost_ms = boot_ms;
}

void mproxy_ledger_unread(mproxy_ledger *l, uint32_t uid)
{
    if (mpx_ledger_is_unread(l, uid))
        return;
    l->all_unread |=
        uid == geteuid() || !MPX_RESERVE(l->unread, l->unread_room, l->unread_count + 1);
    if (!l->all_unread)
        l->unread[l->unread_count++] = uid;
}

// Another layout may come to lie at the address of one that is gone.
static void forget_node(mproxy_ledger *l, const mproxy_layout *layout)
{
    if (l->node_layout == layout)
        l->node_layout = NULL;
    if (l->node_source_layout == layout)
        l->node_source_layout = NULL;
    for (uint32_t i = 0; i < l->share_count; i++)
        if (l->shares[i]->node_layout == layout)
            l->shares[i]->node_layout = NULL;
}

void mproxy_ledger_forget(mproxy_ledger *l, const mproxy_layout *layout)
{
    forget_node(l, layout);
    struct mpx_columns *known = mpx_columns_find(&l->columns, layout);
    if (!known)
        return;
    mpx_share_unmap(l->base, known);
    l->is_base_loose = true;
    for (uint32_t i = 0; i < l->share_count; i++)
        mpx_share_unmap(l->shares[i], known);
    mpx_columns_forget(&l->columns, known);
}

mproxy_status mproxy_ledger_node(mproxy_ledger *l, const mproxy_layout *layout,
                                 const mproxy_value *values, mproxy_error *err)
{
    MPX_REQUIRE(l && layout, err);
    MPX_REQUIRE(values || layout->count == 0, err);
    (void)err;
    l->node_layout = layout;
    l->node_values = values;
    return MPROXY_OK;
}

static struct mpx_share *find_share(const struct mproxy_ledger *l, uint64_t number)
{
    uint32_t low = 0, high = l->share_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->shares[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->share_count && l->shares[low]->number == number ? l->shares[low]
                                                                    : NULL;
}

mproxy_status mproxy_ledger_release(mproxy_ledger *l, uint64_t share)
{
    MPX_REQUIRE(l, NULL);
    struct mpx_share *s = find_share(l, share);
    if (!s)
        return MPROXY_E_NOTFOUND;
    s->released = s->state == MPX_SHARE_SEALED;
    return MPROXY_OK;
}

void mproxy_ledger_refused(mproxy_ledger *l, uint64_t count)
{
    if (count == l->refused_seen)
        return;
    // A smaller file is another one: the directory was cleaned.
    uint64_t more = count > l->refused_seen ? count - l->refused_seen : count;
    l->refused_seen = count;
    l->refused += more;
    l->base->folded = l->dirty = true;
    for (uint32_t i = 0; i < l->share_count; i++)
        if (mpx_share_is_open(l->shares[i]))
            l->shares[i]->incomplete = l->shares[i]->changed = true;
}

static void count_node(struct mproxy_ledger *l, struct mpx_share *s)
{
    if (l->node_layout && mpx_share_wants_node(s) &&
        mpx_share_count_node(s, l->node_values))
        l->dirty = true;
}

static void count_node_source(struct mproxy_ledger *l)
{
    if (!l->node_layout)
        return;
    l->node_source_layout = l->node_layout;
    memcpy(l->node_source, l->node_values,
           l->node_layout->count * sizeof *l->node_source);
}

static void count_lost(struct mproxy_ledger *l)
{
    for (uint32_t i = 0; i < l->share_count; i++) {
        struct mpx_share *s = l->shares[i];
        if (s->expected > 0) {
            mpx_share_count_lost(s, l->whole, l->reasons[__builtin_ctz(MPX_OFF_REMOVED)]);
            l->dirty = true;
        }
        // A share that gets its first process: a proxy after this one is to expect it.
        if (mpx_share_is_open(s) && s->live > 0 && s->durable_live == 0)
            l->dirty = true;
    }
}

static void count(struct mproxy_ledger *l)
{
    if (l->name_count > 0)
        l->dirty = true;
    mpx_share_fold(l->base, l->reasons);
    for (uint32_t i = 0; i < l->share_count; i++)
        mpx_share_fold(l->shares[i], l->reasons);
    count_lost(l);
    for (size_t i = 0; i < l->name_count; i++)
        mpx_pending_take(&l->pending, l->names[i], false);
    l->name_count = 0;
    mpx_ledger_track(l);
    for (uint32_t i = 0; i < l->share_count; i++) {
        mpx_ledger_sum_share(l, l->shares[i]);
        count_node(l, l->shares[i]);
    }
    mpx_ledger_sum_base(l);
    count_node_source(l);
    mpx_ledger_mark_seals(l);
}

static void finish(struct mproxy_ledger *l)
{
    l->sequence++;
    if (l->base->changed)
        l->base->sequence = l->sequence;
    for (uint32_t i = 0; i < l->share_count; i++) {
        l->shares[i]->released = false;
        if (l->shares[i]->changed)
            l->shares[i]->sequence = l->sequence;
    }
    if (l->node_layout)
        l->node_sequence = l->sequence;
}

mproxy_status mproxy_ledger_round_end(mproxy_ledger *l, mproxy_error *err)
{
    MPX_REQUIRE(l, err);
    if (!mpx_ledger_prepare(l)) {
        for (size_t i = 0; i < l->name_count; i++)
            free(l->names[i]);
        l->name_count = 0;
        finish(l);
        return mpx_fail(err, MPROXY_E_NOMEM, "ledger: no memory for a round");
    }
    count(l);
    mproxy_status status = mpx_ledger_commit(l, err);
    if (status == MPROXY_OK)
        l->ready = true;
    finish(l);
    return status;
}

int mproxy_ledger_is_pending(const mproxy_ledger *l, const char *segment)
{
    return mpx_pending_has(&l->pending, segment);
}

struct unlinking {
    int (*unlink_one)(void *arg, const char *segment);
    void *arg;
};

static int unlink_between(void *arg, const char *name)
{
    const struct unlinking *u = arg;
    MPX_CRASH_POINT("fold.unlinking");
    int gone = u->unlink_one(u->arg, name);
    MPX_CRASH_POINT("fold.unlinked");
    return gone;
}

void mproxy_ledger_unlink_pending(mproxy_ledger *l,
                                  int (*unlink_one)(void *arg, const char *segment),
                                  void *arg)
{
    struct unlinking u = {unlink_one, arg};
    mpx_pending_sweep(&l->pending, unlink_between, &u);
    // Names of files that are gone do no harm in the state file; many are only a burden.
    if (l->pending_on_disk > PENDING_GONE_MIN &&
        l->pending.count < l->pending_on_disk / 2)
        l->dirty = true;
}
