// Finished jobs, from the archive; on the server's threads.

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"
#include "exposition/json.h"
#include "exposition/sink.h"

// One profile of a list: its description, rendered, and what it is ordered by.
struct row {
    char *command;
    char *desc;
    size_t number; // as the archive orders them
};

struct list {
    struct row *rows;
    size_t count, room;
    bool failed;
};

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->rows[i].command);
        free(list->rows[i].desc);
    }
    free(list->rows);
}

static char *render_desc(const mproxy_archive_item *item)
{
    struct mpx_buf text = MPX_BUF_INIT;
    struct mpx_sink s;
    if (mpx_sink_init(&s, mpx_write_to_buf, &text) != MPROXY_OK)
        return NULL;
    mproxy_job desc = *item->desc;
    union {
        const char *from;
        char *to;
    } key = {.from = item->key};
    desc.jobid = key.to; // under which it can be asked for
    mpx_json_desc(&s, &desc);
    char *whole = mpx_sink_fini(&s) == MPROXY_OK ? mpx_buf_take(&text) : NULL;
    mpx_buf_free(&text);
    return whole;
}

static char *trimmed(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    return strndup(text, length);
}

static void add_row(void *arg, const mproxy_archive_item *item)
{
    struct list *list = arg;
    if (!MPX_RESERVE(list->rows, list->room, list->count + 1)) {
        list->failed = true;
        return;
    }
    struct row *row = &list->rows[list->count++];
    *row = (struct row){.command = trimmed(item->desc->command),
                        .desc = render_desc(item),
                        .number = list->count};
    list->failed |= !row->command || !row->desc;
}

static void read_list(struct mproxy_daemon *d, struct list *list)
{
    mproxy_archive *archive = mpx_daemon_archive_of(d);
    *list = (struct list){.count = 0};
    if (archive)
        mproxy_archive_each(archive, add_row, list);
}

// Takes the list and the body.
static void reply_list(struct mpx_request *rq, struct list *list, struct mpx_buf *body)
{
    if (!list->failed && !body->failed) {
        mpx_reply_buf(rq, 200, MPX_TYPE_JSON, body);
    } else {
        mpx_buf_free(body);
        mpx_reply_refuse(rq, 503, "no memory to answer");
    }
    free_list(list);
}

void mpx_route_profiles(struct mpx_request *rq, void *context)
{
    struct list list;
    struct mpx_buf body = MPX_BUF_INIT;
    read_list(context, &list);
    mpx_buf_add_text(&body, "[");
    for (size_t i = 0; !list.failed && i < list.count; i++)
        mpx_buf_addf(&body, "%s%s", i ? "," : "", list.rows[i].desc);
    mpx_buf_add_text(&body, "]");
    reply_list(rq, &list, &body);
}

static int by_command(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = strcmp(x->command, y->command);
    return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

void mpx_route_percmd(struct mpx_request *rq, void *context)
{
    struct list list;
    struct mpx_buf body = MPX_BUF_INIT;
    read_list(context, &list);
    if (!list.failed && list.count > 0)
        qsort(list.rows, list.count, sizeof *list.rows, by_command);
    mpx_buf_add_text(&body, "{");
    for (size_t i = 0; !list.failed && i < list.count; i++) {
        const struct row *row = &list.rows[i];
        bool goes_on = i > 0 && strcmp(row->command, row[-1].command) == 0;
        if (!goes_on) {
            mpx_buf_add_text(&body, i ? "]," : "");
            mpx_json_string(&body, row->command);
        }
        mpx_buf_addf(&body, "%s%s", goes_on ? "," : ":[", row->desc);
    }
    mpx_buf_add_text(&body, list.count ? "]}" : "}");
    reply_list(rq, &list, &body);
}

static mproxy_status load(struct mproxy_daemon *d, const char *jobid,
                          mproxy_profile **out, mproxy_error *err)
{
    mproxy_archive *archive = mpx_daemon_archive_of(d);
    if (archive)
        return mproxy_archive_load(archive, jobid, out, err);
    return MPROXY_E_NOTFOUND;
}

static void refuse_profile(struct mpx_request *rq, const char *jobid,
                           mproxy_status status, const mproxy_error *err)
{
    if (status == MPROXY_E_NOTFOUND || status == MPROXY_E_INVALID)
        mpx_reply_refuse(rq, 404,
                         "parameter 'jobid': no profile '%.200s' is stored: /profiles "
                         "has those that are",
                         jobid);
    else if (status == MPROXY_E_CORRUPT)
        mpx_reply_refuse(rq, 404, "parameter 'jobid': profile '%.200s' is damaged: %s",
                         jobid, err->text);
    else
        mpx_reply_refuse(rq, 503, "profile '%.200s' can't be read: %s", jobid, err->text);
}

static void refuse_no_id(struct mpx_request *rq)
{
    mpx_reply_refuse(rq, 400, "parameter 'jobid': the id of a finished job was expected");
}

static mproxy_status render_profile(void *profile, mproxy_write_fn write, void *write_arg)
{
    return mproxy_profile_render(profile, write, write_arg);
}

static void free_profile(void *profile)
{
    mproxy_profile_free(profile);
}

void mpx_route_profile(struct mpx_request *rq, void *context)
{
    const char *jobid = mpx_request_param(rq, "jobid");
    mproxy_profile *profile;
    mproxy_error err;
    if (!jobid) {
        mpx_reply_refuse(rq, 400,
                         "parameter 'jobid': the id of a finished job was "
                         "expected");
        return;
    }
    mproxy_status status = load(context, jobid, &profile, &err);
    if (status == MPROXY_OK)
        mpx_reply_stream(rq, MPX_TYPE_JSON, render_profile, free_profile, profile);
    else
        refuse_profile(rq, jobid, status, &err);
}

// Extra-P: all runs of one command, as lines of JSON.

struct runs {
    mproxy_archive *archive;
    char *command;
    char **keys;
    size_t count, room;
    bool failed;
};

static void free_runs(void *arg)
{
    struct runs *runs = arg;
    for (size_t i = 0; i < runs->count; i++)
        free(runs->keys[i]);
    free(runs->keys);
    free(runs->command);
    free(runs);
}

static void add_run(void *arg, const mproxy_archive_item *item)
{
    struct runs *runs = arg;
    char *command = trimmed(item->desc->command);
    bool same = command && strcmp(command, runs->command) == 0;
    runs->failed |= !command;
    free(command);
    if (!same)
        return;
    if (!MPX_RESERVE(runs->keys, runs->room, runs->count + 1)) {
        runs->failed = true;
        return;
    }
    char *key = strdup(item->key);
    if (key)
        runs->keys[runs->count++] = key;
    runs->failed |= !key;
}

static void write_point(struct mpx_sink *s, uint64_t size,
                        const mproxy_profile_entry *entry)
{
    const mproxy_value *v = &entry->value;
    double value = entry->type == MPROXY_COUNTER ? v->total : v->total / v->hits;
    if (!isfinite(value))
        return;
    mpx_sink_text(s, "{\"params\":{\"size\":");
    mpx_json_u64(s, size);
    mpx_sink_text(s, "},\"metric\":");
    mpx_json_text(s, entry->name);
    mpx_sink_text(s, ",\"value\":");
    mpx_json_number(s, value);
    mpx_sink_text(s, "}\n");
}

// A run that has gone since it was listed, or is damaged, is left out.
static mproxy_status render_runs(void *arg, mproxy_write_fn write, void *write_arg)
{
    const struct runs *runs = arg;
    struct mpx_sink s;
    mproxy_status status = mpx_sink_init(&s, write, write_arg);
    if (status != MPROXY_OK)
        return status;
    for (size_t i = 0; i < runs->count; i++) {
        mproxy_profile *profile;
        if (mproxy_archive_load(runs->archive, runs->keys[i], &profile, NULL) !=
            MPROXY_OK)
            continue;
        for (size_t k = 0; k < profile->count; k++)
            write_point(&s, profile->desc.size, &profile->entries[k]);
        mproxy_profile_free(profile);
    }
    return mpx_sink_fini(&s);
}

void mpx_route_extrap(struct mpx_request *rq, void *context)
{
    struct mproxy_daemon *d = context;
    const char *jobid = mpx_request_param(rq, "jobid");
    mproxy_profile *profile;
    mproxy_error err;
    if (!jobid) {
        refuse_no_id(rq);
        return;
    }
    mproxy_status status = load(d, jobid, &profile, &err);
    if (status != MPROXY_OK) {
        refuse_profile(rq, jobid, status, &err);
        return;
    }
    struct runs *runs = calloc(1, sizeof *runs);
    if (runs) {
        runs->archive = mpx_daemon_archive_of(d);
        runs->command = trimmed(profile->desc.command);
        runs->failed = !runs->command;
        if (runs->command)
            mproxy_archive_each(runs->archive, add_run, runs);
    }
    mproxy_profile_free(profile);
    if (runs && !runs->failed) {
        mpx_reply_stream(rq, "application/x-ndjson", render_runs, free_runs, runs);
        return;
    }
    if (runs)
        free_runs(runs);
    mpx_reply_refuse(rq, 503, "no memory to answer");
}
