// Helper threads: a worker (base/worker.h) whose ends the loop hears of.
//
// The worker tells by a descriptor that something has run; it is watched like any other, and
// what has run is done on the loop's thread. A close may leave the thread behind, with the
// job that it hangs in; the worker outlives its helper for that, and frees the job.

#include <mproxy/loop.h>

#include <stdlib.h>

#include "base/err.h"
#include "base/worker.h"

struct job {
    struct mpx_work work; // first
    void (*run)(void *arg);
    void (*done)(void *arg, int has_run);
    void *arg;
};

struct mproxy_helper {
    struct mpx_worker *worker;
    mproxy_watch *watch;
};

static void run_job(struct mpx_work *work)
{
    struct job *job = (struct job *)work;
    job->run(job->arg);
}

static void drop_job(struct mpx_work *work)
{
    free(work);
}

static void end_job(struct mpx_work *work, bool has_run)
{
    struct job ended = *(struct job *)work;
    free(work);
    ended.done(ended.arg, has_run);
}

static void on_ready(void *arg, int fd, unsigned events)
{
    struct mproxy_helper *helper = arg;
    (void)fd;
    (void)events;
    mpx_worker_collect(helper->worker);
}

mproxy_status mproxy_helper_open(mproxy_loop *loop, const char *name, size_t max,
                                 mproxy_helper **out, mproxy_error *err)
{
    MPX_REQUIRE(loop && name && max > 0 && out, err);
    struct mproxy_helper *helper = calloc(1, sizeof *helper);
    if (!helper)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for helper '%s'", name);
    mproxy_status status = mpx_worker_open(name, max, &helper->worker, err);
    if (status == MPROXY_OK)
        status = mproxy_watch_add(loop, mpx_worker_fd(helper->worker), MPROXY_READABLE,
                                  on_ready, helper, &helper->watch, err);
    if (status == MPROXY_OK)
        *out = helper;
    else
        mproxy_helper_close(helper, 0);
    return status;
}

int mproxy_helper_close(mproxy_helper *helper, int timeout_ms)
{
    if (!helper)
        return 1;
    mproxy_watch_remove(helper->watch);
    bool is_over = mpx_worker_close(helper->worker, timeout_ms);
    free(helper);
    return is_over;
}

mproxy_status mproxy_helper_put(mproxy_helper *helper, void (*run)(void *arg),
                                void (*done)(void *arg, int has_run), void *arg)
{
    MPX_REQUIRE(helper && run && done, NULL);
    struct job *job = malloc(sizeof *job);
    if (!job)
        return MPROXY_E_NOMEM;
    *job = (struct job){.work = {.run = run_job, .done = end_job, .left = drop_job},
                        .run = run,
                        .done = done,
                        .arg = arg};
    if (mpx_worker_put(helper->worker, &job->work))
        return MPROXY_OK;
    free(job);
    return MPROXY_E_LIMIT;
}

int64_t mproxy_helper_busy_ms(mproxy_helper *helper)
{
    return mpx_worker_busy_ms(helper->worker);
}
