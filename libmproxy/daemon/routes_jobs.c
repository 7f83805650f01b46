// Jobs as they are now, and lists made of them; on the server's threads, from one snapshot.

#include <stdio.h>

#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "exposition/json.h"
#include "exposition/sink.h"
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

static void reply_sink(struct mpx_request *rq, struct mpx_sink *s, struct mpx_buf *body)
{
    if (mpx_sink_fini(s) == MPROXY_OK) {
        mpx_reply_buf(rq, 200, MPX_TYPE_JSON, body);
        return;
    }
    mpx_buf_free(body);
    mpx_reply_refuse(rq, 503, "no memory to answer");
}

static void each_job(struct mpx_request *rq, struct mproxy_daemon *d,
                     const char *brackets,
                     void (*write)(struct mpx_sink *s, const struct mproxy_daemon *d,
                                   const char *jobid))
{
    struct mpx_buf body = MPX_BUF_INIT;
    struct mpx_sink s;
    if (mpx_sink_init(&s, mpx_write_to_buf, &body) != MPROXY_OK) {
        mpx_reply_refuse(rq, 503, "no memory to answer");
        return;
    }
    mproxy_snapshot *snapshot = mproxy_store_snapshot(d->store);
    mpx_sink_add(&s, brackets, 1);
    for (size_t i = 0; i < mproxy_snapshot_size(snapshot); i++) {
        if (i > 0)
            mpx_sink_text(&s, ",");
        write(&s, d, mproxy_view_key(mproxy_snapshot_at(snapshot, i)));
    }
    mpx_sink_add(&s, brackets + 1, 1);
    mproxy_snapshot_unref(snapshot);
    reply_sink(rq, &s, &body);
}

static void write_target(struct mpx_sink *s, const struct mproxy_daemon *d,
                         const char *jobid)
{
    mpx_sink_text(s, "{\"targets\":[");
    mpx_json_text(s, d->advertise);
    mpx_sink_text(s, "],\"labels\":{\"__metrics_path__\":\"/metrics\","
                     "\"__param_job\":");
    mpx_json_text(s, jobid);
    mpx_sink_text(s, ",\"job_id\":");
    mpx_json_text(s, jobid);
    mpx_sink_text(s, "}}");
}

void mpx_route_discovery(struct mpx_request *rq, void *context)
{
    each_job(rq, context, "[]", write_target);
}

// No rule can be set yet, so every job is calm.
static void write_calm(struct mpx_sink *s, const struct mproxy_daemon *d,
                       const char *jobid)
{
    (void)d;
    mpx_json_text(s, jobid);
    mpx_sink_text(s, ":[]");
}

void mpx_route_alarms(struct mpx_request *rq, void *context)
{
    each_job(rq, context, "{}", write_calm);
}
