// Jobs as they are now, from the newest snapshot: /job, /job/list, /metrics.
//
// Everything here runs on the server's threads and reads one snapshot, which never
// changes; no lock is held and the loop is not asked. A `struct query` owns that
// snapshot's reference and says what to render: format, view, a single metric,
// descriptions only.
//
// A reply takes one of two ways. A body of up to MPX_BODY_MAX is rendered once per
// snapshot and kept with it (store/cache.h), plain and packed, so that a hundred clients
// that ask in one round cost one rendering; its key therefore says everything that the
// bytes depend on, the metric's name with its length before it, since a name may hold
// anything. A larger body, or one too many, is streamed: rendered by a thread of its own
// while the client reads (http/stream.c).
//
// Parameters are judged before anything is rendered, and each refusal names the
// parameter and the value. `take_...()` and `select_job()` return false when they have
// answered.

#include "serve/serve.h"

#include <mproxy/exposition.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/options.h"
#include "metric/order.h"
#include "store/cache.h"

#define TYPE_TEXT "text/plain; version=0.0.4"
#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

// What to render of a snapshot; owns what it points to.
struct query {
    mproxy_snapshot *snapshot;
    const mproxy_view *view; // NULL: all
    bool by_node;
    char host[256]; // of the only node
    mproxy_format format;
    mproxy_render_options options;
    char *metric;
};

static void free_query(void *arg)
{
    struct query *q = arg;
    mproxy_snapshot_unref(q->snapshot);
    free(q->metric);
    free(q);
}

static struct query *new_query(const struct mpx_served *of, struct mpx_request *rq,
                               mproxy_format format)
{
    struct query *q = calloc(1, sizeof *q);
    if (!q) {
        mpx_reply_refuse(rq, 503, "no memory to answer");
        return NULL;
    }
    q->snapshot = mproxy_store_snapshot(of->store);
    snprintf(q->host, sizeof q->host, "%s", of->host);
    q->format = format;
    q->options.struct_size = sizeof q->options;
    return q;
}

static mproxy_status render(void *arg, mproxy_write_fn write, void *write_arg)
{
    const struct query *q = arg;
    if (q->by_node) {
        // A lone proxy's node is all there is to a job.
        mproxy_node_part part = {
            .struct_size = sizeof part, .node = q->host, .fresh = 1, .view = q->view};
        return mproxy_render_nodes(q->view, &part, 1, &q->options, write, write_arg);
    }
    if (q->view)
        return mproxy_render_view(q->view, q->format, &q->options, write, write_arg);
    return mproxy_render_snapshot(q->snapshot, q->format, &q->options, write, write_arg);
}

static mproxy_status render_body(void *arg, const mproxy_snapshot *snapshot, void *body)
{
    (void)snapshot; // it is the query's
    return render(arg, mpx_body_write, body);
}

static const char *type_of(mproxy_format format)
{
    return format == MPROXY_FORMAT_JSON         ? MPX_TYPE_JSON
           : format == MPROXY_FORMAT_PROMETHEUS ? TYPE_TEXT
                                                : TYPE_OPENMETRICS;
}

static void unref_snapshot(void *snapshot)
{
    mproxy_snapshot_unref(snapshot);
}

struct bytes {
    const char *start;
    size_t length;
};

static mproxy_status pack_body(void *arg, const mproxy_snapshot *snapshot, void *body)
{
    (void)snapshot;
    const struct bytes *plain = arg;
    return mpx_gzip(plain->start, plain->length, mpx_body_write, body);
}

// The key of a plain body starts with a 0, that of its packed form with a 1.
static void write_key(struct mpx_buf *key, const struct query *q)
{
    const char *metric = q->metric ? q->metric : "";
    mpx_buf_addf(key, "0 %d %d %d %d %zu %s%s", q->format, q->by_node,
                 q->options.received_only, q->options.desc_only, strlen(metric), metric,
                 q->view ? mproxy_view_key(q->view) : "\n");
}

// From the bodies kept with the snapshot.
static mproxy_status reply_kept(struct mpx_request *rq, struct query *q, char *key)
{
    struct bytes plain, packed;
    mproxy_status status =
        mpx_snapshot_body(q->snapshot, key, render_body, q, &plain.start, &plain.length);
    if (status != MPROXY_OK)
        return status;
    key[0] = '1';
    bool is_packed = mpx_request_packs(rq, plain.length) &&
                     mpx_snapshot_body(q->snapshot, key, pack_body, &plain, &packed.start,
                                       &packed.length) == MPROXY_OK;
    const struct bytes *sent = is_packed ? &packed : &plain;
    mpx_reply_held(rq, 200, type_of(q->format), sent->start, sent->length, unref_snapshot,
                   mproxy_snapshot_ref(q->snapshot));
    if (is_packed)
        mpx_reply_is_packed(rq);
    return MPROXY_OK;
}

// Takes the query. A body of moderate size is rendered once for all who ask for it in this
// round; a large one streams.
static void reply(struct mpx_request *rq, struct query *q)
{
    struct mpx_buf key = MPX_BUF_INIT;
    write_key(&key, q);
    mproxy_status status =
        mpx_buf_text(&key) ? reply_kept(rq, q, key.data) : MPROXY_E_NOMEM;
    mpx_buf_free(&key);
    if (status == MPROXY_E_LIMIT) {
        mpx_reply_stream(rq, type_of(q->format), render, free_query, q);
        return;
    }
    if (status != MPROXY_OK)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    free_query(q);
}

// False when the job does not exist: answered then.
static bool select_job(struct mpx_request *rq, struct query *q, const char *jobid)
{
    q->view = mproxy_snapshot_find(q->snapshot, jobid);
    if (q->view)
        return true;
    mpx_reply_refuse(rq, 404,
                     "parameter 'job': no job '%.200s' is running: /job/list has those "
                     "that are, /profiles those that have ended",
                     jobid);
    return false;
}

static bool take_metric(struct mpx_request *rq, struct query *q)
{
    const char *metric = mpx_request_param(rq, "metric");
    if (!metric)
        return true;
    q->options.metric = q->metric = strdup(metric);
    if (q->metric &&
        mproxy_metric_check_name(q->metric, strlen(q->metric), NULL) == MPROXY_OK)
        mpx_name_order(q->metric);
    if (!q->metric)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    return q->metric != NULL;
}

static bool take_fields(struct mpx_request *rq, struct query *q)
{
    const char *fields = mpx_request_param(rq, "fields");
    if (fields && strcmp(fields, "desc") != 0) {
        mpx_reply_refuse(rq, 400, "parameter 'fields': '%.60s': 'desc' was expected",
                         fields);
        return false;
    }
    q->options.desc_only = fields ? 2 : 0;
    return true;
}

static bool take_by(struct mpx_request *rq, struct query *q)
{
    const char *by = mpx_request_param(rq, "by");
    if (!by)
        return true;
    if (strcmp(by, "node") != 0)
        mpx_reply_refuse(rq, 400, "parameter 'by': '%.60s': 'node' was expected", by);
    else if (!q->view)
        mpx_reply_refuse(rq, 400, "parameter 'job': a job id was expected with by=node");
    q->by_node = q->view && strcmp(by, "node") == 0;
    return q->by_node;
}

static bool is_in(const char *const *known, const char *name)
{
    while (*known && strcmp(*known, name) != 0)
        known++;
    return *known != NULL;
}

// A misspelled parameter would be answered with more than was asked for. One that begins with an
// underscore keeps caches away (`?_=TIME`).
static bool take_no_others(struct mpx_request *rq, const char *const *known,
                           const char *expected)
{
    const char *name, *value;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++) {
        if (name[0] == '_' || is_in(known, name))
            continue;
        mpx_reply_refuse(rq, 400, "parameter '%.60s': %s", name, expected);
        return false;
    }
    return true;
}

void mpx_serve_job(struct mpx_request *rq, const struct mpx_served *of)
{
    static const char *const known[] = {"job", "metric", "fields", "by", NULL};
    if (!take_no_others(rq, known, "'job', 'metric', 'fields' or 'by' was expected"))
        return;
    struct query *q = new_query(of, rq, MPROXY_FORMAT_JSON);
    if (!q)
        return;
    const char *jobid = mpx_request_param(rq, "job");
    q->options.received_only = !jobid;
    if ((!jobid || select_job(rq, q, jobid)) && take_metric(rq, q) &&
        take_fields(rq, q) && take_by(rq, q))
        reply(rq, q);
    else
        free_query(q);
}

void mpx_serve_job_list(struct mpx_request *rq, const struct mpx_served *of)
{
    static const char *const none[] = {NULL};
    if (!take_no_others(rq, none, "none was expected, /job?job=ID has one job"))
        return;
    struct query *q = new_query(of, rq, MPROXY_FORMAT_JSON);
    if (!q)
        return;
    q->options.desc_only = 1;
    reply(rq, q);
}

// Only who names it gets OpenMetrics, and only if he likes the plain text no better.
static bool wants_openmetrics(const char *accept)
{
    double open = mpx_http_quality(accept, "application/openmetrics-text");
    return open > 0 && open >= mpx_http_quality(accept, "text/plain");
}

// A scraper may send the same parameters to all its targets (`collect[]`, `match[]`), so unknown
// ones are passed over; but a misspelled `job` is refused, for the reply would be of all jobs.
static bool take_other_than_jobs(struct mpx_request *rq)
{
    static const char *const wrong[] = {"jobid", "job_id", "jobs", "id", NULL};
    const char *name, *value;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++) {
        if (!is_in(wrong, name))
            continue;
        mpx_reply_refuse(rq, 400, "parameter '%s': 'job' was expected", name);
        return false;
    }
    return true;
}

void mpx_serve_metrics(struct mpx_request *rq, const struct mpx_served *of)
{
    if (!take_other_than_jobs(rq))
        return;
    bool open = wants_openmetrics(mpx_request_header(rq, "Accept"));
    struct query *q =
        new_query(of, rq, open ? MPROXY_FORMAT_OPENMETRICS : MPROXY_FORMAT_PROMETHEUS);
    if (!q)
        return;
    const char *jobid = mpx_request_param(rq, "job");
    bool all = jobid && strcmp(jobid, "*") == 0;
    if ((all || select_job(rq, q, jobid ? jobid : "main")) && take_metric(rq, q))
        reply(rq, q);
    else
        free_query(q);
}

// ---- for other programs

typedef void (*serve_fn)(struct mpx_request *rq, const struct mpx_served *of);

static void serve(struct mpx_request *rq, void *store, serve_fn function)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    const struct mpx_served of = {store, host};
    function(rq, &of);
}

static void handle_metrics(struct mpx_request *rq, void *store)
{
    serve(rq, store, mpx_serve_metrics);
}

static void handle_job(struct mpx_request *rq, void *store)
{
    serve(rq, store, mpx_serve_job);
}

static void handle_job_list(struct mpx_request *rq, void *store)
{
    serve(rq, store, mpx_serve_job_list);
}

size_t mproxy_serve_routes(mproxy_store *store, mproxy_http_route *routes)
{
    static const struct {
        const char *path;
        void (*handle)(struct mpx_request *rq, void *store);
    } table[MPROXY_SERVE_ROUTES] = {{"/metrics", handle_metrics},
                                    {"/job", handle_job},
                                    {"/job/list", handle_job_list},
                                    {"/joblist", handle_job_list}};
    if (MPX_STRUCT_TAKES(mproxy_http_route, context, routes, NULL) != MPROXY_OK)
        return 0;
    size_t size = routes[0].struct_size;
    for (size_t i = 0; i < MPROXY_SERVE_ROUTES; i++) {
        const mproxy_http_route route = {.methods = MPROXY_HTTP_GET,
                                         .path = table[i].path,
                                         .handle = table[i].handle,
                                         .context = store};
        void *to = (char *)routes + i * size;
        memcpy(to, &size, sizeof size);
        (void)MPX_STRUCT_GIVE(mproxy_http_route, context, to, &route, NULL);
    }
    return MPROXY_SERVE_ROUTES;
}

mproxy_status mproxy_serve_open(mproxy_store *store, const char *address, int port,
                                mproxy_http **out, mproxy_error *err)
{
    MPX_REQUIRE(store && out, err);
    mproxy_http_route routes[MPROXY_SERVE_ROUTES] = {{.struct_size = sizeof *routes}};
    const mproxy_http_options options = {.struct_size = sizeof options,
                                         .address = address,
                                         .port = port,
                                         .routes = routes,
                                         .route_count =
                                             mproxy_serve_routes(store, routes)};
    return mproxy_http_open(&options, out, err);
}
