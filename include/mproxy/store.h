/**
 * @file mproxy/store.h
 * The store: jobs, each with its metrics' values, shown as immutable snapshots.
 *
 * One writer builds a view per job and publishes them together; readers take the newest
 * snapshot, which never changes under them. A view that did not change between two
 * publications is shared by both snapshots.
 *
 * Threads: one thread at a time, the writer, makes metrics and views, publishes and sweeps. Any
 *          thread takes snapshots (mproxy_store_snapshot()), reads them, their views and
 *          metrics, and lets go of them.
 * Memory:  all that a snapshot points to lives until its last unref. A metric (its name and
 *          docs) lives as long as a view shows it or somebody refers to it; without either it
 *          is given back by mproxy_store_sweep(), and not before.
 */
#ifndef MPROXY_STORE_H
#define MPROXY_STORE_H

#include <mproxy/job.h>
#include <mproxy/metric.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_store mproxy_store;
typedef struct mproxy_snapshot mproxy_snapshot;
typedef struct mproxy_view mproxy_view;

/**
 * An interned metric: one object per name and type in a store, compared by address or id.
 * Opaque; only a store makes them. One name may be that of a counter and of a gauge, in
 * different jobs.
 */
typedef struct mproxy_metric mproxy_metric;

/** One metric of a job. A plain value; the view keeps it in a smaller form. */
typedef struct mproxy_entry {
    const mproxy_metric *metric;
    mproxy_value value;
    const mproxy_ranks *ranks; /**< borrowed from the view; NULL: not known, or a gauge */
} mproxy_entry;

typedef struct mproxy_store_options {
    size_t struct_size; /**< sizeof(mproxy_store_options) */
    size_t max_metrics; /**< most names known at a time; 0: 4,000,000 */
} mproxy_store_options;

/**
 * Open an empty store; its first snapshot has no views.
 *
 * @param options  may be NULL
 * @param out      set on success; release with mproxy_store_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_store_open(const mproxy_store_options *options,
                                           mproxy_store **out, mproxy_error *err);
/**
 * Close a store; snapshots and views still held stay readable until their unref. References to
 * metrics (mproxy_metric_ref()) must be gone. Accepts NULL.
 */
MPROXY_API void mproxy_store_close(mproxy_store *store);

/**
 * Find or intern a metric. The doc of the first call that gives one is kept.
 *
 * @param out  borrowed: valid until the next mproxy_store_sweep(), and as long as it is shown
 *             by a view or referred to (mproxy_metric_ref())
 * @return MPROXY_OK, MPROXY_E_INVALID (name), MPROXY_E_LIMIT or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_store_metric(mproxy_store *store, const char *name,
                                             mproxy_type type, const char *doc,
                                             const mproxy_metric **out,
                                             mproxy_error *err);
/**
 * What a metric is; any thread. Texts live as long as the metric.
 * Its name has its labels; the part before them has mproxy_metric_base_length() bytes.
 */
MPROXY_API const char *mproxy_metric_name(const mproxy_metric *metric);
MPROXY_API mproxy_type mproxy_metric_type(const mproxy_metric *metric);
/** Its number in the store: small, from 0; that of a name given back is given again. */
MPROXY_API uint32_t mproxy_metric_id(const mproxy_metric *metric);
/** Its text for people; "" until the writer gives it one. */
MPROXY_API const char *mproxy_metric_doc(const mproxy_metric *metric);
/**
 * Keep a metric beyond the next mproxy_store_sweep(). By the writer; the store must outlive the
 * reference.
 *
 * @return the metric
 */
MPROXY_API const mproxy_metric *mproxy_metric_ref(const mproxy_metric *metric);
MPROXY_API void mproxy_metric_unref(const mproxy_metric *metric); /**< accepts NULL */
/**
 * Give back the metrics that no view shows and nobody refers to: their memory, their ids and
 * what they take of the most names. Called by the writer between rounds, when it holds no
 * metric that it has not referred to. Snapshots that readers hold keep what they show. A call
 * looks at 65,536 metrics at most; where there are more, the next ones go on.
 */
MPROXY_API void mproxy_store_sweep(mproxy_store *store);

/** Number of metrics known. */
MPROXY_API size_t mproxy_store_metric_count(const mproxy_store *store);
/** A metric by id; NULL where there is none. */
MPROXY_API const mproxy_metric *mproxy_store_metric_at(const mproxy_store *store,
                                                       uint32_t id);
/**
 * All metrics in the order in which they are shown: by base name, then by the whole name,
 * bytewise, a counter before the gauge of its name. The array has mproxy_store_metric_count()
 * elements, is borrowed and valid until the next mproxy_store_metric() or mproxy_store_sweep().
 * NULL when there is no memory to sort it.
 */
MPROXY_API const mproxy_metric *const *mproxy_store_metric_order(mproxy_store *store);

/**
 * Begin a view made by hand. Entries must be added in the order of
 * mproxy_store_metric_order(), before anybody else sees the view.
 *
 * @param key       names the view in snapshots: a job id, "main", "Node: HOST"; copied
 * @param desc      copied
 * @param capacity  entries for which room is made at once; more may be added
 * @param out       set on success; release with mproxy_view_unref()
 * @return MPROXY_OK or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_view_new(const char *key, const mproxy_job *desc,
                                         size_t capacity, mproxy_view **out,
                                         mproxy_error *err);
/** Append an entry (copied, its ranks too). @return MPROXY_OK or MPROXY_E_NOMEM */
MPROXY_API mproxy_status mproxy_view_add(mproxy_view *view, const mproxy_entry *entry);
MPROXY_API mproxy_view *mproxy_view_ref(mproxy_view *view);
MPROXY_API void mproxy_view_unref(mproxy_view *view); /**< accepts NULL */
MPROXY_API const char *mproxy_view_key(const mproxy_view *view);
MPROXY_API const mproxy_job *mproxy_view_job(const mproxy_view *view);
MPROXY_API size_t mproxy_view_size(const mproxy_view *view);
/** An entry by its place in the order of display; without metric past the last. */
MPROXY_API mproxy_entry mproxy_view_at(const mproxy_view *view, size_t index);
/**
 * The metrics that a sum leaves out, because some of the jobs that it is of count them and
 * others set them as a gauge: one of the two types each. Borrowed from the view.
 */
MPROXY_API size_t mproxy_view_left_out(const mproxy_view *view,
                                       const mproxy_metric *const **out);
/**
 * The entry of a metric by name. Binary search.
 *
 * @param out  may be NULL; set if there is one
 * @return nonzero if the view has one
 */
MPROXY_API int mproxy_view_find(const mproxy_view *view, const char *name,
                                mproxy_entry *out);

/**
 * Make these views the newest snapshot. The store takes a reference to each view.
 *
 * @param views  in the order in which they are shown; keys must differ
 * @return MPROXY_OK, MPROXY_E_EXISTS (two views of one key) or MPROXY_E_NOMEM; on failure
 *         the newest snapshot stays what it was
 */
MPROXY_API mproxy_status mproxy_store_publish(mproxy_store *store,
                                              mproxy_view *const *views, size_t count,
                                              mproxy_error *err);

/** The newest snapshot, with a reference for the caller. Never NULL, never waits long. */
MPROXY_API mproxy_snapshot *mproxy_store_snapshot(mproxy_store *store);
MPROXY_API mproxy_snapshot *mproxy_snapshot_ref(mproxy_snapshot *snapshot);
MPROXY_API void mproxy_snapshot_unref(mproxy_snapshot *snapshot); /**< accepts NULL */
/** Raised by one at each publication. */
MPROXY_API uint64_t mproxy_snapshot_sequence(const mproxy_snapshot *snapshot);
MPROXY_API size_t mproxy_snapshot_size(const mproxy_snapshot *snapshot);
MPROXY_API const mproxy_view *mproxy_snapshot_at(const mproxy_snapshot *snapshot,
                                                 size_t index);
/** The view of a key; NULL if there is none. */
MPROXY_API const mproxy_view *mproxy_snapshot_find(const mproxy_snapshot *snapshot,
                                                   const char *key);

#ifdef __cplusplus
}
#endif
#endif
