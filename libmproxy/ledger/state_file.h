// The state file on disk: `ledger`, exchanged with a `spare` whose blocks are allocated, so
// that a full file system does not stop a node from moving to its next state.
#ifndef MPX_LEDGER_STATE_FILE_H
#define MPX_LEDGER_STATE_FILE_H

#include <mproxy/base.h>

#include "base/buf.h"

#define MPX_STATE_FILE "ledger"
#define MPX_STATE_SPARE "spare"
#define MPX_STATE_MAX ((size_t)1 << 30) // bytes that are read

// @return MPROXY_OK, MPROXY_E_NOTFOUND, MPROXY_E_CORRUPT (no regular file, too large),
//         MPROXY_E_SYSTEM, MPROXY_E_NOMEM
mproxy_status mpx_state_file_read(int dir_fd, struct mpx_buf *out, mproxy_error *err);
// One rename makes the bytes the state. On failure the state is as before.
mproxy_status mpx_state_file_replace(int dir_fd, const void *bytes, size_t length,
                                     mproxy_error *err);
// Rename a damaged file to the first free `ledger.damaged-N`.
mproxy_status mpx_state_file_set_aside(int dir_fd, mproxy_error *err);

#endif
