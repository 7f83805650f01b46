// What can be known of a program before it is run.
#ifndef MPX_LAUNCH_PROGRAM_H
#define MPX_LAUNCH_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

// As execvp() would find it; `path` is set where it has to be looked for in PATH, or holds a
// slash itself. False sets errno.
bool mpx_program_find(const char *program, char path[PATH_MAX]);

// Whether it is an executable of another word size or processor: what is preloaded into it
// would be refused by its loader, with a line on stderr for each object.
bool mpx_program_is_foreign(const char *path);

// Whether the file system does not let what lies there be run, or be loaded (noexec).
bool mpx_program_is_barred(const char *path);

#endif
