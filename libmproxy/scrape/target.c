#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "scrape/private.h"

struct mpx_target *mpx_target_add(struct mproxy_scraper *s, const char *url,
                                  mproxy_error *err)
{
    struct mpx_target *t =
        MPX_RESERVE(s->targets, s->room, s->count + 1) ? calloc(1, sizeof *t) : NULL;
    if (t)
        t->url = strdup(url);
    if (!t || !t->url) {
        free(t);
        mpx_fail(err, MPROXY_E_NOMEM, "no memory for target '%.200s'", url);
        return NULL;
    }
    t->scraper = s;
    t->number = ++s->last_number;
    s->targets[s->count++] = t;
    return t;
}
