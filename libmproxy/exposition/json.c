// Entries are written by the hundred thousand, so each is put together in room for all of it,
// and the commas within stand in literals; everything else is base/json.h's.
#include "exposition/json.h"

#include <math.h>

#include <mproxy/job.h>

#include "base/decimal.h"
#include "exposition/number.h"
#include "exposition/sink.h"
#include "store/names.h"

void mpx_json_put_number(struct mpx_json *j, double value)
{
    char *at = mpx_json_room(j, MPROXY_NUMBER_MAX);
    if (at)
        mpx_json_wrote(j, mpx_write_number(at, value));
}

void mpx_json_member_number(struct mpx_json *j, const char *key, double value)
{
    mpx_json_key(j, key);
    mpx_json_put_number(j, value);
}

void mpx_json_desc_members(struct mpx_json *j, const mproxy_job *job)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"jobid", job->jobid},       {"command", job->command},
                 {"nodelist", job->nodelist}, {"partition", job->partition},
                 {"cluster", job->cluster},   {"run_dir", job->run_dir}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mpx_json_member(j, texts[i].key, texts[i].text ? texts[i].text : "");
    mpx_json_member_u64(j, "size", job->size);
    mpx_json_member_i64(j, "start_time", job->start_time);
    mpx_json_member_i64(j, "end_time", job->end_time);
}

void mpx_json_put_desc(struct mpx_json *j, const mproxy_job *job)
{
    mpx_json_begin(j, '{');
    mpx_json_desc_members(j, job);
    mpx_json_end(j, '}');
}

bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value)
{
    if (type != MPROXY_GAUGE)
        return isfinite(value->total);
    return isfinite(value->total) && isfinite(value->min) && isfinite(value->max) &&
           isfinite(value->hits);
}

// ---- entries

#define VALUE_ROOM 256
#define RANKS_ROOM 320

static char *put_counter(char *at, const mproxy_value *value)
{
    at = MPX_PUT_LITERAL(at, "{\"Counter\":{\"ts\":");
    at = mpx_write_u64(at, value->ts_us);
    at = MPX_PUT_LITERAL(at, ",\"value\":");
    at = mpx_write_number(at, value->total);
    return MPX_PUT_LITERAL(at, "}}");
}

// A number that was written right before as `text`, or another.
static char *put_again(char *at, double value, double before, const char *text,
                       size_t length)
{
    if (memcmp(&value, &before, sizeof value) != 0)
        return mpx_write_number(at, value);
    return mpx_put(at, text, length);
}

// Most gauges have one contributor, so that three numbers are the same.
static char *put_gauge(char *at, const mproxy_value *value)
{
    char *min = at = MPX_PUT_LITERAL(at, "{\"Gauge\":{\"min\":");
    at = mpx_write_number(at, value->min);
    size_t length = (size_t)(at - min);
    at = MPX_PUT_LITERAL(at, ",\"max\":");
    at = put_again(at, value->max, value->min, min, length);
    at = MPX_PUT_LITERAL(at, ",\"hits\":");
    at = mpx_write_number(at, value->hits);
    at = MPX_PUT_LITERAL(at, ",\"total\":");
    at = put_again(at, value->total, value->min, min, length);
    return MPX_PUT_LITERAL(at, "}}");
}

static char *put_value(char *at, mproxy_type type, const mproxy_value *value)
{
    return type == MPROXY_GAUGE ? put_gauge(at, value) : put_counter(at, value);
}

void mpx_json_put_value(struct mpx_json *j, mproxy_type type, const mproxy_value *value)
{
    char *at = mpx_json_room(j, VALUE_ROOM);
    if (at)
        mpx_json_wrote(j, put_value(at, type, value));
}

static char *put_ranks(char *at, const mproxy_ranks *ranks)
{
    at = MPX_PUT_LITERAL(at, ",\"ranks\":{\"n\":");
    at = mpx_write_u64(at, ranks->n);
    at = MPX_PUT_LITERAL(at, ",\"min\":");
    at = mpx_write_number(at, ranks->min);
    at = MPX_PUT_LITERAL(at, ",\"max\":");
    at = mpx_write_number(at, ranks->max);
    at = MPX_PUT_LITERAL(at, ",\"mean\":");
    at = mpx_write_number(at, ranks->sum / (double)ranks->n);
    at = MPX_PUT_LITERAL(at, ",\"min_rank\":");
    at = mpx_write_u64(at, ranks->min_rank & MPROXY_RANK_MASK);
    at = MPX_PUT_LITERAL(at, ",\"max_rank\":");
    at = mpx_write_u64(at, ranks->max_rank & MPROXY_RANK_MASK);
    return MPX_PUT_LITERAL(at, "}");
}

static bool has_ranks(const mproxy_ranks *ranks)
{
    return ranks && ranks->n > 0 && isfinite(ranks->min) && isfinite(ranks->max) &&
           isfinite(ranks->sum);
}

void mpx_json_put_entry(struct mpx_json *j, const mproxy_entry *entry, bool with_ranks)
{
    const struct mpx_metric *m = mpx_metric_of(entry->metric);
    const struct mpx_doc *doc = mpx_metric_doc_of(m);
    // Names are at most 1 KiB and docs 4 KiB before escaping, which doubles them at most.
    char *at = mpx_json_room(j, 48 + (size_t)m->json_length + doc->json_length +
                                    VALUE_ROOM + RANKS_ROOM);
    if (!at)
        return;
    at = MPX_PUT_LITERAL(at, "{\"name\":\"");
    at = mpx_put(at, m->json, m->json_length);
    at = MPX_PUT_LITERAL(at, "\",\"doc\":\"");
    at = mpx_put(at, doc->json, doc->json_length);
    at = MPX_PUT_LITERAL(at, "\",\"ctype\":");
    at = put_value(at, m->public.type, &entry->value);
    if (with_ranks && has_ranks(entry->ranks))
        at = put_ranks(at, entry->ranks);
    mpx_json_wrote(j, MPX_PUT_LITERAL(at, "}"));
}
