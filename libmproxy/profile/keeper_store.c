// Writing one run: on the keeper's thread, which alone changes the archive.
#include "profile/keeper_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define SIZE_SANE_MAX (UINT64_C(1) << 53) // what JSON readers take as a whole number

static bool holds_stored(const struct mpx_plan *plan, const struct mpx_archive_body *body)
{
    for (size_t i = 0; i < plan->stored_count; i++)
        if (mpx_archive_find_share(body, plan->stored[i].directory,
                                   plan->stored[i].number))
            return true;
    return false;
}

static bool is_later(const mproxy_profile_share *a, const mproxy_profile_share *b)
{
    if (a->sealed != b->sealed)
        return a->sealed > b->sealed;
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->sequence > b->sequence);
}

// Of two states of a share the later one stays. `share` is emptied.
static bool take_share(mproxy_profile *p, mproxy_profile_share *share)
{
    for (size_t i = 0; i < p->share_count; i++) {
        mproxy_profile_share *known = &p->shares[i];
        if (mpx_profile_compare_shares(known, share) != 0)
            continue;
        if (is_later(share, known)) {
            mproxy_profile_share swap = *known;
            *known = *share;
            *share = swap;
        }
        mpx_profile_clear_share(share);
        return true;
    }
    mproxy_profile_share *more = realloc(p->shares, (p->share_count + 1) * sizeof *more);
    if (!more)
        return false;
    p->shares = more;
    more[p->share_count++] = *share;
    *share = (mproxy_profile_share){0};
    return true;
}

// The run's description is that of its first share; its size the largest that was told.
static bool take_desc(mproxy_profile *p, const mproxy_job *desc, int64_t start_ms,
                      int64_t *first_ms)
{
    uint64_t size = desc->size > p->desc.size ? desc->size : p->desc.size;
    if (!p->desc.jobid || start_ms < *first_ms) {
        mproxy_job copy;
        if (mproxy_job_copy(desc, &copy) != MPROXY_OK)
            return false;
        mproxy_job_clear(&p->desc);
        p->desc = copy;
        *first_ms = start_ms;
    }
    p->desc.size = size <= SIZE_SANE_MAX ? size : 0;
    return true;
}

// A node of which a share came after all was heard.
static void drop_heard(mproxy_profile *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->unheard_count; i++) {
        bool heard = false;
        for (size_t k = 0; k < p->share_count && !heard; k++)
            heard = strcmp(p->unheard[i], p->shares[k].node) == 0;
        if (heard)
            free(p->unheard[i]);
        else
            p->unheard[kept++] = p->unheard[i];
    }
    p->unheard_count = kept;
}

static bool take_stored(mproxy_profile *p, mproxy_profile *stored, int64_t start_ms,
                        int64_t *first_ms)
{
    bool ok = take_desc(p, &stored->desc, start_ms, first_ms);
    for (size_t i = 0; i < stored->share_count && ok; i++)
        ok = take_share(p, &stored->shares[i]);
    for (size_t i = 0; i < stored->unheard_count && ok; i++)
        ok = mpx_profile_add_node(&p->unheard, &p->unheard_count, stored->unheard[i]);
    return ok;
}

static mproxy_status load_stored(mproxy_archive *archive, const struct mpx_plan *plan,
                                 mproxy_profile *p, int64_t *first_ms, mproxy_error *err)
{
    struct mpx_archive_index *index = mpx_archive_take_index(archive);
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < index->count && status == MPROXY_OK; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        mproxy_profile *stored = NULL;
        if (!holds_stored(plan, e->body))
            continue;
        status = mproxy_archive_load(archive, e->key, &stored, err);
        // It was damaged after it had been stored: the new shares are stored beside it.
        if (status == MPROXY_E_CORRUPT || status == MPROXY_E_NOTFOUND)
            status = MPROXY_OK;
        else if (status == MPROXY_OK &&
                 !take_stored(p, stored, e->body->start_ms, first_ms))
            status = mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", e->key);
        mproxy_profile_free(stored);
    }
    mpx_archive_index_unref(index);
    return status;
}

static int by_identity(const void *a, const void *b)
{
    return mpx_profile_compare_shares(a, b);
}

static mproxy_status take_plan(mproxy_profile *p, struct mpx_plan *plan,
                               int64_t *first_ms, mproxy_error *err)
{
    bool ok = take_desc(p, &plan->desc, plan->start_ms, first_ms);
    for (size_t i = 0; i < plan->share_count && ok; i++)
        ok = take_share(p, &plan->shares[i]);
    if (!ok)
        return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", plan->desc.jobid);
    qsort(p->shares, p->share_count, sizeof *p->shares, by_identity);
    drop_heard(p);
    return mproxy_profile_sum(p, err);
}

mproxy_status mpx_plan_store(mproxy_archive *archive, struct mpx_plan *plan,
                             mproxy_error *err)
{
    mproxy_profile *p = calloc(1, sizeof *p);
    int64_t first_ms = 0;
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "profile '%s': no memory", plan->desc.jobid);
    p->uid = plan->uid;
    mproxy_status status = load_stored(archive, plan, p, &first_ms, err);
    if (status == MPROXY_OK)
        status = take_plan(p, plan, &first_ms, err);
    if (status == MPROXY_OK)
        status = mpx_archive_store(archive, p, plan->known_runs, err);
    mproxy_profile_free(p);
    return status;
}
