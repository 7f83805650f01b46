#include "exposition/select.h"

#include <string.h>

#include "store/names.h"

static bool is_of(const mproxy_metric *metric, const char *name, size_t base_length)
{
    if (name[base_length] != '\0')
        return strcmp(metric->name, name) == 0;
    return metric->base_length == base_length &&
           memcmp(metric->name, name, base_length) == 0;
}

struct mpx_range mpx_select(const mproxy_view *view, const char *metric)
{
    struct mpx_range found = {view, 0, mproxy_view_size(view)};
    size_t size = found.end;
    if (!metric)
        return found;
    const mproxy_metric wanted = {.name = metric,
                                  .base_length = mproxy_metric_base_length(metric)};
    found.at = mpx_view_lower_bound(view, &wanted);
    for (found.end = found.at; found.end < size; found.end++)
        if (!is_of(mpx_view_metric(view, found.end), metric, wanted.base_length))
            break;
    return found;
}

bool mpx_is_received(const mproxy_entry *entry)
{
    if (entry->metric->type == MPROXY_GAUGE)
        return entry->value.hits > 0;
    return entry->value.ts_us != 0;
}
