// Replies to GET /job: refused with a text and a place, or each value is finite and each job has
// all of its description.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exposition/jobs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_view(const struct mpx_jobs_view *view)
{
    const mproxy_job *d = &view->desc;
    if (!d->jobid || !d->command || !d->nodelist || !d->partition || !d->cluster ||
        !d->run_dir || strlen(d->jobid) > MPROXY_JOB_ID_MAX + 4 || d->start_time < 0 ||
        d->start_time > INT64_C(100000000000) || d->end_time < 0)
        abort();
    for (size_t i = 0; i < view->count; i++) {
        const struct mpx_jobs_entry *e = &view->entries[i];
        const mproxy_value *v = &e->value;
        if (!e->name || !e->doc || !isfinite(v->total) || !isfinite(v->min) ||
            !isfinite(v->max) || !isfinite(v->hits) ||
            (e->type == MPROXY_GAUGE && !(v->hits > 0)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mpx_jobs jobs = {0};
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_status status = mpx_jobs_read((const char *)data, size, &jobs, &err);
    if (status != MPROXY_OK && (jobs.views || err.status != status || !err.text[0] ||
                                (status == MPROXY_E_CORRUPT && err.line < 1)))
        abort();
    for (size_t i = 0; i < jobs.count; i++)
        check_view(&jobs.views[i]);
    mpx_jobs_fini(&jobs);
    return 0;
}
