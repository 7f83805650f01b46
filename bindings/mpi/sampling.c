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

static void tell_untimed(uint64_t ticks)
{
    static int state;
    static mproxy_counter *counter;
    if (mpx_handles_are_set(&state)) {
        mproxy_counter_add(counter, ticks);
        return;
    }
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
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void go_on_dense(void)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    t->brief_gap = mpx_sample_draw(MPX_SAMPLE_BRIEF);
    t->state = (uint64_t)(t->brief_gap - 1) << 1 | 1; // still inside the call
}

static void end_dense(uint64_t hidden)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    t->brief_gap = 0;
    t->state = 1; // inside, and none to go
    t->timed = 0;
    t->dense = 0;
    if (hidden <= t->phase / MPX_HIDDEN)
        t->patience = 0;
    else if (t->patience < MPX_PATIENCE)
        t->patience++;
    if (hidden)
        tell_untimed(hidden);
}

// Twice what began it, and for few calls as much as for many: one short pause is no end.
static bool is_pause(uint64_t ticks)
{
    return ticks > 2 * MPX_SAMPLE_BRIEF * mpx_microsecond;
}

uint64_t mpx_sample_dense(uint64_t took, uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    uint64_t window = mpx_ticks_between(t->window, now);
    if (window < took)
        window = took;
    t->window = now;
    if (is_pause(window)) {
        // If this call waited, the brief ones before it did not for that.
        uint64_t known = took + (t->brief_gap - 1) * least(took, mpx_microsecond);
        known = least(known, window);
        end_dense(window - known);
        return known;
    }
    // Samples stand for more than their distance took, or for less, and are right in the
    // sum; only the phase as a whole bounds what they can stand for.
    t->phase += window;
    t->unexplained += window;
    uint64_t all = least(took * t->brief_gap, t->unexplained);
    t->unexplained -= all;
    go_on_dense();
    return all;
}

void mpx_sample_pause(uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    uint64_t window = mpx_ticks_between(t->window, now);
    if (!is_pause(window))
        return;
    t->window = now;
    end_dense(window);
}

void mpx_sample_window(uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    bool is_dense = mpx_ticks_between(t->window, now) <= MPX_WINDOW * mpx_microsecond;
    t->dense = is_dense ? t->dense + 1 : 0;
    t->window = now;
    t->timed = 0;
    if (t->dense < (uint32_t)MPX_DENSE << t->patience || mpx_time_all)
        return;
    t->phase = t->unexplained = 0;
    go_on_dense();
}
