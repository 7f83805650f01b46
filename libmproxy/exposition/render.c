#include <mproxy/exposition.h>

#include <stdlib.h>

#include "base/err.h"
#include "base/options.h"
#include "exposition/json.h"
#include "exposition/text.h"

static mproxy_status take_options(mproxy_render_options *out,
                                  const mproxy_render_options *options)
{
    return MPX_OPTIONS_TAKE(mproxy_render_options, ranks, out, options, NULL);
}

static bool is_format(mproxy_format format)
{
    return format >= MPROXY_FORMAT_PROMETHEUS && format <= MPROXY_FORMAT_JSON;
}

mproxy_status mproxy_render_view(const mproxy_view *view, mproxy_format format,
                                 const mproxy_render_options *options,
                                 mproxy_write_fn write, void *arg)
{
    MPX_REQUIRE(view && write, NULL);
    MPX_REQUIRE(is_format(format), NULL);
    mproxy_render_options o;
    mproxy_status status = take_options(&o, options);
    if (status != MPROXY_OK)
        return status;
    struct mpx_sink sink;
    if (mpx_sink_init(&sink, write, arg))
        return MPROXY_E_NOMEM;
    if (format == MPROXY_FORMAT_JSON)
        mpx_json_view(&sink, view, &o);
    else
        mpx_text_views(&sink, &view, 1, format, &o, false);
    return mpx_sink_fini(&sink);
}

static void text_snapshot(struct mpx_sink *s, const mproxy_snapshot *snapshot,
                          mproxy_format format, const mproxy_render_options *o)
{
    size_t count = mproxy_snapshot_size(snapshot);
    const mproxy_view **views = malloc((count + 1) * sizeof *views);
    if (!views) {
        s->status = MPROXY_E_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++)
        views[i] = mproxy_snapshot_at(snapshot, i);
    mpx_text_views(s, views, count, format, o, true);
    free(views);
}

mproxy_status mproxy_render_snapshot(const mproxy_snapshot *snapshot,
                                     mproxy_format format,
                                     const mproxy_render_options *options,
                                     mproxy_write_fn write, void *arg)
{
    MPX_REQUIRE(snapshot && write, NULL);
    MPX_REQUIRE(is_format(format), NULL);
    mproxy_render_options o;
    mproxy_status status = take_options(&o, options);
    if (status != MPROXY_OK)
        return status;
    struct mpx_sink sink;
    if (mpx_sink_init(&sink, write, arg))
        return MPROXY_E_NOMEM;
    if (format == MPROXY_FORMAT_JSON)
        mpx_json_snapshot(&sink, snapshot, &o);
    else
        text_snapshot(&sink, snapshot, format, &o);
    return mpx_sink_fini(&sink);
}

// Those of a caller, whose release may have another size of them.
static mproxy_status take_parts(const mproxy_node_part *parts, size_t count,
                                mproxy_node_part **out)
{
    mproxy_node_part *taken = calloc(count, sizeof *taken);
    mproxy_status status = taken ? MPROXY_OK : MPROXY_E_NOMEM;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++)
        status = MPX_OPTIONS_TAKE(mproxy_node_part, view, &taken[i],
                                  MPX_STRUCT_AT(parts, i), NULL);
    if (status == MPROXY_OK)
        *out = taken;
    else
        free(taken);
    return status;
}

static mproxy_status render_nodes(const mproxy_view *view, const mproxy_node_part *parts,
                                  size_t count, const mproxy_render_options *o,
                                  mproxy_write_fn write, void *arg)
{
    struct mpx_sink sink;
    if (mpx_sink_init(&sink, write, arg))
        return MPROXY_E_NOMEM;
    mpx_json_nodes(&sink, view, parts, count, o);
    return mpx_sink_fini(&sink);
}

mproxy_status mproxy_render_nodes(const mproxy_view *view, const mproxy_node_part *parts,
                                  size_t count, const mproxy_render_options *options,
                                  mproxy_write_fn write, void *arg)
{
    MPX_REQUIRE(view && write, NULL);
    MPX_REQUIRE(parts || count == 0, NULL);
    mproxy_render_options o;
    mproxy_status status = take_options(&o, options);
    mproxy_node_part *taken = NULL;
    if (status == MPROXY_OK && count > 0)
        status = take_parts(parts, count, &taken);
    if (status == MPROXY_OK)
        status = render_nodes(view, taken, count, &o, write, arg);
    free(taken);
    return status;
}
