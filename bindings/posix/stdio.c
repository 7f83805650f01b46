// Wrappers of stdio. libc's own calls below them do not come through the loader, so nothing
// is counted twice.
#include <stdio.h>

#include "count.h"

#define ITEMS (result * size)

// Names with two meanings in <stdio.h> when the compiler inlines them.
#undef fread_unlocked
#undef fwrite_unlocked

POSIX_WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), 0)
POSIX_WRAP(FILE *, fopen64, (const char *path, const char *mode), (path, mode), 0)
POSIX_WRAP(int, fclose, (FILE * f), (f), 0)
POSIX_WRAP(size_t, fread, (void *to, size_t size, size_t n, FILE *f), (to, size, n, f),
           ITEMS)
POSIX_WRAP(size_t, fread_unlocked, (void *to, size_t size, size_t n, FILE *f),
           (to, size, n, f), ITEMS)
POSIX_WRAP(size_t, __fread_chk, (void *to, size_t room, size_t size, size_t n, FILE *f),
           (to, room, size, n, f), ITEMS)
POSIX_WRAP(size_t, __fread_unlocked_chk,
           (void *to, size_t room, size_t size, size_t n, FILE *f),
           (to, room, size, n, f), ITEMS)
POSIX_WRAP(size_t, fwrite, (const void *from, size_t size, size_t n, FILE *f),
           (from, size, n, f), ITEMS)
POSIX_WRAP(size_t, fwrite_unlocked, (const void *from, size_t size, size_t n, FILE *f),
           (from, size, n, f), ITEMS)
POSIX_WRAP(int, fseek, (FILE * f, long at, int from), (f, at, from), 0)
POSIX_WRAP(int, fseeko, (FILE * f, off_t at, int from), (f, at, from), 0)
POSIX_WRAP(int, fseeko64, (FILE * f, off64_t at, int from), (f, at, from), 0)
POSIX_WRAP(int, fflush, (FILE * f), (f), 0)
POSIX_WRAP(int, fflush_unlocked, (FILE * f), (f), 0)
