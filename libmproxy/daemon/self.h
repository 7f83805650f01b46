// What the proxy tells of itself: metrics `mproxy_*`, beside the node's own.
#ifndef MPX_DAEMON_SELF_H
#define MPX_DAEMON_SELF_H

#include <mproxy/source.h>

struct mproxy_daemon;
struct mpx_self;

mproxy_status mpx_self_open(struct mproxy_daemon *d, struct mpx_self **out,
                            mproxy_error *err);
void mpx_self_close(struct mpx_self *self); // accepts NULL
void mpx_self_observe_round(struct mpx_self *self, double seconds);
// The node's source with our metrics behind its own; borrowed until the next call. They
// are in no job, so the ledger does not see them.
const mproxy_source *mpx_self_extend(struct mpx_self *self, const mproxy_source *node,
                                     uint64_t wall_us);

#endif
