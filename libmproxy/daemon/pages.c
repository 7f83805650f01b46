// Pages for browsers, built in: compute nodes have nothing to fetch them from.

#include "daemon/routes.h"

// MPX_WEB_DIR is given by the build, which also knows that this file depends on web/.
#define EMBED(symbol, file)                                                              \
    __asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"" MPX_WEB_DIR "/" file        \
            "\"\n" #symbol "_end:\n.byte 0\n.popsection\n");                             \
    extern const char symbol[] __attribute__((visibility("hidden")));                    \
    extern const char symbol##_end[] __attribute__((visibility("hidden")))

EMBED(mpx_page_index, "index.html");

static void reply_page(struct mpx_request *rq, const char *start, const char *end)
{
    mpx_reply_held(rq, 200, MPX_TYPE_HTML, start, (size_t)(end - start), NULL, NULL);
}

void mpx_route_index(struct mpx_request *rq, void *context)
{
    (void)context;
    reply_page(rq, mpx_page_index, mpx_page_index_end);
}

void mpx_route_recognise(struct mpx_request *rq, void *context)
{
    (void)context;
    static const char page[] = "<html><head><title>mproxy</title></head>"
                               "<body>This is a metric proxy.</body></html>\n";
    reply_page(rq, page, page + sizeof page - 1);
}
