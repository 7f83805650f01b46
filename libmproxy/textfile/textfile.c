// Text files on the loop's side: what is held of each, and what of that is shown.
//
// A round starts a look at the directory, unless the last one is still under way, and shows
// what the last one found. So a round never waits for a file server, and a file is shown a
// period later at most.
//
// All files are one source. It is told anew when a file was read, refused or has gone, which is
// all that a round costs then; else nothing is told. Of a metric that two files have, the
// file whose name comes later is refused, as all of node_exporter's page is.
//
// A file's word counts as it is: a counter that is lower than before shows lower.

#include <mproxy/textfile.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "base/index.h"
#include "base/log.h"
#include "base/options.h"
#include "ingest/ingest.h"
#include "metric/escape.h"
#include "store/exempt.h"
#include "textfile/scan.h"

enum {
    BYTES_MAX = 16 << 20,
    SERIES_MAX = 100000,
    CLOSE_MS = 500,
    LATE_MS = 10000 // a directory that does not answer for so long is told of
};

// The number of the source: above targets that are scraped and groups that are pushed.
#define NUMBER (UINT64_MAX - 1)

enum own { ERROR, MTIME, REFUSED, OWN };

static const struct {
    const char *name, *doc;
} own_metrics[OWN] = {
#define MPX_TEXTFILE(id, name, type, labels, doc) [id] = {name, doc},
#include "tables/textfile.def"
#undef MPX_TEXTFILE
};

struct file {
    char *name;
    struct mpx_file_id id;
    bool is_young;
    struct mpx_ingest *ingest;
    const mproxy_metric **metrics; // the ingest's, as long as it has the series
    double *values;
    size_t count, metric_room, value_room, refused;
    const mproxy_metric *mtime, *refusals; // referred to
    char why[256];                         // "": it is taken
    bool is_twice;                         // another file has one of its metrics
    bool is_met;                           // scratch: it was found by a look
};

struct mproxy_textfiles {
    mproxy_textfiles_options o;
    char *path, *host;
    struct mpx_logger logger;
    mproxy_helper *helper;
    bool is_looking, is_late;
    struct file *files; // rising by name
    size_t count, room;
    char why[256]; // "": the directory is read
    const mproxy_metric *error;
    bool is_changed;
    uint64_t sequence;
    const mproxy_metric **metrics; // what is shown
    mproxy_value *values;
    size_t metric_room, value_room;
    mproxy_input input;
};

// ---- files

static mproxy_status intern(const struct mproxy_textfiles *t, enum own own,
                            const char *file, const mproxy_metric **out)
{
    struct mpx_buf name = MPX_BUF_INIT;
    mpx_buf_add_text(&name, own_metrics[own].name);
    if (file) {
        mpx_buf_add_text(&name, "{file=\"");
        mpx_escape_label(&name, t->path, strlen(t->path));
        mpx_buf_add_text(&name, "/");
        mpx_escape_label(&name, file, strlen(file));
        mpx_buf_add_text(&name, "\"}");
    }
    const char *text = mpx_buf_text(&name);
    mproxy_status status = text ? mpx_store_metric_exempt(t->o.store, text, MPROXY_GAUGE,
                                                          own_metrics[own].doc, out, NULL)
                                : MPROXY_E_NOMEM;
    if (status == MPROXY_OK)
        (void)mproxy_metric_ref(*out);
    mpx_buf_free(&name);
    return status;
}

// What it has shown is given back.
static void empty(struct file *f)
{
    mpx_ingest_close(f->ingest);
    f->ingest = NULL;
    f->count = f->refused = 0;
}

static void free_file(struct file *f)
{
    empty(f);
    mproxy_metric_unref(f->mtime);
    mproxy_metric_unref(f->refusals);
    free(f->metrics);
    free(f->values);
    free(f->name);
}

static void say(const struct mproxy_textfiles *t, const char *name, char why[256],
                const char *now)
{
    if (strcmp(why, now) == 0)
        return;
    snprintf(why, 256, "%s", now);
    if (now[0])
        mpx_say(&t->logger, MPROXY_LOG_WARNING, "textfiles: %s%s%s: %s", t->path,
                name ? "/" : "", name ? name : "", now);
    else
        mpx_say(&t->logger, MPROXY_LOG_INFO, "textfiles: %s%s%s is read again", t->path,
                name ? "/" : "", name ? name : "");
}

static struct file *join(struct mproxy_textfiles *t, const char *name)
{
    size_t at = 0;
    while (at < t->count && strcmp(t->files[at].name, name) < 0)
        at++;
    if (at < t->count && strcmp(t->files[at].name, name) == 0)
        return &t->files[at];
    struct file f = {.name = strdup(name)};
    bool ok = f.name && MPX_RESERVE(t->files, t->room, t->count + 1);
    if (ok && intern(t, MTIME, name, &f.mtime) != MPROXY_OK)
        say(t, name, f.why, "its name is none that can be shown");
    if (ok && f.mtime)
        ok = intern(t, REFUSED, name, &f.refusals) == MPROXY_OK;
    if (!ok) {
        free_file(&f);
        return NULL;
    }
    memmove(t->files + at + 1, t->files + at, (t->count - at) * sizeof *t->files);
    t->files[at] = f;
    t->count++;
    return &t->files[at];
}

// ---- a file that was read

static mproxy_status take_page(struct file *f, mproxy_error *err)
{
    struct mpx_ingest_page page;
    struct mpx_ingest_stats stats;
    mproxy_status status = mpx_ingest_apply(f->ingest, &page, err);
    if (status == MPROXY_OK &&
        (!MPX_RESERVE(f->metrics, f->metric_room, page.count + 1) ||
         !MPX_RESERVE(f->values, f->value_room, page.count + 1)))
        status = mpx_fail(err, MPROXY_E_NOMEM, "no memory to take it");
    if (status != MPROXY_OK)
        return status;
    f->count = page.count;
    for (size_t i = 0; i < page.count; i++) {
        f->metrics[i] = mpx_ingest_metric(f->ingest, page.series[i]);
        f->values[i] = page.values[i];
    }
    for (size_t i = 0; i < page.gone_count; i++)
        mpx_ingest_forget(f->ingest, page.gone[i]);
    mpx_ingest_get_stats(f->ingest, &stats);
    f->refused = stats.refused;
    return MPROXY_OK;
}

static mproxy_status parse(const struct mproxy_textfiles *t, struct file *f,
                           const struct mpx_buf *text, mproxy_error *err)
{
    const struct mpx_ingest_options options = {.store = t->o.store,
                                               .max_series = t->o.max_series};
    mproxy_error why;
    mproxy_status status =
        f->ingest ? MPROXY_OK : mpx_ingest_open(&options, &f->ingest, err);
    if (status != MPROXY_OK)
        return status;
    status = mpx_ingest_parse(f->ingest, text->data ? text->data : "", text->size,
                              MPROXY_FORMAT_PROMETHEUS, &why);
    if (status != MPROXY_OK && why.line > 0)
        return mpx_fail(err, status, "line %d, column %d: %s", why.line, why.column,
                        why.text);
    if (status != MPROXY_OK)
        return mpx_fail(err, status, "%s", why.text);
    if (mpx_ingest_has_times(f->ingest))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "a sample has a time: none was expected, for it is that of the "
                        "file");
    return take_page(f, err);
}

static const char *refusal(const struct mpx_ingest *in)
{
    for (int reason = 0; reason < MPX_INGEST_VALUE; reason++)
        if (mpx_ingest_example(in, (enum mpx_ingest_reason)reason)[0])
            return mpx_ingest_example(in, (enum mpx_ingest_reason)reason);
    return "";
}

static void take_file(struct mproxy_textfiles *t, struct file *f,
                      const struct mpx_seen *seen)
{
    mproxy_error why = seen->why;
    size_t refused = f->refused;
    mproxy_status status = why.status;
    if (status == MPROXY_OK && !f->mtime)
        return;
    if (status == MPROXY_OK && !seen->is_fresh)
        return;
    t->is_changed = true;
    f->id = seen->id;
    f->is_young = seen->is_young;
    if (status == MPROXY_OK)
        status = parse(t, f, &seen->text, &why);
    if (status != MPROXY_OK)
        empty(f);
    say(t, f->name, f->why, status == MPROXY_OK ? "" : why.text);
    if (f->refused != refused && f->refused > 0)
        mpx_say(&t->logger, MPROXY_LOG_WARNING,
                "textfiles: %s/%s: %zu series are refused, one of them: %s", t->path,
                f->name, f->refused, refusal(f->ingest));
}

static void forget_unmet(struct mproxy_textfiles *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (t->files[i].is_met) {
            t->files[kept++] = t->files[i];
            continue;
        }
        free_file(&t->files[i]);
        t->is_changed = true;
    }
    t->count = kept;
}

static void take_scan(struct mproxy_textfiles *t, const struct mpx_scan *scan)
{
    bool is_read = scan->why.status == MPROXY_OK;
    t->is_changed |= is_read != (t->why[0] == '\0');
    say(t, NULL, t->why, is_read ? "" : scan->why.text);
    if (!is_read)
        return; // what was there before stays
    for (size_t i = 0; i < t->count; i++)
        t->files[i].is_met = false;
    for (size_t i = 0; i < scan->count; i++) {
        struct file *f = join(t, scan->seen[i].name);
        if (!f)
            return; // without memory all is looked at again
        f->is_met = true;
        take_file(t, f, &scan->seen[i]);
    }
    forget_unmet(t);
}

// ---- rounds

struct look {
    struct mproxy_textfiles *t;
    struct mpx_scan *scan;
};

static void run_look(void *arg)
{
    mpx_scan_run(((struct look *)arg)->scan);
}

static void end_look(void *arg, int has_run)
{
    struct look *look = arg;
    look->t->is_looking = look->t->is_late = false;
    if (has_run)
        take_scan(look->t, look->scan);
    mpx_scan_free(look->scan);
    free(look);
}

static struct look *new_look(struct mproxy_textfiles *t)
{
    struct look *look = calloc(1, sizeof *look);
    if (!look || !(look->scan = mpx_scan_new(t->path, t->o.max_bytes))) {
        free(look);
        return NULL;
    }
    look->t = t;
    bool ok = true;
    for (size_t i = 0; i < t->count && ok; i++)
        if (!t->files[i].is_young)
            ok = mpx_scan_know(look->scan, t->count, t->files[i].name, &t->files[i].id);
    if (ok)
        return look;
    mpx_scan_free(look->scan);
    free(look);
    return NULL;
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    struct mproxy_textfiles *t = self;
    (void)round;
    if (t->is_looking) {
        if (!t->is_late && mproxy_helper_busy_ms(t->helper) > LATE_MS) {
            t->is_late = t->is_changed = true;
            say(t, NULL, t->why, "the file system does not answer");
        }
        return MPROXY_OK;
    }
    struct look *look = new_look(t);
    mproxy_status status =
        look ? mproxy_helper_put(t->helper, run_look, end_look, look) : MPROXY_E_NOMEM;
    t->is_looking = status == MPROXY_OK;
    if (status == MPROXY_OK)
        return MPROXY_OK;
    if (look)
        mpx_scan_free(look->scan);
    free(look);
    return mpx_fail(err, status, "no memory to look at %s", t->path);
}

static void put(struct mproxy_textfiles *t, size_t *at, const mproxy_metric *metric,
                double value, uint64_t us)
{
    t->metrics[*at] = metric;
    t->values[(*at)++] = mproxy_metric_type(metric) == MPROXY_COUNTER
                             ? mproxy_value_counter(value, us)
                             : mproxy_value_gauge(value, us);
}

// Whether the file has a metric that is shown already; else its metrics are added to `index`.
static const mproxy_metric *find_twice(struct mproxy_textfiles *t, struct file *f,
                                       struct mpx_index *index, size_t at)
{
    for (size_t i = 0; i < f->count; i++) {
        uint32_t hash = mpx_hash_u64((uintptr_t)f->metrics[i]);
        for (uint32_t place, from = mpx_index_start(index, hash);
             mpx_index_next(index, hash, &from, &place);)
            if (t->metrics[place] == f->metrics[i])
                return f->metrics[i];
    }
    for (size_t i = 0; i < f->count; i++)
        mpx_index_put(index, mpx_hash_u64((uintptr_t)f->metrics[i]), (uint32_t)(at + i));
    return NULL;
}

static void fill_file(struct mproxy_textfiles *t, struct file *f, struct mpx_index *index,
                      size_t *at)
{
    uint64_t us = (uint64_t)(f->id.mtime_ns / 1000);
    const mproxy_metric *twice = find_twice(t, f, index, *at);
    if (twice && !f->is_twice)
        mpx_say(&t->logger, MPROXY_LOG_WARNING,
                "textfiles: %s/%s: metric '%.150s' is in another file already", t->path,
                f->name, mproxy_metric_name(twice));
    f->is_twice = twice != NULL;
    if (twice)
        return;
    for (size_t i = 0; i < f->count; i++)
        put(t, at, f->metrics[i], f->values[i], us);
    put(t, at, f->mtime, (double)f->id.mtime_ns / 1e9, us);
    put(t, at, f->refusals, (double)f->refused, us);
}

static size_t fill(struct mproxy_textfiles *t, struct mpx_index *index, uint64_t now_us)
{
    size_t at = 0;
    bool has_error = t->why[0] != '\0';
    for (size_t i = 0; i < t->count; i++) {
        if (t->files[i].ingest && t->files[i].mtime)
            fill_file(t, &t->files[i], index, &at);
        has_error |= t->files[i].why[0] != '\0' || t->files[i].is_twice;
    }
    put(t, &at, t->error, has_error, now_us);
    return at;
}

static mproxy_status tell(struct mproxy_textfiles *t, const mproxy_round *round,
                          size_t count, mproxy_error *err)
{
    mproxy_source source = {.struct_size = sizeof source,
                            .kind = MPROXY_SOURCE_TARGET,
                            .number = NUMBER,
                            .epoch = 1,
                            .sequence = t->sequence + 1,
                            .host = t->host,
                            .count = count,
                            .metrics = t->metrics,
                            .values = t->values};
    if (round->ledger) {
        memcpy(source.directory, mproxy_ledger_directory(round->ledger),
               sizeof source.directory);
        source.epoch = mproxy_ledger_epoch(round->ledger);
    }
    mproxy_status status = mproxy_reduction_put(round->reduction, &source, err);
    t->sequence += status == MPROXY_OK;
    t->is_changed = status != MPROXY_OK;
    return status;
}

static mproxy_status show(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_textfiles *t = self;
    struct mpx_index index = {.room = 0};
    size_t most = 1;
    if (!t->is_changed)
        return MPROXY_OK;
    for (size_t i = 0; i < t->count; i++)
        most += t->files[i].count + 2;
    mproxy_status status = MPROXY_E_NOMEM;
    if (MPX_RESERVE(t->metrics, t->metric_room, most) &&
        MPX_RESERVE(t->values, t->value_room, most) &&
        mpx_index_reserve(&index, (uint32_t)most))
        status = tell(t, round, fill(t, &index, round->wall_us), err);
    else
        mpx_fail(err, status, "no memory to show text files");
    mpx_index_fini(&index);
    return status;
}

const mproxy_input *mproxy_textfiles_input(const mproxy_textfiles *files)
{
    return &files->input;
}

// ---- life

static mproxy_status take_options(struct mproxy_textfiles *t,
                                  const mproxy_textfiles_options *options,
                                  mproxy_error *err)
{
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_textfiles_options, log_arg, &t->o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(t->o.store && t->o.loop && t->o.path, err);
    t->o.max_bytes = t->o.max_bytes ? t->o.max_bytes : BYTES_MAX;
    t->o.max_series = t->o.max_series ? t->o.max_series : SERIES_MAX;
    t->logger = (struct mpx_logger){t->o.log, t->o.log_arg};
    t->path = strdup(t->o.path);
    t->host = strdup(t->o.host ? t->o.host : "");
    if (!t->path || !t->host)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for text files");
    return MPROXY_OK;
}

mproxy_status mproxy_textfiles_open(const mproxy_textfiles_options *options,
                                    mproxy_textfiles **out, mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    struct mproxy_textfiles *t = calloc(1, sizeof *t);
    if (!t)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for text files");
    mproxy_status status = take_options(t, options, err);
    if (status == MPROXY_OK && (status = intern(t, ERROR, NULL, &t->error)) != MPROXY_OK)
        mpx_fail(err, status, "no memory for text files");
    if (status == MPROXY_OK)
        status = mproxy_helper_open(t->o.loop, "textfiles", 1, &t->helper, err);
    if (status != MPROXY_OK) {
        mproxy_textfiles_close(t);
        return status;
    }
    t->is_changed = true;
    t->input = (mproxy_input){.struct_size = sizeof t->input,
                              .name = "text files",
                              .self = t,
                              .before_round = before_round,
                              .show = show};
    *out = t;
    return MPROXY_OK;
}

void mproxy_textfiles_close(mproxy_textfiles *files)
{
    if (!files || (files->helper && !mproxy_helper_close(files->helper, CLOSE_MS)))
        return; // it hangs in the kernel with what is ours
    for (size_t i = 0; i < files->count; i++)
        free_file(&files->files[i]);
    mproxy_metric_unref(files->error);
    free(files->files);
    free(files->metrics);
    free(files->values);
    free(files->path);
    free(files->host);
    free(files);
}
