// What a metric is behind its public name. Rendering and adding up read these fields in
// their inner loops; other programs call mproxy_metric_name() and its like.
#ifndef MPX_STORE_METRIC_H
#define MPX_STORE_METRIC_H

#include <stdbool.h>

#include <mproxy/store.h>

struct mproxy_metric {
    const char *name;     // labels included
    uint32_t base_length; // of the part of `name` before its labels
    mproxy_type type;
    uint32_t id;
    bool has_job_id;     // has a label of the name that rendering may add
    bool is_of_profiles; // stands in profiles only
};

#endif
