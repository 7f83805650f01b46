// The proxy's own metrics as the daemon opens them; all else is in the public header.
#ifndef MPX_SELF_SELF_H
#define MPX_SELF_SELF_H

#include <mproxy/push.h>
#include <mproxy/self.h>

struct mpx_server;
struct mpx_syscalls;

// What the daemon has that other programs have not, or in another form. All may be NULL.
struct mpx_self_more {
    struct mpx_server *const *server; // there while it serves
    mproxy_gateway *const *gateway;   // until the last round
    struct mpx_syscalls *const *syscalls;
    mproxy_push *const *push;
    size_t (*profiles)(void *arg); // how many are stored
    void *arg;
};

mproxy_status mpx_self_open_more(const mproxy_self_options *options,
                                 const struct mpx_self_more *more, mproxy_self **out,
                                 mproxy_error *err);
// Of what the last round has shown: jobs, and series over all of them.
size_t mpx_self_jobs(const mproxy_self *self);
size_t mpx_self_series(const mproxy_self *self);

#endif
