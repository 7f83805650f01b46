/**
 * @file mproxy/client.h
 * Counters, gauges and histograms of a program that is watched by a node's proxy.
 *
 * Link with libmproxy_client (pkg-config mproxy-client). A program counts into a small
 * file of shared memory that it alone writes; the proxy reads it. Counting never sends,
 * waits or takes a lock, and goes on unharmed when there is no proxy.
 *
 * Threads: any thread may call any function, signal handlers included, except where a
 *          function says otherwise. The first call of a process asks malloc() for memory: in
 *          a process that does not run under proxy_run, no signal handler may make it.
 * Memory:  handles live as long as the process and are never freed. A handle is never
 *          NULL: one that could not be had counts nothing, so that the caller need not test.
 * fork:    the child goes on with the same handles and counts for itself, from zero; so does
 *          the child of a raw clone system call, from its first call on. A child of vfork
 *          counts for its parent. Only a raw clone made in a signal handler that interrupts an update may
 *          repeat that one update in the parent's segment.
 * Errors:  only the functions that declare a metric report any. Updates can't fail; a value
 *          that is dropped marks the job's profile as partial.
 */
#ifndef MPROXY_CLIENT_H
#define MPROXY_CLIENT_H

#include <mproxy/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_counter mproxy_counter;     /**< an integer that grows */
typedef struct mproxy_fcounter mproxy_fcounter;   /**< a double that grows */
typedef struct mproxy_gauge mproxy_gauge;         /**< a double that is set */
typedef struct mproxy_histogram mproxy_histogram; /**< observations in buckets */

/** Longest name, labels included, and longest doc text, in bytes. */
#define MPROXY_NAME_MAX 1024
#define MPROXY_DOC_MAX 4096
/** Most bounds a histogram may have. */
#define MPROXY_BOUNDS_MAX 128

/**
 * Find or declare an integer counter.
 *
 * The first call with a name declares it, later ones (from any thread) return the same
 * handle; keep it, looking it up costs a hash. Names may carry labels:
 * `requests_total{code="200"}`. By convention counters end in `_total`.
 *
 * @param name  copied; see mproxy_metric_check_name() for its form
 * @param doc   copied; may be NULL; one sentence for people
 * @param err   may be NULL; written when the handle returned counts nothing
 * @return never NULL. err->status: MPROXY_E_INVALID (name), MPROXY_E_TYPE (declared as
 *         something else, another scale or other bounds), MPROXY_E_LIMIT (no room),
 *         MPROXY_E_OFF (no proxy directory), MPROXY_E_BUSY (asked for by a wrapper of a
 *         function that the library itself calls while it begins to count or declares
 *         another metric: ask again later). A wrapper of functions of <string.h> has to see
 *         for itself that it does not call itself, since finding a name compares strings.
 */
MPROXY_API mproxy_counter *mproxy_counter_get(const char *name, const char *doc,
                                              mproxy_error *err);

/**
 * As mproxy_counter_get(), for a counter whose unit is raised in integer ticks: its value
 * is the sum times `scale` (a clock of 2.5 GHz that counts seconds: scale 0.4e-9).
 */
MPROXY_API mproxy_counter *mproxy_counter_get_scaled(const char *name, const char *doc,
                                                     double scale, mproxy_error *err);

/**
 * Raise a counter. One addition to memory of the calling thread.
 *
 * What a process adds to one counter, in all its threads together, must stay below 2^64, where
 * memory begins at zero again. The proxy sees that where it read the counter before: what it shows
 * stays, and the job is marked as `partial`. Of a process that does it between two rounds nothing
 * tells.
 *
 * Here and below, a value that is refused (of 2^63 or more, which a negative number is; below
 * zero; not finite) changes nothing and marks the job as `partial`.
 */
MPROXY_API void mproxy_counter_add(mproxy_counter *counter, uint64_t value);

/** As mproxy_counter_get(), for a counter raised by doubles. */
MPROXY_API mproxy_fcounter *mproxy_fcounter_get(const char *name, const char *doc,
                                                mproxy_error *err);

/** Raise a counter by a double. One that is negative or not finite is refused. */
MPROXY_API void mproxy_fcounter_add(mproxy_fcounter *counter, double value);

/** As mproxy_counter_get(), for a gauge. A gauge that was never set is not shown. */
MPROXY_API mproxy_gauge *mproxy_gauge_get(const char *name, const char *doc,
                                          mproxy_error *err);

/** Set the process's value of a gauge. One that is not finite is refused. */
MPROXY_API void mproxy_gauge_set(mproxy_gauge *gauge, double value);

/**
 * As mproxy_counter_get(), for a histogram. It is shown as the counters `NAME_bucket`
 * with label `le`, `NAME_sum` and `NAME_count`.
 *
 * @param bounds  upper bounds, rising and finite; copied. NULL with count 0: powers of two,
 *                1, 2, 4, ... 2^62
 * @param count   number of bounds, at most MPROXY_BOUNDS_MAX
 */
MPROXY_API mproxy_histogram *mproxy_histogram_get(const char *name, const char *doc,
                                                  const double *bounds, size_t count,
                                                  mproxy_error *err);

/** Put one observation into its bucket. One that is not finite is refused. */
MPROXY_API void mproxy_histogram_observe(mproxy_histogram *histogram, double value);

/**
 * Several counters raised in one go cost one pair of guards instead of one each; made for
 * wrappers that count hits, time and bytes of one call. `counters` and `values` have `count`
 * elements.
 */
MPROXY_API void mproxy_counter_add_many(mproxy_counter *const *counters,
                                        const uint64_t *values, size_t count);

/**
 * Whether this process counts: MPROXY_OK, or MPROXY_E_OFF with the reason in err (no
 * rendezvous directory, no space, file size limit, no descriptor, ...).
 */
MPROXY_API mproxy_status mproxy_client_status(mproxy_error *err);

/**
 * Count this process in `has_started`; once per process however often called, and again in
 * each forked child. The `process` exporter calls it before main.
 */
MPROXY_API void mproxy_process_started(void);

/**
 * Count this process in `has_finished` and write its final resource use. Does nothing in a
 * vfork child, and nothing when called twice. The `process` exporter calls it at the end.
 */
MPROXY_API void mproxy_process_finished(void);

/**
 * Say that this image of the process may end without mproxy_process_finished(): it is about to
 * become another program by exec, or its runtime ends it in a way that cannot be seen. If
 * nothing of the process counts after it, it is counted in `has_left` once it is gone, unless
 * it has finished. Does nothing in a vfork child. 0 takes it back: the exec has failed.
 */
MPROXY_API void mproxy_process_leaves(int leaves);

/**
 * Say that this process counts what others do, as a tracer does: what it uses itself is not
 * the job's. To be called before anything else here.
 */
MPROXY_API void mproxy_process_observes(void);

/**
 * Say whether this process is confined, as by a seccomp filter that kills it for a system
 * call it does not expect: while it is, nothing here makes one. Metrics that were declared go
 * on counting; metrics asked for first now, and those of forked children, do not. The
 * `process` exporter calls it when the program calls prctl() or seccomp.
 */
MPROXY_API void mproxy_process_confined(int is_confined);

/**
 * For tracers, which count a process's system calls: the library makes some on its own account,
 * to map its counters or to read the process's use, which are not the program's. In an
 * environment that has the variable MPROXY_TRACED they stand between a call
 * close(MPROXY_OWN_BEGIN) and a call close(MPROXY_OWN_END) of the same thread, numbers that
 * no descriptor has. Pairs may be nested.
 */
#define MPROXY_TRACED "MPROXY_TRACED"
enum mproxy_own_call {
    MPROXY_OWN_BEGIN = -0x6d707801,
    MPROXY_OWN_END = -0x6d707802,
};

/**
 * Say that the calling thread's storage will be another process's as well, which clone() with
 * CLONE_VM and without CLONE_SETTLS makes: what either counts from now on is added atomically.
 * The `process` exporter calls it when the program calls clone() or syscall(SYS_clone).
 */
MPROXY_API void mproxy_thread_shared(void);

/** Calls that an exporter may have to leave uncounted. */
enum mproxy_uncounted {
    MPROXY_UNCOUNTED_MPI = 1, /**< calls of an MPI library that it has no back-end for */
};

/**
 * Say that something of this process is not counted: its job's profile is `partial` then, and
 * names the reason. Nothing is written to the program's own files.
 */
MPROXY_API void mproxy_process_uncounted(enum mproxy_uncounted what);

#ifdef __cplusplus
}
#endif
#endif
