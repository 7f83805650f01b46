// Gauges of processes that became other programs by exec.
//
// A process counts once in a gauge, with what it set last. Each of its images has a segment
// of its own, so a gauge of an image is left out once a later image has set it too.

#include "processes/private.h"

#include <math.h>
#include <stdlib.h>

static bool reserve(struct mpx_segments *s, const mproxy_layout *layout)
{
    size_t need = 0;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->metrics[i]->id >= need)
            need = (size_t)layout->metrics[i]->id + 1;
    if (need <= s->gauge_room)
        return true;
    size_t room = need + need / 2;
    uint64_t *marks = realloc(s->gauge_marks, room * sizeof *marks);
    if (!marks)
        return false;
    s->gauge_marks = marks;
    while (s->gauge_room < room)
        s->gauge_marks[s->gauge_room++] = 0;
    return true;
}

static void keep_unmarked(struct mpx_segments *s, struct mpx_segment *seg)
{
    for (size_t i = 0; i < seg->layout->count; i++) {
        const mproxy_metric *metric = seg->layout->metrics[i];
        if (metric->type != MPROXY_GAUGE || isnan(seg->values[i]))
            continue;
        if (s->gauge_marks[metric->id] == s->gauge_mark)
            seg->values[i] = NAN;
        s->gauge_marks[metric->id] = s->gauge_mark;
    }
}

bool mpx_unit_keep_last_gauges(struct mpx_segments *s, struct mpx_unit *u)
{
    if (u->solo || u->count < 2)
        return true;
    for (size_t i = 0; i < u->count; i++)
        if (u->segments[i]->layout && !reserve(s, u->segments[i]->layout))
            return false;
    s->gauge_mark++;
    mpx_unit_sort(u);
    for (size_t i = u->count; i-- > 0;)
        if (u->segments[i]->layout)
            keep_unmarked(s, u->segments[i]);
    return true;
}
