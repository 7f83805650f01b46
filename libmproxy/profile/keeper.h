// The root's word: which runs are stored or rewritten, and which shares are released
// (docs: architecture, "Shares and jobs": store, release, return).
//
// A run is what the known shares of one (uid, job id) make up, those of the archive's index
// and those held as sources, split where the gap is over `continue_ms` or, without overlap,
// the command differs. A run is stored once all its shares are sealed, by a thread of the
// keeper's own. What could not be stored stays in its sources and is tried again.
//
// open, round, releases, drain and close by one thread; mpx_keeper_failed() by any.
#ifndef MPX_PROFILE_KEEPER_H
#define MPX_PROFILE_KEEPER_H

#include <stdbool.h>

#include <mproxy/profile.h>
#include <mproxy/source.h>

struct mpx_keeper;

struct mpx_keeper_options {
    int64_t continue_ms; // 0: 600,000; negative: none
    int64_t wait_ms;     // a share silent for longer is not waited for; 0: 900,000
    // One line when storing begins to fail, fails otherwise, or works again, and one for
    // each profile written. Called by round() only. May be NULL.
    void (*log)(void *arg, bool is_failure, const char *line);
    void *log_arg;
};

// A share that its directory may absorb.
struct mpx_release {
    uint8_t directory[16];
    uint64_t number;
};

// Starts the thread. `archive` must outlive the keeper, and be stored to by it alone.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_keeper_open(mproxy_archive *archive,
                              const struct mpx_keeper_options *options,
                              struct mpx_keeper **out, mproxy_error *err);
// Waits for a write that is under way. Accepts NULL.
void mpx_keeper_close(struct mpx_keeper *keeper);

// Look at all sources held (those that are no shares are passed over), hand what is ready to
// the thread, and recompute the releases. Sources are borrowed for the call.
mproxy_status mpx_keeper_round(struct mpx_keeper *keeper,
                               const mproxy_source *const *sources, size_t count,
                               int64_t boot_ms);
// Of the last round: shares among its sources that are sealed and durably stored.
size_t mpx_keeper_releases(const struct mpx_keeper *keeper,
                           const struct mpx_release **out);
// Whether the last try to store a profile failed; its text, cut to `size`, if so.
bool mpx_keeper_failed(struct mpx_keeper *keeper, char *text, size_t size);
// Wait until nothing handed over is left undone. False when the time ran out.
bool mpx_keeper_drain(struct mpx_keeper *keeper, int timeout_ms);

#endif
