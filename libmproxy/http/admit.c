// Whether a request may go on to its handler, as far as its head tells.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/internal.h"

enum { ADDRESS_MAX = 16 * 1024, PARAMETERS_MAX = 128 };

bool mpx_http_check_address(struct mpx_request *rq, const char *address)
{
    size_t length = strlen(address), parameters = 1;
    for (const char *at = address; (at = strchr(at, '&')) != NULL; at++)
        parameters++;
    // Behind an escaped NUL, paths and parameters would silently end.
    if (strstr(address, "%00"))
        mpx_reply_refuse(rq, 400, "the address holds %%00: text was expected");
    else if (length > ADDRESS_MAX)
        mpx_reply_refuse(rq, 414, "the address has %zu bytes: at most %d were expected",
                         length, ADDRESS_MAX);
    else if (parameters > PARAMETERS_MAX)
        mpx_reply_refuse(rq, 400,
                         "the address has %zu parameters: at most %d were expected",
                         parameters, PARAMETERS_MAX);
    else
        return true;
    return false;
}

static unsigned known_method(const char *method)
{
    static const struct {
        const char *word;
        unsigned method;
    } known[] = {{"GET", MPX_GET},
                 {"HEAD", MPX_GET},
                 {"POST", MPX_POST},
                 {"PUT", MPX_PUT},
                 {"DELETE", MPX_DELETE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, method) == 0)
            return known[i].method;
    return 0;
}

uint64_t mpx_http_announced_length(const struct mpx_request *rq)
{
    const char *text = mpx_request_header(rq, "Content-Length");
    return text ? strtoull(text, NULL, 10) : 0;
}

static bool has_body(const struct mpx_request *rq)
{
    return mpx_http_announced_length(rq) > 0 ||
           mpx_request_header(rq, "Transfer-Encoding");
}

bool mpx_http_check_framing(struct mpx_request *rq)
{
    const char *coding = mpx_request_header(rq, "Transfer-Encoding");
    if (!coding)
        return true;
    // Who stands between may believe the other of the two, and see another request in it.
    if (mpx_request_header(rq, "Content-Length"))
        mpx_reply_refuse(rq, 400,
                         "headers Content-Length and Transfer-Encoding: one of them was "
                         "expected");
    else if (strcasecmp(coding, "chunked") != 0)
        mpx_reply_refuse(
            rq, 400, "header Transfer-Encoding: '%.60s': chunked was expected", coding);
    else
        return true;
    return false;
}

static bool is_taken(const struct mpx_request *rq)
{
    const char *types = rq->route->types;
    const char *type = mpx_request_header(rq, "Content-Type");
    if (!types || strcmp(types, "*/*") == 0)
        return true;
    size_t length = type ? strcspn(type, "; \t") : 0;
    for (const char *at = types; *at && length > 0; at += strspn(at, ", ")) {
        size_t step = strcspn(at, ",");
        if (step == length && strncasecmp(at, type, length) == 0)
            return true;
        at += step;
    }
    return false;
}

// A target may be a whole URL, which clients send to what they take for a proxy server.
static const char *path_of(const char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    const char *path = strchr(target + 7, '/');
    return path ? path : "/";
}

void mpx_http_admit(struct mpx_request *rq, const struct mpx_route_table *table,
                    bool ready, const char *path, const char *method)
{
    unsigned allow;
    path = path_of(path);
    rq->path = path;
    rq->method = known_method(method);
    rq->is_head = strcmp(method, "HEAD") == 0;
    rq->route = mpx_route_find(table, path, rq->method, &allow);
    mproxy_error why;
    int code;
    if (rq->reply.code != 0)
        return; // the address was refused
    if (!rq->route)
        mpx_reply_refuse(rq, 404, "path '%.200s' is not served here: see / for a list",
                         path);
    else if (allow)
        mpx_reply_refuse(rq, 405, "method %.20s is not served at '%s'", method,
                         rq->route->path);
    else if (rq->route->need != MPX_NEED_NOTHING && !ready)
        mpx_reply_refuse(rq, 503, "the first sampling round is not done yet");
    else if ((code = mpx_http_may(rq, rq->route->need, &why)) != 0)
        mpx_reply_refuse(rq, code, "%s", why.text);
    else if (has_body(rq) && !is_taken(rq))
        mpx_reply_refuse(rq, 415, "header Content-Type: %s was expected",
                         rq->route->types);
}
