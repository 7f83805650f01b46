#include "common/loader.h"

#include <stddef.h>

// Each under the version it had when glibc came to this processor, which is there for ever,
// and weakly: in libdl.so.2 it is found only where the program has that loaded.
#if defined(__GLIBC__) && defined(__x86_64__)
#define OLDEST(function) __asm__(".symver " #function "," #function "@GLIBC_2.2.5")
#elif defined(__GLIBC__) && defined(__aarch64__)
#define OLDEST(function) __asm__(".symver " #function "," #function "@GLIBC_2.17")
#else
#define OLDEST(function) _Static_assert(1, "")
#endif

OLDEST(dlsym);
OLDEST(dlopen);
OLDEST(dladdr);
#pragma weak dlsym
#pragma weak dlopen
#pragma weak dladdr

// What libc.so.6 before 2.34 opened its own plugins with.
extern void *__libc_dlopen_mode(const char *path, int flags) __attribute__((weak));
extern void *__libc_dlsym(void *handle, const char *symbol) __attribute__((weak));

enum { LIBC_DLOPEN = (int)0x80000000 }; // a flag that it wants from its callers

static void *from_libdl(const char *function)
{
    if (!__libc_dlopen_mode || !__libc_dlsym)
        return NULL;
    void *libdl = __libc_dlopen_mode("libdl.so.2", RTLD_NOW | LIBC_DLOPEN);
    return libdl ? __libc_dlsym(libdl, function) : NULL;
}

void *mpx_dlsym(void *handle, const char *symbol)
{
    static void *(*found)(void *, const char *);
    if (!found && dlsym)
        found = dlsym;
    else if (!found)
        found = (void *(*)(void *, const char *))from_libdl("dlsym");
    return found ? found(handle, symbol) : NULL;
}

void *mpx_dlopen(const char *path, int flags)
{
    if (dlopen)
        return dlopen(path, flags);
    void *(*found)(const char *, int) =
        (void *(*)(const char *, int))from_libdl("dlopen");
    return found ? found(path, flags) : NULL;
}

int mpx_dladdr(const void *address, Dl_info *out)
{
    if (dladdr)
        return dladdr(address, out);
    int (*found)(const void *, Dl_info *) =
        (int (*)(const void *, Dl_info *))from_libdl("dladdr");
    return found ? found(address, out) : 0;
}
