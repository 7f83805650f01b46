// The rendezvous directory of a proxy's socket: where segments meet the proxy.
//
// Both sides derive its path from the socket's path as a string, so that they agree without
// talking. libc only: used by the client, by proxy_run and by the daemon.
#ifndef MPX_SEGMENT_RENDEZVOUS_H
#define MPX_SEGMENT_RENDEZVOUS_H

#include <limits.h>
#include <stdbool.h>

#include <mproxy/base.h>

// Path of the directory of a socket: `<socket>.d` under /run and /dev/shm, else
// /dev/shm/<escaped path>.d (every byte outside [A-Za-z0-9._-] as %XX, '/' too; a name too
// long for a file gets a hash for its tail). `socket` is made absolute against the working
// directory. Exported to libmproxy (private version node).
mproxy_status mpx_rendezvous_path(const char *socket, char out[PATH_MAX],
                                  mproxy_error *err);

// The socket that spec/cli names: $PROXY_PATH, the user's own if a proxy lives there,
// /run/mproxy/proxy.socket if one lives there, else the user's own. Never fails.
void mpx_rendezvous_default_socket(char out[PATH_MAX]);

// Open the directory, checked: a directory, not a link, owned by the caller (mode 0700) or,
// under /run, by root with the sticky bit. With `create`, make it (and `.proxy` below).
// @return MPROXY_OK (fd in *out), MPROXY_E_NOTFOUND, MPROXY_E_INVALID, MPROXY_E_SYSTEM
mproxy_status mpx_rendezvous_open(const char *path, bool create, int *out,
                                  mproxy_error *err);

// Whether a proxy lives there: somebody holds the lock on `proxy`. *pid may be NULL.
bool mpx_rendezvous_is_live(int dir_fd, int *pid);

// Take the lock on `proxy` and write our pid there; the descriptor holds the lock.
// @return MPROXY_OK, MPROXY_E_BUSY (text names the pid), MPROXY_E_SYSTEM
mproxy_status mpx_rendezvous_take(int dir_fd, int *lock_fd, mproxy_error *err);

// Say that a process did not count, with no descriptor, no block and no file size: a
// symbolic link `.off-PID-...` whose target is "REASONS JOBID" (reasons: decimal bits).
// When there are 4,096 of them already, one byte is appended to the file `refused`.
void mpx_rendezvous_refuse(const char *dir_path, unsigned reasons, const char *jobid);

// The words of reason bits, comma separated ("no space, no descriptor").
const char *mpx_off_reason_text(unsigned reasons, char *buffer, unsigned long size);

#endif
