#include "count.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "common/handles.h"
#include "common/loader.h"

struct posix_counters posix_fns[FN_COUNT];
uintptr_t posix_own_begin, posix_own_size;

static const struct {
    const char *symbol, *as;
    int moves;
    enum posix_op op;
} names[FN_COUNT] = {
#define NONE 0
#define MOVE 1
#define POSIX_FN(symbol, as, bytes, op) {#symbol, #as, bytes, OP_##op},
#include "functions.def"
#undef POSIX_FN
};

// Where the libraries of ours lie that are loaded when the first call comes. The back-end of
// the MPI exporter comes later, and makes no call that is counted here.
static struct extent {
    uintptr_t begin, end;
} ours[8];
static size_t our_count;

static struct extent extent_of(const struct dl_phdr_info *info)
{
    struct extent e = {.begin = UINTPTR_MAX};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD)
            continue;
        uintptr_t from = info->dlpi_addr + ph->p_vaddr;
        e.begin = from < e.begin ? from : e.begin;
        e.end = from + ph->p_memsz > e.end ? from + ph->p_memsz : e.end;
    }
    return e;
}

static int is_named_as_ours(const char *path)
{
    static const char *const beginnings[] = {"libmetricproxy-exporter-",
                                             "libmproxy_client.so", "libproxyclient.so"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return 1;
    return 0;
}

static int note_own(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (!info->dlpi_name || !is_named_as_ours(info->dlpi_name) ||
        our_count == sizeof ours / sizeof *ours)
        return 0;
    struct extent e = extent_of(info);
    uintptr_t end = posix_own_begin + posix_own_size;
    end = e.end > end ? e.end : end;
    if (!our_count || e.begin < posix_own_begin)
        posix_own_begin = e.begin;
    posix_own_size = end - posix_own_begin;
    ours[our_count++] = e;
    return 0;
}

int posix_is_in_own(uintptr_t at)
{
    for (size_t i = 0; i < our_count; i++)
        if (at - ours[i].begin < ours[i].end - ours[i].begin)
            return 1;
    return 0;
}

// Any wrapper may be the first thing of ours that runs: another library's constructor can
// come before our own. What signal handlers may call is looked up here, not in a handler.
__attribute__((constructor)) static void prepare(void)
{
    static int done;
    if (done)
        return;
    done = 1;
    dl_iterate_phdr(note_own, NULL);
    static const enum posix_fn in_handlers[] = {FN_open,  FN_close, FN_read,   FN_write,
                                                FN_lseek, FN_fsync, FN_unlink, FN_stat};
    for (size_t i = 0; i < sizeof in_handlers / sizeof in_handlers[0]; i++)
        posix_resolve(in_handlers[i]);
}

// What a program finds that looks up a function which only newer C libraries have.
static int absent(void)
{
    errno = ENOSYS;
    return -1;
}

void *posix_resolve(enum posix_fn fn)
{
    prepare();
    void *real = mpx_dlsym(RTLD_NEXT, names[fn].symbol);
    if (!real)
        real = (void *)absent;
    __atomic_store_n(&posix_fns[fn].real, real, __ATOMIC_RELAXED);
    return real;
}

static mproxy_counter *get(const char *kind, enum posix_fn fn, const char *doc,
                           double scale, mproxy_error *err)
{
    char name[96], text[128];
    snprintf(name, sizeof name, "posix___%s___%s", kind, names[fn].as);
    snprintf(text, sizeof text, "%s %s()", doc, names[fn].as);
    return mproxy_counter_get_scaled(name, text, scale, err);
}

static mproxy_histogram *get_sizes(enum posix_op op, mproxy_error *err)
{
    static const char *const labels[] = {"read", "write"};
    char name[64];
    snprintf(name, sizeof name, "posix_access_size_bytes{op=\"%s\"}", labels[op]);
    double bounds[32];
    for (int i = 0; i < 32; i++)
        bounds[i] = (double)(UINT64_C(1) << i);
    return mproxy_histogram_get(name, "Bytes moved by one call", bounds, 32, err);
}

__attribute__((cold)) static void declare(enum posix_fn fn, struct posix_handles *own)
{
    struct posix_counters *f = &posix_fns[fn];
    mproxy_error err = {0};
    own->counter[0] = get("hits", fn, "Number of calls of", 1, &err);
    double second = err.status ? 1 : mpx_seconds_per_tick();
    own->counter[1] = get("time", fn, "Seconds spent in", second, &err);
    if (names[fn].moves) {
        own->counter[2] = get("size", fn, "Bytes moved by", 1, &err);
        own->sizes = get_sizes(names[fn].op, &err);
    }
    if (mpx_handles_claim(&f->state, &err)) {
        f->handles = *own;
        mpx_handles_publish(&f->state);
    }
}

void posix_count(enum posix_fn fn, uint64_t begin, uint64_t bytes)
{
    uint64_t took = mpx_ticks_between(begin, mpx_ticks());
    if (!mproxy_thread_has_storage())
        return;
    struct posix_handles own = {0}, *h = &posix_fns[fn].handles;
    if (!mpx_handles_are_set(&posix_fns[fn].state))
        declare(fn, h = &own);
    mproxy_counter_add_many(h->counter, (uint64_t[]){1, took, bytes}, bytes ? 3 : 2);
    if (bytes)
        mproxy_histogram_observe(h->sizes, (double)bytes);
}
