// A node's programs as other parts of the proxy see them; all else is in the public header.
#ifndef MPX_PROCESSES_PROCESSES_H
#define MPX_PROCESSES_PROCESSES_H

#include <mproxy/processes.h>

#include "processes/segments.h"

const char *mpx_processes_dir_path(const mproxy_processes *p); // the rendezvous
int mpx_processes_dir_fd(const mproxy_processes *p);           // the same, open
int mpx_processes_state_fd(
    const mproxy_processes *p); // its `state`, until a round moves it
const struct mpx_segments *mpx_processes_segments(const mproxy_processes *p);
// Call `moved` whenever the directory had been removed and was made again; both NULL: don't.
void mpx_processes_on_move(mproxy_processes *p, void (*moved)(void *arg, int dir_fd),
                           void *arg);
// Make a directory that somebody removed again; everything known is kept. A round does it.
// @return MPROXY_OK (also when it is there), MPROXY_E_BUSY: another proxy has taken it, and
//         the state is not ours to write any more; MPROXY_E_SYSTEM, MPROXY_E_NOMEM
mproxy_status mpx_processes_keep(mproxy_processes *p, mproxy_error *err);

#endif
