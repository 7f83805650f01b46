// What tests of a program's processes share: where they may clone and vfork as they like, and
// what all segments together say.
#ifndef TESTS_SUPPORT_PROCESS_FIXTURE_H
#define TESTS_SUPPORT_PROCESS_FIXTURE_H

#include <sys/syscall.h>
#include <sys/types.h>

#include "program.h"

#if defined(__SANITIZE_THREAD__) || defined(FORK_ONLY)
// Its runtime has a thread of its own, makes a fork of each vfork, and does not survive a
// raw clone or a fork from a signal handler.
#define PLAIN_PROCESSES 0
#else
#define PLAIN_PROCESSES 1
#endif

enum { FORKS = 120 };

static inline struct probe_total of(pid_t pid, const char *name)
{
    return probe_directory(program_dir, pid, name);
}

static inline long start_by_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

#endif
