#include <mproxy/store.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/names.h"

struct mproxy_view {
    unsigned references; // atomic
    size_t size;
    size_t room;
    mproxy_entry *entries;
    char *key;
    mproxy_job job;
};

static bool view_reserve(mproxy_view *view, size_t room)
{
    if (room <= view->room)
        return true;
    if (room > SIZE_MAX / sizeof *view->entries)
        return false;
    mproxy_entry *entries = realloc(view->entries, room * sizeof *entries);
    if (!entries)
        return false;
    view->entries = entries;
    view->room = room;
    return true;
}

mproxy_status mproxy_view_new(const char *key, const mproxy_job *desc, size_t capacity,
                              mproxy_view **out, mproxy_error *err)
{
    mproxy_view *view = calloc(1, sizeof *view);
    if (!view)
        goto nomem;
    view->references = 1;
    view->key = strdup(key);
    if (!view->key || !view_reserve(view, capacity) ||
        mproxy_job_copy(desc, &view->job) != MPROXY_OK)
        goto nomem;
    *out = view;
    return MPROXY_OK;

nomem:
    mproxy_view_unref(view);
    return mpx_fail(err, MPROXY_E_NOMEM, "view '%.100s': no memory", key);
}

mproxy_status mproxy_view_add(mproxy_view *view, const mproxy_entry *entry)
{
    assert(view->size == 0 ||
           mpx_metric_compare(view->entries[view->size - 1].metric, entry->metric) < 0);
    if (view->size == view->room && !view_reserve(view, view->room * 2 + 16))
        return MPROXY_E_NOMEM;
    view->entries[view->size++] = *entry;
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
    mproxy_job_clear(&view->job);
    free(view->entries);
    free(view->key);
    free(view);
}

const char *mproxy_view_key(const mproxy_view *view)
{
    return view->key;
}

const mproxy_job *mproxy_view_job(const mproxy_view *view)
{
    return &view->job;
}

size_t mproxy_view_size(const mproxy_view *view)
{
    return view->size;
}

const mproxy_entry *mproxy_view_entries(const mproxy_view *view)
{
    return view->entries;
}

const mproxy_entry *mproxy_view_find(const mproxy_view *view, const char *name)
{
    const mproxy_metric wanted = {.name = name,
                                  .base_length = mproxy_metric_base_length(name)};
    size_t low = 0, high = view->size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = mpx_metric_compare(view->entries[middle].metric, &wanted);
        if (order == 0)
            return &view->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
