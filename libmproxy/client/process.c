// The process's one segment: opened at the first use, and once more in a forked child.
//
// fork() waits for nothing of ours and nothing of ours waits for it: the prepare handler takes
// the time and no lock, for other libraries' handlers may wait for threads that count. A child so begins with
// whatever its parent's threads were just changing, and makes itself a segment of what they
// had published (writer/child.c). It does that in its handler of fork, or at its first call,
// which finds the guard wiped: after _Fork, after a raw clone, and when another library's
// handler counts first.
//
// A child that is out of reach of the directory (another user, another root, a private mount)
// counts for nobody, and says so in its parent's header before it lets go of it.
//
// A client is UNOPENED until the first call that needs a segment, then OPEN, or OFF for good; the
// state only goes forward, and a forked child inherits it. `dead` is a child that could not be
// told from its parent: it may never write. `confined` comes and goes with the program's
// sandboxes: while it is set no system call is made, whatever the state.
//
// Opening asks malloc() for memory, so the job's description is made without the lock; what
// is done with it makes system calls of our own only.

#include <mproxy/client.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/filters.h"
#include "base/libc.h"
#include "base/sys.h"
#include "client/state.h"
#include "segment/rendezvous.h"

__thread struct mproxy_lane mproxy_lane;
_Thread_local struct mpx_thread mpx_thread;
struct mpx_guard mpx_guard;
struct mpx_client mpx_client;

static bool wipes_on_fork;

static void set_guard(uint32_t intact)
{
    atomic_store_explicit(&mpx_guard.intact, intact, memory_order_release);
}

static bool guard_is_intact(void)
{
    return atomic_load_explicit(&mpx_guard.intact, memory_order_acquire) != 0;
}

// ---- fork

static bool note_refusal(unsigned reasons)
{
    return mpx_rendezvous_refuse(mpx_client.dir_path, reasons, mpx_client.jobid);
}

static void tell_started(void)
{
    struct mpx_seg_header *header = mpx_writer_header(mpx_client.writer);
    if (!header->started && !mpx_writer_started_before(mpx_client.writer))
        __atomic_store_n(&header->started, 1, __ATOMIC_RELAXED);
}

// As long as it is mapped, a child may say there what it can say nowhere else.
static void tell_parent(void)
{
    __atomic_fetch_or(&mpx_writer_header(mpx_client.writer)->flags, MPX_OFF_CHILD,
                      __ATOMIC_RELAXED);
}

// Out of reach of the directory, a child can't leave a note there either.
static void begin_child(void)
{
    struct mpx_client *c = &mpx_client;
    unsigned reasons;
    c->reasons = 0;
    if (mpx_writer_child_begin(c->writer, mpx_thread.before_fork_ns, &reasons, NULL) ==
        MPROXY_OK)
        return;
    c->reasons = reasons ? reasons : MPX_OFF_ACCESS;
    if (!note_refusal(c->reasons))
        tell_parent();
}

// In a child, by whatever way it came to be, with the lock held.
static void become_own_client(bool half_done)
{
    struct mpx_client *c = &mpx_client;
    if (atomic_load(&c->state) == MPX_CLIENT_OPEN) {
        unsigned reasons;
        uint32_t pending = mpx_rows_reset(&mpx_thread, mproxy_lane.busy);
        begin_child();
        bool has_file = c->reasons == 0;
        if (!mpx_writer_child_detach(c->writer, pending)) {
            atomic_store(&c->dead, true);
            return;
        }
        atomic_store(&c->finished, false);
        atomic_store(&c->forked, true);
        c->peak_kib = 0;
        mpx_client_take_pid();
        mproxy_status status = mpx_writer_child_restore(c->writer, &reasons, NULL);
        if (status != MPROXY_OK && !c->reasons) {
            c->reasons = reasons;
            // Most can be said in the file that there is.
            if (!(mpx_writer_header(c->writer)->flags & reasons))
                note_refusal(reasons);
        }
        if (half_done)
            mpx_client_complete();
        // One that could not be restored whole counts in part, and tells its end.
        if (has_file && atomic_load(&c->started))
            tell_started();
    } else if (half_done) {
        mpx_client_complete();
    }
    set_guard(1);
}

bool mpx_client_recover(void)
{
    struct mpx_client *c = &mpx_client;
    if (atomic_load(&c->dead) || !atomic_load(&c->armed))
        return false;
    if (mpx_client_is_confined()) {
        if (atomic_load(&c->state) == MPX_CLIENT_OPEN)
            tell_parent();
        return false;
    }
    struct mpx_hold h;
    if (mpx_hold(&h) != MPX_HELD)
        return false;
    if (!guard_is_intact() && !atomic_load(&c->dead))
        become_own_client(h.must_resume);
    mpx_release(&h);
    return !atomic_load(&c->dead);
}

// Emulators of other processors say that they wipe, and do not. Another library's handler may
// have made this process a client already.
static bool was_not_wiped(void)
{
    // Written first: what is read first costs a page of zeroes, and another when it is written.
    atomic_fetch_or(&mpx_guard.lock, 0);
    if (!guard_is_intact())
        return false;
    return mpx_client_is_confined() ? !wipes_on_fork
                                    : atomic_load(&mpx_client.pid) != mpx_getpid();
}

// Told to the child, which finds out by it when it began: no lock, nothing that waits.
static void before_fork(void)
{
    if (mpx_client_is_confined())
        return;
    mpx_own_begin();
    mpx_thread.before_fork_ns = mpx_clock_ns(CLOCK_BOOTTIME);
    mpx_thread.errno_at = &errno;
    mpx_own_end();
}

static void after_fork_in_child(void)
{
    int *error = mpx_errno(), saved = *error;
    bool marks = !mpx_client_is_confined();
    if (marks)
        mpx_own_begin();
    if (was_not_wiped()) {
        atomic_store(&mpx_guard.lock, 0);
        set_guard(0);
    }
    if (!guard_is_intact())
        mpx_client_recover();
    if (marks)
        mpx_own_end();
    *error = saved;
}

// ---- opening

// What may allocate or take other locks comes before ours is taken; done twice by two
// threads at worst.
static void arm_once(void)
{
    static atomic_flag hooked = ATOMIC_FLAG_INIT;
    if (atomic_load(&mpx_client.armed))
        return;
    wipes_on_fork = madvise(&mpx_guard, sizeof mpx_guard, MADV_WIPEONFORK) == 0;
    if (!atomic_flag_test_and_set(&hooked)) {
        mpx_at_fork(before_fork, NULL, after_fork_in_child);
        mpx_rows_init();
    }
    set_guard(1);
    atomic_store(&mpx_client.armed, true);
}

// For the end: the process may have been another program before, with a higher peak.
static void note_peak(void)
{
    struct rusage u;
    mpx_client.peak_kib = mpx_getrusage(&u) == 0 ? u.ru_maxrss : LONG_MAX;
}

static void open_segment(const mproxy_job *job, uint32_t rank)
{
    struct mpx_client *c = &mpx_client;
    // As for a client of the gateway: a source of values that is no process of the job.
    enum mpx_seg_kind kind =
        atomic_load(&c->observes) ? MPX_SEG_GATEWAY : MPX_SEG_PROGRAM;
    struct mpx_writer_birth birth = {
        .dir_path = c->dir_path, .job = job, .rank = rank, .kind = kind, .room = c->room};
    strncpy(c->jobid, job->jobid, sizeof c->jobid - 1);
    mproxy_status status = mpx_writer_open(&birth, &c->writer, &c->reasons, NULL);
    if (status != MPROXY_OK) {
        if (c->reasons)
            note_refusal(c->reasons);
        atomic_store(&c->state, MPX_CLIENT_OFF);
        return;
    }
    c->shared = mpx_writer_row(c->writer, 0).slots;
    note_peak();
    mpx_client_take_pid();
    atomic_store(&c->state, MPX_CLIENT_OPEN);
}

// Costs nothing more where nobody watches: no directory, no job. True when there is one.
static bool find_directory(void)
{
    struct mpx_client *c = &mpx_client;
    struct mpx_hold h;
    if (mpx_client_hold(&h) != MPX_HELD)
        return false;
    if (atomic_load(&c->state) == MPX_CLIENT_UNOPENED) {
        mpx_rendezvous_default_path(c->dir_path);
        if (mpx_access(c->dir_path, F_OK) != 0)
            atomic_store(&c->state, MPX_CLIENT_OFF);
    }
    mpx_release(&h);
    return atomic_load(&c->state) == MPX_CLIENT_UNOPENED;
}

// The job's description is allocated, so that is done without the lock.
static void open_now(void)
{
    struct mpx_client *c = &mpx_client;
    mproxy_job job = {0};
    uint32_t rank = 0;
    struct mpx_hold h;
    if (!find_directory())
        return;
    bool has_job = mproxy_job_from_environment(&job, &rank, NULL) == MPROXY_OK;
    if (mpx_client_hold(&h) == MPX_HELD) {
        if (atomic_load(&c->state) == MPX_CLIENT_UNOPENED && has_job)
            open_segment(&job, rank);
        else if (!has_job)
            atomic_store(&c->state, MPX_CLIENT_OFF);
        mpx_release(&h);
    }
    mproxy_job_clear(&job);
}

// Before libc has looked at what the kernel gave it, as in a program's preinit functions, no
// variable says where to count. A program may empty its environment later; it has a name then.
static bool is_before_libc(void)
{
    return !environ && (!program_invocation_name || !*program_invocation_name);
}

// The calls that find it out are ours, not the program's; the loader has made their like.
static bool has_more_filters(void)
{
    mpx_own_begin();
    bool has = mpx_filters_are_more();
    mpx_own_end();
    return has;
}

bool mpx_client_open(void)
{
    struct mpx_client *c = &mpx_client;
    int state = atomic_load_explicit(&c->state, memory_order_acquire);
    if (state == MPX_CLIENT_UNOPENED) {
        // A malloc() or getenv() that counts itself comes back here from inside.
        if (mpx_thread.opening || atomic_load(&c->dead) || mpx_client_is_confined() ||
            is_before_libc())
            return false;
        // From here on system calls are made that the loader did not make.
        if (!atomic_load(&c->armed) && has_more_filters()) {
            mproxy_process_confined(1);
            return false;
        }
        struct mpx_hold quiet;
        mpx_quiet_begin(&quiet);
        mpx_thread.opening = 1;
        arm_once();
        if (guard_is_intact() || mpx_client_recover())
            open_now();
        mpx_thread.opening = 0;
        mpx_quiet_end(&quiet);
        state = atomic_load(&c->state);
    }
    return state == MPX_CLIENT_OPEN && (guard_is_intact() || mpx_client_recover());
}

mproxy_status mpx_client_fail_off(mproxy_error *err)
{
    struct mpx_client *c = &mpx_client;
    char text[160];
    if (atomic_load(&c->dead))
        return mpx_fail(err, MPROXY_E_OFF,
                        "counting is off: cloned while another thread registered");
    if (c->reasons)
        return mpx_fail(err, MPROXY_E_OFF, "counting is off: %s: %s", c->dir_path,
                        mpx_off_reason_text(c->reasons, text, sizeof text));
    if (atomic_load(&c->state) == MPX_CLIENT_UNOPENED && !mpx_client_is_confined())
        return mpx_fail(err, MPROXY_E_BUSY, "counting has not begun yet");
    return mpx_fail(err, MPROXY_E_OFF, "counting is off: no proxy's directory %s",
                    c->dir_path);
}

mproxy_status mproxy_client_status(mproxy_error *err)
{
    // A forked child without a file of its own counts, but nobody reads it.
    if (mpx_client_open() && mpx_client.reasons == 0)
        return MPROXY_OK;
    return mpx_client_fail_off(err);
}

void mproxy_process_observes(void)
{
    atomic_store(&mpx_client.observes, true);
}

void mproxy_process_confined(int is_confined)
{
    atomic_store(&mpx_client.confined, is_confined != 0);
}

void mproxy_process_uncounted(enum mproxy_uncounted what)
{
    if (what == MPROXY_UNCOUNTED_MPI && mpx_client_open())
        __atomic_fetch_or(&mpx_writer_header(mpx_client.writer)->flags, MPX_OFF_MPI,
                          __ATOMIC_RELAXED);
}

void mproxy_process_started(void)
{
    if (mpx_client_is_confined() || !mpx_client_open() ||
        atomic_load(&mpx_client.started))
        return;
    struct mpx_hold h;
    if (mpx_client_hold(&h) != MPX_HELD)
        return;
    if (!atomic_exchange(&mpx_client.started, true))
        tell_started();
    mpx_release(&h);
}
