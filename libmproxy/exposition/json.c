#include "exposition/json.h"

#include <math.h>

#include <mproxy/job.h>

#include "base/json.h"
#include "exposition/number.h"
#include "store/names.h"

void mpx_json_text(struct mpx_sink *s, const char *text)
{
    mpx_json_string(&s->scratch, text);
    mpx_sink_scratch(s);
}

void mpx_json_number(struct mpx_sink *s, double value)
{
    s->at = mpx_write_number(mpx_sink_room(s, MPROXY_NUMBER_MAX), value);
}

void mpx_json_u64(struct mpx_sink *s, uint64_t value)
{
    s->at = mpx_write_u64(mpx_sink_room(s, MPROXY_NUMBER_MAX), value);
}

void mpx_json_desc(struct mpx_sink *s, const mproxy_job *job)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"jobid", job->jobid},       {"command", job->command},
                 {"nodelist", job->nodelist}, {"partition", job->partition},
                 {"cluster", job->cluster},   {"run_dir", job->run_dir}};
    struct mpx_json j = {.out = &s->scratch};
    mpx_json_begin(&j, '{');
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mpx_json_member(&j, texts[i].key, texts[i].text ? texts[i].text : "");
    mpx_json_member_u64(&j, "size", job->size);
    mpx_json_key(&j, "start_time");
    mpx_json_put_i64(&j, job->start_time);
    mpx_json_key(&j, "end_time");
    mpx_json_put_i64(&j, job->end_time);
    mpx_json_end(&j, '}');
    mpx_sink_scratch(s);
}

bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value)
{
    if (type != MPROXY_GAUGE)
        return isfinite(value->total);
    return isfinite(value->total) && isfinite(value->min) && isfinite(value->max) &&
           isfinite(value->hits);
}

// The value from behind the doc's closing quote up to the last brace but one; below 256 bytes.
static char *put_counter(char *at, const mproxy_value *value)
{
    at = MPX_PUT_LITERAL(at, "\",\"ctype\":{\"Counter\":{\"ts\":");
    at = mpx_write_u64(at, value->ts_us);
    at = MPX_PUT_LITERAL(at, ",\"value\":");
    at = mpx_write_number(at, value->total);
    return MPX_PUT_LITERAL(at, "}}");
}

static char *put_gauge(char *at, const mproxy_value *value)
{
    at = MPX_PUT_LITERAL(at, "\",\"ctype\":{\"Gauge\":{\"min\":");
    at = mpx_write_number(at, value->min);
    at = MPX_PUT_LITERAL(at, ",\"max\":");
    at = mpx_write_number(at, value->max);
    at = MPX_PUT_LITERAL(at, ",\"hits\":");
    at = mpx_write_number(at, value->hits);
    at = MPX_PUT_LITERAL(at, ",\"total\":");
    at = mpx_write_number(at, value->total);
    return MPX_PUT_LITERAL(at, "}}");
}

static char *put_value(char *at, mproxy_type type, const mproxy_value *value)
{
    return type == MPROXY_GAUGE ? put_gauge(at, value) : put_counter(at, value);
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

#define VALUE_ROOM 256
#define RANKS_ROOM 320

static bool has_ranks(const mproxy_ranks *ranks)
{
    return ranks && ranks->n > 0 && isfinite(ranks->min) && isfinite(ranks->max) &&
           isfinite(ranks->sum);
}

static void finish_counter(struct mpx_sink *s, mproxy_type type,
                           const mproxy_value *value, const mproxy_ranks *ranks)
{
    char *at = put_value(mpx_sink_room(s, VALUE_ROOM + RANKS_ROOM), type, value);
    if (has_ranks(ranks))
        at = put_ranks(at, ranks);
    s->at = MPX_PUT_LITERAL(at, "}");
}

void mpx_json_entry(struct mpx_sink *s, const mproxy_entry *entry, bool with_ranks)
{
    const struct mpx_metric *m = mpx_metric_of(entry->metric);
    const struct mpx_doc *doc = mpx_metric_doc_of(m);
    // Names are at most 1 KiB and docs 4 KiB before escaping, which doubles them at most.
    char *at = mpx_sink_room(s, 32 + m->json_length + doc->json_length);
    at = MPX_PUT_LITERAL(at, "{\"name\":\"");
    at = mpx_put(at, m->json, m->json_length);
    at = MPX_PUT_LITERAL(at, "\",\"doc\":\"");
    s->at = mpx_put(at, doc->json, doc->json_length);
    finish_counter(s, m->public.type, &entry->value, with_ranks ? entry->ranks : NULL);
}
