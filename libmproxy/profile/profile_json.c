// Parsing of profiles.
//
// A file may come from an older release, from another make or from somebody's editor:
// nothing about it is taken for granted. Whole numbers are read as doubles, which hold all
// that we write exactly.
//
// There are two forms. Ours has each share's values in rows that name a metric by its place in
// `counters`; others have counters with their sum only, and the profile has no shares then. Only
// `desc` and `counters` must be there. Times are in seconds or, told by their size, in
// milliseconds.
//
// The head, all but the values, is parsed alone where an archive is indexed: it is the first line,
// and jansson is given that line only.
//
// Each function takes one value of the tree and returns a status; the first fault ends the parse
// with a text that says where it is. The profile built so far is freed by its caller.
#include "profile/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "metric/order.h"

enum { TEXT_MAX = 1 << 20 };         // bytes of any string but ids and names
#define WHOLE_MAX 9007199254740992.0 // 2^53

static mproxy_status bad(mproxy_error *err, const char *where, const char *what)
{
    return mpx_fail(err, MPROXY_E_CORRUPT, "profile: %s: %s", where, what);
}

// What other modules call invalid input is damage in a profile.
static mproxy_status as_corrupt(mproxy_error *err)
{
    if (err)
        err->status = MPROXY_E_CORRUPT;
    return MPROXY_E_CORRUPT;
}

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "profile: no memory");
}

static bool get_number(const json_t *value, double *out)
{
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return false;
    *out = json_number_value(value);
    return true;
}

static bool get_whole(const json_t *value, double min, double max, double *out)
{
    double number;
    if (!get_number(value, &number) || number < min || number > max ||
        number != floor(number))
        return false;
    *out = number;
    return true;
}

static bool get_u64(const json_t *value, uint64_t *out)
{
    double number;
    if (!get_whole(value, 0, WHOLE_MAX, &number))
        return false;
    *out = (uint64_t)number;
    return true;
}

static bool get_u32(const json_t *value, uint32_t *out)
{
    double number;
    if (!get_whole(value, 0, UINT32_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static mproxy_status copy_string(const json_t *value, size_t max, const char *where,
                                 char **out, mproxy_error *err)
{
    if (!json_is_string(value))
        return bad(err, where, "not a string");
    if (json_string_length(value) > max)
        return bad(err, where, "too long");
    *out = strdup(json_string_value(value));
    return *out ? MPROXY_OK : no_memory(err);
}

static bool get_ms(const json_t *value, int64_t *out)
{
    double number;
    if (!get_whole(value, 0, MPX_PROFILE_MS_MAX, &number))
        return false;
    *out = (int64_t)number;
    return true;
}

// Times of other makers may be in milliseconds, told by their magnitude.
static bool get_time(const json_t *value, int64_t *out)
{
    if (!get_ms(value, out))
        return false;
    if (*out > MPX_PROFILE_MS_MAX / 1000)
        *out /= 1000;
    return true;
}

static mproxy_status parse_desc(const json_t *desc, mproxy_job *job, mproxy_error *err)
{
    const struct {
        const char *key;
        size_t max;
        char **out;
    } texts[] = {
        {"jobid", MPROXY_JOB_ID_MAX, &job->jobid},
        {"command", TEXT_MAX, &job->command},
        {"nodelist", TEXT_MAX, &job->nodelist},
        {"partition", TEXT_MAX, &job->partition},
        {"cluster", TEXT_MAX, &job->cluster},
        {"run_dir", TEXT_MAX, &job->run_dir},
    };
    if (!json_is_object(desc))
        return bad(err, "desc", "not an object");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mproxy_status status = copy_string(json_object_get(desc, texts[i].key),
                                           texts[i].max, texts[i].key, texts[i].out, err);
        if (status != MPROXY_OK)
            return status;
    }
    if (!get_u64(json_object_get(desc, "size"), &job->size))
        return bad(err, "size", "not a whole number from 0");
    if (!get_time(json_object_get(desc, "start_time"), &job->start_time))
        return bad(err, "start_time", "not a whole number");
    if (!get_time(json_object_get(desc, "end_time"), &job->end_time))
        return bad(err, "end_time", "not a whole number");
    if (mproxy_job_check_id(job->jobid, err) != MPROXY_OK)
        return as_corrupt(err);
    return MPROXY_OK;
}

static bool parse_counter(const json_t *object, mproxy_value *out)
{
    const json_t *ts = json_object_get(object, "ts");
    return get_number(json_object_get(object, "value"), &out->total) &&
           (!ts || get_u64(ts, &out->ts_us));
}

static bool parse_gauge(const json_t *object, mproxy_value *out)
{
    return get_number(json_object_get(object, "min"), &out->min) &&
           get_number(json_object_get(object, "max"), &out->max) &&
           get_number(json_object_get(object, "hits"), &out->hits) && out->hits >= 0 &&
           get_number(json_object_get(object, "total"), &out->total);
}

static bool parse_value(const json_t *ctype, struct mpx_profile_entry *e)
{
    const json_t *counter = json_object_get(ctype, "Counter");
    const json_t *gauge = json_object_get(ctype, "Gauge");
    if (json_object_size(ctype) != 1)
        return false;
    e->type = gauge ? MPROXY_GAUGE : MPROXY_COUNTER;
    return gauge ? parse_gauge(gauge, &e->value)
                 : counter && parse_counter(counter, &e->value);
}

static bool parse_ranks(const json_t *object, mproxy_ranks *out)
{
    double mean;
    if (!object)
        return true;
    if (!get_u64(json_object_get(object, "n"), &out->n) ||
        !get_number(json_object_get(object, "min"), &out->min) ||
        !get_number(json_object_get(object, "max"), &out->max) ||
        !get_number(json_object_get(object, "mean"), &mean) ||
        !get_u32(json_object_get(object, "min_rank"), &out->min_rank) ||
        !get_u32(json_object_get(object, "max_rank"), &out->max_rank))
        return false;
    if (!get_number(json_object_get(object, "sum"), &out->sum))
        out->sum = mean * (double)out->n;
    if (out->n == 0)
        *out = (mproxy_ranks){0};
    return true;
}

static mproxy_status parse_entry(const json_t *object, struct mpx_profile_entry *e,
                                 mproxy_error *err)
{
    const json_t *doc = json_object_get(object, "doc");
    mproxy_status status =
        copy_string(json_object_get(object, "name"), 1024, "name", &e->name, err);
    if (status != MPROXY_OK)
        return status;
    if (mproxy_metric_check_name(e->name, strlen(e->name), err) != MPROXY_OK)
        return as_corrupt(err);
    mpx_name_order(e->name);
    if (doc)
        status = copy_string(doc, TEXT_MAX, e->name, &e->doc, err);
    else if (!(e->doc = strdup("")))
        status = no_memory(err);
    if (status != MPROXY_OK)
        return status;
    if (!parse_value(json_object_get(object, "ctype"), e))
        return bad(err, e->name, "ctype is neither one Counter nor one Gauge");
    if (!parse_ranks(json_object_get(object, "ranks"), &e->ranks))
        return bad(err, e->name, "ranks are not whole");
    return MPROXY_OK;
}

static mproxy_status parse_entries(const json_t *array, mproxy_profile *p,
                                   mproxy_error *err)
{
    if (!json_is_array(array))
        return bad(err, "counters", "not an array");
    size_t count = json_array_size(array);
    p->entries = calloc(count + 1, sizeof *p->entries);
    if (!p->entries)
        return no_memory(err);
    for (; p->count < count; p->count++) {
        struct mpx_profile_entry *e = &p->entries[p->count];
        mproxy_status status = parse_entry(json_array_get(array, p->count), e, err);
        if (status != MPROXY_OK) {
            free(e->name);
            free(e->doc);
            return status;
        }
    }
    return MPROXY_OK;
}

static mproxy_status parse_nodes(const json_t *array, const char *where, char ***nodes,
                                 size_t *count, mproxy_error *err)
{
    if (array && !json_is_array(array))
        return bad(err, where, "not an array");
    size_t size = json_array_size(array);
    *nodes = calloc(size + 1, sizeof **nodes);
    if (!*nodes)
        return no_memory(err);
    for (; *count < size; ++*count) {
        mproxy_status status = copy_string(json_array_get(array, *count), TEXT_MAX, where,
                                           &(*nodes)[*count], err);
        if (status != MPROXY_OK)
            return status;
    }
    return MPROXY_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_directory(const json_t *value, uint8_t out[16])
{
    if (!json_is_string(value) || json_string_length(value) != 32)
        return false;
    const char *text = json_string_value(value);
    for (size_t i = 0; i < 16; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(16 * high + low);
    }
    return true;
}

static mproxy_status parse_share(const json_t *object, struct mpx_profile_share *s,
                                 mproxy_error *err)
{
    if (!get_directory(json_object_get(object, "directory"), s->directory))
        return bad(err, "directory", "not 32 hex digits");
    if (!get_u64(json_object_get(object, "number"), &s->number) ||
        !get_u64(json_object_get(object, "epoch"), &s->epoch) ||
        !get_u64(json_object_get(object, "sequence"), &s->sequence) ||
        !get_ms(json_object_get(object, "start_ms"), &s->start_ms) ||
        !get_ms(json_object_get(object, "end_ms"), &s->end_ms) ||
        !json_is_boolean(json_object_get(object, "sealed")))
        return bad(err, "share", "a key is missing or of the wrong type");
    s->sealed = json_is_true(json_object_get(object, "sealed"));
    s->incomplete = json_is_true(json_object_get(object, "incomplete"));
    const json_t *command = json_object_get(object, "command");
    mproxy_status status =
        command ? copy_string(command, TEXT_MAX, "command", &s->command, err) : MPROXY_OK;
    if (status != MPROXY_OK)
        return status;
    return copy_string(json_object_get(object, "node"), TEXT_MAX, "node", &s->node, err);
}

static mproxy_status parse_shares(const json_t *array, mproxy_profile *p,
                                  mproxy_error *err)
{
    if (array && !json_is_array(array))
        return bad(err, "shares", "not an array");
    size_t count = json_array_size(array);
    p->shares = calloc(count + 1, sizeof *p->shares);
    if (!p->shares)
        return no_memory(err);
    while (p->share_count < count) {
        size_t i = p->share_count++;
        mproxy_status status = parse_share(json_array_get(array, i), &p->shares[i], err);
        if (status != MPROXY_OK)
            return status;
        if (i > 0 && mpx_profile_compare_shares(&p->shares[i - 1], &p->shares[i]) >= 0)
            return bad(err, "shares", "not in order of directory and number");
    }
    return MPROXY_OK;
}

static bool parse_counter_row(const json_t *row, struct mpx_profile_entry *e)
{
    size_t size = json_array_size(row);
    if (size != 3 && size != 9)
        return false;
    if (!get_number(json_array_get(row, 1), &e->value.total) ||
        !get_u64(json_array_get(row, 2), &e->value.ts_us))
        return false;
    return size == 3 || (get_u64(json_array_get(row, 3), &e->ranks.n) &&
                         get_number(json_array_get(row, 4), &e->ranks.sum) &&
                         get_number(json_array_get(row, 5), &e->ranks.min) &&
                         get_number(json_array_get(row, 6), &e->ranks.max) &&
                         get_u32(json_array_get(row, 7), &e->ranks.min_rank) &&
                         get_u32(json_array_get(row, 8), &e->ranks.max_rank));
}

static bool parse_gauge_row(const json_t *row, struct mpx_profile_entry *e)
{
    return json_array_size(row) == 5 &&
           get_number(json_array_get(row, 1), &e->value.total) &&
           get_number(json_array_get(row, 2), &e->value.min) &&
           get_number(json_array_get(row, 3), &e->value.max) &&
           get_number(json_array_get(row, 4), &e->value.hits) && e->value.hits >= 0;
}

static mproxy_status parse_row(const json_t *row, const mproxy_profile *p, uint64_t *next,
                               struct mpx_profile_entry *out, mproxy_error *err)
{
    uint64_t place;
    if (!get_u64(json_array_get(row, 0), &place) || place >= p->count || place < *next)
        return bad(err, "share_values", "a row names no counter, or not in order");
    struct mpx_profile_entry e = {.name = p->entries[place].name,
                                  .doc = p->entries[place].doc,
                                  .type = p->entries[place].type};
    if (e.type == MPROXY_GAUGE ? !parse_gauge_row(row, &e) : !parse_counter_row(row, &e))
        return bad(err, e.name, "a share's row is not of its form");
    *next = place + 1;
    return mpx_profile_copy_entry(&e, out) ? MPROXY_OK : no_memory(err);
}

static mproxy_status parse_rows(const json_t *array, const mproxy_profile *p,
                                struct mpx_profile_share *s, mproxy_error *err)
{
    if (!json_is_array(array))
        return bad(err, "share_values", "not one array per share");
    size_t count = json_array_size(array);
    uint64_t next = 0;
    s->entries = calloc(count + 1, sizeof *s->entries);
    if (!s->entries)
        return no_memory(err);
    for (; s->count < count; s->count++) {
        mproxy_status status = parse_row(json_array_get(array, s->count), p, &next,
                                         &s->entries[s->count], err);
        if (status != MPROXY_OK)
            return status;
    }
    return MPROXY_OK;
}

static mproxy_status parse_share_values(const json_t *array, mproxy_profile *p,
                                        mproxy_error *err)
{
    if (p->share_count > 0 && json_array_size(array) != p->share_count)
        return bad(err, "share_values", "not one array per share");
    for (size_t i = 0; i < p->share_count; i++) {
        mproxy_status status =
            parse_rows(json_array_get(array, i), p, &p->shares[i], err);
        if (status != MPROXY_OK)
            return status;
    }
    return MPROXY_OK;
}

static mproxy_status parse_head(const json_t *root, mproxy_profile *p, mproxy_error *err)
{
    const json_t *version = json_object_get(root, "version");
    const json_t *uid = json_object_get(root, "uid");
    double number;
    if (!json_is_object(root))
        return bad(err, "text", "not an object");
    if (version && (!get_whole(version, 1, MPX_PROFILE_VERSION, &number)))
        return bad(err, "version", "not one that is understood");
    if (uid && !get_u32(uid, &p->uid))
        return bad(err, "uid", "not a number of a user");
    mproxy_status status = parse_desc(json_object_get(root, "desc"), &p->desc, err);
    if (status == MPROXY_OK)
        status = parse_nodes(json_object_get(root, "partial"), "partial", &p->partial,
                             &p->partial_count, err);
    if (status == MPROXY_OK)
        status = parse_nodes(json_object_get(root, "unheard"), "unheard", &p->unheard,
                             &p->unheard_count, err);
    if (status == MPROXY_OK)
        status = parse_shares(json_object_get(root, "shares"), p, err);
    return status;
}

static mproxy_status read_json(const char *text, size_t length, json_t **out,
                               mproxy_error *err)
{
    json_error_t why;
    *out =
        json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
    if (*out)
        return MPROXY_OK;
    if (json_error_code(&why) == json_error_out_of_memory)
        return no_memory(err);
    return mpx_fail_at(err, MPROXY_E_CORRUPT, why.line, why.column, "profile: %s",
                       why.text);
}

static mproxy_status parse(const char *text, size_t length, bool head_only,
                           mproxy_profile **out, mproxy_error *err)
{
    json_t *root;
    mproxy_status status = read_json(text, length, &root, err);
    if (status != MPROXY_OK)
        return status;
    mproxy_profile *p = calloc(1, sizeof *p);
    status = p ? parse_head(root, p, err) : no_memory(err);
    if (status == MPROXY_OK && !head_only)
        status = parse_entries(json_object_get(root, "counters"), p, err);
    if (status == MPROXY_OK && !head_only)
        status = parse_share_values(json_object_get(root, "share_values"), p, err);
    json_decref(root);
    if (status != MPROXY_OK) {
        mproxy_profile_free(p);
        return status;
    }
    *out = p;
    return MPROXY_OK;
}

mproxy_status mproxy_profile_parse(const char *text, size_t length, mproxy_profile **out,
                                   mproxy_error *err)
{
    MPX_REQUIRE((text || length == 0) && out, err);
    if (length > MPX_PROFILE_BYTES_MAX)
        return mpx_fail(err, MPROXY_E_LIMIT, "profile: %zu bytes, at most %zu are read",
                        length, MPX_PROFILE_BYTES_MAX);
    if (mpx_profile_check_sum(text, length) < 0)
        return mpx_fail(err, MPROXY_E_CORRUPT, "profile: the checksum does not fit");
    return parse(text, length, false, out, err);
}

mproxy_status mpx_profile_parse_head(const char *text, size_t length,
                                     mproxy_profile **out, mproxy_error *err)
{
    const char *end = length > 0 ? memchr(text, '\n', length) : NULL;
    if (!end || end == text || end[-1] != ',' ||
        strncmp(text, "{\"version\":", strlen("{\"version\":")) != 0)
        return MPROXY_E_UNSUPPORTED;
    struct mpx_buf head = MPX_BUF_INIT;
    mpx_buf_add(&head, text, (size_t)(end - text) - 1);
    mpx_buf_add(&head, "}", 1);
    mproxy_status status =
        head.failed ? no_memory(err) : parse(head.data, head.size, true, out, err);
    mpx_buf_free(&head);
    return status;
}
