// What is well formed and yet against the conventions of Prometheus' metrics.
#ifndef PROXYCTL_LINT_H
#define PROXYCTL_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include <mproxy/exposition.h>

struct remark {
    char *metric;
    char *text;
};

struct remarks {
    struct remark *items; // in order of metric and text, none twice
    size_t count;
    size_t room;
    bool failed; // no memory
};

void lint_page(mproxy_parser *parser, const mproxy_page *page, struct remarks *out);
void remarks_free(struct remarks *r);

#endif
