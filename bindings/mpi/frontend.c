// The MPI exporter as it is preloaded: it defines every MPI_X and PMPI_X, and at the first
// call finds out which MPI library the program uses and loads the back-end made for it.
//
// It links no MPI: preloaded into `ls` it loads nothing and runs nothing.
// Handles and statuses differ between makes of MPI, so a back-end is taken only when the
// library's file name and its version string both say that it is the right one.
//
// A program may ask long before it has an MPI library, by a weak reference or dlsym(), and
// get one later with a plugin, in the global scope or for the plugin alone. So "none" is
// never kept: it is looked again when the loader has loaded something since. A library once
// found is never let go, for callers jump there without asking again. Whoever looks holds no
// lock: another thread waits for it a bounded time and then goes uncounted.
#include "backend.h"

#include <link.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mproxy/client.h>

#include "common/loader.h"

// Said here too: else its address would be asked of the loader, by a function that musl keeps
// elsewhere.
__thread struct mpx_mpi_thread mpx_mpi_thread __attribute__((tls_model("initial-exec")));

extern _Atomic(void *) mpx_mpi_slots[] __attribute__((visibility("hidden")));
extern const char mpx_mpi_names[] __attribute__((visibility("hidden")));
extern const uint32_t mpx_mpi_name_starts[] __attribute__((visibility("hidden")));

typedef int version_function(char *text, int *length);

enum { WAIT_SECONDS = 5 }; // for a thread that picks the back-end

// Written by the thread that is `picking`, read by those that see `picked`.
static _Atomic(struct mpx_mpi_thread *) picking;
static atomic_bool picked;                    // there is an MPI library
static const struct mpx_mpi_backend *backend; // NULL: none for this library
static void *library; // the program's MPI library, where RTLD_NEXT fails
// How many objects had been loaded when there was no library among them.
static _Atomic unsigned long long looked_at;

// The program's own symbol: a function is the next behind us in the search order; a variable
// may have been copied into the program, so it is the first in it. A library that was opened
// by dlopen() for one extension only is asked itself.
static void *find(const char *symbol)
{
    int is_function = strstr(symbol, "MPI_") != NULL;
    void *address = mpx_dlsym(is_function ? RTLD_NEXT : RTLD_DEFAULT, symbol);
    return address || !library ? address : mpx_dlsym(library, symbol);
}

static int note_library(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *file = slash ? slash + 1 : info->dlpi_name;
    if (strncmp(file, "libmpi.so", 9) != 0 && strncmp(file, "libmpich.so", 11) != 0)
        return 0;
    *(const char **)arg = info->dlpi_name;
    return 1;
}

// Opened once more, it stays when the plugin that brought it is closed.
static void *keep(const char *path)
{
    return path ? mpx_dlopen(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) : NULL;
}

// What the library says of itself, and its path; NULL: there is none.
static version_function *find_library(const char **path)
{
    Dl_info info;
    version_function *version =
        (version_function *)mpx_dlsym(RTLD_NEXT, "MPI_Get_library_version");
    *path = NULL;
    if (version) {
        if (mpx_dladdr((void *)version, &info))
            *path = info.dli_fname;
        keep(*path);
        return version;
    }
    dl_iterate_phdr(note_library, path);
    library = keep(*path);
    return library ? (version_function *)mpx_dlsym(library, "MPI_Get_library_version")
                   : NULL;
}

static int note_loads(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(unsigned long long *)arg = info->dlpi_adds;
    return 1;
}

// How many objects were ever loaded.
static unsigned long long count_loads(void)
{
    unsigned long long loads = 0;
    dl_iterate_phdr(note_loads, &loads);
    return loads;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// `libmpich.so.12.1.0` and `libmpich.so.12` are one: keep the name up to the major number.
static void soname_of(const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s", base_name(path));
    char *so = strstr(out, ".so.");
    char *dot = so ? strchr(so + 4, '.') : NULL;
    if (dot)
        *dot = '\0';
}

// Back-ends lie beside this library: metricproxy-mpi/<soname of the MPI library>.
static void *open_backend(const char *soname, char *path, size_t size)
{
    Dl_info self;
    if (!mpx_dladdr((void *)open_backend, &self) || !self.dli_fname)
        return NULL;
    const char *slash = strrchr(self.dli_fname, '/');
    int length = slash ? (int)(slash - self.dli_fname) : 1;
    snprintf(path, size, "%.*s/metricproxy-mpi/%s", length, slash ? self.dli_fname : ".",
             soname);
    return access(path, R_OK) == 0 ? mpx_dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static int is_made_for(const struct mpx_mpi_backend *b, version_function *version)
{
    static char
        text[16384]; // larger than any MPI's maximum; once, before any thread counts
    int length = 0;
    if (version(text, &length) != 0)
        return 0;
    text[sizeof text - 1] = '\0';
    return strstr(text, b->make) != NULL;
}

// The job's profile says so, not the program's stderr, which may be any file by now.
static void tell_uncounted(void)
{
    void (*tell)(enum mproxy_uncounted) = (void (*)(enum mproxy_uncounted))mpx_dlsym(
        RTLD_DEFAULT, "mproxy_process_uncounted");
    if (tell)
        tell(MPROXY_UNCOUNTED_MPI);
}

// False when there is no MPI library yet: nothing to count, and nothing to say.
static bool pick_backend(void)
{
    const char *file;
    version_function *version = find_library(&file);
    if (!version)
        return false;
    char soname[128] = "", path[4096];
    if (file)
        soname_of(file, soname, sizeof soname);
    void *handle = open_backend(soname, path, sizeof path);
    const struct mpx_mpi_backend *b =
        handle ? mpx_dlsym(handle, MPX_MPI_BACKEND_SYMBOL) : NULL;
    if (!b || !is_made_for(b, version)) {
        tell_uncounted();
        return true;
    }
    b->start(find);
    backend = b;
    return true;
}

static void look(void)
{
    unsigned long long loads = count_loads();
    if (atomic_load(&looked_at) == loads)
        return;
    if (pick_backend())
        atomic_store_explicit(&picked, true, memory_order_release);
    else
        atomic_store(&looked_at, loads);
}

// Whether it is known which library the program uses. Not so inside of looking itself, which
// calls the library, nor past a bound: the thread that looks may wait for a lock of ours.
static bool is_picked(void)
{
    time_t begin = time(NULL);
    for (;;) {
        struct mpx_mpi_thread *nobody = NULL;
        if (atomic_load_explicit(&picked, memory_order_acquire))
            return true;
        if (atomic_compare_exchange_strong(&picking, &nobody, &mpx_mpi_thread))
            break;
        if (nobody == &mpx_mpi_thread || time(NULL) - begin > WAIT_SECONDS)
            return false;
        sched_yield();
    }
    if (!atomic_load(&picked))
        look();
    atomic_store(&picking, NULL);
    return atomic_load(&picked);
}

// What a call finds in a program without an MPI library (a weak reference that we made
// look defined): not initialised, and an error for all else.
static int absent_flag(int *flag)
{
    if (flag)
        *flag = 0;
    return 0;
}

static int absent(void)
{
    return 16; // MPI_ERR_OTHER or its neighbour: not MPI_SUCCESS in any make
}

// Called by the entry code with the index of an empty slot; returns where to jump.
void *mpx_mpi_resolve(size_t index) __attribute__((visibility("hidden")));
void *mpx_mpi_resolve(size_t index)
{
    bool known = is_picked();
    const char *name = mpx_mpi_names + mpx_mpi_name_starts[index];
    void *target = find(name);
    if (!known && target)
        return target;
    if (!target) // not kept: the library may come by dlopen() later
        return strstr(name, "MPI_Initialized") || strstr(name, "MPI_Finalized")
                   ? (void *)absent_flag
                   : (void *)absent;
    void *wrapper = backend ? backend->wrap(name, target) : NULL;
    if (wrapper)
        target = wrapper;
    mpx_mpi_slots[index] = target;
    return target;
}
