// Following requests: waits and tests credit the receive that they complete, starts the
// persistent operation that they start. Included by backend.c only, after the enum of
// functions. The bytes go to the function that named the buffer.
//
// How a wait goes: the entries of its requests are taken out of the table (requests.h) before
// the call, for the library may give a completed request's handle to another thread at once;
// after the call each is credited if its request is done, and given back if it is not.
//
// Invariants:
// * The program's arguments go through as they are. Only where it ignores the status, and one
//   of the requests is followed, we hand in statuses of our own, since only they tell what
//   came. With nothing followed, MPI_STATUSES_IGNORE stays what it is.
// * A request is gone when its handle has changed; one that is still the same goes on, be it
//   active or persistent. So nothing depends on what a test's flag says of an error.
// * Errors of single requests: each that succeeded counts (is_done()), as MPI says that their
//   statuses are valid then.
// * Persistent requests stay until MPI_Request_free, and `active` keeps a second wait on an
//   inactive one from counting.
// * Nested calls, which an MPI library makes to itself, pass through before anything is taken.
#ifndef MPX_BINDINGS_MPI_COMPLETION_H
#define MPX_BINDINGS_MPI_COMPLETION_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "requests.h"
#include "volume.h"
#include "wrap.h"

static inline uint64_t key_of(MPI_Request request)
{
    return (uint64_t)(uintptr_t)request;
}

static mproxy_counter *_Atomic lost_requests;

static void remember_as(uint32_t fn, MPI_Request request, uint32_t flags, uint64_t out,
                        uint64_t in)
{
    if (mpx_request_add(key_of(request), fn, flags, out, in))
        return;
    mproxy_counter *lost = atomic_load_explicit(&lost_requests, memory_order_acquire);
    if (!lost) {
        lost = mproxy_counter_get(
            "mpi_untracked_requests_total",
            "Requests too many to be followed; their bytes are not counted", NULL);
        atomic_store_explicit(&lost_requests, lost, memory_order_release);
    }
    mproxy_counter_add(lost, 1);
}

static inline void remember(uint32_t fn, MPI_Request request)
{
    remember_as(fn, request, MPX_REQUEST_RECEIVES, 0, 0);
}

static inline void remember_file(uint32_t fn, MPI_Request request)
{
    remember_as(fn, request, MPX_REQUEST_RECEIVES | MPX_REQUEST_FILE, 0, 0);
}

static inline void remember_persistent(uint32_t fn, MPI_Request request, uint64_t out,
                                       uint64_t in, int on_completion, int by_status)
{
    remember_as(fn, request,
                MPX_REQUEST_PERSISTENT | (on_completion ? MPX_REQUEST_ON_COMPLETION : 0) |
                    (by_status ? MPX_REQUEST_RECEIVES : 0),
                out, in);
}

static inline uint64_t brought(const struct mpx_request *r, const MPI_Status *status)
{
    if (!(r->flags & MPX_REQUEST_RECEIVES))
        return r->in;
    return r->flags & MPX_REQUEST_FILE ? transferred(status) : received(status);
}

// A followed request is done; its status is known.
static void completed(struct mpx_request *r, const MPI_Status *status)
{
    if (!r)
        return;
    if ((r->flags & MPX_REQUEST_PERSISTENT) &&
        (!atomic_exchange_explicit(&r->active, 0, memory_order_relaxed) ||
         !(r->flags & MPX_REQUEST_ON_COMPLETION)))
        return; // inactive, or credited when it was started
    credit(r->fn, brought(r, status), 0);
}

// After the call: a request that is still the same handle goes on, the others are gone.
static void settle(struct mpx_request *r, MPI_Request now)
{
    if (r && key_of(now) == r->handle)
        mpx_request_give_back(r);
    else if (r)
        mpx_request_clear(r);
}

static void started(MPI_Request request)
{
    struct mpx_request *r = mpx_request_find(key_of(request));
    if (!r || !(r->flags & MPX_REQUEST_PERSISTENT))
        return;
    atomic_store_explicit(&r->active, 1, memory_order_relaxed);
    credit(r->fn, r->flags & MPX_REQUEST_ON_COMPLETION ? 0 : r->in, r->out);
}

// Room for what a call on `n` requests needs: on the stack for few, else pages that the
// thread keeps (a wait for thousands comes back every time step).
struct scratch {
    struct mpx_request **followed;
    MPI_Status *statuses;
    void *pages;
    size_t size;
};

enum { FEW = 64 };

static int scratch_take(struct scratch *s, int n, struct mpx_request **few,
                        MPI_Status *few_st)
{
    s->pages = NULL;
    s->size = 0;
    s->followed = few;
    s->statuses = few_st;
    if (n <= FEW)
        return 1;
    s->size = (size_t)n * (sizeof *s->followed + sizeof *s->statuses);
    s->pages =
        mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->pages == MAP_FAILED)
        return 0;
    s->statuses = s->pages;
    s->followed = (struct mpx_request **)(s->statuses + n);
    return 1;
}

// Take the requests that are followed; their number.
static int follow(struct scratch *s, int n, MPI_Request *requests)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        s->followed[i] = mpx_request_take(key_of(requests[i]));
        found += s->followed[i] != NULL;
    }
    return found;
}

static void settle_all(struct scratch *s, int found, int n, MPI_Request *requests)
{
    for (int i = 0; found && i < n; i++)
        settle(s->followed[i], requests[i]);
    if (s->pages)
        munmap(s->pages, s->size);
}

// Of several requests one may have failed; each status then tells about its own.
static int is_done(int result, const MPI_Status *status)
{
    return result == MPI_SUCCESS ||
           (result == MPI_ERR_IN_STATUS && status->MPI_ERROR == MPI_SUCCESS);
}

static int complete_one(uint32_t fn, int (*next)(MPI_Request *, MPI_Status *),
                        MPI_Request *request, MPI_Status *status)
{
    if (nested())
        return next(request, status);
    uint64_t begin = enter_brief();
    struct mpx_request *r = mpx_request_take(key_of(*request));
    MPI_Status own;
    MPI_Status *st = r && status == MPI_STATUS_IGNORE ? &own : status;
    int result = next(request, st);
    if (r && result == MPI_SUCCESS)
        completed(r, st);
    settle(r, *request);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_one_flag(uint32_t fn, int (*next)(MPI_Request *, int *, MPI_Status *),
                             MPI_Request *request, int *flag, MPI_Status *status)
{
    if (nested())
        return next(request, flag, status);
    uint64_t begin = enter_brief();
    struct mpx_request *r = mpx_request_take(key_of(*request));
    MPI_Status own;
    MPI_Status *st = r && status == MPI_STATUS_IGNORE ? &own : status;
    int result = next(request, flag, st);
    if (r && result == MPI_SUCCESS && *flag)
        completed(r, st);
    settle(r, *request);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_any(uint32_t fn, int (*next)(int, MPI_Request *, int *, MPI_Status *),
                        int n, MPI_Request *requests, int *index, MPI_Status *status)
{
    struct mpx_request *few[FEW];
    struct scratch s;
    if (nested() || !scratch_take(&s, n, few, NULL))
        return next(n, requests, index, status);
    uint64_t begin = enter_brief();
    int found = follow(&s, n, requests);
    MPI_Status own;
    MPI_Status *st = found && status == MPI_STATUS_IGNORE ? &own : status;
    int result = next(n, requests, index, st);
    if (result == MPI_SUCCESS && found && *index != MPI_UNDEFINED)
        completed(s.followed[*index], st);
    settle_all(&s, found, n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_any_flag(uint32_t fn,
                             int (*next)(int, MPI_Request *, int *, int *, MPI_Status *),
                             int n, MPI_Request *requests, int *index, int *flag,
                             MPI_Status *status)
{
    struct mpx_request *few[FEW];
    struct scratch s;
    if (nested() || !scratch_take(&s, n, few, NULL))
        return next(n, requests, index, flag, status);
    uint64_t begin = enter_brief();
    int found = follow(&s, n, requests);
    MPI_Status own;
    MPI_Status *st = found && status == MPI_STATUS_IGNORE ? &own : status;
    int result = next(n, requests, index, flag, st);
    if (result == MPI_SUCCESS && found && *flag && *index != MPI_UNDEFINED)
        completed(s.followed[*index], st);
    settle_all(&s, found, n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_all(uint32_t fn, int (*next)(int, MPI_Request *, MPI_Status *), int n,
                        MPI_Request *requests, MPI_Status *statuses)
{
    struct mpx_request *few[FEW];
    MPI_Status few_statuses[FEW];
    struct scratch s;
    if (nested() || !scratch_take(&s, n, few, few_statuses))
        return next(n, requests, statuses);
    uint64_t begin = enter_brief();
    int found = follow(&s, n, requests);
    MPI_Status *st = found && statuses == MPI_STATUSES_IGNORE ? s.statuses : statuses;
    int result = next(n, requests, st);
    for (int i = 0; found && i < n; i++)
        if (is_done(result, &st[i]))
            completed(s.followed[i], &st[i]);
    settle_all(&s, found, n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_all_flag(uint32_t fn,
                             int (*next)(int, MPI_Request *, int *, MPI_Status *), int n,
                             MPI_Request *requests, int *flag, MPI_Status *statuses)
{
    struct mpx_request *few[FEW];
    MPI_Status few_statuses[FEW];
    struct scratch s;
    if (nested() || !scratch_take(&s, n, few, few_statuses))
        return next(n, requests, flag, statuses);
    uint64_t begin = enter_brief();
    int found = follow(&s, n, requests);
    MPI_Status *st = found && statuses == MPI_STATUSES_IGNORE ? s.statuses : statuses;
    int result = next(n, requests, flag, st);
    for (int i = 0; found && (*flag || result != MPI_SUCCESS) && i < n; i++)
        if (is_done(result, &st[i]))
            completed(s.followed[i], &st[i]);
    settle_all(&s, found, n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_some(uint32_t fn,
                         int (*next)(int, MPI_Request *, int *, int *, MPI_Status *),
                         int n, MPI_Request *requests, int *count, int *indices,
                         MPI_Status *statuses)
{
    struct mpx_request *few[FEW];
    MPI_Status few_statuses[FEW];
    struct scratch s;
    if (nested() || !scratch_take(&s, n, few, few_statuses))
        return next(n, requests, count, indices, statuses);
    uint64_t begin = enter_brief();
    int found = follow(&s, n, requests);
    MPI_Status *st = found && statuses == MPI_STATUSES_IGNORE ? s.statuses : statuses;
    int result = next(n, requests, count, indices, st);
    if (found && (result == MPI_SUCCESS || result == MPI_ERR_IN_STATUS) &&
        *count != MPI_UNDEFINED)
        for (int i = 0; i < *count; i++)
            if (is_done(result, &st[i]))
                completed(s.followed[indices[i]], &st[i]);
    settle_all(&s, found, n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_start(uint32_t fn, int (*next)(MPI_Request *), MPI_Request *request)
{
    if (nested())
        return next(request);
    uint64_t begin = enter_brief();
    // Before the call: a persistent receive may be completed by another thread at once.
    started(*request);
    int result = next(request);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_startall(uint32_t fn, int (*next)(int, MPI_Request *), int n,
                             MPI_Request *requests)
{
    if (nested())
        return next(n, requests);
    uint64_t begin = enter_brief();
    for (int i = 0; i < n; i++)
        started(requests[i]);
    int result = next(n, requests);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_free(uint32_t fn, int (*next)(MPI_Request *), MPI_Request *request)
{
    if (nested())
        return next(request);
    uint64_t begin = enter_brief();
    struct mpx_request *r = mpx_request_take(key_of(*request));
    int result = next(request);
    settle(r, *request);
    leave_brief(fn, begin, 0, 0);
    return result;
}

static int complete_cancel(uint32_t fn, int (*next)(MPI_Request *), MPI_Request *request)
{
    if (nested())
        return next(request);
    uint64_t begin = enter_brief();
    mpx_lib.cancels = 1;
    int result = next(request);
    leave_brief(fn, begin, 0, 0);
    return result;
}

#endif
