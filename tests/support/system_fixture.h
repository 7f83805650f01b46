// A node of its own: the metrics of a copied tree of /proc and /sys, or of the real ones.
#ifndef TESTS_SUPPORT_SYSTEM_FIXTURE_H
#define TESTS_SUPPORT_SYSTEM_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/system.h>

#include "suite.h"

struct node {
    mproxy_store *store;
    struct mproxy_system *system;
    char root[64]; // of a copy of the fixture
};

static struct node node;

static inline void open_roots(const char *proc, const char *sys)
{
    mproxy_system_options options = {.struct_size = sizeof options,
                                     .proc_root = proc,
                                     .sys_root = sys,
                                     .host = "node\"7"};
    mproxy_error err;
    ck_assert_int_eq(mproxy_store_open(NULL, &node.store, &err), MPROXY_OK);
    options.store = node.store;
    ck_assert_int_eq(mproxy_system_open(&options, &node.system, &err), MPROXY_OK);
}

static inline void open_copy(const char *fixture)
{
    char command[512], proc[128], sys[128];
    strcpy(node.root, "/tmp/mproxy-test-system-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(node.root));
    snprintf(command, sizeof command, "cp -r %s/system/%s/. %s", TEST_DATA, fixture,
             node.root);
    ck_assert_int_eq(system(command), 0);
    snprintf(proc, sizeof proc, "%s/proc", node.root);
    snprintf(sys, sizeof sys, "%s/sys", node.root);
    open_roots(proc, sys);
}

static inline void teardown(void)
{
    mproxy_system_close(node.system);
    mproxy_store_close(node.store);
    if (node.root[0]) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", node.root);
        ck_assert_int_eq(system(command), 0);
    }
    memset(&node, 0, sizeof node);
}

static inline void rewrite(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", node.root, path);
    FILE *file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static inline void sample(int64_t boot_ms)
{
    ck_assert_int_eq(
        mproxy_system_sample(node.system, boot_ms, 1000u * (uint64_t)boot_ms), MPROXY_OK);
}

static inline const mproxy_value *find(const char *name)
{
    const mproxy_layout *layout = mproxy_system_layout(node.system);
    for (size_t i = 0; i < layout->count; i++)
        if (strcmp(mproxy_metric_name(layout->metrics[i]), name) == 0)
            return &mproxy_system_values(node.system)[i];
    return NULL;
}

static inline double value(const char *name)
{
    const mproxy_value *v = find(name);
    ck_assert_msg(v != NULL, "%s is absent", name);
    return v->total;
}

static inline size_t count_base(const char *base)
{
    const mproxy_layout *layout = mproxy_system_layout(node.system);
    size_t count = 0;
    for (size_t i = 0; i < layout->count; i++)
        count +=
            strncmp(mproxy_metric_name(layout->metrics[i]), base, strlen(base)) == 0 &&
            mproxy_metric_base_length(mproxy_metric_name(layout->metrics[i])) ==
                strlen(base);
    return count;
}

#endif
