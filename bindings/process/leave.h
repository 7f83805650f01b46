// Ends of a process that its C library does not see.
#ifndef MPX_PROCESS_LEAVE_H
#define MPX_PROCESS_LEAVE_H

#include "common/loader.h"

// Nonzero in a child of vfork that was made in a sandbox, where its pid can't be asked for: the
// thread's storage is its parent's, whose end and exec are not meant. Set by vfork.S.
extern MPX_HIDDEN __thread int mpx_in_vfork __attribute__((tls_model("initial-exec")));

// The process ends, if it is the caller's own and not its parent's, whose storage it has.
MPX_HIDDEN void mpx_finish(void);

// Around what may turn this process into another program; end where it did not. In a child
// without thread-local storage of its own they do nothing.
MPX_HIDDEN void mpx_leave_begin(void);
MPX_HIDDEN void mpx_leave_end(void);

// Whether the program's runtime ends it by a system call of its own, as Go's does: looked up
// once, and what was found.
MPX_HIDDEN int mpx_find_runtime(void);
extern MPX_HIDDEN int mpx_end_is_unseen;

#endif
