// Attendance: programs take a proxy that is silent for absent (segment/crowd.h), and rounds have
// no bound: thousands of programs that each define other names, a share of a processor, or work
// outside of rounds make one of seconds. Programs would be refused just when there is most to
// read, so a helper thread goes on telling while the loop's thread is at work.
//
// The helper stays out of everything else: it knows two descriptors and some numbers. It does not
// know whether the loop's thread works or hangs, so it speaks for a limited time after the last
// sign of it, counted in words of its own and not by a clock: a proxy that was stopped for an
// hour goes on where it was. A proxy that is stopped as a whole is silent, as it should be.
#include "processes/attendance.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "segment/crowd.h"

enum {
    QUIET_MS = 400, // beyond a period, without a word: well below what counts as silence
    ALONE_MS = 60000,
};

static void tell(struct mpx_attendance *a)
{
    const struct mpx_crowd_word word = {.period_ms = atomic_load(&a->period_ms),
                                        .bytes = (uint64_t)atomic_load(&a->bytes),
                                        .since_ms = a->since_ms};
    mpx_crowd_attend(a->lock_fd, a->dir_fd, &word);
    atomic_store(&a->said_ms, mpx_boot_ms());
}

// ---- the helper

// How long it may be silent from now on.
static int quiet_ms(const struct mpx_attendance *a)
{
    int64_t left =
        atomic_load(&a->said_ms) + atomic_load(&a->period_ms) + QUIET_MS - mpx_boot_ms();
    return left < 0 ? 0 : left > ALONE_MS ? ALONE_MS : (int)left;
}

static bool may_speak(struct mpx_attendance *a)
{
    unsigned pause_ms = atomic_load(&a->period_ms) + QUIET_MS;
    return atomic_load(&a->period_ms) > 0 &&
           atomic_fetch_add(&a->said_alone, 1) < ALONE_MS / pause_ms;
}

static void *attend(void *arg)
{
    struct mpx_attendance *a = arg;
    struct pollfd stop = {.fd = a->stop_fd, .events = POLLIN};
    int wait_ms = QUIET_MS, ready;
    while ((ready = poll(&stop, 1, wait_ms)) == 0 || (ready < 0 && errno == EINTR)) {
        wait_ms = quiet_ms(a);
        if (wait_ms > 0)
            continue;
        wait_ms = (int)atomic_load(&a->period_ms) + QUIET_MS;
        if (may_speak(a))
            tell(a);
    }
    return NULL;
}

static bool start(struct mpx_attendance *a)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&a->helper, NULL, attend, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_setname_np(a->helper, "attendance");
    return started;
}

// ---- the loop's thread

bool mpx_attendance_begin(struct mpx_attendance *a, const struct mpx_hold *hold)
{
    a->lock_fd = hold->lock_fd;
    a->dir_fd = hold->dir_fd;
    tell(a);
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->stop_fd >= 0 && start(a))
        return true;
    if (a->stop_fd >= 0)
        close(a->stop_fd);
    a->stop_fd = -1;
    return false;
}

void mpx_attendance_end(struct mpx_attendance *a)
{
    const uint64_t one = 1;
    if (a->stop_fd < 0)
        return;
    (void)!write(a->stop_fd, &one, sizeof one);
    pthread_join(a->helper, NULL);
    close(a->stop_fd);
    a->stop_fd = -1;
}

void mpx_attendance_at_work(struct mpx_attendance *a, unsigned period_ms)
{
    atomic_store(&a->period_ms, period_ms);
    atomic_store(&a->said_alone, 0);
}

void mpx_attendance_tell(struct mpx_attendance *a, unsigned period_ms, uint64_t bytes)
{
    mpx_attendance_at_work(a, period_ms);
    atomic_store(&a->bytes, (int64_t)bytes);
    tell(a);
}
