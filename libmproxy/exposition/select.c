#include "exposition/select.h"

#include <string.h>

#include "base/options.h"
#include "store/names.h"

mproxy_status mpx_render_options_take(mproxy_render_options *out,
                                      const mproxy_render_options *options)
{
    return MPX_OPTIONS_TAKE(mproxy_render_options, ranks, out, options, NULL);
}

// The first entry that is not before `wanted` in order of display.
static const mproxy_entry *lower_bound(struct mpx_range all, const mproxy_metric *wanted)
{
    while (all.at < all.end) {
        const mproxy_entry *middle = all.at + (all.end - all.at) / 2;
        if (mpx_metric_compare(middle->metric, wanted) < 0)
            all.at = middle + 1;
        else
            all.end = middle;
    }
    return all.at;
}

static bool is_of(const mproxy_metric *metric, const char *name, size_t base_length)
{
    if (name[base_length] != '\0')
        return strcmp(metric->name, name) == 0;
    return metric->base_length == base_length &&
           memcmp(metric->name, name, base_length) == 0;
}

struct mpx_range mpx_select(const mproxy_view *view, const char *metric)
{
    struct mpx_range all = {mproxy_view_entries(view), NULL};
    all.end = all.at + mproxy_view_size(view);
    if (!metric || !all.at)
        return all;
    const mproxy_metric wanted = {.name = metric,
                                  .base_length = mproxy_metric_base_length(metric)};
    struct mpx_range found = {lower_bound(all, &wanted), NULL};
    for (found.end = found.at; found.end < all.end; found.end++)
        if (!is_of(found.end->metric, metric, wanted.base_length))
            break;
    return found;
}

bool mpx_is_received(const mproxy_entry *entry)
{
    if (entry->metric->type == MPROXY_GAUGE)
        return entry->value.hits > 0;
    return entry->value.ts_us != 0;
}
