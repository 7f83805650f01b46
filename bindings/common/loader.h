// The dynamic loader's functions, as any C library has them that a program may bring: glibc
// from 2.17 on, or musl. glibc 2.34 moved them from libdl.so.2 to libc.so.6, so linked
// plainly an exporter would keep programs of older systems from starting.
#ifndef MPX_BINDINGS_LOADER_H
#define MPX_BINDINGS_LOADER_H

#include <dlfcn.h>

#define MPX_HIDDEN __attribute__((visibility("hidden")))

// As dlsym(), dlopen() and dladdr(); RTLD_NEXT means the next object behind ours. They fail
// where there is no such function to be had.
MPX_HIDDEN void *mpx_dlsym(void *handle, const char *symbol);
MPX_HIDDEN void *mpx_dlopen(const char *path, int flags);
MPX_HIDDEN int mpx_dladdr(const void *address, Dl_info *out);

#endif
