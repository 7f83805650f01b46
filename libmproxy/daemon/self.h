// The proxy's own metrics, `mproxy_*` of tables/self.def, as a source.
#ifndef MPX_DAEMON_SELF_H
#define MPX_DAEMON_SELF_H

#include <mproxy/source.h>

struct mproxy_daemon;
struct mpx_self;

// After all whose numbers are told have been opened.
mproxy_status mpx_self_open(struct mproxy_daemon *d, struct mpx_self **out,
                            mproxy_error *err);
void mpx_self_close(struct mpx_self *self); // accepts NULL
void mpx_self_observe_round(struct mpx_self *self, double seconds);
// The numbers of now, as a source of this directory; borrowed until the next call. It is not
// in the ledger and in no job.
const mproxy_source *mpx_self_source(struct mpx_self *self, uint64_t wall_us);

#endif
