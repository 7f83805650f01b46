// What a holder of the lock left half done: undone, or brought to its end. See writer/parts.h for
// when a change has happened.

#include "client/names.h"
#include "client/state.h"

static void complete_name(const struct mpx_rec_metric *m, void *unused)
{
    (void)unused;
    const double *bounds = (const void *)(m + 1);
    struct mpx_handle handle = {.slot = m->slot,
                                .bound_count = m->bound_count,
                                .bounds = bounds,
                                .kind = m->kind,
                                .scale = m->scale,
                                .name = (const char *)(bounds + m->bound_count)};
    handle.powers = mpx_bounds_are_powers(bounds, m->bound_count);
    handle.hash = mpx_names_hash(handle.name);
    mpx_names_complete(&handle);
}

static void complete_names(void)
{
    mpx_names_recount();
    mpx_writer_each(mpx_client.writer, complete_name, NULL);
}

// It had begun to open the segment: that is done once more.
static void drop_opening(void)
{
    struct mpx_client *c = &mpx_client;
    if (c->writer)
        mpx_writer_drop(c->writer);
    c->writer = NULL;
}

void mpx_client_complete(void)
{
    int state = atomic_load(&mpx_client.state);
    if (state == MPX_CLIENT_OPEN)
        complete_names();
    else if (state == MPX_CLIENT_UNOPENED)
        drop_opening();
}

enum mpx_held mpx_client_hold(struct mpx_hold *h)
{
    enum mpx_held held = mpx_hold(h);
    if (held != MPX_HELD || !h->must_resume)
        return held;
    if (atomic_load(&mpx_client.state) == MPX_CLIENT_OPEN)
        mpx_writer_resume(mpx_client.writer);
    mpx_client_complete();
    return MPX_HELD;
}
