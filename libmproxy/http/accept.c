// What a client would like: the quality of what headers such as Accept name.

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"
#include "http/request.h"

enum { GZIP_FROM = 1024 }; // smaller bodies fit one packet as they are

// What is said of an item behind its name: ";version=1.0.0;q=0.5".
static double quality_of(const char *at, const char *end)
{
    for (; (at = memchr(at, ';', (size_t)(end - at))) != NULL;) {
        do
            at++;
        while (at < end && (*at == ' ' || *at == '\t'));
        if (end - at >= 2 && (*at == 'q' || *at == 'Q') && at[1] == '=')
            return mpx_decimal_read(at + 2, NULL);
    }
    return 1;
}

static bool is_named(const char *at, const char *end, const char *name)
{
    size_t length = strlen(name);
    return (size_t)(end - at) >= length && strncasecmp(at, name, length) == 0 &&
           (at + length == end || strchr("; \t", at[length]));
}

double mpx_http_quality(const char *header, const char *name)
{
    double best = 0;
    for (const char *at = header ? header : ""; *at;) {
        at += strspn(at, ", \t");
        const char *end = at + strcspn(at, ",");
        if (is_named(at, end, name) && quality_of(at, end) > best)
            best = quality_of(at, end);
        at = end;
    }
    return best;
}

bool mpx_request_takes_gzip(const struct mpx_request *rq)
{
    return mpx_http_quality(mpx_request_header(rq, "Accept-Encoding"), "gzip") > 0;
}

bool mpx_request_packs(const struct mpx_request *rq, size_t length)
{
    return length >= GZIP_FROM && length <= UINT32_MAX && mpx_request_takes_gzip(rq);
}
