#include "base/crash.h"

#ifdef MPROXY_TEST_HOOKS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void mpx_crash_point(const char *name)
{
    static atomic_int passages;
    const char *want = getenv("MPROXY_CRASH_AT");
    if (!want)
        return;
    size_t length = strlen(name);
    if (strncmp(want, name, length) != 0 || (want[length] != '\0' && want[length] != ':'))
        return;
    int nth = want[length] == ':' ? atoi(want + length + 1) : 1;
    if (atomic_fetch_add(&passages, 1) + 1 == nth)
        raise(SIGKILL);
}
#endif
