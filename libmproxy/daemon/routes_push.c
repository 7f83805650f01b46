// The push gateway over HTTP: /metrics/job/..., and DELETE /metrics.
//
// A request passes two threads, like those of direct counters. On the server's thread its head
// is judged and its body unpacked; on the loop's the page is read and taken (push/), since one
// parser remembers the series of all. The body stays with the request until it is answered, so
// nothing of it is copied. An answer means that what was pushed is on file.
//
// Statuses are those of the Pushgateway where it has one (200, DELETE 202, 400), and 409 for
// what contradicts other groups, 415 for what is no page, 413 for too much of it.
//
// Which group is meant stands in the path, whose labels push/ takes apart, so that the rules of
// names and values are in one place; what selectors mean is push/match.c's.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/err.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "exposition/protobuf.h"

enum { SELECTORS_MAX = 32, TEXT_MAX_BYTES = 16 << 20 };

struct push {
    mproxy_push_verb verb;
    mproxy_format format;
    int64_t ttl_ms;
    size_t length; // of a body that was no text
    char text[];   // what it says as text
};

static const char *group_of(const struct mpx_request *rq)
{
    return mpx_request_path(rq) + strlen("/metrics/");
}

// ---- on the loop's thread

static int code_of(mproxy_status status)
{
    switch (status) {
    case MPROXY_E_INVALID:
    case MPROXY_E_UNSUPPORTED:
        return 400;
    case MPROXY_E_TYPE:
    case MPROXY_E_EXISTS:
        return 409;
    default:
        return 503;
    }
}

static void refuse(struct mpx_request *rq, mproxy_status status, const mproxy_error *why)
{
    mpx_reply_refuse(rq, code_of(status), "%s", why->text);
}

static void do_push(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const struct push *push = arg;
    mproxy_error why;
    mproxy_pushed pushed = {.struct_size = sizeof pushed,
                            .path = group_of(rq),
                            .verb = push->verb,
                            .format = push->format,
                            .ttl_ms = push->ttl_ms};
    pushed.text = mpx_request_body(rq, &pushed.length);
    if (push->length > 0) {
        pushed.text = push->text;
        pushed.length = push->length;
    }
    mproxy_status status = mproxy_push_take(d->push, &pushed, &why);
    if (status == MPROXY_OK)
        mpx_reply_done(rq, "what was pushed is there");
    else
        refuse(rq, status, &why);
}

static void do_delete(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    size_t deleted;
    mproxy_error why;
    (void)arg;
    mproxy_status status = mproxy_push_delete(d->push, group_of(rq), &deleted, &why);
    if (status != MPROXY_OK)
        refuse(rq, status, &why);
    else
        mpx_reply_accept(rq,
                         deleted ? "the group was deleted" : "there was no such group");
}

// All of them; the first SELECTORS_MAX are listed.
static size_t list_selectors(const struct mpx_request *rq,
                             const char *selectors[SELECTORS_MAX])
{
    const char *name, *value;
    size_t count = 0;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++) {
        if (strcmp(name, "match[]") != 0)
            continue;
        if (count < SELECTORS_MAX)
            selectors[count] = value;
        count++;
    }
    return count;
}

static void do_delete_matching(struct mproxy_daemon *d, struct mpx_request *rq, void *arg)
{
    const char *selectors[SELECTORS_MAX];
    size_t count = list_selectors(rq, selectors), deleted;
    mproxy_error why;
    (void)arg;
    mproxy_status status =
        mproxy_push_delete_matching(d->push, selectors, count, &deleted, &why);
    if (status != MPROXY_OK)
        mpx_reply_refuse(rq, code_of(status), "parameter 'match[]': %s", why.text);
    else
        mpx_reply_accept(
            rq, deleted == 1 ? "%zu group was deleted" : "%zu groups were deleted",
            deleted);
}

// ---- on the server's threads: false, and it was answered with a refusal

static bool is_repeated(const struct mpx_request *rq, const char *name, size_t before)
{
    const char *other, *value;
    for (size_t i = 0; i < before && mpx_request_param_at(rq, i, &other, &value); i++)
        if (strcmp(other, name) == 0)
            return true;
    return false;
}

// Each of the known ones once, and no others: a time to live that is misspelled, or said to be
// two, would not be the one that was meant. One that begins with an underscore keeps caches
// away, here as for other routes.
static bool take_params(struct mpx_request *rq, const char *const *known,
                        const char *expected)
{
    const char *name, *value;
    for (size_t i = 0; mpx_request_param_at(rq, i, &name, &value); i++) {
        const char *const *at = known;
        while (*at && strcmp(*at, name) != 0)
            at++;
        if (name[0] == '_')
            continue;
        if (*at && (strcmp(name, "match[]") == 0 || !is_repeated(rq, name, i)))
            continue;
        mpx_reply_refuse(rq, 400, "parameter '%.60s': %s", name,
                         *at ? "it was given twice, once was expected" : expected);
        return false;
    }
    return true;
}

static bool take_ttl(struct mpx_request *rq, struct push *push)
{
    static const double most_s = 10 * 366 * 86400.0;
    const char *text = mpx_request_param(rq, "ttl");
    char *end;
    if (!text)
        return true;
    double seconds = mpx_decimal_read(text, &end);
    bool is_decimal = text[0] && strspn(text, ".0123456789") == strlen(text) && !*end;
    if (is_decimal && seconds > 0 && seconds <= most_s) {
        push->ttl_ms = (int64_t)ceil(seconds * 1000);
        return true;
    }
    mpx_reply_refuse(rq, 400,
                     "parameter 'ttl': '%.60s': seconds above 0 and below ten years were "
                     "expected",
                     text);
    return false;
}

static bool take_verb(struct mpx_request *rq, struct push *push)
{
    const char *aggregate = mpx_request_param(rq, "aggregate");
    bool is_put = mpx_request_method(rq) == MPX_PUT;
    push->verb = is_put ? MPROXY_PUSH_REPLACE : MPROXY_PUSH_ADD;
    if (!aggregate || strcmp(aggregate, "replace") == 0)
        return true;
    if (strcmp(aggregate, "sum") == 0 && !is_put) {
        push->verb = MPROXY_PUSH_SUM;
        return true;
    }
    if (is_put)
        mpx_reply_refuse(rq, 400,
                         "parameter 'aggregate': PUT replaces all of the group: POST was "
                         "expected");
    else
        mpx_reply_refuse(rq, 400,
                         "parameter 'aggregate': '%.60s': sum or replace was expected",
                         aggregate);
    return false;
}

static bool take_format(struct mpx_request *rq, struct push *push)
{
    mproxy_error why;
    const char *type = mpx_request_header(rq, "Content-Type");
    push->format = MPROXY_FORMAT_PROMETHEUS;
    if (mpx_protobuf_is(type) ||
        mproxy_format_of_content_type(type, &push->format, &why) == MPROXY_OK)
        return true;
    mpx_reply_refuse(rq, 415, "header Content-Type: %s", why.text);
    return false;
}

// The body as text, if it is none; behind the rest in one block of memory, which free() takes.
static struct push *take_body(struct mpx_request *rq, const struct push *push)
{
    struct mpx_buf text = MPX_BUF_INIT;
    mproxy_error why;
    size_t length;
    const char *body = mpx_request_body(rq, &length);
    mproxy_status status =
        mpx_protobuf_is(mpx_request_header(rq, "Content-Type"))
            ? mpx_protobuf_text(body, length, TEXT_MAX_BYTES, &text, &why)
            : MPROXY_OK;
    struct push *made = status == MPROXY_OK ? malloc(sizeof *made + text.size) : NULL;
    if (status == MPROXY_E_INVALID || status == MPROXY_E_LIMIT)
        mpx_reply_refuse(rq, status == MPROXY_E_LIMIT ? 413 : 400, "%s", why.text);
    else if (!made)
        mpx_reply_refuse(rq, 503, "no memory to answer");
    if (made) {
        *made = *push;
        made->length = text.size;
        if (text.size > 0)
            memcpy(made->text, text.data, text.size);
    }
    mpx_buf_free(&text);
    return made;
}

static void send_push(struct mpx_request *rq, struct mproxy_daemon *d)
{
    static const char *const known[] = {"aggregate", "ttl", NULL};
    struct push head = {.length = 0}, *push;
    if (take_params(rq, known, "'aggregate' or 'ttl' was expected") &&
        take_verb(rq, &head) && take_ttl(rq, &head) && take_format(rq, &head) &&
        mpx_request_unpack(rq) && (push = take_body(rq, &head)) != NULL)
        mpx_command_send(d, rq, do_push, push);
}

void mpx_route_group(struct mpx_request *rq, void *context)
{
    static const char *const none[] = {NULL};
    if (mpx_request_method(rq) != MPX_DELETE)
        send_push(rq, context);
    else if (take_params(rq, none, "none was expected, the path says which group goes"))
        mpx_command_send(context, rq, do_delete, NULL);
}

void mpx_route_ungroup(struct mpx_request *rq, void *context)
{
    static const char *const known[] = {"match[]", NULL};
    const char *selectors[SELECTORS_MAX];
    size_t count = list_selectors(rq, selectors);
    if (!take_params(rq, known, "'match[]' was expected"))
        return;
    if (count == 0)
        mpx_reply_refuse(rq, 400,
                         "parameter 'match[]': a selector of groups, {job=\"NAME\"}, was "
                         "expected");
    else if (count > SELECTORS_MAX)
        mpx_reply_refuse(rq, 400, "parameter 'match[]': at most %d were expected",
                         SELECTORS_MAX);
    else
        mpx_command_send(context, rq, do_delete_matching, NULL);
}
