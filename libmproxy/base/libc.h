// What is preloaded starts with whatever C library the program brings: glibc from 2.17 on,
// or musl. A symbol (or a version of one) that it lacks would end the program in the loader,
// so what came later, or is glibc's alone, is asked for here in a way that all of them have.
// System calls are made without the library: base/sys.h. The test meta.libraries reads what
// each preloaded object needs.
#ifndef MPX_BASE_LIBC_H
#define MPX_BASE_LIBC_H

#include <pthread.h>
#include <stddef.h>

// The version that symbols had when glibc came to this processor. Functions that moved into
// libc.so have a newer version as their default (dlsym and threads 2.34, in libdl and
// libpthread before) and can be had under this one for ever.
#if defined(__GLIBC__) && defined(__x86_64__)
#define MPX_OLDEST(function) __asm__(".symver " #function "," #function "@GLIBC_2.2.5")
#elif defined(__GLIBC__) && defined(__aarch64__)
#define MPX_OLDEST(function) __asm__(".symver " #function "," #function "@GLIBC_2.17")
#else
#define MPX_OLDEST(function) _Static_assert(1, "")
#endif

// The form of POSIX, by the name that both glibc and musl have for it: with our headers
// `strerror_r` is GNU's, and musl's function of that name returns something else.
extern int mpx_strerror(int number, char *text, size_t size) __asm__("__xpg_strerror_r");

// glibc's pthread_atfork() is linked into each object and calls this one; musl's is a function
// like others. Named weakly, neither need be there.
extern int __register_atfork(void (*prepare)(void), void (*parent)(void),
                             void (*child)(void), void *object) __attribute__((weak));
extern int mpx_pthread_atfork(void (*prepare)(void), void (*parent)(void),
                              void (*child)(void)) __asm__("pthread_atfork")
    __attribute__((weak));

static inline int mpx_at_fork(void (*prepare)(void), void (*parent)(void),
                              void (*child)(void))
{
    static char object; // its address: handlers leave when what it names is unloaded
    if (__register_atfork)
        return __register_atfork(prepare, parent, child, &object);
    return mpx_pthread_atfork ? mpx_pthread_atfork(prepare, parent, child) : -1;
}

#endif
