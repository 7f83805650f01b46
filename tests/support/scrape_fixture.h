// A scraper with a loop, a store and rounds, and an exporter on a thread, whose page and code
// are set by the test.
#ifndef TESTS_SUPPORT_SCRAPE_FIXTURE_H
#define TESTS_SUPPORT_SCRAPE_FIXTURE_H

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mproxy/scrape.h>

#include "base/clock.h"

enum { WAIT_MS = 20000, PERIOD = 20 };

static struct {
    pthread_mutex_t lock;
    const char *page; // guarded by lock, like the code
    int code;
    int fd;
    pthread_t thread;
    char address[64];
} exporter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static mproxy_store *store;
static mproxy_loop *loop;
static mproxy_rounds *rounds;
static mproxy_processes *processes; // NULL: nothing outlives the scraper
static mproxy_scraper *scraper;

// A connection a request: what is asked for fits into one read.
static inline void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(exporter.fd, NULL, NULL)) >= 0; close(fd)) {
        char request[4096], head[256];
        if (read(fd, request, sizeof request) <= 0)
            continue;
        pthread_mutex_lock(&exporter.lock);
        const char *page = exporter.page;
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Type: text/plain\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 exporter.code, strlen(page));
        pthread_mutex_unlock(&exporter.lock);
        if (send(fd, head, strlen(head), MSG_NOSIGNAL) > 0)
            for (size_t left = strlen(page); left > 0;) {
                ssize_t sent = send(fd, page, left, MSG_NOSIGNAL);
                if (sent <= 0)
                    break;
                page += sent;
                left -= (size_t)sent;
            }
    }
    return NULL;
}

static inline void say(const char *page, int code)
{
    pthread_mutex_lock(&exporter.lock);
    exporter.page = page;
    exporter.code = code;
    pthread_mutex_unlock(&exporter.lock);
}

static inline void open_exporter(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    exporter.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(exporter.fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(exporter.fd, 16), 0);
    ck_assert_int_eq(getsockname(exporter.fd, (struct sockaddr *)&address, &size), 0);
    snprintf(exporter.address, sizeof exporter.address, "127.0.0.1:%u",
             ntohs(address.sin_port));
    say("", 200);
    ck_assert_int_eq(pthread_create(&exporter.thread, NULL, serve, NULL), 0);
}

static inline void close_exporter(void)
{
    shutdown(exporter.fd, SHUT_RDWR);
    pthread_join(exporter.thread, NULL);
    close(exporter.fd);
}

static inline mproxy_status open_scraper(const char *socket_path)
{
    mproxy_status status = mproxy_store_open(NULL, &store, NULL);
    if (!status)
        status = mproxy_loop_open(&loop, NULL);
    const mproxy_processes_options p = {
        .struct_size = sizeof p, .socket_path = socket_path, .store = store};
    if (!status && socket_path)
        status = mproxy_processes_open(&p, &processes, NULL);
    const mproxy_rounds_options r = {
        .struct_size = sizeof r,
        .store = store,
        .ledger = processes ? mproxy_processes_ledger(processes) : NULL};
    if (!status)
        status = mproxy_rounds_new(&r, &rounds, NULL);
    const mproxy_scraper_options s = {.struct_size = sizeof s,
                                      .store = store,
                                      .loop = loop,
                                      .host = "here",
                                      .processes = processes,
                                      .max_targets = 2};
    if (!status)
        status = mproxy_scraper_open(&s, &scraper, NULL);
    if (!status && processes)
        status = mproxy_rounds_add(rounds, mproxy_processes_input(processes), NULL);
    return status ? status
                  : mproxy_rounds_add(rounds, mproxy_scraper_input(scraper), NULL);
}

static inline void close_scraper(void)
{
    mproxy_rounds_free(rounds);
    mproxy_scraper_close(scraper);
    mproxy_processes_close(processes);
    mproxy_store_close(store);
    mproxy_loop_close(loop);
    rounds = NULL;
    scraper = NULL;
    processes = NULL;
    store = NULL;
    loop = NULL;
}

// What main shows; NaN: it is not shown.
static inline double shown(const char *name)
{
    mproxy_snapshot *snapshot = mproxy_store_snapshot(store);
    const mproxy_view *view = mproxy_snapshot_find(snapshot, "main");
    mproxy_entry entry;
    double value = __builtin_nan("");
    if (view && mproxy_view_find(view, name, &entry))
        value = entry.value.total;
    mproxy_snapshot_unref(snapshot);
    return value;
}

static inline bool is_shown(const char *name)
{
    double value = shown(name);
    return value == value;
}

static inline void turn(void)
{
    ck_assert_int_eq(mproxy_loop_turn(loop, 5, NULL, NULL), MPROXY_OK);
    ck_assert_int_eq(mproxy_rounds_run(rounds, NULL), MPROXY_OK);
}

static inline void wait_shown(const char *name, double value)
{
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (shown(name) != value && mpx_boot_ms() < until)
        turn();
    ck_assert_msg(shown(name) == value, "%s: %g, should be %g", name, shown(name), value);
}

static inline void wait_gone(const char *name)
{
    int64_t until = mpx_boot_ms() + WAIT_MS;
    while (is_shown(name) && mpx_boot_ms() < until)
        turn();
    ck_assert_msg(!is_shown(name), "%s: %g", name, shown(name));
}

static inline void join(void)
{
    mproxy_error err = {0};
    ck_assert_msg(mproxy_scraper_join(scraper, exporter.address, PERIOD, 0, &err) ==
                      MPROXY_OK,
                  "%s", err.text);
}

static inline mproxy_scrape_target target(size_t index)
{
    mproxy_scrape_target t = {.struct_size = sizeof t};
    ck_assert_int_eq(mproxy_scraper_target(scraper, index, &t, NULL), MPROXY_OK);
    return t;
}

#endif
