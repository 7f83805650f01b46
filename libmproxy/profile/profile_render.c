// Profiles as text, straight into the caller's buffers.
//
// The head comes first and on one line, so that an archive is indexed without parsing the
// values. A share's values are rows that name their metric by its place in `counters`:
// [place, total, ts, n, sum, min, max, min_rank, max_rank] for a counter (from n on only
// where ranks are known), [place, total, min, max, hits] for a gauge.
//
// The checksum is taken of the bytes as they go by, and stands last, so nothing is written
// twice or held. `nodes` is made here, since readers of the API want it and shares say it: the
// shares of one node, from whatever directories, are merged as a profile merges all.
//
// Values that are not finite have no JSON; they are left out, from `counters` and from the rows
// alike, and places count what is shown only.
#include "profile/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/err.h"
#include "exposition/json.h"
#include "exposition/sink.h"

#define WHOLE_MAX (UINT64_C(1) << 53)

// Takes the checksum of what goes by.
struct tee {
    mproxy_write_fn write;
    void *arg;
    uLong sum;
};

static mproxy_status write_and_sum(void *arg, const char *bytes, size_t length)
{
    struct tee *tee = arg;
    tee->sum = crc32(tee->sum, (const Bytef *)bytes, (uInt)length);
    return tee->write(tee->arg, bytes, length);
}

// Readers take whole numbers up to 2^53, and so does our own parser.
static uint64_t whole(uint64_t value)
{
    return value < WHOLE_MAX ? value : WHOLE_MAX;
}

static void put_nodes(struct mpx_json *j, const char *key, char *const *nodes,
                      size_t count)
{
    mpx_json_key(j, key);
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < count; i++)
        mpx_json_put_string(j, nodes[i]);
    mpx_json_end(j, ']');
}

static void put_share(struct mpx_json *j, const mproxy_profile *p,
                      const struct mpx_profile_share *share)
{
    char directory[33];
    for (size_t i = 0; i < 16; i++)
        snprintf(directory + 2 * i, 3, "%02x", share->directory[i]);
    mpx_json_begin(j, '{');
    mpx_json_member(j, "directory", directory);
    mpx_json_member_u64(j, "number", whole(share->number));
    mpx_json_member(j, "node", share->node);
    mpx_json_member_u64(j, "epoch", whole(share->epoch));
    mpx_json_member_u64(j, "sequence", whole(share->sequence));
    mpx_json_member_bool(j, "sealed", share->sealed);
    mpx_json_member_bool(j, "incomplete", share->incomplete);
    mpx_json_member_i64(j, "start_ms", share->start_ms);
    mpx_json_member_i64(j, "end_ms", share->end_ms);
    if (share->command && strcmp(share->command, p->desc.command) != 0)
        mpx_json_member(j, "command", share->command);
    mpx_json_end(j, '}');
}

static void put_head(struct mpx_json *j, const mproxy_profile *p)
{
    mpx_json_member_u64(j, "version", MPX_PROFILE_VERSION);
    mpx_json_key(j, "desc");
    mpx_json_put_desc(j, &p->desc);
    mpx_json_member_u64(j, "uid", p->uid);
    if (p->provisional)
        mpx_json_member_bool(j, "provisional", true);
    put_nodes(j, "partial", p->partial, p->partial_count);
    put_nodes(j, "unheard", p->unheard, p->unheard_count);
    mpx_json_key(j, "shares");
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < p->share_count; i++)
        put_share(j, p, &p->shares[i]);
    mpx_json_end(j, ']');
}

static bool has_ranks(const mproxy_ranks *r)
{
    return r->n > 0 && isfinite(r->sum) && isfinite(r->min) && isfinite(r->max);
}

// A reader finds `ranks` in every entry; n is 0 where the spread is not known.
static void put_ranks(struct mpx_json *j, const mproxy_ranks *r)
{
    static const mproxy_ranks unknown = {0};
    if (!has_ranks(r))
        r = &unknown;
    mpx_json_key(j, "ranks");
    mpx_json_begin(j, '{');
    mpx_json_member_u64(j, "n", whole(r->n));
    mpx_json_member_number(j, "min", r->min);
    mpx_json_member_number(j, "max", r->max);
    mpx_json_member_number(j, "mean", r->n > 0 ? r->sum / (double)r->n : 0);
    mpx_json_member_number(j, "sum", r->sum);
    mpx_json_member_u64(j, "min_rank", r->min_rank & MPROXY_RANK_MASK);
    mpx_json_member_u64(j, "max_rank", r->max_rank & MPROXY_RANK_MASK);
    mpx_json_end(j, '}');
}

static void put_entry(struct mpx_json *j, const struct mpx_profile_entry *e,
                      const mproxy_value *value, const mproxy_ranks *ranks)
{
    mproxy_value shown = *value;
    shown.ts_us = whole(shown.ts_us);
    mpx_json_line(j);
    mpx_json_begin(j, '{');
    mpx_json_member(j, "name", e->name);
    mpx_json_member(j, "doc", e->doc);
    mpx_json_key(j, "ctype");
    mpx_json_put_value(j, e->type, &shown);
    put_ranks(j, ranks);
    mpx_json_end(j, '}');
}

static void put_entries(struct mpx_json *j, const mproxy_profile *p)
{
    mpx_json_line(j);
    mpx_json_key(j, "counters");
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < p->count; i++) {
        const struct mpx_profile_entry *e = &p->entries[i];
        if (mpx_json_is_shown(e->type, &e->value))
            put_entry(j, e, &e->value, &e->ranks);
    }
    mpx_json_end(j, ']');
}

static void put_merged(struct mpx_json *j, const struct mpx_merged *merged, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct mpx_merged *m = &merged[i];
        if (!m->is_left_out && mpx_json_is_shown(m->entry->type, &m->value))
            put_entry(j, m->entry, &m->value, &m->ranks);
    }
}

static mproxy_status put_node(struct mpx_json *j,
                              const struct mpx_profile_share *const *shares, size_t count)
{
    struct mpx_merged *merged;
    size_t merged_count;
    mproxy_status status = mpx_profile_merge(shares, count, &merged, &merged_count);
    if (status != MPROXY_OK)
        return status;
    mpx_json_begin(j, '{');
    mpx_json_member(j, "node", shares[0]->node);
    mpx_json_key(j, "counters");
    mpx_json_begin(j, '[');
    put_merged(j, merged, merged_count);
    mpx_json_end(j, ']');
    mpx_json_end(j, '}');
    free(merged);
    return MPROXY_OK;
}

static int by_node(const void *a, const void *b)
{
    const struct mpx_profile_share *x = *(const struct mpx_profile_share *const *)a;
    const struct mpx_profile_share *y = *(const struct mpx_profile_share *const *)b;
    int order = strcmp(x->node, y->node);
    return order ? order : mpx_profile_compare_shares(x, y);
}

// A node may have several shares of a run, also from several directories.
static mproxy_status put_all_nodes(struct mpx_json *j, const mproxy_profile *p)
{
    const struct mpx_profile_share **shares = calloc(p->share_count + 1, sizeof *shares);
    if (!shares)
        return MPROXY_E_NOMEM;
    for (size_t i = 0; i < p->share_count; i++)
        shares[i] = &p->shares[i];
    qsort(shares, p->share_count, sizeof *shares, by_node);
    mproxy_status status = MPROXY_OK;
    mpx_json_line(j);
    mpx_json_key(j, "nodes");
    mpx_json_begin(j, '[');
    for (size_t i = 0, next; i < p->share_count && status == MPROXY_OK; i = next) {
        for (next = i + 1; next < p->share_count; next++)
            if (strcmp(shares[next]->node, shares[i]->node) != 0)
                break;
        if (i > 0)
            mpx_json_line(j);
        status = put_node(j, shares + i, next - i);
    }
    mpx_json_end(j, ']');
    free(shares);
    return status;
}

static void put_row(struct mpx_json *j, size_t place, const struct mpx_profile_entry *e)
{
    mpx_json_begin(j, '[');
    mpx_json_put_u64(j, place);
    mpx_json_put_number(j, e->value.total);
    if (e->type == MPROXY_GAUGE) {
        mpx_json_put_number(j, e->value.min);
        mpx_json_put_number(j, e->value.max);
        mpx_json_put_number(j, e->value.hits);
    } else {
        mpx_json_put_u64(j, whole(e->value.ts_us));
        if (has_ranks(&e->ranks)) {
            mpx_json_put_u64(j, whole(e->ranks.n));
            mpx_json_put_number(j, e->ranks.sum);
            mpx_json_put_number(j, e->ranks.min);
            mpx_json_put_number(j, e->ranks.max);
            mpx_json_put_u64(j, e->ranks.min_rank);
            mpx_json_put_u64(j, e->ranks.max_rank);
        }
    }
    mpx_json_end(j, ']');
}

// Both lists are in the order of names. Places count the entries that are shown only.
static void put_rows(struct mpx_json *j, const mproxy_profile *p,
                     const struct mpx_profile_share *share)
{
    size_t at = 0, place = 0;
    mpx_json_line(j);
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < share->count; i++) {
        const struct mpx_profile_entry *e = &share->entries[i];
        for (; at < p->count; at++) {
            if (mpx_profile_compare_names(p->entries[at].name, e->name) >= 0)
                break;
            place += mpx_json_is_shown(p->entries[at].type, &p->entries[at].value);
        }
        if (at == p->count || strcmp(p->entries[at].name, e->name) != 0 ||
            p->entries[at].type != e->type || !mpx_json_is_shown(e->type, &e->value) ||
            !mpx_json_is_shown(p->entries[at].type, &p->entries[at].value))
            continue;
        put_row(j, place++, e);
        at++;
    }
    mpx_json_end(j, ']');
}

static void put_all_rows(struct mpx_json *j, const mproxy_profile *p)
{
    mpx_json_line(j);
    mpx_json_key(j, "share_values");
    mpx_json_begin(j, '[');
    for (size_t i = 0; i < p->share_count; i++)
        put_rows(j, p, &p->shares[i]);
    mpx_json_end(j, ']');
}

mproxy_status mproxy_profile_render(const mproxy_profile *p, mproxy_write_fn write,
                                    void *arg)
{
    MPX_REQUIRE(p && write, NULL);
    struct tee tee = {.write = write, .arg = arg, .sum = crc32(0, NULL, 0)};
    struct mpx_sink sink;
    char sum[9];
    mproxy_status status = mpx_sink_init(&sink, write_and_sum, &tee);
    if (status != MPROXY_OK)
        return status;
    struct mpx_json j = {.out = &sink.out};
    mpx_json_begin(&j, '{');
    put_head(&j, p);
    put_entries(&j, p);
    status = put_all_nodes(&j, p);
    put_all_rows(&j, p);
    if (status != MPROXY_OK && !sink.status)
        sink.status = status;
    mpx_json_line(&j);
    mpx_sink_flush(&sink);
    snprintf(sum, sizeof sum, "%08lx", tee.sum);
    mpx_json_member(&j, "crc32", sum);
    mpx_json_end(&j, '}');
    mpx_sink_text(&sink, "\n");
    return mpx_sink_fini(&sink);
}

int mpx_profile_check_sum(const char *text, size_t length)
{
    const size_t size = strlen("\"crc32\":\"01234567\"}");
    char expected[32];
    if (length > 0 && text[length - 1] == '\n')
        length--;
    if (length < size || strncmp(text + length - size, "\"crc32\":\"", 9) != 0)
        return 0;
    uLong sum = crc32_z(crc32(0, NULL, 0), (const Bytef *)text, length - size);
    snprintf(expected, sizeof expected, "\"crc32\":\"%08lx\"}", sum);
    return strncmp(text + length - size, expected, size) == 0 ? 1 : -1;
}
