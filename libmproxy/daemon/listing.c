// The lists of finished jobs.
//
// Stored profiles come from the archive's index, each description rendered right while the
// archive lends the item; runs that are over and not stored yet come from copies that the loop
// made. A stored profile that such a run replaces is left out, and one whose name a newer run
// will take goes by its time already: both are looked up in an index, for there may be many of
// either.
//
// A description is rendered under the key by which the profile can be asked for. What fails
// for want of memory refuses the list as a whole: a list that lacks some profiles would look
// like a complete one.

#include "daemon/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/index.h"
#include "exposition/json.h"

struct run {
    char *key;
    mproxy_job desc;
};

struct mpx_listing {
    bool by_command;
    struct run *runs;
    size_t run_count;
    char **replaced; // keys of stored profiles
    size_t replaced_count;
    struct mpx_index run_index, replaced_index; // by key
    // of rendering
    struct mpx_json j;
    size_t shown;  // of the runs
    char *command; // of the last row; by_command only
    bool failed;
};

// ---- commands

// As mproxy_archive_each_by_command() has them in order.
static int compare_commands(const mproxy_job *a, const mproxy_job *b)
{
    size_t a_length, b_length;
    const char *x = mproxy_command_trim(a->command, &a_length);
    const char *y = mproxy_command_trim(b->command, &b_length);
    int order = memcmp(x, y, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_command(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    int order = compare_commands(&x->desc, &y->desc);
    return order ? order : strcmp(x->key, y->key);
}

// ---- what is copied

static bool copy_run(struct mpx_listing *list, const struct mpx_provisional *from)
{
    struct run *run = &list->runs[list->run_count++];
    run->key = strdup(from->key);
    if (!run->key || mproxy_job_copy(&from->desc, &run->desc) != MPROXY_OK)
        return false;
    for (size_t i = 0; i < from->replaced_count; i++) {
        char *key = list->replaced[list->replaced_count] = strdup(from->replaced[i]);
        if (!key)
            return false;
        mpx_index_put(&list->replaced_index, mpx_hash_text(key),
                      (uint32_t)list->replaced_count++);
    }
    return true;
}

static bool copy_runs(struct mpx_listing *list, const struct mpx_provisional *runs,
                      size_t count)
{
    size_t replaced = 0;
    for (size_t i = 0; i < count; i++)
        replaced += runs[i].replaced_count;
    list->runs = calloc(count + 1, sizeof *list->runs);
    list->replaced = calloc(replaced + 1, sizeof *list->replaced);
    bool ok = list->runs && list->replaced &&
              mpx_index_reserve(&list->run_index, (uint32_t)count) &&
              mpx_index_reserve(&list->replaced_index, (uint32_t)replaced);
    for (size_t i = 0; i < count && ok; i++)
        ok = copy_run(list, &runs[i]);
    if (ok && list->by_command)
        qsort(list->runs, count, sizeof *list->runs, by_command);
    for (size_t i = 0; i < count && ok; i++)
        mpx_index_put(&list->run_index, mpx_hash_text(list->runs[i].key), (uint32_t)i);
    return ok;
}

struct mpx_listing *mpx_listing_new(const struct mpx_provisional *runs, size_t count,
                                    bool by_command)
{
    struct mpx_listing *list = calloc(1, sizeof *list);
    if (!list)
        return NULL;
    list->by_command = by_command;
    if (copy_runs(list, runs, count))
        return list;
    mpx_listing_free(list);
    return NULL;
}

void mpx_listing_free(struct mpx_listing *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->run_count; i++) {
        free(list->runs[i].key);
        mproxy_job_clear(&list->runs[i].desc);
    }
    for (size_t i = 0; i < list->replaced_count; i++)
        free(list->replaced[i]);
    mpx_index_fini(&list->run_index);
    mpx_index_fini(&list->replaced_index);
    free(list->runs);
    free(list->replaced);
    free(list->command);
    free(list);
}

static bool has_run(const struct mpx_listing *list, const char *key)
{
    uint32_t hash = mpx_hash_text(key), at = mpx_index_start(&list->run_index, hash), p;
    while (mpx_index_next(&list->run_index, hash, &at, &p))
        if (strcmp(list->runs[p].key, key) == 0)
            return true;
    return false;
}

static bool is_replaced(const struct mpx_listing *list, const char *key)
{
    uint32_t hash = mpx_hash_text(key), p;
    uint32_t at = mpx_index_start(&list->replaced_index, hash);
    while (mpx_index_next(&list->replaced_index, hash, &at, &p))
        if (strcmp(list->replaced[p], key) == 0)
            return true;
    return false;
}

// ---- rendering

static void put_desc(struct mpx_listing *list, const mproxy_job *job, const char *key,
                     bool is_provisional)
{
    union {
        const char *from;
        char *to;
    } jobid = {.from = key};
    mproxy_job desc = *job;
    desc.jobid = jobid.to; // under which it can be asked for
    mpx_json_begin(&list->j, '{');
    mpx_json_desc_members(&list->j, &desc);
    if (is_provisional)
        mpx_json_member_bool(&list->j, "provisional", true);
    mpx_json_end(&list->j, '}');
}

static void end_command(struct mpx_listing *list)
{
    if (list->command)
        mpx_json_end(&list->j, ']');
    free(list->command);
    list->command = NULL;
}

// Begin a list of its own for a command other than the row before had.
static void begin_command(struct mpx_listing *list, const mproxy_job *job)
{
    size_t length;
    const char *text = mproxy_command_trim(job->command, &length);
    if (list->command && strlen(list->command) == length &&
        memcmp(list->command, text, length) == 0)
        return;
    end_command(list);
    list->command = strndup(text, length);
    list->failed |= !list->command;
    if (list->failed)
        return;
    mpx_json_key(&list->j, list->command);
    mpx_json_begin(&list->j, '[');
}

static void put_row(struct mpx_listing *list, const mproxy_job *job, const char *key,
                    bool is_provisional)
{
    if (list->by_command)
        begin_command(list, job);
    put_desc(list, job, key, is_provisional);
}

// The runs whose commands come before that of a job; NULL: all that are left.
static void add_runs_before(struct mpx_listing *list, const mproxy_job *job)
{
    for (; list->shown < list->run_count; list->shown++) {
        const struct run *run = &list->runs[list->shown];
        if (job && compare_commands(&run->desc, job) >= 0)
            return;
        put_row(list, &run->desc, run->key, true);
    }
}

static void add_stored(void *arg, const mproxy_archive_item *item)
{
    struct mpx_listing *list = arg;
    char older[MPROXY_JOB_ID_MAX + 32];
    const char *key = item->key;
    if (is_replaced(list, key))
        return;
    if (has_run(list, key)) {
        snprintf(older, sizeof older, "%s@%" PRId64, key, item->desc->start_time);
        key = older;
    }
    if (list->by_command)
        add_runs_before(list, item->desc);
    put_row(list, item->desc, key, false);
}

bool mpx_listing_render(struct mpx_listing *list, mproxy_archive *archive,
                        struct mpx_buf *body)
{
    list->j = (struct mpx_json){.out = body};
    mpx_json_begin(&list->j, list->by_command ? '{' : '[');
    if (archive && list->by_command)
        list->failed |=
            mproxy_archive_each_by_command(archive, add_stored, list, NULL) != MPROXY_OK;
    else if (archive)
        mproxy_archive_each(archive, add_stored, list);
    add_runs_before(list, NULL);
    end_command(list);
    mpx_json_end(&list->j, list->by_command ? '}' : ']');
    return !list->failed && !body->failed;
}
