// The root's word: which runs are stored or rewritten, and which shares are released
// (docs: architecture, "Shares and jobs": store, release, return).
//
// A run is what the known shares of one (uid, job id) make up, those of the archive's index
// and those held as sources (source/runs.h). It is stored once all its shares are sealed. What
// could not be stored stays in its sources and is tried again.
//
// All that touches the file system is done by a worker of the keeper's, so nobody waits for a
// file server that does not answer: then nothing is stored or released, and that is said.
//
// By one thread, except mpx_keeper_archive(): by any.
#ifndef MPX_PROFILE_KEEPER_H
#define MPX_PROFILE_KEEPER_H

#include <stdbool.h>

#include <mproxy/profile.h>
#include <mproxy/source.h>

struct mpx_keeper;
struct mpx_plan;

struct mpx_keeper_options {
    int64_t continue_ms; // 0: 600,000; negative: none
    int64_t wait_ms;     // a share silent for longer is not waited for; 0: 900,000
    // One line when storing begins to fail, fails otherwise, or works again, and one for
    // each profile written. Called by round() only. May be NULL.
    mproxy_log_fn log;
    void *log_arg;
    // Where to open an archive, if none is given; tried again until it can be opened.
    const char *dir;
};

// A share that its directory may absorb.
struct mpx_release {
    uint8_t directory[16];
    uint64_t number;
};

// A run whose processes are all gone, and of which something is not stored yet.
struct mpx_provisional {
    char *key;       // it will have in the archive
    mproxy_job desc; // with the id as the sources say it
    uint32_t uid;
    uint8_t directory[16]; // of one of its shares, with `number`
    uint64_t number;
    int64_t start_ms; // of the share that started last
    size_t replaced_count;
    char **replaced; // keys of stored profiles that hold a part of it
};

// `archive` must outlive the keeper and be stored to by it alone; NULL: the keeper opens its
// own, in the background. @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_keeper_open(mproxy_archive *archive,
                              const struct mpx_keeper_options *options,
                              struct mpx_keeper **out, mproxy_error *err);
// A write that is under way gets `timeout_ms`. False: it hangs and was left behind; the
// archive must never be closed then. `leave_archive`: an archive of its own is left open, for
// somebody else hangs in it. Accepts NULL.
bool mpx_keeper_close(struct mpx_keeper *keeper, int timeout_ms, bool leave_archive);

// NULL until it is open. Any thread.
mproxy_archive *mpx_keeper_archive(const struct mpx_keeper *keeper);
// Whether the archive is open, or was tried to open and could not be.
bool mpx_keeper_has_tried(const struct mpx_keeper *keeper);
// Readable when there is something for mpx_keeper_collect(), which round() calls, too.
int mpx_keeper_fd(const struct mpx_keeper *keeper);
void mpx_keeper_collect(struct mpx_keeper *keeper);

// Look at all sources held (those that are no shares are passed over), hand what is ready to
// the worker, and recompute the releases. Sources are borrowed for the call.
mproxy_status mpx_keeper_round(struct mpx_keeper *keeper,
                               const mproxy_source *const *sources, size_t count,
                               int64_t boot_ms);
// Of the last round: shares among its sources that are sealed and durably stored.
size_t mpx_keeper_releases(const struct mpx_keeper *keeper,
                           const struct mpx_release **out);
// Of the last round; borrowed until the next.
size_t mpx_keeper_provisional(const struct mpx_keeper *keeper,
                              const struct mpx_provisional **out);
// Copy all there is to make the profile of a provisional run. `sources` are those of the
// last round. NULL: no memory, or it is not among them any more.
struct mpx_plan *mpx_keeper_plan(struct mpx_keeper *keeper,
                                 const mproxy_source *const *sources, size_t count,
                                 const struct mpx_provisional *run);
// Whether profiles can't be stored now: the last try failed, or the file system has not
// answered for some time. Its text, cut to `size`, if so.
bool mpx_keeper_failed(struct mpx_keeper *keeper, char *text, size_t size);
// Wait until nothing handed over is left undone. False when the time ran out.
bool mpx_keeper_drain(struct mpx_keeper *keeper, int timeout_ms);

// Of a plan, by any one thread: whether files must be read for it; the profile, marked
// provisional; its end (accepts NULL).
bool mpx_plan_reads(const struct mpx_plan *plan);
mproxy_status mpx_plan_provisional(mproxy_archive *archive, struct mpx_plan *plan,
                                   mproxy_profile **out, mproxy_error *err);
void mpx_plan_free(struct mpx_plan *plan);

#endif
