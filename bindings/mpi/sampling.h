// Which calls are timed, where timing all would cost more than it tells.
//
// All calls are counted, with their bytes; this is about their time alone.
// - Local calls look up something: one in MPX_SAMPLE_LOCAL is timed and stands for all since
//   the last. The distance is drawn by chance, for programs call in patterns.
// - Brief calls (point-to-point, tests, waits) are all timed until a thread makes them
//   without a pause: MPX_DENSE windows of MPX_WINDOW calls in a row, each shorter than a
//   microsecond for a call. Then one in MPX_SAMPLE_BRIEF is timed, while it goes on like
//   that. The first distance that takes longer hides a wait or a computation, which can't be
//   told apart any more: what the sample does not explain is told as
//   `mpi_untimed_seconds_total`, and all calls are timed again. Where that was more than
//   1 part in MPX_HIDDEN of the phase, twice as many windows are asked for the next time.
// - All others are timed.
#ifndef MPX_BINDINGS_MPI_SAMPLING_H
#define MPX_BINDINGS_MPI_SAMPLING_H

#include "backend.h"
#include "common/ticks.h"

enum { MPX_SAMPLE_LOCAL = 64, MPX_SAMPLE_BRIEF = 256, MPX_WINDOW = 64, MPX_DENSE = 16 };
enum { MPX_HIDDEN = 64, MPX_PATIENCE = 20 };

extern int mpx_time_all;
extern uint64_t mpx_microsecond; // in ticks

static inline int nested(void)
{
    return mpx_mpi_thread.state & 1;
}

static inline void begin_call(void)
{
    mpx_mpi_thread.state |= 1;
}

static inline void end_call(void)
{
    mpx_mpi_thread.state &= ~(uint64_t)1;
}

// The time stamp; 0 means "not timed".
static inline uint64_t start_sample(void)
{
    uint64_t now = mpx_ticks();
    return now ? now : 1;
}

// begin_call() of a brief call: the time stamp, never 0; 0 for a call that is not timed.
static inline uint64_t begin_brief(void)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    if (__builtin_expect(t->state > 1, 1)) {
        t->state--; // one less to go, and inside
        return 0;
    }
    t->state = 1;
    return start_sample();
}

static inline uint64_t begin_local(void)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    begin_call();
    if (__builtin_expect(t->local_left != 0, 1)) {
        t->local_left--;
        return 0;
    }
    return start_sample();
}

// Uniform over 1 .. 2 * mean - 1.
uint32_t mpx_sample_draw(uint32_t mean);

// What a local call of `took` that was timed stands for.
static inline uint64_t sample_local(uint64_t took)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    if (mpx_time_all)
        return took;
    took *= t->local_gap ? t->local_gap : 1;
    t->local_gap = mpx_sample_draw(MPX_SAMPLE_LOCAL);
    t->local_left = t->local_gap - 1;
    return took;
}

// A brief call of a dense phase was timed, and ended `now`.
uint64_t mpx_sample_dense(uint64_t took, uint64_t now);
// MPX_WINDOW calls were timed.
void mpx_sample_window(uint64_t now);

// What a brief call of `took` that was timed stands for.
static inline uint64_t sample_brief(uint64_t took, uint64_t now)
{
    struct mpx_mpi_thread *t = &mpx_mpi_thread;
    if (t->brief_gap)
        return mpx_sample_dense(took, now);
    if (++t->timed == MPX_WINDOW)
        mpx_sample_window(now);
    return took;
}

// A call of known length, which does not make its window any less dense.
static inline void sample_other(uint64_t took)
{
    mpx_mpi_thread.window += took;
}

// A call that is timed begins `now`: if a dense phase has had a pause, it ends here.
void mpx_sample_pause(uint64_t now);

static inline void sample_pause(uint64_t now)
{
    if (__builtin_expect(mpx_mpi_thread.brief_gap != 0, 0))
        mpx_sample_pause(now);
}

#endif
