// The process's one segment: opened at the first use, and once more in a forked child.

#include <mproxy/client.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

static void note_refusal(unsigned reasons)
{
    if (reasons)
        mpx_rendezvous_refuse(mpx_client.dir_path, reasons, mpx_client.jobid);
}

static void tell_started(void)
{
    struct mpx_seg_header *header = mpx_writer_header(mpx_client.writer);
    if (!header->started && !mpx_writer_started_before(mpx_client.writer))
        __atomic_store_n(&header->started, 1, __ATOMIC_RELAXED);
}

// In a child, by whatever way it came to be, with the lock held or nobody else there.
static void become_own_client(void)
{
    struct mpx_client *c = &mpx_client;
    if (atomic_load(&c->state) == MPX_CLIENT_OPEN) {
        unsigned reasons;
        mpx_rows_reset(&mpx_thread, mproxy_lane.busy);
        if (!mpx_writer_detach(c->writer)) {
            atomic_store(&c->dead, true);
            return;
        }
        atomic_store(&c->finished, false);
        atomic_store(&c->pid, mpx_getpid());
        c->reasons = 0;
        if (mpx_writer_rebirth(c->writer, &reasons, NULL) != MPROXY_OK) {
            c->reasons = reasons;
            note_refusal(reasons);
        } else if (atomic_load(&c->started)) {
            tell_started();
        }
    }
    set_guard(1);
}

bool mpx_client_recover(void)
{
    struct mpx_client *c = &mpx_client;
    // Inside: a wrapper of what we call ourselves while the child is being made a client.
    if (atomic_load(&c->dead) || !atomic_load(&c->armed) || mpx_thread.inside ||
        mpx_client_is_confined())
        return false;
    // Inside fork() we hold the lock ourselves: another library's fork handler counts.
    bool inside_fork = mpx_thread.depth > 0;
    if (!inside_fork && !mpx_lock_is_free() && !guard_is_intact()) {
        // A raw clone while another thread was registering: its half-done work is in our
        // memory, and nobody is there to finish it.
        atomic_store(&c->dead, true);
        return false;
    }
    struct mpx_hold h;
    mpx_hold(&h);
    if (!guard_is_intact() && !atomic_load(&c->dead))
        become_own_client();
    mpx_release(&h);
    return !atomic_load(&c->dead);
}

static void before_fork(void)
{
    if (mpx_client_is_confined() || (!guard_is_intact() && !mpx_client_recover()))
        return;
    struct mpx_hold h;
    mpx_hold(&h);
    // The lock stays; handlers of this thread may take it again.
    mpx_thread.inside = h.was_inside;
    mpx_quiet_end(&h);
}

static void after_fork_in_parent(void)
{
    struct mpx_hold h = {0};
    if (mpx_thread.depth == 0)
        return;
    mpx_quiet_begin(&h);
    mpx_release(&h);
}

static void become_child(void)
{
    // Emulators of other processors say that they wipe, and do not. Another library's handler
    // may have made this process a client already.
    if (!wipes_on_fork ||
        (!mpx_client_is_confined() && atomic_load(&mpx_client.pid) != mpx_getpid()))
        set_guard(0);
    if (mpx_thread.depth == 0)
        return;
    if (!guard_is_intact())
        mpx_client_recover();
    mpx_lock_reset();
}

static void after_fork_in_child(void)
{
    int saved = errno;
    bool marks = !mpx_client_is_confined();
    if (marks)
        mpx_own_begin();
    become_child();
    if (marks)
        mpx_own_end();
    errno = saved;
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
    if (!atomic_flag_test_and_set(&hooked))
        mpx_at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
    set_guard(1);
    atomic_store(&mpx_client.armed, true);
}

static mproxy_status find_directory(char dir_path[PATH_MAX])
{
    char socket[PATH_MAX];
    mpx_rendezvous_default_socket(socket);
    return mpx_rendezvous_path(socket, dir_path, NULL);
}

static void open_segment(const mproxy_job *job, uint32_t rank)
{
    struct mpx_client *c = &mpx_client;
    // As for a client of the gateway: a source of values that is no process of the job.
    enum mpx_seg_kind kind =
        atomic_load(&c->observes) ? MPX_SEG_GATEWAY : MPX_SEG_PROGRAM;
    struct mpx_writer_birth birth = {
        .dir_path = c->dir_path, .job = job, .rank = rank, .kind = kind};
    strncpy(c->jobid, job->jobid, sizeof c->jobid - 1);
    mproxy_status status = mpx_writer_open(&birth, &c->writer, &c->reasons, NULL);
    if (status != MPROXY_OK) {
        note_refusal(c->reasons);
        atomic_store(&c->state, MPX_CLIENT_OFF);
        return;
    }
    mpx_rows_init();
    c->shared = mpx_writer_row(c->writer, 0).slots;
    atomic_store(&c->pid, mpx_getpid());
    atomic_store(&c->state, MPX_CLIENT_OPEN);
}

static void open_with(const mproxy_job *job, uint32_t rank, const char *dir_path)
{
    struct mpx_hold h;
    mpx_hold(&h);
    if (atomic_load(&mpx_client.state) == MPX_CLIENT_UNOPENED) {
        strcpy(mpx_client.dir_path, dir_path);
        if (job)
            open_segment(job, rank);
        else
            atomic_store(&mpx_client.state, MPX_CLIENT_OFF);
    }
    mpx_release(&h);
}

// Costs nothing more where nobody watches: no directory, no job.
static bool directory_exists(const char *dir_path)
{
    return mpx_access(dir_path, F_OK) == 0;
}

static void open_now(void)
{
    mproxy_job job = {0};
    uint32_t rank = 0;
    char dir_path[PATH_MAX];
    if (find_directory(dir_path) != MPROXY_OK)
        dir_path[0] = '\0';
    bool there = dir_path[0] && directory_exists(dir_path) &&
                 mproxy_job_from_environment(&job, &rank, NULL) == MPROXY_OK;
    open_with(there ? &job : NULL, rank, dir_path);
    mproxy_job_clear(&job);
}

// Before libc has looked at what the kernel gave it, as in a program's preinit functions, no
// variable says where to count. A program may empty its environment later; it has a name then.
static bool is_before_libc(void)
{
    return !environ && (!program_invocation_name || !*program_invocation_name);
}

bool mpx_client_open(void)
{
    struct mpx_client *c = &mpx_client;
    int state = atomic_load_explicit(&c->state, memory_order_acquire);
    if (state == MPX_CLIENT_UNOPENED) {
        // A malloc() that counts itself comes back here from inside.
        if (mpx_thread.opening || atomic_load(&c->dead) || mpx_client_is_confined() ||
            is_before_libc())
            return false;
        // From here on system calls are made that the loader did not make.
        if (!atomic_load(&c->armed) && mpx_filters_are_more()) {
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
    mpx_hold(&h);
    if (!atomic_exchange(&mpx_client.started, true))
        tell_started();
    mpx_release(&h);
}
