// A proxy's hold on its rendezvous directory: the descriptors by which it is the only one there.
#ifndef MPX_PROCESSES_HOLD_H
#define MPX_PROCESSES_HOLD_H

#include "processes/segments.h"

struct mpx_hold {
    int dir_fd;
    int state_fd; // its directory `state`, locked
    int lock_fd;  // its file `proxy`, locked: it tells everybody that a proxy lives
};

#define MPX_HOLD_NONE ((struct mpx_hold){-1, -1, -1})

// Make the directory where it is missing, and take it. Locks of `held` that are still those
// of the directory go on.
// @return MPROXY_OK, MPROXY_E_BUSY (another proxy lives there; the text names its pid),
//         MPROXY_E_INVALID, MPROXY_E_SYSTEM; *out holds nothing then
mproxy_status mpx_hold_take(const char *path, const struct mpx_hold *held,
                            struct mpx_hold *out, mproxy_error *err);
void mpx_hold_close(const struct mpx_hold *hold);

// Whether the directory is there, with what of it is ours.
bool mpx_hold_is_whole(const struct mpx_hold *hold, const struct mpx_segments *segments);
// Make it again after somebody removed it; everything known is kept. MPROXY_E_BUSY: another
// proxy has taken it, and the state is not ours to write any more. On failure all is as before.
mproxy_status mpx_hold_remake(struct mpx_hold *hold, const char *path,
                              mproxy_ledger *ledger, struct mpx_segments *segments,
                              mproxy_error *err);

#endif
