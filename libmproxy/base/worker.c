// The worker: a queue, a thread that takes from its front, and a list of works that have
// run.
//
// The lock guards the two lists and is never held while a work runs or is done. Both the
// owner and the thread hold a reference, because the thread may come back from the
// kernel long after the owner has given it up: then it finds `left_behind` and touches
// nothing but its own worker. Its work is nobody's any more: it is told so (`left`)
// on the thread, or stays where it is.
//
// One thread and not a pool: works are done in the order in which they were put, which
// their users rely on (a profile is written before it is rewritten), and a file server
// that hangs takes one thread with it instead of all of them.
//
// Time is CLOCK_MONOTONIC: a bound must not move with somebody's date. Signals are
// blocked in the thread, since they are the program's.

#include "base/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

struct queue {
    struct mpx_work *first, **last;
};

struct mpx_worker {
    atomic_uint refs;
    pthread_t thread;
    int event_fd;
    size_t max;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    // guarded by lock
    struct queue waiting, finished;
    size_t pending;   // waiting or at work
    size_t held;      // pending or finished
    int64_t began_ns; // of the work that runs; 0: none does
    bool stop;        // take no more
    bool is_over;     // the thread takes nothing any more
    bool left_behind; // the owner is gone
};

static void queue_init(struct queue *q)
{
    *q = (struct queue){.first = NULL};
    q->last = &q->first;
}

static void queue_add(struct queue *q, struct mpx_work *work)
{
    work->next = NULL;
    *q->last = work;
    q->last = &work->next;
}

static struct mpx_work *queue_take(struct queue *q)
{
    struct mpx_work *work = q->first;
    if (!work)
        return NULL;
    q->first = work->next;
    if (!q->first)
        q->last = &q->first;
    return work;
}

static struct mpx_work *queue_take_all(struct queue *q)
{
    struct mpx_work *first = q->first;
    queue_init(q);
    return first;
}

static void unref(struct mpx_worker *w)
{
    if (atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->idle);
    pthread_mutex_destroy(&w->lock);
    close(w->event_fd);
    free(w);
}

// ---- the thread

static void run_one_locked(struct mpx_worker *w, struct mpx_work *work)
{
    uint64_t one = 1;
    w->began_ns = mpx_clock_ns(CLOCK_MONOTONIC);
    pthread_mutex_unlock(&w->lock);
    work->run(work);
    pthread_mutex_lock(&w->lock);
    w->began_ns = 0;
    w->pending--;
    if (w->left_behind) {
        if (work->left)
            work->left(work);
        return;
    }
    queue_add(&w->finished, work);
    (void)!write(w->event_fd, &one, sizeof one);
    if (w->pending == 0)
        pthread_cond_broadcast(&w->idle);
}

static void *work_on(void *arg)
{
    struct mpx_worker *w = arg;
    struct mpx_work *work;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if ((work = queue_take(&w->waiting)))
            run_one_locked(w, work);
        else
            pthread_cond_wait(&w->wake, &w->lock);
    }
    w->is_over = true;
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
    unref(w);
    return NULL;
}

// ---- the owner

static void init_sync(struct mpx_worker *w)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->idle, &attributes);
    pthread_condattr_destroy(&attributes);
}

static int start_thread(struct mpx_worker *w, const char *name)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, work_on, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        pthread_setname_np(w->thread, name);
    return failed;
}

mproxy_status mpx_worker_open(const char *name, size_t max, struct mpx_worker **out,
                              mproxy_error *err)
{
    struct mpx_worker *w = calloc(1, sizeof *w);
    if (!w)
        return mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory", name);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->event_fd < 0) {
        free(w);
        return mpx_fail_errno(err, "%s: eventfd", name);
    }
    w->max = max;
    queue_init(&w->waiting);
    queue_init(&w->finished);
    init_sync(w);
    atomic_init(&w->refs, 2);
    int failed = start_thread(w, name);
    if (failed) {
        atomic_store(&w->refs, 1);
        unref(w);
        errno = failed;
        return mpx_fail_errno(err, "%s: can't start a thread", name);
    }
    *out = w;
    return MPROXY_OK;
}

int mpx_worker_fd(const struct mpx_worker *w)
{
    return w->event_fd;
}

bool mpx_worker_put(struct mpx_worker *w, struct mpx_work *work)
{
    pthread_mutex_lock(&w->lock);
    bool taken = !w->stop && w->held < w->max;
    if (taken) {
        queue_add(&w->waiting, work);
        w->pending++;
        w->held++;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static size_t finish(struct mpx_work *list, bool has_run)
{
    size_t count = 0;
    for (struct mpx_work *work = list, *next; work; work = next, count++) {
        next = work->next;
        work->done(work, has_run);
    }
    return count;
}

static struct mpx_work *take_finished_locked(struct mpx_worker *w)
{
    struct mpx_work *list = queue_take_all(&w->finished);
    for (const struct mpx_work *work = list; work; work = work->next)
        w->held--;
    return list;
}

size_t mpx_worker_collect(struct mpx_worker *w)
{
    uint64_t count;
    (void)!read(w->event_fd, &count, sizeof count);
    pthread_mutex_lock(&w->lock);
    struct mpx_work *list = take_finished_locked(w);
    pthread_mutex_unlock(&w->lock);
    return finish(list, true);
}

static struct timespec deadline_in(int timeout_ms)
{
    int64_t ns = mpx_clock_ns(CLOCK_MONOTONIC) + INT64_C(1000000) * timeout_ms;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

bool mpx_worker_drain(struct mpx_worker *w, int timeout_ms)
{
    struct timespec deadline = deadline_in(timeout_ms);
    int waited = 0;
    pthread_mutex_lock(&w->lock);
    while (w->pending > 0 && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&w->idle, &w->lock, &deadline);
    bool is_idle = w->pending == 0;
    pthread_mutex_unlock(&w->lock);
    mpx_worker_collect(w);
    return is_idle;
}

size_t mpx_worker_pending(struct mpx_worker *w)
{
    pthread_mutex_lock(&w->lock);
    size_t pending = w->pending;
    pthread_mutex_unlock(&w->lock);
    return pending;
}

int64_t mpx_worker_busy_ms(struct mpx_worker *w)
{
    pthread_mutex_lock(&w->lock);
    int64_t began_ns = w->began_ns;
    pthread_mutex_unlock(&w->lock);
    return began_ns ? (mpx_clock_ns(CLOCK_MONOTONIC) - began_ns) / 1000000 : 0;
}

bool mpx_worker_close(struct mpx_worker *w, int timeout_ms)
{
    if (!w)
        return true;
    struct timespec deadline = deadline_in(timeout_ms);
    int waited = 0;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    struct mpx_work *unrun = queue_take_all(&w->waiting);
    for (const struct mpx_work *work = unrun; work; work = work->next)
        w->pending--;
    pthread_cond_signal(&w->wake);
    while (!w->is_over && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&w->idle, &w->lock, &deadline);
    w->left_behind = !w->is_over;
    bool is_over = w->is_over;
    struct mpx_work *finished = take_finished_locked(w);
    pthread_mutex_unlock(&w->lock);
    if (is_over)
        pthread_join(w->thread, NULL);
    else
        pthread_detach(w->thread);
    finish(finished, true);
    finish(unrun, false);
    unref(w);
    return is_over;
}
