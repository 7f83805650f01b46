// Whether a request may go on to its handler, as far as its head tells.

#include <string.h>
#include <strings.h>

#include "http/internal.h"

enum {
    HEAD_MAX = 24 * 1024, // of the connection's memory, what a request may take
    ADDRESS_MAX = 16 * 1024,
    PARAMETERS_MAX = 128
};

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

bool mpx_http_check_framing(struct mpx_request *rq)
{
    const char *coding = mpx_request_header(rq, "Transfer-Encoding");
    if (!coding)
        return true;
    // A proxy in between may honour the other header: request smuggling (RFC 9112, 6.1).
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

// What a request may do: 0, or 401 or 403 with the reason in err. Every request passes here once,
// after its route is known and before its handler runs; a rule about authorisation goes here
// and nowhere else. There is none yet.
static int may(const struct mpx_request *rq, enum mpx_http_need need, mproxy_error *err)
{
    (void)rq;
    (void)need;
    (void)err;
    return 0;
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

static void refuse_head(struct mpx_request *rq)
{
    const char *name = "none";
    size_t longest = 0;
    for (size_t i = 0; i < rq->field_count; i++) {
        const struct mpx_field *field = &rq->fields[i];
        size_t length = strlen(field->name) + strlen(field->value);
        if (field->kind != MPX_FIELD_HEADER || length <= longest)
            continue;
        longest = length;
        name = field->name;
    }
    mpx_reply_refuse(rq, 431,
                     "the head of the request is over the limit of %d bytes; its longest "
                     "header, '%.60s', has %zu",
                     HEAD_MAX, name, longest);
}

static bool has_body(const struct mpx_request *rq)
{
    return mpx_request_announced(rq) > 0 || mpx_request_header(rq, "Transfer-Encoding");
}

void mpx_http_admit(struct mpx_request *rq, unsigned allow, bool ready)
{
    mproxy_error why;
    int code;
    if (rq->reply.code != 0)
        return; // the address was refused
    if (!rq->route)
        mpx_reply_refuse(rq, 404, "path '%.200s' is not served here: see / for a list",
                         rq->path);
    else if (allow)
        mpx_reply_refuse(rq, 405, "method %.20s is not served at '%s'", rq->method_name,
                         rq->route->path);
    else if (rq->route->need != MPX_NEED_NOTHING && !ready)
        mpx_reply_refuse(rq, 503, "the first sampling round is not done yet");
    else if ((code = may(rq, rq->route->need, &why)) != 0)
        mpx_reply_refuse(rq, code, "%s", why.text);
    else if (has_body(rq) && !is_taken(rq))
        mpx_reply_refuse(rq, 415, "header Content-Type: %s was expected",
                         rq->route->types);
    else if (rq->head_size > HEAD_MAX)
        refuse_head(rq);
}
