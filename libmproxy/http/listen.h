// The listening socket, and who has it when we can't.
#ifndef MPX_HTTP_LISTEN_H
#define MPX_HTTP_LISTEN_H

#include <mproxy/base.h>

// Listen on a TCP port. `address` NULL: all interfaces, IPv4 and IPv6, or IPv4 where the
// host has no IPv6. `*port` 0: a free one, which is set.
// @return MPROXY_OK, MPROXY_E_BUSY (the text names program and pid), MPROXY_E_INVALID
//         (address), MPROXY_E_SYSTEM
mproxy_status mpx_listen(const char *address, int *port, int *fd, mproxy_error *err);

#endif
