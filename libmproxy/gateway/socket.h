// The socket file of the gateway, and who stands at the other end of a connection.
#ifndef MPX_GATEWAY_SOCKET_H
#define MPX_GATEWAY_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

#include <mproxy/base.h>

// Which file is ours, to see when it is replaced or removed.
struct mpx_socket_file {
    dev_t device;
    ino_t inode;
};

// Listen at `path`. A socket file behind which nobody answers is replaced.
// @return MPROXY_OK, MPROXY_E_BUSY (the text names the pid), MPROXY_E_INVALID (too long, or
//         another kind of file is there), MPROXY_E_SYSTEM
mproxy_status mpx_socket_bind(const char *path, int *fd, struct mpx_socket_file *file,
                              mproxy_error *err);
bool mpx_socket_is_ours(const char *path, const struct mpx_socket_file *file);

// Whether the process counts its own start and end in a segment: proxy_run preloads into
// programs of the older library, too. It is looked up in the process while it lives, else
// among the segments of the directory.
bool mpx_peer_counts_itself(int pid, const char *dir_path);

#endif
