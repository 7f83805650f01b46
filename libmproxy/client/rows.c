// Rows of slots: one per thread while there are some, given back when the thread ends. What
// a row holds stays in it; the next thread adds to it.

#include <pthread.h>

#include "base/libc.h"
#include "base/sys.h"
#include "client/state.h"

// Before glibc 2.34 these are there in programs with threads only.
MPX_OLDEST(pthread_key_create);
MPX_OLDEST(pthread_setspecific);
#pragma weak pthread_key_create
#pragma weak pthread_setspecific

// A thread that ends runs the destructor of a key with a value. Beyond the first keys
// pthread_setspecific() allocates, which must not happen inside a program's malloc.
#define KEYS_WITHOUT_MALLOC 32

static pthread_key_t key;
static bool key_is_usable;

static uint16_t free_rows[MPX_SEG_ROWS_MAX]; // guarded by the lock

// The destructors that come later still count: in row 0.
static void give_back(void *unused)
{
    (void)unused;
    struct mpx_thread *t = &mpx_thread;
    bool had_row = t->state == MPX_THREAD_ROW;
    mproxy_lane.extent = 0;
    t->state = MPX_THREAD_SHARED;
    if (!had_row || mpx_client_is_confined() ||
        !atomic_load_explicit(&mpx_guard.intact, memory_order_relaxed))
        return;
    struct mpx_hold h;
    if (mpx_client_hold(&h) != MPX_HELD)
        return; // the row rests
    free_rows[mpx_client.free_rows] = (uint16_t)t->row;
    atomic_signal_fence(memory_order_seq_cst);
    mpx_client.free_rows++;
    mpx_release(&h);
}

void mpx_rows_init(void)
{
    key_is_usable = pthread_key_create && pthread_setspecific &&
                    pthread_key_create(&key, give_back) == 0 && key < KEYS_WITHOUT_MALLOC;
}

uint32_t mpx_rows_reset(struct mpx_thread *t, bool update_is_pending)
{
    uint32_t pending = update_is_pending && t->state == MPX_THREAD_ROW ? t->row : 0;
    mpx_client.free_rows = 0;
    for (uint32_t row = mpx_writer_row_count(mpx_client.writer); row-- > 1;)
        if (row != pending)
            free_rows[mpx_client.free_rows++] = (uint16_t)row;
    // The lane's `slots` stay: the pending update still stores there, where nobody reads.
    mproxy_lane.extent = 0;
    t->full = 0;
    if (t->state == MPX_THREAD_ROW)
        t->state = MPX_THREAD_NEW;
    return pending;
}

// The main thread ends with the process, so it need not give back.
static bool will_give_back(void)
{
    if (!key_is_usable)
        return mpx_gettid() == mpx_getpid();
    return pthread_setspecific(key, &mpx_thread) == 0;
}

static bool find_row_locked(uint32_t slots, uint32_t *row)
{
    struct mpx_writer *w = mpx_client.writer;
    if (mpx_client.free_rows == 0)
        return mpx_writer_add_row(w, slots, row, NULL) == MPROXY_OK;
    *row = free_rows[mpx_client.free_rows - 1];
    // A shorter row is better than none.
    if (mpx_writer_extend_row(w, *row, slots, NULL) != MPROXY_OK &&
        mpx_writer_row(w, *row).extent == 0)
        return false;
    mpx_client.free_rows--;
    atomic_signal_fence(memory_order_seq_cst); // before the row is anybody's
    return true;
}

static bool take_row_locked(struct mpx_thread *t, uint32_t slots)
{
    uint32_t row;
    if (!will_give_back() || !find_row_locked(slots, &row)) {
        t->state = MPX_THREAD_SHARED;
        return false;
    }
    struct mpx_row memory = mpx_writer_row(mpx_client.writer, row);
    mproxy_lane.slots = (uint64_t *)memory.slots;
    mproxy_lane.intact = (const uint32_t *)&mpx_guard.intact;
    t->row = row;
    t->state = MPX_THREAD_ROW;
    t->full = memory.extent < slots;
    atomic_signal_fence(memory_order_seq_cst);
    mproxy_lane.extent = memory.extent;
    return true;
}

static bool extend_row_locked(struct mpx_thread *t, uint32_t slots)
{
    struct mpx_writer *w = mpx_client.writer;
    t->full = mpx_writer_extend_row(w, t->row, slots, NULL) != MPROXY_OK;
    mproxy_lane.extent = mpx_writer_row(w, t->row).extent;
    return !t->full;
}

bool mpx_rows_prepare(struct mpx_thread *t)
{
    if (t->state == MPX_THREAD_SHARED || t->full || mpx_client_is_confined())
        return false;
    struct mpx_hold h;
    if (mpx_client_hold(&h) != MPX_HELD)
        return false;
    uint32_t slots = mpx_writer_slot_end(mpx_client.writer);
    bool done = t->state == MPX_THREAD_ROW ? extend_row_locked(t, slots)
                                           : take_row_locked(t, slots);
    mpx_release(&h);
    return done;
}

// The row rests: an addition to it may be under way in this thread.
void mproxy_thread_shared(void)
{
    if (!mproxy_thread_has_storage())
        return;
    mproxy_lane.extent = 0;
    mpx_thread.state = MPX_THREAD_SHARED;
}
