// What the runs of one command have in common: lists by command, and lines for Extra-P, which
// fits models of how a metric grows with the number of ranks.
//
// A command counts without white space around it: job scripts differ in that, users do not
// mean it.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "exposition/json.h"
#include "exposition/sink.h"
#include "profile/archive_private.h"

const char *mproxy_command_trim(const char *command, size_t *length)
{
    while (isspace((unsigned char)*command))
        command++;
    size_t end = strlen(command);
    while (end > 0 && isspace((unsigned char)command[end - 1]))
        end--;
    *length = end;
    return command;
}

static int compare_commands(const mproxy_archive_item *a, const mproxy_archive_item *b)
{
    size_t a_length, b_length;
    const char *x = mproxy_command_trim(a->desc->command, &a_length);
    const char *y = mproxy_command_trim(b->desc->command, &b_length);
    int order = memcmp(x, y, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

// By command, then by key.
static int by_command(const void *a, const void *b)
{
    const struct mpx_archive_entry *x = *(struct mpx_archive_entry *const *)a;
    const struct mpx_archive_entry *y = *(struct mpx_archive_entry *const *)b;
    int order = compare_commands(&x->item, &y->item);
    return order ? order : strcmp(x->key, y->key);
}

mproxy_status
mproxy_archive_each_by_command(mproxy_archive *archive,
                               void (*visit)(void *arg, const mproxy_archive_item *item),
                               void *arg, mproxy_error *err)
{
    MPX_REQUIRE(archive && visit, err);
    struct mpx_archive_index *index = mpx_archive_take_index(archive);
    struct mpx_archive_entry **order = malloc((index->count + 1) * sizeof *order);
    if (!order) {
        mpx_archive_index_unref(index);
        return mpx_fail(err, MPROXY_E_NOMEM, "profiles: no memory to list them");
    }
    memcpy(order, index->entries, index->count * sizeof *order);
    qsort(order, index->count, sizeof *order, by_command);
    for (size_t i = 0; i < index->count; i++)
        visit(arg, &order[i]->item);
    free(order);
    mpx_archive_index_unref(index);
    return MPROXY_OK;
}

// Of A___B___C the metric is B, at the place A->B->C in the program; other names are a metric
// as they are.
static void put_name(struct mpx_json *j, const char *name)
{
    const char *first = strstr(name, "___");
    const char *second = first ? strstr(first + 3, "___") : NULL;
    if (!second) {
        mpx_json_member(j, "metric", name);
        return;
    }
    struct mpx_buf path = MPX_BUF_INIT, metric = MPX_BUF_INIT;
    mpx_buf_add(&metric, first + 3, (size_t)(second - first - 3));
    mpx_buf_add(&path, name, (size_t)(first - name));
    mpx_buf_add_text(&path, "->");
    mpx_buf_add(&path, metric.data, metric.size);
    mpx_buf_add_text(&path, "->");
    mpx_buf_add_text(&path, second + 3);
    const char *path_text = mpx_buf_text(&path), *metric_text = mpx_buf_text(&metric);
    if (path_text && metric_text) {
        mpx_json_member(j, "callpath", path_text);
        mpx_json_member(j, "metric", metric_text);
    }
    j->out->failed |= !path_text || !metric_text;
    mpx_buf_free(&path);
    mpx_buf_free(&metric);
}

// A line of its own.
static void put_point(struct mpx_buf *out, uint64_t size,
                      const struct mpx_profile_entry *entry)
{
    const mproxy_value *v = &entry->value;
    double value = entry->type == MPROXY_COUNTER ? v->total : v->total / v->hits;
    if (!isfinite(value))
        return;
    struct mpx_json j = {.out = out};
    mpx_json_begin(&j, '{');
    mpx_json_key(&j, "params");
    mpx_json_begin(&j, '{');
    mpx_json_member_u64(&j, "size", size);
    mpx_json_end(&j, '}');
    put_name(&j, entry->name);
    mpx_json_member_number(&j, "value", value);
    mpx_json_end(&j, '}');
    mpx_buf_add(out, "\n", 1);
}

mproxy_status mproxy_profile_render_extrap(const mproxy_profile *profile,
                                           mproxy_write_fn write, void *arg)
{
    MPX_REQUIRE(profile && write, NULL);
    struct mpx_sink s;
    mproxy_status status = mpx_sink_init(&s, write, arg);
    if (status != MPROXY_OK)
        return status;
    for (size_t i = 0; i < profile->count && !s.status; i++)
        put_point(&s.out, profile->desc.size, &profile->entries[i]);
    return mpx_sink_fini(&s);
}

mproxy_status mproxy_archive_render_extrap(mproxy_archive *archive, const char *key,
                                           mproxy_write_fn write, void *arg,
                                           mproxy_error *err)
{
    MPX_REQUIRE(archive && key && write, err);
    struct mpx_archive_index *index = mpx_archive_take_index(archive);
    const struct mpx_archive_entry *of = mpx_archive_index_find(index, key);
    mproxy_status status =
        of ? MPROXY_OK : mpx_fail(err, MPROXY_E_NOTFOUND, "profile '%s': not found", key);
    for (size_t i = 0; i < index->count && status == MPROXY_OK; i++) {
        const struct mpx_archive_entry *e = index->entries[i];
        mproxy_profile *profile;
        if (compare_commands(&e->item, &of->item) != 0 ||
            mproxy_archive_load(archive, e->key, &profile, NULL) != MPROXY_OK)
            continue;
        status = mproxy_profile_render_extrap(profile, write, arg);
        mproxy_profile_free(profile);
        if (status != MPROXY_OK)
            mpx_fail(err, status, "profile '%s': can't be written", e->key);
    }
    mpx_archive_index_unref(index);
    return status;
}
