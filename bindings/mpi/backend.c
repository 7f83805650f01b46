// A back-end: the wrappers for one MPI library, generated from its mpi.h.
//
// It links no MPI either: what it calls it gets from the front-end, so that it always talks
// to the library of the program.
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

#include "completion.h"
#include "volume.h"
#include "wrap.h"

struct mpx_mpi_library mpx_lib;
struct mpx_fn mpx_fns[FN_COUNT];
uint32_t mpx_sample_mask = MPX_SAMPLING - 1;
int mpx_histograms;
static double seconds_per_tick;

static void lower_name(uint32_t fn, char *out, size_t size)
{
    snprintf(out, size, "mpi_%s", fn_names[fn]);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

static mproxy_counter *declare(const char *kind, const char *fn, const char *doc,
                               double scale)
{
    char name[160], text[200];
    snprintf(name, sizeof name, "mpi___%s___%s", kind, fn);
    snprintf(text, sizeof text, "%s MPI_%s", doc, fn + 4);
    text[strlen(doc) + 5] = (char)toupper((unsigned char)text[strlen(doc) + 5]);
    return mproxy_counter_get_scaled(name, text, scale, NULL);
}

static void declare_histograms(struct mpx_fn *f, const char *fn)
{
    double seconds[40];
    for (int i = 0; i < 40; i++)
        seconds[i] = 1e-9 * (double)(UINT64_C(1) << i);
    char name[200];
    snprintf(name, sizeof name, "mpi_message_size_bytes{function=\"%s\"}", fn);
    f->size = mproxy_histogram_get(name, "Bytes moved by a call", NULL, 0, NULL);
    snprintf(name, sizeof name, "mpi_call_duration_seconds{function=\"%s\"}", fn);
    f->latency = mproxy_histogram_get(name, "Time a call took", seconds, 40, NULL);
}

void mpx_fn_declare(uint32_t fn, int moves)
{
    struct mpx_fn *f = &mpx_fns[fn];
    char name[96];
    lower_name(fn, name, sizeof name);
    // Two threads may come here at once: both are given the same handles.
    if (moves) {
        f->counter[MPX_IN] = declare("size_in", name, "Bytes received by", 1);
        f->counter[MPX_OUT] = declare("size_out", name, "Bytes sent by", 1);
        return;
    }
    if (mpx_histograms)
        declare_histograms(f, name);
    f->counter[MPX_HITS] = declare("hits", name, "Number of function calls for", 1);
    f->counter[MPX_TIME] = declare("time", name, "Seconds spent in", seconds_per_tick);
}

void mpx_fn_observe(uint32_t fn, uint64_t ticks, uint64_t size)
{
    struct mpx_fn *f = &mpx_fns[fn];
    if (!f->latency)
        return;
    mproxy_histogram_observe(f->latency, (double)ticks * seconds_per_tick);
    if (size)
        mproxy_histogram_observe(f->size, (double)size);
}

#define WRAPPER_BODIES
#include MPX_WRAPPERS

static void start(void *(*find)(const char *))
{
    seconds_per_tick = mpx_seconds_per_tick();
    const char *timing = getenv("MPROXY_MPI_TIMING");
    if (timing && strcmp(timing, "all") == 0)
        mpx_sample_mask = 0;
    const char *histograms = getenv("MPROXY_MPI_HISTOGRAMS");
    mpx_histograms = histograms && strcmp(histograms, "1") == 0;
#define FROM_LIBRARY(field, symbol) *(void **)&mpx_lib.field = find("PMPI_" symbol)
    FROM_LIBRARY(type_size, "Type_size_x");
    FROM_LIBRARY(get_count, "Get_count");
    FROM_LIBRARY(get_elements, "Get_elements_x");
    FROM_LIBRARY(test_cancelled, "Test_cancelled");
    FROM_LIBRARY(comm_size, "Comm_size");
    FROM_LIBRARY(comm_remote_size, "Comm_remote_size");
    FROM_LIBRARY(comm_rank, "Comm_rank");
    FROM_LIBRARY(comm_test_inter, "Comm_test_inter");
    FROM_LIBRARY(topo_test, "Topo_test");
    FROM_LIBRARY(cartdim_get, "Cartdim_get");
    FROM_LIBRARY(graph_count, "Graph_neighbors_count");
    FROM_LIBRARY(dist_graph_count, "Dist_graph_neighbors_count");
#ifdef OMPI_MAJOR_VERSION
    // Open MPI's handles are addresses of its variables, which we don't link.
    mpx_lib.byte = find("ompi_mpi_byte");
    mpx_lib.no_op = find("ompi_mpi_op_no_op");
#else
    mpx_lib.byte = MPI_BYTE;
    mpx_lib.no_op = MPI_NO_OP;
#endif
}

__attribute__((visibility("default"))) const struct mpx_mpi_backend mpx_mpi_backend = {
#ifdef OMPI_MAJOR_VERSION
    .make = "Open MPI",
#else
    .make = "MPICH",
#endif
    .entries = entries,
    .entry_count = sizeof entries / sizeof entries[0],
    .start = start,
};
