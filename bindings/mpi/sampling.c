#include "sampling.h"

#include <stdbool.h>

#include <mproxy/client.h>

#include "common/handles.h"

int mpx_time_all;
uint64_t mpx_microsecond;

uint32_t mpx_sample_draw(uint32_t mean)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    if (!t->random) // threads differ by where their variables lie
        t->random = (uint32_t)((uintptr_t)t >> 4) * 2654435761U | 1;
    t->random ^= t->random << 13;
    t->random ^= t->random >> 17;
    t->random ^= t->random << 5;
    return 1 + (uint32_t)((uint64_t)t->random * (2 * mean - 1) >> 32);
}

static void count_untimed(uint64_t ticks)
{
    static int state;
    static mproxy_counter *counter;
    if (!mpx_handles_are_set(&state)) {
        mproxy_error err = {0};
        mproxy_counter *own = mproxy_counter_get_scaled(
            "mpi_untimed_seconds_total",
            "Time in dense phases of which the share of MPI calls is not known",
            mpx_seconds_per_tick(), &err);
        mproxy_counter_add(own, ticks);
        if (mpx_handles_claim(&state, &err)) {
            counter = own;
            mpx_handles_publish(&state);
        }
        return;
    }
    mproxy_counter_add(counter, ticks);
}

static void go_on_dense(void)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    t->brief_gap = mpx_sample_draw(MPX_SAMPLE_BRIEF);
    t->state = (uint64_t)(t->brief_gap - 1) << 1 | 1; // still inside the call
}

uint64_t mpx_sample_dense(uint64_t took, uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    uint64_t window = now - t->window;
    uint64_t all = took * t->brief_gap;
    if (window < took)
        window = took;
    if (all > window)
        all = window;
    t->window = now;
    // Twice what began it, and for few calls as much as for many: one pause is no end.
    if (window <= 2 * MPX_SAMPLE_BRIEF * mpx_microsecond) {
        go_on_dense();
        return all;
    }
    t->brief_gap = 0;
    t->timed = 0;
    t->dense = 0;
    if (window > all)
        count_untimed(window - all);
    return all;
}

void mpx_sample_window(uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    bool is_dense = now - t->window <= MPX_WINDOW * mpx_microsecond;
    t->dense = is_dense ? t->dense + 1 : 0;
    t->window = now;
    t->timed = 0;
    if (t->dense >= MPX_DENSE && !mpx_time_all)
        go_on_dense();
}
