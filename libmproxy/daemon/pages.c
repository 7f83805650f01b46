// Pages for browsers.

#include "daemon/pages.h"

#include <string.h>

#include "daemon/routes.h"

// Pages load nothing from elsewhere and run no script but those served here, whatever a job
// id or a command line looks like; nobody shows them inside a page of his own.
#define POLICY                                                                           \
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "    \
    "frame-ancestors 'none'"

static const struct mpx_page *find(const char *path)
{
    size_t length = strlen(path);
    if (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 1)
        return find("/index.html");
    for (size_t i = 0; i < mpx_page_count; i++)
        if (strlen(mpx_pages[i].path) == length &&
            memcmp(mpx_pages[i].path, path, length) == 0)
            return &mpx_pages[i];
    return NULL;
}

void mpx_route_page(struct mpx_request *rq, void *context)
{
    (void)context;
    const struct mpx_page *page = find(mpx_request_path(rq));
    if (!page) {
        mpx_reply_refuse(rq, 404, "this proxy was built without pages");
        return;
    }
    bool is_packed = page->packed && mpx_request_takes_gzip(rq);
    const char *start = is_packed ? page->packed : page->start;
    const char *end = is_packed ? page->packed_end : page->end;
    mpx_reply_held(rq, 200, page->type, start, (size_t)(end - start), NULL, NULL);
    if (is_packed)
        mpx_reply_is_packed(rq);
    mpx_reply_header(rq, "Content-Security-Policy", POLICY);
    mpx_reply_etag(rq, is_packed ? page->packed_etag : page->etag);
}

void mpx_route_recognise(struct mpx_request *rq, void *context)
{
    (void)context;
    static const char page[] = "<html><head><title>mproxy</title></head>"
                               "<body>This is a metric proxy.</body></html>\n";
    mpx_reply_held(rq, 200, MPX_TYPE_HTML, page, sizeof page - 1, NULL, NULL);
}
