// The reader of GET /job.
//
// A reply may be 64 MiB long, and the tree that jansson makes of text is ten times as large. So
// the array is walked here and jansson gets one job at a time: memory is that of the largest
// job and of what was read. A job of more than JOB_MAX bytes is refused, whatever follows.
//
// Writers differ in what JSON leaves open: whole numbers as `1`, `1.0` or `1e5`, times in seconds
// or, told by their size, in milliseconds, counters with or without `ts`. All numbers are taken as
// doubles, which hold what is published exactly. What contradicts the contract is a fault: a key of
// the description that is missing or twice, `ctype` with no or several keys, null, text behind
// the end.
#include "exposition/jobs.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/array.h"
#include "base/err.h"
#include "base/utf8.h"

#define JOB_MAX ((size_t)16 << 20)   // bytes of one job
#define WHOLE_MAX 9007199254740992.0 // 2^53
#define SECONDS_MAX 100000000000.0   // the year 5138; above are milliseconds
#define TIME_MAX (1000 * SECONDS_MAX)

enum { DOC_MAX = 4096, ID_SHOWN = 60 };

struct reader {
    const char *text, *at, *end;
    int line, column; // of `at`
    struct mpx_jobs *jobs;
    mproxy_error *err;
};

// ---- faults

static mproxy_status fault(struct reader *r, const char *what)
{
    return mpx_fail_at(r->err, MPROXY_E_CORRUPT, r->line, r->column, "%s", what);
}

static mproxy_status no_memory(struct reader *r)
{
    return mpx_fail(r->err, MPROXY_E_NOMEM, "no memory for a proxy's jobs");
}

// Of the job that is read, whose id may not be known yet.
static mproxy_status fault_in(struct reader *r, const char *where, const char *what)
{
    const struct mpx_jobs_view *view = &r->jobs->views[r->jobs->count - 1];
    return mpx_fail_at(r->err, MPROXY_E_CORRUPT, r->line, r->column,
                       "job %zu '%.*s': %s: %s", r->jobs->count - 1, ID_SHOWN,
                       view->desc.jobid ? view->desc.jobid : "", where, what);
}

static mproxy_status fault_of(struct reader *r, size_t place, const char *name,
                              const char *what)
{
    const struct mpx_jobs_view *view = &r->jobs->views[r->jobs->count - 1];
    return mpx_fail_at(r->err, MPROXY_E_CORRUPT, r->line, r->column,
                       "job %zu '%.*s': counter %zu '%.60s': %s", r->jobs->count - 1,
                       ID_SHOWN, view->desc.jobid, place, name, what);
}

// ---- values

static bool get_number(const json_t *value, double *out)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return false;
    *out = json_number_value(value);
    return true;
}

static bool get_whole(const json_t *value, double max, double *out)
{
    double number;
    if (!get_number(value, &number) || number < 0 || number > max ||
        number != floor(number))
        return false;
    *out = number;
    return true;
}

static bool get_time(const json_t *value, int64_t *out)
{
    double number;
    if (!get_whole(value, TIME_MAX, &number))
        return false;
    *out = (int64_t)(number > SECONDS_MAX ? number / 1000 : number);
    return true;
}

// A copy, cut where it is too long. NULL: no memory.
static char *copy_text(const json_t *text, size_t max)
{
    size_t length = mpx_utf8_cut(json_string_value(text), json_string_length(text), max);
    return strndup(json_string_value(text), length);
}

static mproxy_status read_desc(struct reader *r, const json_t *desc, mproxy_job *job)
{
    const struct {
        const char *key;
        size_t max;
        char **out;
    } texts[] = {
        // An id that is too long is no id; it is seen to be one by whoever asks.
        {"jobid", MPROXY_JOB_ID_MAX + 4, &job->jobid},
        {"command", MPROXY_JOB_COMMAND_MAX, &job->command},
        {"nodelist", MPROXY_JOB_FIELD_MAX, &job->nodelist},
        {"partition", MPROXY_JOB_FIELD_MAX, &job->partition},
        {"cluster", MPROXY_JOB_FIELD_MAX, &job->cluster},
        {"run_dir", MPROXY_JOB_FIELD_MAX, &job->run_dir},
    };
    double size;
    if (!json_is_object(desc))
        return fault_in(r, "desc", "not an object");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const json_t *text = json_object_get(desc, texts[i].key);
        if (!json_is_string(text))
            return fault_in(r, texts[i].key, "not a string");
        if (!(*texts[i].out = copy_text(text, texts[i].max)))
            return no_memory(r);
    }
    if (!get_whole(json_object_get(desc, "size"), WHOLE_MAX, &size))
        return fault_in(r, "size", "not a whole number from 0");
    job->size = (uint64_t)size;
    if (!get_time(json_object_get(desc, "start_time"), &job->start_time))
        return fault_in(r, "start_time", "not a time in whole seconds or milliseconds");
    if (!get_time(json_object_get(desc, "end_time"), &job->end_time))
        return fault_in(r, "end_time", "not a time in whole seconds or milliseconds");
    return MPROXY_OK;
}

static bool read_counter(const json_t *object, mproxy_value *out)
{
    const json_t *ts = json_object_get(object, "ts");
    double us = 0;
    if (!get_number(json_object_get(object, "value"), &out->total) ||
        (ts && !get_whole(ts, WHOLE_MAX, &us)))
        return false;
    out->ts_us = (uint64_t)us;
    return true;
}

static bool read_gauge(const json_t *object, mproxy_value *out)
{
    return get_number(json_object_get(object, "min"), &out->min) &&
           get_number(json_object_get(object, "max"), &out->max) &&
           get_number(json_object_get(object, "hits"), &out->hits) && out->hits >= 0 &&
           get_number(json_object_get(object, "total"), &out->total) &&
           (out->hits == 0 || out->min <= out->max);
}

static const char *read_value(const json_t *ctype, struct mpx_jobs_entry *e)
{
    const json_t *counter = json_object_get(ctype, "Counter");
    const json_t *gauge = json_object_get(ctype, "Gauge");
    if (json_object_size(ctype) != 1 || (!counter && !gauge))
        return "ctype is neither one Counter nor one Gauge";
    e->type = gauge ? MPROXY_GAUGE : MPROXY_COUNTER;
    if (gauge)
        return read_gauge(gauge, &e->value) ? NULL : "not the numbers of a Gauge";
    return read_counter(counter, &e->value) ? NULL : "not the numbers of a Counter";
}

static mproxy_status read_entry(struct reader *r, size_t place, const json_t *object,
                                struct mpx_jobs_entry *e)
{
    const json_t *name = json_object_get(object, "name");
    const json_t *doc = json_object_get(object, "doc");
    if (!json_is_string(name))
        return fault_of(r, place, "", "has no name");
    if (doc && !json_is_string(doc))
        return fault_of(r, place, json_string_value(name), "doc is not a string");
    const char *why = read_value(json_object_get(object, "ctype"), e);
    if (why)
        return fault_of(r, place, json_string_value(name), why);
    if (e->type == MPROXY_GAUGE && e->value.hits == 0)
        return MPROXY_OK;
    e->name = strdup(json_string_value(name));
    e->doc = doc ? copy_text(doc, DOC_MAX) : strdup("");
    return e->name && e->doc ? MPROXY_OK : no_memory(r);
}

static mproxy_status read_entries(struct reader *r, const json_t *array,
                                  struct mpx_jobs_view *view)
{
    if (!json_is_array(array))
        return fault_in(r, "counters", "not an array");
    size_t count = json_array_size(array);
    view->entries = calloc(count + 1, sizeof *view->entries);
    if (!view->entries)
        return no_memory(r);
    r->jobs->entries += count;
    for (size_t i = 0; i < count; i++) {
        struct mpx_jobs_entry *e = &view->entries[view->count++];
        mproxy_status status = read_entry(r, i, json_array_get(array, i), e);
        if (status != MPROXY_OK)
            return status;
        view->count -= e->name == NULL; // it never received data
        if (!e->name)
            *e = (struct mpx_jobs_entry){0};
    }
    return MPROXY_OK;
}

static mproxy_status read_view(struct reader *r, const json_t *object)
{
    struct mpx_jobs *jobs = r->jobs;
    if (!MPX_RESERVE_ZEROED(jobs->views, jobs->room, jobs->count + 1))
        return no_memory(r);
    struct mpx_jobs_view *view = &jobs->views[jobs->count++];
    if (!json_is_object(object))
        return fault_in(r, "it", "not an object");
    mproxy_status status = read_desc(r, json_object_get(object, "desc"), &view->desc);
    return status == MPROXY_OK
               ? read_entries(r, json_object_get(object, "counters"), view)
               : status;
}

// ---- the array

static void advance(struct reader *r, size_t bytes)
{
    for (const char *end = r->at + bytes; r->at < end; r->at++) {
        bool is_line = *r->at == '\n';
        r->line += is_line;
        r->column = is_line ? 1 : r->column + (((unsigned char)*r->at & 0xC0) != 0x80);
    }
}

// The next character that is no white space; 0 at the end.
static char look(struct reader *r)
{
    while (r->at < r->end && *r->at && strchr(" \t\r\n", *r->at))
        advance(r, 1);
    return r->at < r->end ? *r->at : '\0';
}

static mproxy_status syntax_fault(struct reader *r, const json_error_t *e, bool is_cut)
{
    if (json_error_code(e) == json_error_out_of_memory)
        return no_memory(r);
    if (is_cut && json_error_code(e) == json_error_premature_end_of_input)
        return fault(r, "a job of more than 16 MiB");
    int line = e->line > 0 ? e->line : 1, column = e->column > 0 ? e->column : 1;
    return mpx_fail_at(r->err, MPROXY_E_CORRUPT, r->line + line - 1,
                       line == 1 ? r->column + column - 1 : column, "%s", e->text);
}

static mproxy_status read_one(struct reader *r)
{
    size_t left = (size_t)(r->end - r->at), given = left < JOB_MAX ? left : JOB_MAX;
    json_error_t e = {0};
    json_t *object = json_loadb(
        r->at, given,
        JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &e);
    if (!object)
        return syntax_fault(r, &e, given < left);
    mproxy_status status = read_view(r, object);
    json_decref(object);
    if (status == MPROXY_OK)
        advance(r, (size_t)e.position);
    return status;
}

static mproxy_status read_all(struct reader *r)
{
    mproxy_status status = MPROXY_OK;
    if (look(r) != '[')
        return fault(r, "an array of jobs was expected");
    advance(r, 1);
    bool is_empty = look(r) == ']';
    while (!is_empty && status == MPROXY_OK) {
        if (look(r) != '{')
            return fault(r, "a job was expected");
        status = read_one(r);
        if (status != MPROXY_OK || look(r) != ',')
            break;
        advance(r, 1);
    }
    if (status != MPROXY_OK)
        return status;
    if (look(r) != ']')
        return fault(r, "',' or ']' was expected");
    advance(r, 1);
    look(r);
    return r->at == r->end ? MPROXY_OK : fault(r, "the end was expected");
}

mproxy_status mpx_jobs_read(const char *text, size_t length, struct mpx_jobs *out,
                            mproxy_error *err)
{
    struct mpx_jobs jobs = {0};
    struct reader r = {text, text, text + length, 1, 1, &jobs, err};
    mproxy_status status = read_all(&r);
    if (status == MPROXY_OK)
        *out = jobs;
    else
        mpx_jobs_fini(&jobs);
    return status;
}

void mpx_jobs_fini(struct mpx_jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        struct mpx_jobs_view *view = &jobs->views[i];
        for (size_t k = 0; k < view->count; k++) {
            free(view->entries[k].name);
            free(view->entries[k].doc);
        }
        free(view->entries);
        mproxy_job_clear(&view->desc);
    }
    free(jobs->views);
    *jobs = (struct mpx_jobs){0};
}
