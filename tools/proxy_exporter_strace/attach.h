// Tracing processes that run already.
#ifndef PROXY_EXPORTER_STRACE_ATTACH_H
#define PROXY_EXPORTER_STRACE_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Take over what names the job and the proxy of a process into our environment, but for the
// parts that are to stay as they are.
void attach_environment(pid_t pid, bool keep_job, bool keep_socket);

// Seize all threads of a process and make them stop. False, with the reason in `why`, when
// not even its leader could be had.
bool attach_process(pid_t pid, char *why, size_t room);

#endif
