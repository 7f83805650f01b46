// Whole files, read bounded and replaced atomically. Names are relative to a directory.
#ifndef MPX_BASE_FILE_H
#define MPX_BASE_FILE_H

#include <stdbool.h>

#include <mproxy/base.h>

#include "base/buf.h"

// Read a regular file, not through a link, of at most `max` bytes. Appends to `out`.
// @return MPROXY_OK, MPROXY_E_NOTFOUND, _LIMIT, _INVALID (no regular file), _NOMEM or
//         _SYSTEM (errno says which)
mproxy_status mpx_file_read(int dir_fd, const char *name, size_t max, struct mpx_buf *out,
                            mproxy_error *err);

// Write all bytes, going on after signals and short writes. False with errno set.
bool mpx_write_all(int fd, const void *bytes, size_t length);

// Write `<temporary>`, optionally fsync, rename to `name`, optionally fsync the directory.
// On failure the temporary file is removed and `name` is as before.
mproxy_status mpx_file_replace(int dir_fd, const char *temporary, const char *name,
                               const void *bytes, size_t length, bool sync,
                               mproxy_error *err);

#endif
