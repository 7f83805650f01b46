// Pushes with a store, a ledger and rounds of their own, in a directory that is kept over
// restarts.
#ifndef TEST_PUSH_FIXTURE_H
#define TEST_PUSH_FIXTURE_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mproxy/push.h>

struct node {
    char path[64];
    int fd;
    mproxy_store *store;
    mproxy_ledger *ledger;
    mproxy_rounds *rounds;
    mproxy_push *push;
    mproxy_push_options options; // what a test sets before node_start()
    char said[4096];             // lines of the log
    mproxy_error err;            // of the last call
};

static inline void hear(void *arg, mproxy_log_level level, const char *line)
{
    struct node *n = arg;
    size_t used = strlen(n->said);
    snprintf(n->said + used, sizeof n->said - used, "%d %s\n", level, line);
}

static inline mproxy_status node_try(struct node *n)
{
    const mproxy_ledger_options ledger = {.struct_size = sizeof ledger, .host = "n1"};
    mproxy_status status = mproxy_store_open(NULL, &n->store, &n->err);
    if (status == MPROXY_OK)
        status = mproxy_ledger_open(n->fd, n->store, &ledger, &n->ledger, &n->err);
    const mproxy_rounds_options rounds = {
        .struct_size = sizeof rounds, .store = n->store, .ledger = n->ledger};
    if (status == MPROXY_OK)
        status = mproxy_rounds_new(&rounds, &n->rounds, &n->err);
    n->options.struct_size = sizeof n->options;
    n->options.store = n->store;
    n->options.ledger = n->ledger;
    n->options.state_fd = n->fd;
    n->options.host = "n1";
    n->options.log = hear;
    n->options.log_arg = n;
    if (status == MPROXY_OK)
        status = mproxy_push_open(&n->options, &n->push, &n->err);
    if (status == MPROXY_OK)
        status = mproxy_rounds_add(n->rounds, mproxy_push_input(n->push), &n->err);
    return status;
}

static inline void node_start(struct node *n)
{
    n->said[0] = '\0';
    mproxy_status status = node_try(n);
    ck_assert_msg(status == MPROXY_OK, "%s", n->err.text);
}

static inline void node_make(struct node *n)
{
    memset(n, 0, sizeof *n);
    snprintf(n->path, sizeof n->path, "/tmp/mproxy-push-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(n->path));
    n->fd = open(n->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(n->fd, 0);
}

static inline void node_init(struct node *n)
{
    node_make(n);
    node_start(n);
}

// As if the proxy had been killed: nothing is written at the end.
static inline void node_stop(struct node *n)
{
    mproxy_rounds_free(n->rounds);
    mproxy_push_close(n->push);
    mproxy_ledger_close(n->ledger);
    mproxy_store_close(n->store);
    n->rounds = NULL;
    n->push = NULL;
    n->ledger = NULL;
    n->store = NULL;
}

static inline void node_restart(struct node *n)
{
    node_stop(n);
    node_start(n);
}

static inline void node_clear(struct node *n)
{
    DIR *dir = opendir(n->path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        unlinkat(n->fd, e->d_name, 0);
    if (dir)
        closedir(dir);
}

static inline void node_fini(struct node *n)
{
    node_stop(n);
    node_clear(n);
    close(n->fd);
    rmdir(n->path);
}

static inline mproxy_status take(struct node *n, const char *path, mproxy_push_verb verb,
                                 const char *text)
{
    const mproxy_pushed pushed = {.struct_size = sizeof pushed,
                                  .path = path,
                                  .verb = verb,
                                  .format = MPROXY_FORMAT_PROMETHEUS,
                                  .text = text,
                                  .length = strlen(text)};
    return mproxy_push_take(n->push, &pushed, &n->err);
}

static inline void push(struct node *n, const char *path, const char *text)
{
    mproxy_status status = take(n, path, MPROXY_PUSH_ADD, text);
    ck_assert_msg(status == MPROXY_OK, "%s", n->err.text);
}

// The value that main shows after a round; -1: none.
static inline double shown(struct node *n, const char *name)
{
    mproxy_entry entry;
    ck_assert_int_eq(mproxy_rounds_run(n->rounds, &n->err), MPROXY_OK);
    mproxy_snapshot *snapshot = mproxy_store_snapshot(n->store);
    const mproxy_view *view = mproxy_snapshot_find(snapshot, "main");
    double value = -1;
    if (view && mproxy_view_find(view, name, &entry))
        value = entry.value.total;
    mproxy_snapshot_unref(snapshot);
    return value;
}

static inline mproxy_push_stats stats_of(struct node *n)
{
    mproxy_push_stats stats = {.struct_size = sizeof stats};
    ck_assert_int_eq(mproxy_push_get_stats(n->push, &stats), MPROXY_OK);
    return stats;
}

#endif
