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
#include "base/json.h"
#include "exposition/json.h"

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
static void put_key(struct mpx_sink *s, const char *key, uint64_t value)
{
    mpx_sink_text(s, key);
    mpx_json_u64(s, value < WHOLE_MAX ? value : WHOLE_MAX);
}

static void put_nodes(struct mpx_sink *s, const char *key, char *const *nodes,
                      size_t count)
{
    mpx_sink_text(s, key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            mpx_sink_text(s, ",");
        mpx_json_text(s, nodes[i]);
    }
    mpx_sink_text(s, "]");
}

static void put_whole(struct mpx_json *j, const char *key, uint64_t value)
{
    mpx_json_member_u64(j, key, value < WHOLE_MAX ? value : WHOLE_MAX);
}

static void put_time(struct mpx_json *j, const char *key, int64_t ms)
{
    mpx_json_key(j, key);
    mpx_json_put_i64(j, ms);
}

static void put_flag(struct mpx_json *j, const char *key, bool is_set)
{
    mpx_json_key(j, key);
    mpx_json_put_bool(j, is_set);
}

static void put_share(struct mpx_sink *s, const mproxy_profile *p,
                      const struct mpx_profile_share *share)
{
    struct mpx_json j = {.out = &s->scratch};
    char directory[33];
    for (size_t i = 0; i < 16; i++)
        snprintf(directory + 2 * i, 3, "%02x", share->directory[i]);
    mpx_json_begin(&j, '{');
    mpx_json_member(&j, "directory", directory);
    put_whole(&j, "number", share->number);
    mpx_json_member(&j, "node", share->node);
    put_whole(&j, "epoch", share->epoch);
    put_whole(&j, "sequence", share->sequence);
    put_flag(&j, "sealed", share->sealed);
    put_flag(&j, "incomplete", share->incomplete);
    put_time(&j, "start_ms", share->start_ms);
    put_time(&j, "end_ms", share->end_ms);
    if (share->command && strcmp(share->command, p->desc.command) != 0)
        mpx_json_member(&j, "command", share->command);
    mpx_json_end(&j, '}');
    mpx_sink_scratch(s);
}

static void put_head(struct mpx_sink *s, const mproxy_profile *p)
{
    put_key(s, "{\"version\":", MPX_PROFILE_VERSION);
    mpx_sink_text(s, ",\"desc\":");
    mpx_json_desc(s, &p->desc);
    put_key(s, ",\"uid\":", p->uid);
    if (p->provisional)
        mpx_sink_text(s, ",\"provisional\":true");
    put_nodes(s, ",\"partial\":[", p->partial, p->partial_count);
    put_nodes(s, ",\"unheard\":[", p->unheard, p->unheard_count);
    mpx_sink_text(s, ",\"shares\":[");
    for (size_t i = 0; i < p->share_count; i++) {
        if (i > 0)
            mpx_sink_text(s, ",");
        put_share(s, p, &p->shares[i]);
    }
    mpx_sink_text(s, "],\n");
}

static void put_number(struct mpx_sink *s, const char *key, double value)
{
    mpx_sink_text(s, key);
    mpx_json_number(s, value);
}

static void put_value(struct mpx_sink *s, mproxy_type type, const mproxy_value *v)
{
    if (type == MPROXY_GAUGE) {
        put_number(s, "{\"Gauge\":{\"min\":", v->min);
        put_number(s, ",\"max\":", v->max);
        put_number(s, ",\"hits\":", v->hits);
        put_number(s, ",\"total\":", v->total);
    } else {
        put_key(s, "{\"Counter\":{\"ts\":", v->ts_us);
        put_number(s, ",\"value\":", v->total);
    }
    mpx_sink_text(s, "}}");
}

static bool has_ranks(const mproxy_ranks *r)
{
    return r->n > 0 && isfinite(r->sum) && isfinite(r->min) && isfinite(r->max);
}

// A reader finds `ranks` in every entry; n is 0 where the spread is not known.
static void put_ranks(struct mpx_sink *s, const mproxy_ranks *r)
{
    static const mproxy_ranks unknown = {0};
    if (!has_ranks(r))
        r = &unknown;
    put_key(s, "{\"n\":", r->n);
    put_number(s, ",\"min\":", r->min);
    put_number(s, ",\"max\":", r->max);
    put_number(s, ",\"mean\":", r->n > 0 ? r->sum / (double)r->n : 0);
    put_number(s, ",\"sum\":", r->sum);
    put_key(s, ",\"min_rank\":", r->min_rank & MPROXY_RANK_MASK);
    put_key(s, ",\"max_rank\":", r->max_rank & MPROXY_RANK_MASK);
    mpx_sink_text(s, "}");
}

static void put_entry(struct mpx_sink *s, const struct mpx_profile_entry *e,
                      const mproxy_value *value, const mproxy_ranks *ranks)
{
    mpx_sink_text(s, "{\"name\":");
    mpx_json_text(s, e->name);
    mpx_sink_text(s, ",\"doc\":");
    mpx_json_text(s, e->doc);
    mpx_sink_text(s, ",\"ctype\":");
    put_value(s, e->type, value);
    mpx_sink_text(s, ",\"ranks\":");
    put_ranks(s, ranks);
    mpx_sink_text(s, "}");
}

static void put_entries(struct mpx_sink *s, const mproxy_profile *p)
{
    const char *separator = "\n";
    mpx_sink_text(s, "\"counters\":[");
    for (size_t i = 0; i < p->count; i++) {
        const struct mpx_profile_entry *e = &p->entries[i];
        if (!mpx_json_is_shown(e->type, &e->value))
            continue;
        mpx_sink_text(s, separator);
        put_entry(s, e, &e->value, &e->ranks);
        separator = ",\n";
    }
    mpx_sink_text(s, "]");
}

static void put_merged(struct mpx_sink *s, const struct mpx_merged *merged, size_t count)
{
    const char *separator = "\n";
    for (size_t i = 0; i < count; i++) {
        const struct mpx_merged *m = &merged[i];
        if (m->is_left_out || !mpx_json_is_shown(m->entry->type, &m->value))
            continue;
        mpx_sink_text(s, separator);
        put_entry(s, m->entry, &m->value, &m->ranks);
        separator = ",\n";
    }
}

static mproxy_status put_node(struct mpx_sink *s,
                              const struct mpx_profile_share *const *shares, size_t count)
{
    struct mpx_merged *merged;
    size_t merged_count;
    mproxy_status status = mpx_profile_merge(shares, count, &merged, &merged_count);
    if (status != MPROXY_OK)
        return status;
    mpx_sink_text(s, "{\"node\":");
    mpx_json_text(s, shares[0]->node);
    mpx_sink_text(s, ",\"counters\":[");
    put_merged(s, merged, merged_count);
    mpx_sink_text(s, "]}");
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
static mproxy_status put_all_nodes(struct mpx_sink *s, const mproxy_profile *p)
{
    const struct mpx_profile_share **shares = calloc(p->share_count + 1, sizeof *shares);
    if (!shares)
        return MPROXY_E_NOMEM;
    for (size_t i = 0; i < p->share_count; i++)
        shares[i] = &p->shares[i];
    qsort(shares, p->share_count, sizeof *shares, by_node);
    mproxy_status status = MPROXY_OK;
    mpx_sink_text(s, ",\n\"nodes\":[");
    for (size_t i = 0, next; i < p->share_count && status == MPROXY_OK; i = next) {
        for (next = i + 1; next < p->share_count; next++)
            if (strcmp(shares[next]->node, shares[i]->node) != 0)
                break;
        if (i > 0)
            mpx_sink_text(s, ",\n");
        status = put_node(s, shares + i, next - i);
    }
    mpx_sink_text(s, "]");
    free(shares);
    return status;
}

static void put_row(struct mpx_sink *s, size_t place, const struct mpx_profile_entry *e)
{
    put_key(s, "[", place);
    put_number(s, ",", e->value.total);
    if (e->type == MPROXY_GAUGE) {
        put_number(s, ",", e->value.min);
        put_number(s, ",", e->value.max);
        put_number(s, ",", e->value.hits);
    } else {
        put_key(s, ",", e->value.ts_us);
        if (has_ranks(&e->ranks)) {
            put_key(s, ",", e->ranks.n);
            put_number(s, ",", e->ranks.sum);
            put_number(s, ",", e->ranks.min);
            put_number(s, ",", e->ranks.max);
            put_key(s, ",", e->ranks.min_rank);
            put_key(s, ",", e->ranks.max_rank);
        }
    }
    mpx_sink_text(s, "]");
}

// Both lists are in the order of names. Places count the entries that are shown only.
static void put_rows(struct mpx_sink *s, const mproxy_profile *p,
                     const struct mpx_profile_share *share)
{
    size_t at = 0, place = 0;
    const char *separator = "";
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
        mpx_sink_text(s, separator);
        put_row(s, place++, e);
        at++;
        separator = ",";
    }
}

static void put_all_rows(struct mpx_sink *s, const mproxy_profile *p)
{
    mpx_sink_text(s, ",\n\"share_values\":[");
    for (size_t i = 0; i < p->share_count; i++) {
        mpx_sink_text(s, i > 0 ? ",\n[" : "\n[");
        put_rows(s, p, &p->shares[i]);
        mpx_sink_text(s, "]");
    }
    mpx_sink_text(s, "],\n");
}

mproxy_status mproxy_profile_render(const mproxy_profile *p, mproxy_write_fn write,
                                    void *arg)
{
    MPX_REQUIRE(p && write, NULL);
    struct tee tee = {.write = write, .arg = arg, .sum = crc32(0, NULL, 0)};
    struct mpx_sink sink;
    char trailer[32];
    mproxy_status status = mpx_sink_init(&sink, write_and_sum, &tee);
    if (status != MPROXY_OK)
        return status;
    put_head(&sink, p);
    put_entries(&sink, p);
    status = put_all_nodes(&sink, p);
    put_all_rows(&sink, p);
    if (status != MPROXY_OK && !sink.status)
        sink.status = status;
    mpx_sink_flush(&sink);
    snprintf(trailer, sizeof trailer, "\"crc32\":\"%08lx\"}\n", tee.sum);
    mpx_sink_text(&sink, trailer);
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
