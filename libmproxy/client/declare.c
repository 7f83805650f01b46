// Declaring metrics: one handle per name, whoever asks.
//
// A name is looked up without the lock first (names.c); a new one is checked, put into the
// segment's log by the writer, and published among the names last: a handle that is found has
// its slot in the file. A name whose labels come in another order is the same metric, which is
// known only after it was not found as it stands.
//
// A handle that could not be had is one of those below, which every call takes and which counts
// nothing, so that programs need not test. Whatever was refused for good marks the segment, and
// so the job, as counted in part: the program may never look at the error.
//
// A declaration may come from inside malloc(), from a signal handler, or on a stack of 16 KiB. So
// nothing here allocates or prints; long buffers live in functions that are not inlined, whose
// stack is given back; and what is said of a failure is put together on our stack and copied
// once the lock is released, for the caller's error may lie in memory that faults.

#include <mproxy/client.h>

#include <math.h>
#include <string.h>

#include <mproxy/metric.h>

#include "base/err.h"
#include "client/names.h"
#include "client/state.h"
#include "metric/order.h"
#include "metric/reserved.h"

static struct mproxy_counter no_counter = {{.slot = MPX_NO_SLOT}};
static struct mproxy_fcounter no_fcounter = {{.slot = MPX_NO_SLOT}};
static struct mproxy_gauge no_gauge = {{.slot = MPX_NO_SLOT}};
static struct mproxy_histogram no_histogram = {{.slot = MPX_NO_SLOT}};

static bool is_same(const struct mpx_handle *a, const struct mpx_handle *b)
{
    return a->kind == b->kind && a->scale == b->scale &&
           a->bound_count == b->bound_count &&
           (a->bound_count == 0 ||
            memcmp(a->bounds, b->bounds, a->bound_count * sizeof *a->bounds) == 0);
}

// The program may not ask for the reason; the job's `partial` tells.
static void mark_refused(void)
{
    __atomic_fetch_or(&mpx_writer_header(mpx_client.writer)->flags, MPX_OFF_REFUSED,
                      __ATOMIC_RELAXED);
}

static struct mpx_handle *check_same(struct mpx_handle *known,
                                     const struct mpx_handle *wish, mproxy_error *err)
{
    if (is_same(known, wish))
        return known;
    mark_refused();
    mpx_fail(err, MPROXY_E_TYPE, "metric '%.120s' is declared with another type, %s",
             wish->name, known->kind == wish->kind ? "scale or bounds" : "not this one");
    return NULL;
}

static mproxy_status check_wish(const struct mpx_handle *wish, const char *doc,
                                mproxy_error *err)
{
    // Its text quotes the name; a longer one is not looked at to its end.
    size_t length = strnlen(wish->name, MPROXY_NAME_MAX + 1);
    mproxy_status status = mproxy_metric_check_name(wish->name, length, err);
    if (status)
        return status;
    if (mpx_name_is_reserved(wish->name))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.120s' is counted by the proxy: another name was "
                        "expected",
                        wish->name);
    if (doc && strnlen(doc, MPROXY_DOC_MAX + 1) > MPROXY_DOC_MAX)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.120s': doc of more than %d bytes", wish->name,
                        MPROXY_DOC_MAX);
    if (!isfinite(wish->scale) || wish->scale <= 0)
        return mpx_fail(err, MPROXY_E_INVALID, "metric '%.120s': scale %g", wish->name,
                        wish->scale);
    return MPROXY_OK;
}

// The handle of a name whose labels are known in another order. Not inlined: its stack is
// given back before more is needed.
static __attribute__((noinline)) struct mpx_handle *find_ordered(const char *name)
{
    char room[MPX_NAME_ROOM];
    const char *ordered = mpx_name_ordered(name, room);
    return ordered == name ? NULL : mpx_names_find(ordered, mpx_names_hash(ordered));
}

// The caller holds the lock; err is on its stack.
static struct mpx_handle *declare_locked(const struct mpx_handle *wish, const char *doc,
                                         mproxy_error *err)
{
    struct mpx_handle *known = mpx_names_find(wish->name, wish->hash);
    if (known)
        return check_same(known, wish, err);
    struct mpx_handle *made = mpx_names_make(wish);
    if (!made) {
        mpx_writer_header(mpx_client.writer)->flags |= MPX_OFF_MEMORY;
        mpx_fail(err, MPROXY_E_LIMIT, "metric '%.120s': no memory", wish->name);
        return NULL;
    }
    // Its labels are in order by now: another thread may have spelled it otherwise.
    known = mpx_names_find(made->name, made->hash);
    if (known) {
        mpx_names_discard(made);
        return check_same(known, wish, err);
    }
    if (mpx_writer_define(mpx_client.writer, wish->kind, made->name, doc, wish->scale,
                          wish->bounds, wish->bound_count, &made->slot,
                          err) == MPROXY_OK) {
        mpx_names_publish(made);
        return made;
    }
    mpx_names_discard(made);
    err->status = MPROXY_E_LIMIT;
    return NULL;
}

static void note_off(unsigned reason)
{
    __atomic_fetch_or(&mpx_writer_header(mpx_client.writer)->flags, reason,
                      __ATOMIC_RELAXED);
}

static struct mpx_handle *refuse(const struct mpx_handle *wish, mproxy_status status,
                                 const char *why, mproxy_error *err)
{
    mpx_fail(err, status, "metric '%.120s': %s", wish->name, why);
    return NULL;
}

// Nothing of the program's is touched with the lock held but the name and the doc, which have
// been read before: what is said of a failure is put together on our stack.
static struct mpx_handle *declare_new(const struct mpx_handle *wish, const char *doc,
                                      mproxy_error *err)
{
    mproxy_error own = {0};
    struct mpx_hold h;
    enum mpx_held held = mpx_client_hold(&h);
    // Who is in a handler may ask again. What has been waited for may never come.
    if (held == MPX_HELD_TOO_LONG)
        note_off(MPX_OFF_REFUSED);
    if (held != MPX_HELD)
        return refuse(wish, MPROXY_E_BUSY, "asked for while another is declared", err);
    struct mpx_handle *made = declare_locked(wish, doc, &own);
    mpx_release(&h);
    if (!made && err)
        *err = own;
    return made;
}

// NULL, and err says why, when there is no handle to be had.
static struct mpx_handle *declare(struct mpx_handle *wish, const char *doc,
                                  mproxy_error *err)
{
    if (!mpx_client_open()) {
        mpx_client_fail_off(err);
        return NULL;
    }
    if (!wish->name) {
        mark_refused();
        mpx_fail(err, MPROXY_E_INVALID, "metric without a name");
        return NULL;
    }
    wish->hash = mpx_names_hash(wish->name);
    struct mpx_handle *known = mpx_names_find(wish->name, wish->hash);
    if (known)
        return check_same(known, wish, err);
    if (check_wish(wish, doc, err) != MPROXY_OK) {
        mark_refused();
        return NULL;
    }
    known = find_ordered(wish->name);
    if (known)
        return check_same(known, wish, err);
    // Taking the lock would be a system call already.
    if (mpx_client_is_confined()) {
        note_off(MPX_OFF_SANDBOX);
        return refuse(wish, MPROXY_E_OFF, "asked for first in a sandbox", err);
    }
    return declare_new(wish, doc, err);
}

mproxy_counter *mproxy_counter_get_scaled(const char *name, const char *doc, double scale,
                                          mproxy_error *err)
{
    struct mpx_handle wish = {.kind = MPX_DEF_COUNTER, .name = name, .scale = scale};
    struct mpx_handle *found = declare(&wish, doc, err);
    return found ? (mproxy_counter *)found : &no_counter;
}

mproxy_counter *mproxy_counter_get(const char *name, const char *doc, mproxy_error *err)
{
    return mproxy_counter_get_scaled(name, doc, 1, err);
}

mproxy_fcounter *mproxy_fcounter_get(const char *name, const char *doc, mproxy_error *err)
{
    struct mpx_handle wish = {.kind = MPX_DEF_FCOUNTER, .name = name, .scale = 1};
    struct mpx_handle *found = declare(&wish, doc, err);
    return found ? (mproxy_fcounter *)found : &no_fcounter;
}

mproxy_gauge *mproxy_gauge_get(const char *name, const char *doc, mproxy_error *err)
{
    struct mpx_handle wish = {.kind = MPX_DEF_GAUGE, .name = name, .scale = 1};
    struct mpx_handle *found = declare(&wish, doc, err);
    return found ? (mproxy_gauge *)found : &no_gauge;
}

static mproxy_status check_bounds(const char *name, const double *bounds, size_t count,
                                  mproxy_error *err)
{
    if (count == 0 || count > MPROXY_BOUNDS_MAX || !bounds)
        return mpx_fail(err, MPROXY_E_INVALID, "histogram '%.120s': %zu bounds, 1 to %d",
                        name ? name : "", count, MPROXY_BOUNDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
            return mpx_fail(err, MPROXY_E_INVALID,
                            "histogram '%.120s': bound %g is not finite and rising",
                            name ? name : "", bounds[i]);
    return MPROXY_OK;
}

mproxy_histogram *mproxy_histogram_get(const char *name, const char *doc,
                                       const double *bounds, size_t count,
                                       mproxy_error *err)
{
    struct mpx_handle wish = {.kind = MPX_DEF_HISTOGRAM, .name = name, .scale = 1};
    double powers[MPX_POWERS];
    if (!bounds && count == 0) {
        for (int i = 0; i < MPX_POWERS; i++)
            powers[i] = (double)(UINT64_C(1) << i);
        bounds = powers;
        count = MPX_POWERS;
    } else if (check_bounds(name, bounds, count, err) != MPROXY_OK) {
        if (mpx_client_open())
            mark_refused();
        return &no_histogram;
    }
    wish.bounds = bounds;
    wish.bound_count = (uint32_t)count;
    wish.powers = mpx_bounds_are_powers(bounds, count);
    struct mpx_handle *found = declare(&wish, doc, err);
    return found ? (mproxy_histogram *)found : &no_histogram;
}
