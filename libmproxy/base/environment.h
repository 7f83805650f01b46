// A variable of the environment without getenv(), which a program or an exporter may have
// replaced by one that counts: it would call us again before we can know of it.
#ifndef MPX_BASE_ENVIRONMENT_H
#define MPX_BASE_ENVIRONMENT_H

#include <stddef.h>
#include <string.h>

extern char **environ;

// Borrowed from the environment. NULL where it is not set, or libc has no environment yet.
static inline const char *mpx_variable(const char *name)
{
    size_t length = strlen(name);
    for (char **v = environ; v && *v; v++)
        if (strncmp(*v, name, length) == 0 && (*v)[length] == '=')
            return *v + length + 1;
    return NULL;
}

#endif
