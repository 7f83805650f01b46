// What is known of a request; nothing here knows of connections or of replies.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/internal.h"
#include "http/route.h"

enum mpx_http_method mpx_request_method(const struct mpx_request *rq)
{
    return (enum mpx_http_method)rq->method;
}

const char *mpx_request_path(const struct mpx_request *rq)
{
    return rq->path;
}

const char *mpx_request_rest(const struct mpx_request *rq)
{
    size_t prefix = mpx_route_prefix(rq->route);
    return prefix ? rq->path + prefix : "";
}

const struct sockaddr *mpx_request_peer(const struct mpx_request *rq)
{
    return rq->peer;
}

// The first of that name, whatever the case of a header's.
static const char *field_of(const struct mpx_request *rq, enum mpx_field_kind kind,
                            const char *name)
{
    int (*compare)(const char *, const char *) =
        kind == MPX_FIELD_HEADER ? strcasecmp : strcmp;
    for (size_t i = 0; i < rq->field_count; i++)
        if (rq->fields[i].kind == kind && compare(rq->fields[i].name, name) == 0)
            return rq->fields[i].value;
    return NULL;
}

const char *mpx_request_param(const struct mpx_request *rq, const char *name)
{
    return field_of(rq, MPX_FIELD_PARAM, name);
}

bool mpx_request_param_at(const struct mpx_request *rq, size_t index, const char **name,
                          const char **value)
{
    for (size_t i = 0; i < rq->field_count; i++)
        if (rq->fields[i].kind == MPX_FIELD_PARAM && index-- == 0) {
            *name = rq->fields[i].name;
            *value = rq->fields[i].value;
            return true;
        }
    return false;
}

const char *mpx_request_header(const struct mpx_request *rq, const char *name)
{
    return field_of(rq, MPX_FIELD_HEADER, name);
}

const char *mpx_request_token(const struct mpx_request *rq)
{
    const char *given = mpx_request_header(rq, "Authorization");
    if (given && strncasecmp(given, "Bearer ", 7) == 0)
        return given + 7 + strspn(given + 7, " ");
    return field_of(rq, MPX_FIELD_COOKIE, MPX_TOKEN_COOKIE);
}

uint64_t mpx_request_announced(const struct mpx_request *rq)
{
    const char *text = mpx_request_header(rq, "Content-Length");
    return text ? strtoull(text, NULL, 10) : 0;
}

const char *mpx_request_body(const struct mpx_request *rq, size_t *length)
{
    *length = rq->body.size;
    return rq->body.size ? rq->body.data : NULL;
}
