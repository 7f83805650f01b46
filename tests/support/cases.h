// Cases of a parser: a folder each, below tests/data/FORMAT/valid and FORMAT/invalid.
#ifndef MPX_TEST_CASES_H
#define MPX_TEST_CASES_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"
#include "suite.h"

// Appends a NUL, so that the text of *out is a string.
static inline void read_case_file(const char *format, const char *kind, const char *name,
                                  const char *file, struct mpx_buf *out)
{
    char path[512];
    mproxy_error err = {0};
    snprintf(path, sizeof path, "%s/%s/%s/%s/%s", TEST_DATA, format, kind, name, file);
    mproxy_status status = mpx_file_read(AT_FDCWD, path, 1 << 24, out, &err);
    ck_assert_msg(status == MPROXY_OK, "%s", err.text);
    ck_assert_ptr_nonnull(mpx_buf_text(out));
}

// Each folder of one kind, of which there must be some.
static inline void check_cases(const char *format, const char *kind,
                               void (*check)(const char *kind, const char *name))
{
    char path[512];
    unsigned count = 0;
    const struct dirent *entry;
    snprintf(path, sizeof path, "%s/%s/%s", TEST_DATA, format, kind);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        check(kind, entry->d_name);
        count++;
    }
    closedir(dir);
    ck_assert_uint_gt(count, 0);
}

#endif
