// Counters that people raise over HTTP: /push, /accumulate and /set.
//
// A request passes two threads. On the server's thread it is parsed and judged, as far
// as its own words allow; a `struct change` that owns its texts then goes to the event
// loop as a command. There the target is found (the node, or the open share of a job),
// the value is written into a segment of the proxy's own (own/direct.c), and only then
// the request is answered. So an answer means that the value survives a kill of the
// proxy, and a request without an answer may have counted or not.
//
// Rules kept here:
// * A counter is never below zero and never not finite: refused with 400.
// * Names that the proxy uses for processes, nodes and itself are nobody else's
//   (metric/reserved.h).
// * A job is the one shown under the name given, whoever else runs one of its id.
// * Where a gauge is shown under the name, or the name is left out because jobs disagree about
//   its type, all three are refused with 409, whichever came first: there is no total that
//   /set could reach, and what is added would be seen only later.
// * A job must run on this node: a share that is sealed takes nothing more (404).
// * The store learns a name only after the segment had room for it. The other way round
//   a flood of names that nobody can count would use up the names of all.
//
// /set is not an assignment, because a total has many contributors: it adds the
// difference to the value last shown, which mpx_direct_set() knows how to keep exact.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mproxy/client.h>

#include "base/decimal.h"
#include "base/err.h"
#include "daemon/counters_json.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "metric/order.h"
#include "metric/reserved.h"
#include "reduction/reduction.h"
#include "store/exempt.h"

enum verb { PUSH, ACCUMULATE, SET };

// One block of memory, so that one free() takes all.
struct change {
    enum verb verb;
    double value;
    const char *key, *doc, *job; // job NULL: main
    char texts[];
};

struct fields {
    const char *key, *doc, *job, *value;
};

static struct change *new_change(enum verb verb, const struct fields *f, double value)
{
    const char *texts[] = {f->key, f->doc ? f->doc : "", f->job ? f->job : ""};
    size_t lengths[3], total = 0;
    for (int i = 0; i < 3; i++)
        total += lengths[i] = strlen(texts[i]) + 1;
    struct change *c = calloc(1, sizeof *c + total);
    if (!c)
        return NULL;
    char *at = c->texts;
    const char **places[] = {&c->key, &c->doc, &c->job};
    for (int i = 0; i < 3; i++) {
        *places[i] = memcpy(at, texts[i], lengths[i]);
        at += lengths[i];
    }
    mpx_name_order(c->texts); // the key stands first
    c->verb = verb;
    c->value = value;
    if (!f->job)
        c->job = NULL;
    return c;
}

// On the loop's thread.

// The share of this node that new processes of a job would go to. Of several users' jobs of
// one id it is the one shown under that name.
static const mproxy_source *open_share(struct mproxy_daemon *d, const char *key,
                                       bool *has_ended)
{
    const struct mpx_job *shown = mpx_job_of_key(d->reduction, key);
    const char *jobid = shown ? shown->jobid : key;
    const mproxy_source *const *sources, *found = NULL;
    size_t count = mproxy_ledger_sources(d->ledger, &sources);
    *has_ended = false;
    for (size_t i = 0; i < count; i++) {
        const mproxy_source *s = sources[i];
        if (s->kind != MPROXY_SOURCE_SHARE || strcmp(s->job->jobid, jobid) != 0 ||
            (shown && s->uid != shown->uid))
            continue;
        if (s->sealed)
            *has_ended = true;
        else
            found = s;
    }
    return found;
}

static bool is_this_node(const struct mproxy_daemon *d, const char *jobid)
{
    return !jobid || strcmp(jobid, "main") == 0 ||
           (strncmp(jobid, "Node: ", 6) == 0 && strcmp(jobid + 6, d->host) == 0);
}

// False: answered with a refusal.
static bool find_target(struct mproxy_daemon *d, struct mpx_request *rq,
                        const char *jobid, struct mpx_direct_key *key)
{
    bool has_ended;
    *key = (struct mpx_direct_key){.uid = geteuid()};
    if (is_this_node(d, jobid))
        return true;
    const mproxy_source *share = open_share(d, jobid, &has_ended);
    if (share) {
        key->job = share->job;
        key->uid = share->uid;
        return true;
    }
    mpx_reply_refuse(rq, 404,
                     has_ended ? "parameter 'job': job '%.200s' has ended"
                               : "parameter 'job': no job '%.200s' runs on this node",
                     jobid);
    return false;
}

// What is shown under a name: of the job that is addressed, or of all of this node.
struct shown {
    double value; // 0 where the name is not shown
    bool is_gauge;
    bool is_left_out; // some count it and others set it: there is no total
};

static bool leaves_out(const mproxy_view *view, const char *key)
{
    const mproxy_metric *const *metrics;
    size_t count = mproxy_view_left_out(view, &metrics);
    for (size_t i = 0; i < count; i++)
        if (strcmp(mproxy_metric_name(metrics[i]), key) == 0)
            return true;
    return false;
}

static struct shown find_shown(struct mproxy_daemon *d, const char *jobid,
                               const char *key)
{
    mproxy_snapshot *snapshot = mproxy_store_snapshot(d->store);
    const mproxy_view *view =
        mproxy_snapshot_find(snapshot, is_this_node(d, jobid) ? "main" : jobid);
    struct shown shown = {.value = 0};
    mproxy_entry entry;
    if (view && mproxy_view_find(view, key, &entry)) {
        shown.value = entry.value.total;
        shown.is_gauge = mproxy_metric_type(entry.metric) == MPROXY_GAUGE;
    } else if (view)
        shown.is_left_out = leaves_out(view, key);
    mproxy_snapshot_unref(snapshot);
    return shown;
}

static mproxy_status apply(struct mproxy_daemon *d, const struct change *c,
                           const struct mpx_direct_key *key, mproxy_error *err)
{
    const mproxy_metric *metric;
    struct shown shown = find_shown(d, c->job, c->key);
    if (shown.is_left_out)
        return mpx_fail(err, MPROXY_E_TYPE,
                        "is counted by some jobs and set as a gauge by others: it "
                        "has no total until either have ended");
    if (shown.is_gauge)
        return mpx_fail(err, MPROXY_E_TYPE, "is a gauge: a counter was expected");
    mproxy_status status = MPROXY_E_INVALID;
    switch (c->verb) {
    case PUSH:
        status = mpx_direct_declare(d->direct, key, c->key, c->doc, err);
        break;
    case ACCUMULATE:
        status = mpx_direct_add(d->direct, key, c->key, c->doc, c->value, err);
        break;
    case SET:
        status =
            mpx_direct_set(d->direct, key, c->key, c->doc, c->value, shown.value, err);
        break;
    }
    // A name that there was no room for is not to take room among those of all.
    if (status != MPROXY_OK)
        return status;
    return mproxy_store_metric(d->store, c->key, MPROXY_COUNTER, c->doc, &metric, err);
}

static void reply_change(struct mpx_request *rq, const struct change *c)
{
    char value[MPROXY_NUMBER_MAX];
    mproxy_format_number(c->value, value);
    switch (c->verb) {
    case PUSH:
        mpx_reply_done(rq, "counter '%s' is there", c->key);
        break;
    case ACCUMULATE:
        mpx_reply_done(rq, "%s was added to '%s'", value, c->key);
        break;
    case SET:
        mpx_reply_done(rq, "'%s' was set to %s", c->key, value);
        break;
    }
}

static void do_change(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const struct change *c = arg;
    struct mpx_direct_key key;
    mproxy_error err;
    if (!find_target(d, rq, c->job, &key))
        return;
    mproxy_status status = apply(d, c, &key, &err);
    if (status == MPROXY_OK)
        reply_change(rq, c);
    else if (status == MPROXY_E_TYPE)
        mpx_reply_refuse(rq, 409, "parameter 'key': '%.200s' %s", c->key, err.text);
    else if (status == MPROXY_E_INVALID)
        mpx_reply_refuse(rq, 400, "parameter 'key': %s", err.text);
    else
        mpx_reply_refuse(rq, 503, "'%.200s' can't be counted: %s", c->key, err.text);
}

// On the server's threads.

static bool parse_value(struct mpx_request *rq, enum verb verb, const char *text,
                        double *value)
{
    char *end;
    *value = 0;
    if (verb == PUSH)
        return true;
    if (!text || !text[0]) {
        mpx_reply_refuse(rq, 400, "parameter 'value': a number was expected");
        return false;
    }
    *value = mpx_decimal_read(text, &end);
    // It takes blanks, hexadecimal numbers and words too.
    bool is_decimal = strspn(text, "+-.0123456789eE") == strlen(text);
    if (!is_decimal || *end != '\0' || !isfinite(*value))
        mpx_reply_refuse(
            rq, 400, "parameter 'value': '%.60s': a finite number was expected", text);
    else if (*value < 0)
        mpx_reply_refuse(rq, 400,
                         "parameter 'value': %.60s: 0 or more was expected, a counter "
                         "is never below it",
                         text);
    else
        return true;
    return false;
}

static bool check_fields(struct mpx_request *rq, const struct fields *f)
{
    mproxy_error err;
    if (!f->key)
        mpx_reply_refuse(rq, 400, "parameter 'key': the name of a counter was expected");
    else if (mproxy_metric_check_name(f->key, strlen(f->key), &err) != MPROXY_OK)
        mpx_reply_refuse(rq, 400, "parameter 'key': %s", err.text);
    else if (mpx_name_is_reserved(f->key))
        mpx_reply_refuse(
            rq, 400,
            "parameter 'key': '%.200s' is counted by the proxy: another name "
            "was expected",
            f->key);
    else if (f->doc && strlen(f->doc) > MPROXY_DOC_MAX)
        mpx_reply_refuse(rq, 400, "parameter 'doc': at most %d bytes were expected",
                         MPROXY_DOC_MAX);
    else
        return true;
    return false;
}

static void send_change(struct mpx_request *rq, void *context, enum verb verb,
                        const struct fields *f)
{
    double value;
    if (!check_fields(rq, f) || !parse_value(rq, verb, f->value, &value))
        return;
    struct change *change = new_change(verb, f, value);
    if (change)
        mpx_command_send(context, rq, do_change, change);
    else
        mpx_reply_refuse(rq, 503, "no memory to answer");
}

// A field of the body wins over the same of the address.
static const char *either(const char *of_body, struct mpx_request *rq, const char *name)
{
    return of_body && of_body[0] ? of_body : mpx_request_param(rq, name);
}

static void handle(struct mpx_request *rq, void *context, enum verb verb)
{
    struct mpx_counter_body body = {.key = NULL};
    mproxy_error err;
    size_t length;
    const char *text = mpx_request_body(rq, &length);
    if (text && mpx_counter_body_parse(text, length, &body, &err) != MPROXY_OK) {
        mpx_reply_refuse(rq, 400, "%s", err.text);
        return;
    }
    struct fields f = {.key = either(body.key, rq, "key"),
                       .doc = either(body.doc, rq, "doc"),
                       .job = either(body.job, rq, "job"),
                       .value = either(body.value, rq, "value")};
    send_change(rq, context, verb, &f);
    mpx_counter_body_clear(&body);
}

void mpx_route_push(struct mpx_request *rq, void *context)
{
    handle(rq, context, PUSH);
}

void mpx_route_accumulate(struct mpx_request *rq, void *context)
{
    handle(rq, context, ACCUMULATE);
}

void mpx_route_set(struct mpx_request *rq, void *context)
{
    handle(rq, context, SET);
}
