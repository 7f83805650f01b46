// The exporters beside an executable. What tells one is its file name alone: nothing is
// opened, so a list costs one reading of a directory, and adding an exporter is adding a file.
//
// proxy_run does this at each start, before it knows whether the list is wanted: what takes
// time here is taken from every command. A file NAME.opt-in beside an exporter keeps it out of
// the default choice; it may be read before the exporter it speaks of, so such names are kept
// until the folder is read. Two folders are looked into, lib and lib64; a name that is in both is
// the first one's, and an opt-in mark counts for its own folder only.
//
// The list owns its names and paths; the items move while it grows, so nobody holds one before
// the list is handed over. It is sorted then, because LD_PRELOAD follows its order and is
// compared between runs.
//
// The choice: the first call of mproxy_exporters_choose() throws the default away but for
// `process`, without which nothing tells that a program started; later ones add. All names of a
// call are looked up before one is taken, so that a wrong one changes nothing.
#include <mproxy/launch.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/err.h"

#define PREFIX "libmetricproxy-exporter-"
#define SUFFIX ".so"
#define OPT_IN ".opt-in"
#define TOOL ".tool"

enum { EXPORTERS_MAX = 256 };

struct mproxy_exporters {
    mproxy_exporter *items;
    size_t count;
    bool is_default_choice;
};

void mproxy_exporters_free(mproxy_exporters *exporters)
{
    if (!exporters)
        return;
    for (size_t i = 0; i < exporters->count; i++) {
        free((char *)exporters->items[i].name);
        free((char *)exporters->items[i].path);
    }
    free(exporters->items);
    free(exporters);
}

size_t mproxy_exporters_count(const mproxy_exporters *exporters)
{
    return exporters->count;
}

const mproxy_exporter *mproxy_exporters_get(const mproxy_exporters *exporters,
                                            size_t place)
{
    return place < exporters->count ? &exporters->items[place] : NULL;
}

static mproxy_exporter *find(const mproxy_exporters *x, const char *name, size_t length)
{
    for (size_t i = 0; i < x->count; i++)
        if (strlen(x->items[i].name) == length &&
            memcmp(x->items[i].name, name, length) == 0)
            return &x->items[i];
    return NULL;
}

// Length of NAME when `file` is PREFIX NAME suffix, else 0.
static size_t name_length(const char *file, const char *suffix)
{
    size_t length = strlen(file), around = strlen(PREFIX) + strlen(suffix);
    if (length <= around || strncmp(file, PREFIX, strlen(PREFIX)) != 0 ||
        strcmp(file + length - strlen(suffix), suffix) != 0)
        return 0;
    return length - around;
}

static bool add(mproxy_exporters *x, const char *dir, const char *file, size_t length,
                bool is_tool)
{
    const char *name = file + strlen(PREFIX);
    if (find(x, name, length) || x->count == EXPORTERS_MAX)
        return true;
    if (!MPX_RESERVE_TO(x->items, x->count + 1))
        return false;
    char *path = NULL, *copy = strndup(name, length);
    if (!copy || asprintf(&path, "%s/%s", dir, file) < 0) {
        free(copy);
        return false;
    }
    x->items[x->count++] =
        (mproxy_exporter){.name = copy, .path = path, .opt_in = is_tool, .tool = is_tool};
    return true;
}

// Names of the folder that are opt-in, each with its NUL: read before or after the exporter.
static void mark_opt_in(mproxy_exporters *x, size_t first, const struct mpx_buf *names)
{
    for (size_t at = 0; at < names->size; at += strlen(names->data + at) + 1) {
        mproxy_exporter *item = find(x, names->data + at, strlen(names->data + at));
        if (item && item >= x->items + first)
            item->opt_in = 1;
    }
}

static mproxy_status add_dir(mproxy_exporters *x, const char *path, mproxy_error *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR ? MPROXY_OK
                                                   : mpx_fail_errno(err, "%s", path);
    bool ok = true;
    size_t first = x->count;
    struct mpx_buf opt_in = MPX_BUF_INIT;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        size_t library = name_length(entry->d_name, SUFFIX);
        size_t tool = name_length(entry->d_name, TOOL);
        if (library || tool)
            ok = add(x, path, entry->d_name, library + tool, tool > 0);
        size_t length = name_length(entry->d_name, OPT_IN);
        if (length) {
            mpx_buf_add(&opt_in, entry->d_name + strlen(PREFIX), length);
            mpx_buf_add(&opt_in, "", 1);
        }
    }
    closedir(dir);
    ok = ok && (opt_in.size == 0 || mpx_buf_text(&opt_in));
    if (ok)
        mark_opt_in(x, first, &opt_in);
    mpx_buf_free(&opt_in);
    return ok ? MPROXY_OK : mpx_fail(err, MPROXY_E_NOMEM, "no memory for the exporters");
}

// PREFIX/lib and PREFIX/lib64, where the running executable is PREFIX/bin/NAME.
static mproxy_status add_beside_executable(mproxy_exporters *x, mproxy_error *err)
{
    static const char *const names[] = {"lib", "lib64"};
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    if (length < 0)
        return mpx_fail_errno(err, "/proc/self/exe");
    size_t end = (size_t)length;
    for (int i = 0; i < 2; i++)
        for (end = end ? end - 1 : 0; end && path[end] != '/';)
            end--;
    if (end + strlen("/lib64") + 1 > sizeof path)
        return mpx_fail(err, MPROXY_E_LIMIT, "%.100s: path too long", path);
    mproxy_status status = MPROXY_OK;
    for (int i = 0; i < 2 && status == MPROXY_OK; i++) {
        path[end] = '/';
        strcpy(path + end + 1, names[i]);
        status = add_dir(x, path, err);
    }
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const mproxy_exporter *)a)->name, ((const mproxy_exporter *)b)->name);
}

mproxy_status mproxy_exporters_find(const char *dir, mproxy_exporters **out,
                                    mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    mproxy_exporters *x = calloc(1, sizeof *x);
    if (!x)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the exporters");
    mproxy_status status = dir ? add_dir(x, dir, err) : add_beside_executable(x, err);
    if (status != MPROXY_OK) {
        mproxy_exporters_free(x);
        return status;
    }
    if (x->count)
        qsort(x->items, x->count, sizeof *x->items, by_name);
    x->is_default_choice = true;
    for (size_t i = 0; i < x->count; i++)
        x->items[i].chosen = !x->items[i].opt_in;
    *out = x;
    return MPROXY_OK;
}

// Calls for each name; the first pass only looks whether all are there.
static const char *next_name(const char *at, size_t *length)
{
    at += strspn(at, ", ");
    *length = strcspn(at, ", ");
    return *length ? at : NULL;
}

mproxy_status mproxy_exporters_choose(mproxy_exporters *exporters, const char *names,
                                      mproxy_error *err)
{
    MPX_REQUIRE(exporters && names, err);
    size_t length;
    for (const char *at = names; (at = next_name(at, &length)); at += length)
        if (!find(exporters, at, length))
            return mpx_fail(err, MPROXY_E_NOTFOUND, "exporter '%.*s': not found",
                            (int)(length < 80 ? length : 80), at);
    for (size_t i = 0; exporters->is_default_choice && i < exporters->count; i++)
        exporters->items[i].chosen = strcmp(exporters->items[i].name, "process") == 0;
    exporters->is_default_choice = false;
    for (const char *at = names; (at = next_name(at, &length)); at += length)
        find(exporters, at, length)->chosen = 1;
    return MPROXY_OK;
}
