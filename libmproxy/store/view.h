// A view's inside: it shows the numbers of a few parts as one list in order of display. What
// a part holds may be the array of a source, a sum, or what mproxy_view_add() was given.
#ifndef MPX_STORE_VIEW_H
#define MPX_STORE_VIEW_H

#include "store/numbers.h"

// What a view is called; views of one job share it from publication to publication.
struct mpx_title {
    unsigned references; // atomic
    char *key;
    mproxy_job job;
};

struct mproxy_view {
    unsigned references; // atomic
    bool has_ranks;      // those of part 0 are shown
    struct mpx_title *title;
    struct mpx_display *display;
    struct mpx_numbers *parts[MPX_PARTS_MAX];
    struct mpx_shape *left_out; // metrics that are not shown: see mproxy_view_left_out()
};

struct mpx_title *mpx_title_new(const char *key,
                                const mproxy_job *job); // NULL: no memory
void mpx_title_unref(struct mpx_title *title);          // accepts NULL

// Takes references to all of it; parts are those of the display; `left_out` may be NULL.
// NULL: no memory.
mproxy_view *mpx_view_of(struct mpx_title *title, struct mpx_display *display,
                         struct mpx_numbers *const *parts, bool has_ranks,
                         struct mpx_shape *left_out);

static inline const mproxy_metric *mpx_view_metric(const mproxy_view *view, size_t index)
{
    return view->display->metrics[index];
}

static inline mproxy_value mpx_view_value(const mproxy_view *view, size_t index)
{
    uint32_t place = view->display->places[index];
    return mpx_numbers_at(view->parts[place >> MPX_SLOT_BITS], place & MPX_SLOT_MASK);
}

// Of a counter.
static inline double mpx_view_total(const mproxy_view *view, size_t index)
{
    uint32_t place = view->display->places[index];
    return view->parts[place >> MPX_SLOT_BITS]->totals[place & MPX_SLOT_MASK];
}

// NULL: not known.
static inline const mproxy_ranks *mpx_view_ranks(const mproxy_view *view, size_t index)
{
    uint32_t place = view->display->places[index];
    if (!view->has_ranks || place >> MPX_SLOT_BITS != 0)
        return NULL;
    const mproxy_ranks *ranks = &view->parts[0]->ranks[place];
    return ranks->n > 0 ? ranks : NULL;
}

static inline mproxy_entry mpx_view_entry(const mproxy_view *view, size_t index)
{
    return (mproxy_entry){mpx_view_metric(view, index), mpx_view_value(view, index),
                          mpx_view_ranks(view, index)};
}

// The first entry that is not before `wanted` in order of display.
size_t mpx_view_lower_bound(const mproxy_view *view, const mproxy_metric *wanted);

#endif
