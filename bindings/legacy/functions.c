// Calls of functions compiled with -finstrument-functions.
//
// An address is turned into a name once: what was found stays in a table of fixed size
// that is read without a lock. Functions that find no room in it are looked up at each
// call.
#include "metric_proxy_client.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/client.h>

enum {
    SLOTS = 8192, // a power of two
    PROBES = 32,
};

// `counter` is published before `function`; neither changes again.
struct slot {
    _Atomic uintptr_t function;
    struct MetricProxyValue *_Atomic counter;
};

static struct slot slots[SLOTS];

// A lookup may call instrumented functions (a malloc of the program's), which must not
// look themselves up.
static __thread bool is_busy __attribute__((tls_model("initial-exec")));

void __cyg_profile_func_enter(void *function, void *call_site);
void __cyg_profile_func_exit(void *function, void *call_site);

// What may not be in a metric's name.
static void clean(char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name <= ' ' || (unsigned char)*name >= 0x7f ||
            strchr("\"'{}", *name))
            *name = '_';
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void name_of(uintptr_t function, char name[MPROXY_NAME_MAX])
{
    Dl_info info = {0};
    const char *dso = "unknown";
    char offset[2 + 16 + 1];
    bool found = dladdr((void *)function, &info) != 0;
    if (found && info.dli_fname && *last_part(info.dli_fname))
        dso = last_part(info.dli_fname);
    // A function without a dynamic symbol is named by its place in its file.
    uintptr_t base = found ? (uintptr_t)info.dli_fbase : 0;
    snprintf(offset, sizeof offset, "0x%lx", (unsigned long)(function - base));
    snprintf(name, MPROXY_NAME_MAX, "func__%.700s_%.250s",
             info.dli_sname ? info.dli_sname : offset, dso);
    clean(name);
}

static struct MetricProxyValue *look_up(struct MetricProxyClient *client,
                                        uintptr_t function)
{
    char name[MPROXY_NAME_MAX];
    name_of(function, name);
    return metric_proxy_counter_new(client, name, "Calls of the function");
}

static size_t first_slot(uintptr_t function)
{
    return (size_t)((function * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % SLOTS;
}

static struct MetricProxyValue *find(uintptr_t function)
{
    for (size_t i = 0, at = first_slot(function); i < PROBES;
         i++, at = (at + 1) % SLOTS) {
        uintptr_t held = atomic_load_explicit(&slots[at].function, memory_order_acquire);
        if (held == function)
            return atomic_load_explicit(&slots[at].counter, memory_order_relaxed);
        if (held == 0)
            return NULL;
    }
    return NULL;
}

// Whoever sets the counter of a free slot owns it, and then names its function.
static void keep(uintptr_t function, struct MetricProxyValue *counter)
{
    for (size_t i = 0, at = first_slot(function); i < PROBES;
         i++, at = (at + 1) % SLOTS) {
        struct MetricProxyValue *none = NULL;
        if (atomic_compare_exchange_strong(&slots[at].counter, &none, counter)) {
            atomic_store_explicit(&slots[at].function, function, memory_order_release);
            return;
        }
    }
}

MPROXY_API struct MetricProxyValue *
metric_proxy_get_func(struct MetricProxyClient *client, size_t function, size_t call_site)
{
    (void)call_site;
    struct MetricProxyValue *counter = find(function);
    if (counter || !client || mproxy_client_status(NULL) != MPROXY_OK)
        return counter;
    counter = look_up(client, function);
    if (counter)
        keep(function, counter);
    return counter;
}

MPROXY_API void __cyg_profile_func_enter(void *function, void *call_site)
{
    if (is_busy)
        return;
    is_busy = true;
    metric_proxy_counter_inc(
        metric_proxy_get_func(metric_proxy_init(), (size_t)function, (size_t)call_site),
        1);
    is_busy = false;
}

MPROXY_API void __cyg_profile_func_exit(void *function, void *call_site)
{
    (void)function;
    (void)call_site;
}
