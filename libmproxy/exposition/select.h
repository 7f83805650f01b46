// Which entries of a view a rendering shows.
#ifndef MPX_EXPOSITION_SELECT_H
#define MPX_EXPOSITION_SELECT_H

#include <stdbool.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "store/view.h"

// Entries of a view from `at` on and before `end`.
struct mpx_range {
    const mproxy_view *view;
    size_t at, end;
};

// The entries of a metric (whole name) or family (base); all of them if `metric` is NULL.
struct mpx_range mpx_select(const mproxy_view *view, const char *metric);
// Whether a metric stands in profiles only: a parent of the older make ends itself over a
// running job that shows `walltime`.
static inline bool mpx_is_of_profiles(const char *name)
{
    return name[0] == 'w' && strcmp(name, "walltime") == 0;
}
// Whether it ever received data.
bool mpx_is_received(const mproxy_entry *entry);

#endif
