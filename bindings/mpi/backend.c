// A back-end: the wrappers for one MPI library, generated from its mpi.h.
//
// It links no MPI either: what it calls it gets from the front-end, so that it always talks
// to the library of the program. This file is all that is compiled for a make of MPI: the
// generated wrappers, completion.h and volume.h are parts of it, for each wrapper is to be
// one function without calls but to the library, and handles are of another type in each make.
//
// Invariants:
// * A function's metrics are declared at its first call, hits and time first, bytes when the
//   first byte moves: a segment holds what a program uses, not what mpi.h has. The front-end's
//   slot makes a wrapper known; `state` in mpx_fn makes its handles known to other threads
//   (common/handles.h). Nobody waits: a thread that comes meanwhile declares for itself, and
//   gets the same handles by their names.
// * `call_slots` and `move_slots` are set after the handles, with release: whoever reads a
//   number there may use the handles, and adds without asking the client (count_quickly()).
// * Nothing here is relocated when it is loaded. Names are one text, wrappers are distances
//   from the table: a table of pointers took 4,400 relocations, a third of the first MPI call.
//   That is why the table is written in assembler: C has no constant distance of two functions.
// * What the exporter asks MPI itself (sizes of types and communicators) goes by PMPI pointers
//   of the program's library, past our own entries, and only inside a counted call.
#include "backend.h"

#include <ctype.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRAPPER_NAMES
#include MPX_WRAPPERS
#undef WRAPPER_NAMES

static const char *fn_name(uint32_t fn)
{
    return fn_text + fn_starts[fn];
}

#include "completion.h"
#include "volume.h"
#include "wrap.h"

struct mpx_mpi_library mpx_lib;
struct mpx_fn mpx_fns[FN_COUNT];
int mpx_histograms;
static double seconds_per_tick;

static void lower_name(uint32_t fn, char *out, size_t size)
{
    snprintf(out, size, "mpi_%s", fn_name(fn));
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

static mproxy_counter *get(enum mpx_fn_counter which, const char *fn, double scale,
                           mproxy_error *err)
{
    static const struct {
        const char *kind, *doc;
    } texts[MPX_FN_COUNTERS] = {
        [MPX_HITS] = {"hits", "Number of function calls for"},
        [MPX_TIME] = {"time", "Seconds spent in"},
        [MPX_IN] = {"size_in", "Bytes received by"},
        [MPX_OUT] = {"size_out", "Bytes sent by"},
    };
    char name[160], text[200];
    snprintf(name, sizeof name, "mpi___%s___%s", texts[which].kind, fn);
    int upper = snprintf(text, sizeof text, "%s MPI_", texts[which].doc);
    snprintf(text + upper, sizeof text - (size_t)upper, "%s", fn + 4);
    text[upper] = (char)toupper((unsigned char)text[upper]);
    return mproxy_counter_get_scaled(name, text, scale, err);
}

static void get_histograms(const char *fn, mproxy_histogram **size,
                           mproxy_histogram **latency)
{
    double seconds[40];
    for (int i = 0; i < 40; i++)
        seconds[i] = 1e-9 * (double)(UINT64_C(1) << i);
    char name[200];
    snprintf(name, sizeof name, "mpi_message_size_bytes{function=\"%s\"}", fn);
    *size = mproxy_histogram_get(name, "Bytes moved by a call", NULL, 0, NULL);
    snprintf(name, sizeof name, "mpi_call_duration_seconds{function=\"%s\"}", fn);
    *latency = mproxy_histogram_get(name, "Time a call took", seconds, 40, NULL);
}

// The number of slots that a thread must have to count them quickly, as many as `slots` at
// least; 0: never, one of them counts nothing.
static uint32_t take_handles(struct mpx_fn *f, mproxy_counter *own[], int first, int last,
                             uint32_t slots)
{
    for (int i = first; i <= last; i++) {
        f->counter[i] = own[i];
        f->slot[i] = mproxy_counter_slot(own[i]);
        uint32_t end = f->slot[i] + 1; // 0 for one that counts nothing
        slots = !slots || !end ? 0 : end > slots ? end : slots;
    }
    return slots;
}

static void get_calls(uint32_t fn, mproxy_counter *own[MPX_FN_COUNTERS])
{
    struct mpx_fn *f = &mpx_fns[fn];
    char name[96];
    mproxy_error err = {0};
    lower_name(fn, name, sizeof name);
    own[MPX_TIME] = get(MPX_TIME, name, seconds_per_tick, &err);
    own[MPX_HITS] = get(MPX_HITS, name, 1, &err);
    if (mpx_handles_claim(&f->calls, &err)) {
        uint32_t slots = take_handles(f, own, MPX_TIME, MPX_HITS, 1);
        if (mpx_histograms)
            get_histograms(name, &f->size, &f->latency);
        __atomic_store_n(&f->call_slots, slots, __ATOMIC_RELEASE);
        mpx_handles_publish(&f->calls);
    }
}

static void get_moves(uint32_t fn, mproxy_counter *own[MPX_FN_COUNTERS])
{
    struct mpx_fn *f = &mpx_fns[fn];
    char name[96];
    mproxy_error err = {0};
    lower_name(fn, name, sizeof name);
    own[MPX_IN] = get(MPX_IN, name, 1, &err);
    own[MPX_OUT] = get(MPX_OUT, name, 1, &err);
    // What is set here stands for the calls' handles too: count_quickly().
    if (mpx_handles_are_set(&f->calls) && mpx_handles_claim(&f->moves, &err)) {
        uint32_t slots = take_handles(f, own, MPX_IN, MPX_OUT, f->call_slots);
        __atomic_store_n(&f->move_slots, slots, __ATOMIC_RELEASE);
        mpx_handles_publish(&f->moves);
    }
}

void mpx_fn_count_slowly(uint32_t fn, uint64_t took, uint64_t in, uint64_t out)
{
    mproxy_counter *own[MPX_FN_COUNTERS], *const *handles = mpx_fns[fn].counter;
    if (!mpx_handles_are_set(&mpx_fns[fn].calls)) {
        get_calls(fn, own);
        handles = own;
    }
    int first = took ? MPX_TIME : MPX_HITS;
    mproxy_counter_add_many(handles + first, (uint64_t[]){took, 1} + first, 2 - first);
    credit(fn, in, out);
}

void mpx_fn_count_brief(uint32_t fn, uint64_t begin, uint64_t in, uint64_t out)
{
    uint64_t now = mpx_ticks();
    count_timed(fn, sample_brief(mpx_ticks_between(begin, now), now), in, out);
}

void mpx_fn_credit_first(uint32_t fn, uint64_t in, uint64_t out)
{
    mproxy_counter *own[MPX_FN_COUNTERS];
    get_moves(fn, own);
    mproxy_counter_add_many(&own[MPX_IN], (uint64_t[]){in, out}, 2);
}

void mpx_fn_observe(uint32_t fn, uint64_t ticks, uint64_t bytes)
{
    struct mpx_fn *f = &mpx_fns[fn];
    mproxy_histogram *size, *latency;
    if (mpx_handles_are_set(&f->calls)) {
        size = f->size;
        latency = f->latency;
    } else {
        char name[96];
        lower_name(fn, name, sizeof name);
        get_histograms(name, &size, &latency);
    }
    mproxy_histogram_observe(latency, (double)ticks * seconds_per_tick);
    if (bytes)
        mproxy_histogram_observe(size, (double)bytes);
}

#define WRAPPER_BODIES
#include MPX_WRAPPERS

// Of each function MPI_X and then PMPI_X: where its wrapper and the next of its name lie.
struct entry {
    int32_t wrapper, next;
};
extern const struct entry mpx_entries[FN_COUNT][2] __attribute__((visibility("hidden")));

static void *at(int32_t distance)
{
    return (char *)(uintptr_t)mpx_entries + distance;
}

static int by_name(const void *name, const void *start)
{
    return strcmp(name, fn_text + *(const uint32_t *)start);
}

static void *wrap(const char *symbol, void *next)
{
    int is_pmpi = symbol[0] == 'P';
    const uint32_t *found = bsearch(symbol + is_pmpi + strlen("MPI_"), fn_starts,
                                    FN_COUNT, sizeof fn_starts[0], by_name);
    if (!found)
        return NULL;
    mpx_note_fortran();
    const struct entry *entry = &mpx_entries[found - fn_starts][is_pmpi];
    // The same value from every thread; seen by whoever sees the front-end's slot.
    __atomic_store_n((void **)at(entry->next), next, __ATOMIC_RELAXED);
    return at(entry->wrapper);
}

#ifdef OMPI_MAJOR_VERSION
struct mpx_known_type mpx_known_types[MPX_TYPES];

// The usual ones first: of two that fall into one place, the later is not known.
static void know_types(void *(*find)(const char *))
{
    static const char *const types[] = {
        "char",    "byte",     "double",  "int",      "float",    "long",
        "integer", "dblprec",  "real",    "int64_t",  "uint64_t", "unsigned",
        "packed",  "int32_t",  "uint8_t", "uint32_t", "int8_t",   "unsigned_char",
        "short",   "dblcplex", "cplex",   "logical",  "int16_t",  "unsigned_long",
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char symbol[64];
        snprintf(symbol, sizeof symbol, "ompi_mpi_%s", types[i]);
        MPI_Datatype type = find(symbol);
        if (type && !known_type(type)->type)
            known_type(type)->type = type;
    }
}
#endif

static void start(void *(*find)(const char *))
{
    seconds_per_tick = mpx_seconds_per_tick();
    const char *timing = getenv("MPROXY_MPI_TIMING");
    const char *histograms = getenv("MPROXY_MPI_HISTOGRAMS");
    mpx_histograms = histograms && strcmp(histograms, "1") == 0;
    mpx_time_all = mpx_histograms || (timing && strcmp(timing, "all") == 0);
    mpx_microsecond = (uint64_t)(1e-6 / seconds_per_tick);
#define FROM_LIBRARY(field, symbol) *(void **)&mpx_lib.field = find("PMPI_" symbol)
    FROM_LIBRARY(type_size, "Type_size_x");
    FROM_LIBRARY(comm_size, "Comm_size");
    FROM_LIBRARY(comm_remote_size, "Comm_remote_size");
    FROM_LIBRARY(comm_rank, "Comm_rank");
    FROM_LIBRARY(comm_test_inter, "Comm_test_inter");
    FROM_LIBRARY(topo_test, "Topo_test");
    FROM_LIBRARY(cartdim_get, "Cartdim_get");
    FROM_LIBRARY(cart_shift, "Cart_shift");
    FROM_LIBRARY(graph_count, "Graph_neighbors_count");
    FROM_LIBRARY(dist_graph_count, "Dist_graph_neighbors_count");
#ifdef OMPI_MAJOR_VERSION
    // Open MPI's handles are addresses of its variables, which we don't link.
    mpx_lib.no_op = find("ompi_mpi_op_no_op");
    know_types(find);
#else
    mpx_lib.no_op = MPI_NO_OP;
#endif
}

__attribute__((visibility("default"))) const struct mpx_mpi_backend mpx_mpi_backend = {
#ifdef OMPI_MAJOR_VERSION
    .make = "Open MPI",
#else
    .make = "MPICH",
#endif
    .start = start,
    .wrap = wrap,
};
