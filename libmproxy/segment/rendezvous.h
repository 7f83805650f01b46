// The rendezvous directory of a proxy's socket: where segments meet the proxy.
//
// Both sides derive its path from the socket's path as a string, so that they agree without
// talking. libc only: used by the client, by proxy_run and by the daemon. Exported to
// libmproxy.
//
// Its content: `proxy` (the live proxy's lock), `*.seg` (being born while empty or without
// magic; litter if then its lock is free), `.off-*` and `refused` (what did not count),
// `state/`.
#ifndef MPX_SEGMENT_RENDEZVOUS_H
#define MPX_SEGMENT_RENDEZVOUS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <mproxy/base.h>

// Path of the directory of a socket: `<socket>.d` under /run and /dev/shm, else
// /dev/shm/<escaped path>.d (every byte outside [A-Za-z0-9._-] as %XX, '/' too; a name too
// long for a file gets a hash for its tail). `socket` is made absolute against the working
// directory; `//`, `/./` and `/../` are folded as text, links are not followed.
// @return MPROXY_OK, MPROXY_E_INVALID (empty or too long), MPROXY_E_SYSTEM
MPROXY_API mproxy_status mpx_rendezvous_path(const char *socket, char out[PATH_MAX],
                                             mproxy_error *err);

// The socket that programs and proxies agree on: $PROXY_PATH, the user's own if a proxy lives there,
// /run/mproxy/proxy.socket if one lives there, else the user's own. Never fails.
MPROXY_API void mpx_rendezvous_default_socket(char out[PATH_MAX]);

// The directory of that socket.
MPROXY_API void mpx_rendezvous_default_path(char out[PATH_MAX]);

// Whether a directory with this lstat() may be used: a directory, ours and writable by
// nobody else, or root's under /run with the sticky bit.
MPROXY_API bool mpx_rendezvous_is_trusted(const char *path, const struct stat *st);

// Open the directory, checked by mpx_rendezvous_is_trusted(). With `create`, make it: mode
// 0700, or 1777 when root makes one under /run (outside /run/user).
// @return MPROXY_OK (fd in *out), MPROXY_E_NOTFOUND, MPROXY_E_INVALID, MPROXY_E_SYSTEM
MPROXY_API mproxy_status mpx_rendezvous_open(const char *path, bool create, int *out,
                                             mproxy_error *err);

// Whether a proxy lives there: somebody holds the lock for writing on `proxy`, a file of the
// directory's owner. *pid may be NULL; it is 0 where no pid is known.
MPROXY_API bool mpx_rendezvous_is_live(int dir_fd, int *pid);
MPROXY_API bool mpx_rendezvous_is_live_at(const char *dir_path);
// The same; `text` is set to the beginning of what is in the file, also if nobody lives there; it
// stays where there is no such file.
bool mpx_rendezvous_read_live(int dir_fd, char *text, size_t size);

// Take the lock on `proxy` and write our pid there; the descriptor holds the lock. A file
// that others keep from being locked, or that is theirs, is replaced; so that not two do that
// at a time, the caller holds a lock that is out of the reach of others.
// @return MPROXY_OK, MPROXY_E_BUSY (text names the pid), MPROXY_E_SYSTEM
MPROXY_API mproxy_status mpx_rendezvous_take(int dir_fd, int *lock_fd, mproxy_error *err);

// Say that a process did not count, with no descriptor, no block and no file size: a
// symbolic link `.off-PID-BOOTNS` whose target is "REASONS JOBID" (reasons: decimal bits).
// When too much lies there (segment/crowd.h), one byte is appended to the file `refused`.
// False when nothing of that can be done.
MPROXY_API bool mpx_rendezvous_refuse(const char *dir_path, unsigned reasons,
                                      const char *jobid);

// The words of reason bits, comma separated ("no space, no descriptor"). Returns buffer.
MPROXY_API const char *mpx_off_reason_text(unsigned reasons, char *buffer,
                                           unsigned long size);

#endif
