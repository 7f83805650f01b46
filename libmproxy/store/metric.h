// What a metric is behind its public name. Rendering and adding up read these fields in
// their inner loops; other programs call mproxy_metric_name() and its like.
#ifndef MPX_STORE_METRIC_H
#define MPX_STORE_METRIC_H

#include <mproxy/store.h>

struct mproxy_metric {
    const char *name; // labels included
    const char
        *doc; // never NULL; atomic, for others than the writer: mproxy_metric_doc()
    size_t base_length; // of the part of `name` before its labels
    mproxy_type type;   // with the name its identity
    uint32_t id;        // small, from 0; that of a name given back is given again
};

#endif
