// Sources that are held no more, remembered for those who ask what has changed.
//
// A consumer that holds what it was told would keep a source for ever that is only left out from
// then on. So each that is forgotten leaves its identity and last order here. The list is
// bounded: who asks from before the oldest entry that was dropped has to begin anew. Shares
// that a base has absorbed leave nothing, since the base itself says so; and when it is
// forgotten before anybody has asked, its entry does.

#include "reduction/reduction.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { GONE_MAX = 4096 };

// Half of them make room at once, so that the others are moved seldom.
static void drop_older_half(struct mproxy_reduction *r)
{
    size_t dropped = r->gone_count / 2;
    r->gone_before = r->gone[dropped - 1].at;
    r->gone_count -= dropped;
    for (size_t i = 0; i < dropped; i++)
        free(r->gone[i].absorbed);
    memmove(r->gone, r->gone + dropped, r->gone_count * sizeof *r->gone);
}

static void drop_all(struct mproxy_reduction *r)
{
    for (size_t i = 0; i < r->gone_count; i++)
        free(r->gone[i].absorbed);
    r->gone_count = 0;
}

static mproxy_span *copy_spans(const mproxy_span *spans, size_t count)
{
    mproxy_span *copy = malloc(count * sizeof *copy);
    if (copy)
        memcpy(copy, spans, count * sizeof *copy);
    return copy;
}

void mpx_gone_note(struct mproxy_reduction *r, const struct mpx_held *h)
{
    uint64_t at = ++r->sequence;
    if (r->gone_count == GONE_MAX)
        drop_older_half(r);
    size_t spans = h->source.absorbed_count;
    mproxy_span *absorbed = spans > 0 ? copy_spans(h->source.absorbed, spans) : NULL;
    if ((spans > 0 && !absorbed) ||
        !MPX_RESERVE(r->gone, r->gone_room, r->gone_count + 1)) {
        free(absorbed);
        drop_all(r);
        r->gone_before = at;
        return;
    }
    struct mpx_gone *gone = &r->gone[r->gone_count++];
    *gone = (struct mpx_gone){.kind = h->source.kind,
                              .number = h->source.number,
                              .epoch = h->source.epoch,
                              .sequence = h->source.sequence,
                              .at = at,
                              .absorbed = absorbed,
                              .absorbed_count = spans};
    memcpy(gone->directory, h->source.directory, sizeof gone->directory);
}

void mpx_gone_fini(struct mproxy_reduction *r)
{
    drop_all(r);
    free(r->gone);
}

mproxy_status mpx_gone_tell(const struct mproxy_reduction *r, uint64_t since,
                            mproxy_status (*fn)(void *arg, const mproxy_change *change),
                            void *arg)
{
    mproxy_status status = MPROXY_OK;
    if (since == 0)
        return MPROXY_OK;
    if (since < r->gone_before)
        return MPROXY_E_GAP;
    for (size_t i = 0; i < r->gone_count && status == MPROXY_OK; i++) {
        const struct mpx_gone *gone = &r->gone[i];
        if (gone->at <= since)
            continue;
        mproxy_source source = {.struct_size = sizeof source,
                                .kind = gone->kind,
                                .number = gone->number,
                                .epoch = gone->epoch,
                                .sequence = gone->sequence,
                                .host = "",
                                .absorbed = gone->absorbed,
                                .absorbed_count = gone->absorbed_count};
        memcpy(source.directory, gone->directory, sizeof source.directory);
        const mproxy_change change = {
            .struct_size = sizeof change, .source = &source, .gone = 1};
        status = fn(arg, &change);
    }
    return status;
}
