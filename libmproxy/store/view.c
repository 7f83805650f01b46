#include "store/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/names.h"

struct mpx_title *mpx_title_new(const char *key, const mproxy_job *job)
{
    struct mpx_title *title = calloc(1, sizeof *title);
    if (!title)
        return NULL;
    title->references = 1;
    title->key = strdup(key);
    if (title->key && mproxy_job_copy(job, &title->job) == MPROXY_OK)
        return title;
    mpx_title_unref(title);
    return NULL;
}

static struct mpx_title *title_ref(struct mpx_title *title)
{
    __atomic_add_fetch(&title->references, 1, __ATOMIC_RELAXED);
    return title;
}

void mpx_title_unref(struct mpx_title *title)
{
    if (!title || __atomic_sub_fetch(&title->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mproxy_job_clear(&title->job);
    free(title->key);
    free(title);
}

mproxy_view *mpx_view_of(struct mpx_title *title, struct mpx_display *display,
                         struct mpx_numbers *const *parts, bool has_ranks,
                         struct mpx_shape *left_out)
{
    mproxy_view *view = calloc(1, sizeof *view);
    if (!view)
        return NULL;
    view->references = 1;
    view->has_ranks = has_ranks;
    view->title = title_ref(title);
    view->display = mpx_display_ref(display);
    view->left_out = left_out ? mpx_shape_ref(left_out) : NULL;
    for (uint32_t i = 0; i < display->part_count; i++)
        view->parts[i] = mpx_numbers_ref(parts[i]);
    return view;
}

// One part, made by hand, that has room to grow.
static bool make_room(mproxy_view *view, uint32_t room)
{
    const struct mpx_numbers *old = view->parts[0];
    struct mpx_shape *shape = mpx_shape_begin(room);
    struct mpx_numbers *n =
        shape ? mpx_numbers_new(shape, true, old && old->ranks) : NULL;
    for (uint32_t i = 0; n && old && i < old->shape->count; i++) {
        mproxy_value value = mpx_numbers_at(old, i);
        mpx_shape_append(shape, old->shape->metrics[i]);
        mpx_numbers_set(n, i, &value);
        if (old->ranks)
            n->ranks[i] = old->ranks[i];
    }
    struct mpx_display *display = n ? mpx_display_new(&shape, 1) : NULL;
    mpx_shape_unref(shape);
    if (!display) {
        mpx_numbers_unref(n);
        return false;
    }
    mpx_numbers_unref(view->parts[0]);
    mpx_display_unref(view->display);
    view->parts[0] = n;
    view->display = display;
    return true;
}

mproxy_status mproxy_view_new(const char *key, const mproxy_job *desc, size_t capacity,
                              mproxy_view **out, mproxy_error *err)
{
    MPX_REQUIRE(key && desc && out, err);
    mproxy_view *view = calloc(1, sizeof *view);
    if (!view)
        goto nomem;
    view->references = 1;
    view->title = mpx_title_new(key, desc);
    if (!view->title || capacity > MPX_SLOT_MASK || !make_room(view, (uint32_t)capacity))
        goto nomem;
    *out = view;
    return MPROXY_OK;

nomem:
    mproxy_view_unref(view);
    return mpx_fail(err, MPROXY_E_NOMEM, "view '%.100s': no memory", key);
}

mproxy_status mproxy_view_add(mproxy_view *view, const mproxy_entry *entry)
{
    MPX_REQUIRE(view && entry && entry->metric, NULL);
    struct mpx_shape *shape = view->parts[0]->shape;
    if (shape->count == shape->room && !make_room(view, shape->room * 2 + 16))
        return MPROXY_E_NOMEM;
    struct mpx_numbers *n = view->parts[0];
    shape = n->shape;
    if (entry->ranks && !n->ranks &&
        !(n->ranks = calloc(shape->room + 1u, sizeof *n->ranks)))
        return MPROXY_E_NOMEM;
    uint32_t slot = shape->count;
    mpx_shape_append(shape, entry->metric);
    mpx_numbers_set(n, slot, &entry->value);
    if (entry->ranks)
        n->ranks[slot] = *entry->ranks;
    view->has_ranks = n->ranks != NULL;
    view->display->count++;
    return MPROXY_OK;
}

mproxy_view *mproxy_view_ref(mproxy_view *view)
{
    __atomic_add_fetch(&view->references, 1, __ATOMIC_RELAXED);
    return view;
}

void mproxy_view_unref(mproxy_view *view)
{
    if (!view || __atomic_sub_fetch(&view->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (uint32_t i = 0; i < MPX_PARTS_MAX; i++)
        mpx_numbers_unref(view->parts[i]);
    mpx_display_unref(view->display);
    mpx_shape_unref(view->left_out);
    mpx_title_unref(view->title);
    free(view);
}

const char *mproxy_view_key(const mproxy_view *view)
{
    return view->title->key;
}

const mproxy_job *mproxy_view_job(const mproxy_view *view)
{
    return &view->title->job;
}

size_t mproxy_view_size(const mproxy_view *view)
{
    return view->display->count;
}

mproxy_entry mproxy_view_at(const mproxy_view *view, size_t index)
{
    return index < view->display->count ? mpx_view_entry(view, index) : (mproxy_entry){0};
}

size_t mproxy_view_left_out(const mproxy_view *view, const mproxy_metric *const **out)
{
    *out = view->left_out ? view->left_out->metrics : NULL;
    return view->left_out ? view->left_out->count : 0;
}

size_t mpx_view_lower_bound(const mproxy_view *view, const mproxy_metric *wanted)
{
    size_t low = 0, high = view->display->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mpx_metric_compare(mpx_view_metric(view, middle), wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int mproxy_view_find(const mproxy_view *view, const char *name, mproxy_entry *out)
{
    const mproxy_metric wanted = {.name = name,
                                  .base_length = mproxy_metric_base_length(name)};
    size_t at = mpx_view_lower_bound(view, &wanted);
    if (at == view->display->count || strcmp(mpx_view_metric(view, at)->name, name) != 0)
        return 0;
    if (out)
        *out = mpx_view_entry(view, at);
    return 1;
}
