#include "gateway/message_json.h"

#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

// Times from here on are milliseconds: as seconds they would lie past the year 5000.
static const double MILLISECONDS_FROM = 1e11;

static mproxy_status fail_field(const char *field, const char *expected,
                                mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_INVALID, "'%s': %s was expected", field, expected);
}

// A missing field is an empty text; the tree owns it and nobody writes to it.
static mproxy_status take_text(json_t *object, const char *field, size_t max, char **out,
                               mproxy_error *err)
{
    static char nothing[1];
    json_t *item = json_object_get(object, field);
    *out = nothing;
    if (!item || json_is_null(item))
        return MPROXY_OK;
    if (!json_is_string(item))
        return fail_field(field, "a string", err);
    const char *text = json_string_value(item);
    size_t length = json_string_length(item);
    if (length > max &&
        json_string_setn(item, text, mpx_utf8_cut(text, length, max)) != 0)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for '%s'", field);
    union {
        const char *from;
        char *to;
    } borrowed = {.from = json_string_value(item)};
    *out = borrowed.to;
    return MPROXY_OK;
}

static mproxy_status take_number(json_t *object, const char *field, double *out,
                                 mproxy_error *err)
{
    json_t *item = json_object_get(object, field);
    *out = 0;
    if (!item || json_is_null(item))
        return MPROXY_OK;
    if (!json_is_number(item))
        return fail_field(field, "a number", err);
    *out = json_number_value(item);
    return MPROXY_OK;
}

static mproxy_status take_time(json_t *object, const char *field, int64_t *out,
                               mproxy_error *err)
{
    double value;
    mproxy_status status = take_number(object, field, &value, err);
    if (value >= MILLISECONDS_FROM)
        value /= 1000;
    *out = value > 0 && value < MILLISECONDS_FROM ? (int64_t)value : 0;
    return status;
}

static mproxy_status parse_job(json_t *body, struct mpx_message *m, mproxy_error *err)
{
    mproxy_job *job = &m->job;
    double size = 0;
    json_t *id = json_object_get(body, "jobid");
    if (!json_is_string(id))
        return fail_field("jobid", "a string", err);
    if (json_string_length(id) > MPROXY_JOB_ID_MAX)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "'jobid': %zu bytes, at most %d were expected",
                        json_string_length(id), MPROXY_JOB_ID_MAX);
    const struct {
        const char *field;
        size_t max;
        char **out;
    } texts[] = {{"jobid", MPROXY_JOB_ID_MAX, &job->jobid},
                 {"command", MPROXY_JOB_COMMAND_MAX, &job->command},
                 {"nodelist", MPROXY_JOB_FIELD_MAX, &job->nodelist},
                 {"partition", MPROXY_JOB_FIELD_MAX, &job->partition},
                 {"cluster", MPROXY_JOB_FIELD_MAX, &job->cluster},
                 {"run_dir", MPROXY_JOB_FIELD_MAX, &job->run_dir}};
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; status == MPROXY_OK && i < sizeof texts / sizeof *texts; i++)
        status = take_text(body, texts[i].field, texts[i].max, texts[i].out, err);
    if (status == MPROXY_OK)
        status = take_number(body, "size", &size, err);
    if (status == MPROXY_OK)
        status = take_time(body, "start_time", &job->start_time, err);
    job->size = size > 0 && size < 1e15 ? (uint64_t)size : 0;
    return status;
}

static mproxy_status parse_counter(json_t *body, struct mpx_message *m, mproxy_error *err)
{
    m->type = MPROXY_COUNTER;
    m->has_value = true;
    if (!json_object_get(body, "value"))
        return fail_field("Counter", "a 'value'", err);
    return take_number(body, "value", &m->value, err);
}

static mproxy_status parse_gauge(json_t *body, struct mpx_message *m, mproxy_error *err)
{
    double hits, total;
    m->type = MPROXY_GAUGE;
    if (!json_object_get(body, "hits") || !json_object_get(body, "total"))
        return fail_field("Gauge", "'hits' and 'total'", err);
    mproxy_status status = take_number(body, "hits", &hits, err);
    if (status == MPROXY_OK)
        status = take_number(body, "total", &total, err);
    if (status != MPROXY_OK)
        return status;
    m->has_value = hits > 0;
    m->value = hits > 0 ? total / hits : 0;
    return MPROXY_OK;
}

static mproxy_status parse_metric(json_t *body, const char *value_field,
                                  struct mpx_message *m, mproxy_error *err)
{
    json_t *name = json_object_get(body, "name");
    json_t *value = json_object_get(body, value_field);
    char *doc;
    if (!json_is_string(name))
        return fail_field("name", "a string", err);
    if (!json_is_object(value) || json_object_size(value) != 1)
        return fail_field(value_field, "an object with one key", err);
    mproxy_status status = take_text(body, "doc", MPROXY_JOB_FIELD_MAX, &doc, err);
    if (status != MPROXY_OK)
        return status;
    m->name = json_string_value(name);
    m->doc = doc;
    json_t *kind = json_object_get(value, "Counter");
    if (json_is_object(kind))
        return parse_counter(kind, m, err);
    kind = json_object_get(value, "Gauge");
    if (json_is_object(kind))
        return parse_gauge(kind, m, err);
    return fail_field(value_field, "a Counter or a Gauge", err);
}

static mproxy_status parse_tree(json_t *tree, struct mpx_message *m, mproxy_error *err)
{
    if (!json_is_object(tree) || json_object_size(tree) != 1)
        return mpx_fail(err, MPROXY_E_INVALID, "an object with one key was expected");
    const char *key = json_object_iter_key(json_object_iter(tree));
    json_t *body = json_object_get(tree, key);
    if (json_is_object(body) && strcmp(key, "JobDesc") == 0) {
        m->kind = MPX_MESSAGE_JOB;
        return parse_job(body, m, err);
    }
    if (json_is_object(body) && strcmp(key, "Desc") == 0) {
        m->kind = MPX_MESSAGE_DESC;
        return parse_metric(body, "ctype", m, err);
    }
    if (json_is_object(body) && strcmp(key, "Value") == 0) {
        m->kind = MPX_MESSAGE_VALUE;
        return parse_metric(body, "value", m, err);
    }
    return mpx_fail(err, MPROXY_E_INVALID,
                    "'%.40s': an object JobDesc, Desc or Value was expected", key);
}

mproxy_status mpx_message_parse(const char *text, size_t length, struct mpx_message *out,
                                mproxy_error *err)
{
    json_error_t why;
    struct mpx_message m = {.tree = json_loadb(text, length, 0, &why)};
    if (!m.tree)
        return mpx_fail_at(err, MPROXY_E_CORRUPT, why.line, why.column,
                           "not JSON: column %d: %.100s", why.column, why.text);
    mproxy_status status = parse_tree(m.tree, &m, err);
    if (status == MPROXY_OK)
        *out = m;
    else
        mpx_message_clear(&m);
    return status;
}

void mpx_message_clear(struct mpx_message *message)
{
    json_decref(message->tree);
    message->tree = NULL;
}
