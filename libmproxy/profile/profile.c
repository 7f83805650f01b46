// Profiles in memory: their shares, and the sum of them.
//
// A profile is its shares; everything else that it says (counters, times, incomplete nodes) is
// made from them by mpx_profile_sum(), so it can be made anew whenever a share comes or is
// replaced, and adding up in another order cannot change it.
//
// The sum sorts references to all entries of all shares by name, then walks them once: n log n in
// the values, whatever the number of shares. Among equal names the order of shares decides, which
// makes the sum of doubles the same in each process. A name that two shares give different types
// keeps the first type; the shares whose values are left out for it are incomplete.
//
// Everything new is made before anything old is freed: without memory the profile is as it was.
#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/index.h"
#include "base/options.h"
#include "source/identity.h"

int mpx_profile_compare_names(const char *a, const char *b)
{
    size_t la = mproxy_metric_base_length(a), lb = mproxy_metric_base_length(b);
    int order = memcmp(a, b, la < lb ? la : lb);
    if (order == 0 && la != lb)
        order = la < lb ? -1 : 1;
    return order ? order : strcmp(a, b);
}

int mpx_profile_compare_shares(const struct mpx_profile_share *a,
                               const struct mpx_profile_share *b)
{
    return mpx_share_id_compare(a->directory, a->number, b->directory, b->number);
}

bool mpx_profile_copy_entry(const struct mpx_profile_entry *from,
                            struct mpx_profile_entry *to)
{
    *to = *from;
    to->name = strdup(from->name);
    to->doc = strdup(from->doc);
    if (to->name && to->doc)
        return true;
    free(to->name);
    free(to->doc);
    return false;
}

static void clear_entries(struct mpx_profile_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(entries[i].name);
        free(entries[i].doc);
    }
    free(entries);
}

void mpx_profile_clear_share(struct mpx_profile_share *share)
{
    free(share->node);
    free(share->command);
    clear_entries(share->entries, share->count);
    *share = (struct mpx_profile_share){0};
}

static void clear_nodes(char **nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(nodes[i]);
    free(nodes);
}

static bool has_node(const struct mpx_node_set *set, const char *node)
{
    uint32_t hash = mpx_hash_text(node), at = mpx_index_start(&set->index, hash), place;
    while (mpx_index_next(&set->index, hash, &at, &place))
        if (strcmp(set->names[place], node) == 0)
            return true;
    return false;
}

bool mpx_node_set_add(struct mpx_node_set *set, const char *node)
{
    if (has_node(set, node))
        return true;
    if (!MPX_RESERVE(set->names, set->room, set->count + 1) ||
        !mpx_index_reserve(&set->index, (uint32_t)set->count + 1))
        return false;
    char *name = strdup(node);
    if (!name)
        return false;
    set->names[set->count] = name;
    mpx_index_put(&set->index, mpx_hash_text(name), (uint32_t)set->count++);
    return true;
}

void mpx_node_set_give(struct mpx_node_set *set, char ***nodes, size_t *count)
{
    clear_nodes(*nodes, *count);
    *nodes = set->names;
    *count = set->count;
    mpx_index_fini(&set->index);
    *set = (struct mpx_node_set){0};
}

static void node_set_fini(struct mpx_node_set *set)
{
    clear_nodes(set->names, set->count);
    mpx_index_fini(&set->index);
    *set = (struct mpx_node_set){0};
}

void mproxy_profile_free(mproxy_profile *p)
{
    if (!p)
        return;
    mproxy_job_clear(&p->desc);
    for (size_t i = 0; i < p->share_count; i++)
        mpx_profile_clear_share(&p->shares[i]);
    free(p->shares);
    clear_entries(p->entries, p->count);
    clear_nodes(p->partial, p->partial_count);
    clear_nodes(p->unheard, p->unheard_count);
    free(p);
}

// An entry of some share; `place` keeps the order of shares among equal names.
struct ref {
    const struct mpx_profile_entry *entry;
    size_t place;
};

static int by_name(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    int order = mpx_profile_compare_names(x->entry->name, y->entry->name);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static struct ref *gather(const struct mpx_profile_share *const *shares, size_t count,
                          size_t *out_count)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < count; i++)
        total += shares[i]->count;
    struct ref *refs = calloc(total + 1, sizeof *refs);
    for (size_t i = 0; i < count && refs; i++)
        for (size_t k = 0; k < shares[i]->count; k++, n++)
            refs[n] = (struct ref){&shares[i]->entries[k], n};
    *out_count = total;
    return refs;
}

mproxy_status mpx_profile_merge(const struct mpx_profile_share *const *shares,
                                size_t count, struct mpx_merged **out, size_t *out_count)
{
    size_t total, n = 0;
    struct ref *refs = gather(shares, count, &total);
    struct mpx_merged *merged = refs ? calloc(total + 1, sizeof *merged) : NULL;
    if (!merged) {
        free(refs);
        return MPROXY_E_NOMEM;
    }
    qsort(refs, total, sizeof *refs, by_name);
    for (size_t i = 0; i < total; i++) {
        const struct mpx_profile_entry *e = refs[i].entry;
        if (n == 0 || strcmp(merged[n - 1].entry->name, e->name) != 0)
            merged[n++].entry = e;
        struct mpx_merged *m = &merged[n - 1];
        if (e->type != m->entry->type) {
            m->is_left_out = true;
            continue;
        }
        mproxy_value_merge(e->type, &m->value, &e->value);
        if (e->type == MPROXY_COUNTER)
            mproxy_ranks_merge(&m->ranks, &e->ranks);
    }
    free(refs);
    *out = merged;
    *out_count = n;
    return MPROXY_OK;
}

static int by_entry_name(const void *a, const void *b)
{
    return mpx_profile_compare_names(((const struct mpx_profile_entry *)a)->name,
                                     ((const struct mpx_profile_entry *)b)->name);
}

// Shares that have a name which is left out: each has entries in order, each name once.
static void mark_incomplete(mproxy_profile *p, const char *name)
{
    const struct mpx_profile_entry like = {.name = (char *)(uintptr_t)name};
    for (size_t i = 0; i < p->share_count; i++)
        if (bsearch(&like, p->shares[i].entries, p->shares[i].count, sizeof like,
                    by_entry_name))
            p->shares[i].incomplete = 1;
}

static mproxy_status merge_all(mproxy_profile *p, struct mpx_profile_entry **out,
                               size_t *out_count)
{
    const struct mpx_profile_share **shares = calloc(p->share_count + 1, sizeof *shares);
    struct mpx_merged *merged = NULL;
    size_t count = 0, made = 0;
    for (size_t i = 0; i < p->share_count && shares; i++)
        shares[i] = &p->shares[i];
    mproxy_status status =
        shares ? mpx_profile_merge(shares, p->share_count, &merged, &count)
               : MPROXY_E_NOMEM;
    free(shares);
    struct mpx_profile_entry *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        status = MPROXY_E_NOMEM;
    for (size_t i = 0; status == MPROXY_OK && i < count; i++) {
        const struct mpx_merged *m = &merged[i];
        if (m->is_left_out) {
            mark_incomplete(p, m->entry->name);
            continue;
        }
        if (!mpx_profile_copy_entry(m->entry, &entries[made])) {
            status = MPROXY_E_NOMEM;
            break;
        }
        entries[made].value = m->value;
        entries[made++].ranks = m->ranks;
    }
    free(merged);
    if (status != MPROXY_OK) {
        clear_entries(entries, made);
        return status;
    }
    *out = entries;
    *out_count = made;
    return MPROXY_OK;
}

static bool list_partial(const mproxy_profile *p, struct mpx_node_set *nodes)
{
    for (size_t i = 0; i < p->share_count; i++) {
        const struct mpx_profile_share *s = &p->shares[i];
        // Of a provisional one no process lives.
        bool is_whole = (s->sealed || p->provisional) && !s->incomplete;
        if (!is_whole && !mpx_node_set_add(nodes, s->node))
            return false;
    }
    return true;
}

static void set_times(mproxy_profile *p)
{
    int64_t start = p->shares[0].start_ms, end = p->shares[0].end_ms;
    for (size_t i = 1; i < p->share_count; i++) {
        if (p->shares[i].start_ms < start)
            start = p->shares[i].start_ms;
        if (p->shares[i].end_ms > end)
            end = p->shares[i].end_ms;
    }
    p->desc.start_time = start / 1000;
    p->desc.end_time = end / 1000;
}

// Bring a share's entries into order, each name once; of two types one is kept.
static void normalise(struct mpx_profile_share *s)
{
    size_t kept = 0;
    qsort(s->entries, s->count, sizeof *s->entries, by_entry_name);
    for (size_t i = 0; i < s->count; i++) {
        struct mpx_profile_entry *e = &s->entries[i];
        struct mpx_profile_entry *last = kept ? &s->entries[kept - 1] : NULL;
        if (!last || strcmp(last->name, e->name) != 0) {
            s->entries[kept++] = *e;
            continue;
        }
        if (last->type == e->type) {
            mproxy_value_merge(e->type, &last->value, &e->value);
            mproxy_ranks_merge(&last->ranks, &e->ranks);
        }
        free(e->name);
        free(e->doc);
    }
    s->count = kept;
}

mproxy_status mpx_profile_sum(mproxy_profile *p, mproxy_error *err)
{
    struct mpx_profile_entry *entries = NULL;
    struct mpx_node_set partial = {0};
    size_t count = 0;
    for (size_t i = 0; i < p->share_count; i++)
        if (p->shares[i].count > 0)
            normalise(&p->shares[i]);
    mproxy_status status = merge_all(p, &entries, &count);
    if (status == MPROXY_OK && !list_partial(p, &partial)) {
        clear_entries(entries, count);
        status = MPROXY_E_NOMEM;
    }
    if (status != MPROXY_OK) {
        node_set_fini(&partial);
        return mpx_fail(err, status, "profile '%s': no memory", p->desc.jobid);
    }
    clear_entries(p->entries, p->count);
    mpx_node_set_give(&partial, &p->partial, &p->partial_count);
    p->entries = entries;
    p->count = count;
    if (p->share_count > 0)
        set_times(p);
    return MPROXY_OK;
}

const mproxy_job *mproxy_profile_job(const mproxy_profile *profile)
{
    return &profile->desc;
}

uint32_t mproxy_profile_uid(const mproxy_profile *profile)
{
    return profile->uid;
}

int mproxy_profile_is_provisional(const mproxy_profile *profile)
{
    return profile->provisional;
}

size_t mproxy_profile_size(const mproxy_profile *profile)
{
    return profile->count;
}

mproxy_status mproxy_profile_at(const mproxy_profile *profile, size_t index,
                                mproxy_profile_entry *out)
{
    MPX_REQUIRE(profile && out, NULL);
    if (index >= profile->count)
        return MPROXY_E_NOTFOUND;
    const struct mpx_profile_entry *e = &profile->entries[index];
    const mproxy_profile_entry entry = {.name = e->name,
                                        .doc = e->doc,
                                        .type = e->type,
                                        .value = e->value,
                                        .ranks = e->ranks};
    return MPX_STRUCT_GIVE(mproxy_profile_entry, ranks, out, &entry, NULL);
}

size_t mproxy_profile_partial_count(const mproxy_profile *profile)
{
    return profile->partial_count;
}

const char *mproxy_profile_partial_at(const mproxy_profile *profile, size_t index)
{
    return index < profile->partial_count ? profile->partial[index] : NULL;
}
