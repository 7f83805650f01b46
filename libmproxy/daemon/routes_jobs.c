// Jobs as they are now, and lists made of them; on the server's threads, from one snapshot.

#include "base/json.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "serve/serve.h"

static struct mpx_served served(const struct mproxy_daemon *d)
{
    return (struct mpx_served){d->store, d->host};
}

void mpx_route_job(struct mpx_request *rq, void *context)
{
    const struct mpx_served of = served(context);
    mpx_serve_job(rq, &of);
}

void mpx_route_job_list(struct mpx_request *rq, void *context)
{
    const struct mpx_served of = served(context);
    mpx_serve_job_list(rq, &of);
}

void mpx_route_metrics(struct mpx_request *rq, void *context)
{
    const struct mpx_served of = served(context);
    mpx_serve_metrics(rq, &of);
}

// Replies that list jobs in another form.

static void each_job(struct mpx_request *rq, struct mproxy_daemon *d, char open,
                     char close,
                     void (*write)(struct mpx_json *j, const struct mproxy_daemon *d,
                                   const char *jobid))
{
    struct mpx_buf body = MPX_BUF_INIT;
    struct mpx_json j = {.out = &body};
    mproxy_snapshot *snapshot = mproxy_store_snapshot(d->store);
    mpx_json_begin(&j, open);
    for (size_t i = 0; i < mproxy_snapshot_size(snapshot); i++)
        write(&j, d, mproxy_view_key(mproxy_snapshot_at(snapshot, i)));
    mpx_json_end(&j, close);
    mproxy_snapshot_unref(snapshot);
    if (!body.failed) {
        mpx_reply_buf(rq, 200, MPX_TYPE_JSON, &body);
        return;
    }
    mpx_buf_free(&body);
    mpx_reply_refuse(rq, 503, "no memory to answer");
}

static void write_target(struct mpx_json *j, const struct mproxy_daemon *d,
                         const char *jobid)
{
    mpx_json_begin(j, '{');
    mpx_json_key(j, "targets");
    mpx_json_begin(j, '[');
    mpx_json_put_string(j, d->advertise);
    mpx_json_end(j, ']');
    mpx_json_key(j, "labels");
    mpx_json_begin(j, '{');
    mpx_json_member(j, "__metrics_path__", "/metrics");
    mpx_json_member(j, "__param_job", jobid);
    mpx_json_member(j, "job_id", jobid);
    mpx_json_end(j, '}');
    mpx_json_end(j, '}');
}

void mpx_route_discovery(struct mpx_request *rq, void *context)
{
    each_job(rq, context, '[', ']', write_target);
}

// No rule can be set yet, so every job is calm.
static void write_calm(struct mpx_json *j, const struct mproxy_daemon *d,
                       const char *jobid)
{
    (void)d;
    mpx_json_key(j, jobid);
    mpx_json_begin(j, '[');
    mpx_json_end(j, ']');
}

void mpx_route_alarms(struct mpx_request *rq, void *context)
{
    each_job(rq, context, '{', '}', write_calm);
}
