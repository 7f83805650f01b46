// An exporter: a library that proxy_run preloads, and that counts what a program calls. It lies
// beside the others, since proxy_run finds exporters by their names.
//
//   cc -shared -fPIC -o $(pkg-config --variable=libdir mproxy-client)/libmetricproxy-exporter-getenv.so exporter_getenv.c $(pkg-config --cflags --libs mproxy-client)
//   proxy_run -j first -e getenv -- ls
//
// An empty file libmetricproxy-exporter-getenv.opt-in beside it makes proxy_run load it only
// with -e; without that file it is one of the default exporters.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 // RTLD_NEXT
#endif
#include <mproxy/client.h>

#include <dlfcn.h>
#include <stdlib.h>

static mproxy_counter *_Atomic calls;

// The library calls getenv() itself while it begins to count: then it is busy, and the next
// call asks again. Any other refusal stays, and the handle counts nothing.
static void count(void)
{
    mproxy_counter *c = calls;
    if (!c) {
        mproxy_error err = {0};
        c = mproxy_counter_get("getenv_calls_total", "Calls of getenv()", &err);
        if (err.status != MPROXY_E_BUSY)
            calls = c;
    }
    mproxy_counter_add(c, 1);
}

char *getenv(const char *name)
{
    static char *(*_Atomic real)(const char *);
    if (!real)
        real = (char *(*)(const char *))dlsym(RTLD_NEXT, "getenv");
    count();
    return real(name);
}
