// A place that calls, an address, is looked up once: dladdr() takes a microsecond and the
// loader's lock. What was found is kept in a table that only fills up; a place that finds no
// room in it is looked up each time. Two threads that find out the same write the same.
//
// The range of the Fortran libraries is one, about all of them, so that a C program pays one
// comparison with 0. Whatever else lies in it is looked up and found to be no Fortran library.
// While it is being widened, a reader may see an old size with a new beginning: it then looks
// up in vain, or takes a helper's call for the program's once. It is looked for anew when a
// function is first called after something was loaded; a Fortran library that comes later, and
// calls first what was called before, is not noticed until it calls something else.
#include "caller.h"

#include <ctype.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "common/loader.h"

enum { PLACES = 2048, PROBES = 16 };

uintptr_t mpx_fortran_from, mpx_fortran_size;

// An address, times two, and whether what it calls is the bindings' own.
static uintptr_t places[PLACES];

static int is_fortran_library(const char *path)
{
    static const char *const names[] = {"libmpi_mpifh", "libmpi_usempi", "libmpichfort",
                                        "libmpifort",   "libmpi_f77",    "libmpi_f90",
                                        "libfmpich",    "libmpichf90"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

// What is found in a walk over the loaded objects.
struct range {
    uintptr_t from, to; // equal: none
};

// How many objects had been loaded when they were last walked over.
static unsigned long long noted;

static void take_in(struct range *r, const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + segment->p_vaddr, to = from + segment->p_memsz;
        if (segment->p_type != PT_LOAD)
            continue;
        r->from = r->from == r->to || from < r->from ? from : r->from;
        r->to = to > r->to ? to : r->to;
    }
}

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    if (__atomic_load_n(&noted, __ATOMIC_RELAXED) == info->dlpi_adds)
        return 1;
    if (info->dlpi_name && is_fortran_library(info->dlpi_name))
        take_in(arg, info);
    return 0;
}

static int note_loads(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(unsigned long long *)arg = info->dlpi_adds;
    return 1;
}

void mpx_note_fortran(void)
{
    struct range r = {0};
    unsigned long long loads = 0;
    dl_iterate_phdr(note_loads, &loads);
    if (dl_iterate_phdr(note_object, &r))
        return; // nothing was loaded since
    __atomic_store_n(&mpx_fortran_from, r.from, __ATOMIC_RELAXED);
    __atomic_store_n(&mpx_fortran_size, r.to - r.from, __ATOMIC_RELAXED);
    __atomic_store_n(&noted, loads, __ATOMIC_RELAXED);
}

// What may follow a function's name in that of its Fortran entry.
static int is_ending(const char *rest)
{
    static const char *const endings[] = {"",
                                          "_",
                                          "__",
                                          "_f",
                                          "_f_",
                                          "_f08",
                                          "_f08_",
                                          "_f08ts",
                                          "_f08ts_",
                                          "_f08_large",
                                          "_f08_large_",
                                          "_f08ts_large",
                                          "_f08ts_large_",
                                          "_c",
                                          "_cdesc",
                                          "_cdesc_large"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcmp(rest, endings[i]) == 0)
            return 1;
    return 0;
}

// Of mpi_comm_size_, ompi_comm_size_f, PMPIR_Comm_size_f08_large_: Comm_size or Comm_size_c.
static int bears_name(const char *symbol, const char *fn)
{
    char lower[128], name[64];
    size_t length = strlen(fn), i;
    for (i = 0; i < sizeof lower - 1 && symbol[i]; i++)
        lower[i] = (char)tolower((unsigned char)symbol[i]);
    lower[i] = '\0';
    if (length > 2 && strcmp(fn + length - 2, "_c") == 0)
        length -= 2;
    for (i = 0; i < length && i < sizeof name - 1; i++)
        name[i] = (char)tolower((unsigned char)fn[i]);
    name[i] = '\0';
    for (const char *at = lower; (at = strstr(at, name)); at++) {
        static const char *const before[] = {"mpi_", "mpir_", "mpix_"};
        for (size_t b = 0; b < sizeof before / sizeof *before; b++) {
            size_t size = strlen(before[b]);
            if ((size_t)(at - lower) >= size && memcmp(at - size, before[b], size) == 0 &&
                is_ending(at + length))
                return 1;
        }
    }
    return 0;
}

static int look_up(const char *fn, uintptr_t caller)
{
    Dl_info info;
    // The address that a call returns to may be the next function's first.
    if (!mpx_dladdr((void *)(caller - 1), &info) || !info.dli_fname ||
        !is_fortran_library(info.dli_fname))
        return 0;
    return !info.dli_sname || !bears_name(info.dli_sname, fn);
}

int mpx_is_bindings_call(const char *fn, void *from)
{
    uintptr_t caller = (uintptr_t)from;
    uintptr_t hash = caller * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    for (unsigned i = 0; i < PROBES; i++) {
        uintptr_t *place = &places[(hash + i) % PLACES];
        uintptr_t found = __atomic_load_n(place, __ATOMIC_RELAXED);
        if (found >> 1 == caller)
            return found & 1;
        if (!found) {
            int own = look_up(fn, caller);
            __atomic_store_n(place, caller << 1 | (uintptr_t)own, __ATOMIC_RELAXED);
            return own;
        }
    }
    return look_up(fn, caller);
}
