// An archive in a directory of its own, and runs of one value.
#ifndef TESTS_SUPPORT_ARCHIVE_FIXTURE_H
#define TESTS_SUPPORT_ARCHIVE_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile_fixture.h"

static char root[64], dir[96];
static unsigned damaged;
static char damaged_path[256];

static inline void setup(void)
{
    strcpy(root, "/tmp/mproxy-test-archive-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/prefix/profiles", root);
    damaged = 0;
}

static inline void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static inline void on_damaged(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    ck_assert_int_eq(level, MPROXY_LOG_WARNING);
    ck_assert_int_eq(sscanf(line, "profile %255s is damaged", damaged_path), 1);
    damaged++;
}

static inline mproxy_archive *open_archive(void)
{
    mproxy_archive *a = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mproxy_archive_open(dir, on_damaged, NULL, &a, &err) == MPROXY_OK, "%s",
                  err.text);
    return a;
}

// A run of one share that counts `value`.
static inline mproxy_profile *make_run(const char *jobid, int64_t start, double value)
{
    mproxy_profile *p = fixture_profile(jobid, start, 1);
    fixture_counter(&p->shares[0], "hits", value, 0);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    return p;
}

static inline mproxy_status store(mproxy_archive *a, const char *jobid, int64_t start,
                                  double value)
{
    mproxy_profile *p = make_run(jobid, start, value);
    mproxy_status status = mproxy_archive_store(a, p, NULL);
    mproxy_profile_free(p);
    return status;
}

// What a stored profile counted; -1 if there is none.
static inline double loaded(mproxy_archive *a, const char *key)
{
    mproxy_profile *p = NULL;
    if (mproxy_archive_load(a, key, &p, NULL) != MPROXY_OK)
        return -1;
    double value = p->entries[0].value.total;
    mproxy_profile_free(p);
    return value;
}

static inline size_t count_files(const char *prefix)
{
    size_t count = 0;
    DIR *list = opendir(dir);
    const struct dirent *entry;
    while (list && (entry = readdir(list)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                 strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                 strcmp(entry->d_name, ".lock") != 0;
    if (list)
        closedir(list);
    return count;
}

static inline bool has_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static inline void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

// One profile with the shares of the runs that started at 1000 and 2000.
static inline mproxy_profile *make_bridge(void)
{
    mproxy_profile *p = make_run("j", 1000, 1), *q = make_run("j", 2000, 2);
    p->shares = realloc(p->shares, 2 * sizeof *p->shares);
    p->shares[p->share_count++] = q->shares[0];
    q->share_count = 0;
    mproxy_profile_free(q);
    ck_assert_int_eq(mpx_profile_sum(p, NULL), MPROXY_OK);
    return p;
}

#endif
