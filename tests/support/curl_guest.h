// libcurl's multi interface as a guest of the event loop: its sockets are watches, its one
// timeout is a timer. This is all that it takes; transfers are added to `multi`.
#ifndef TESTS_SUPPORT_CURL_GUEST_H
#define TESTS_SUPPORT_CURL_GUEST_H

#include <check.h>
#include <curl/curl.h>

#include <mproxy/loop.h>

struct curl_guest {
    mproxy_loop *loop;
    CURLM *multi;
    mproxy_timer *timer;
    void (*done)(CURL *easy, CURLcode result); // may add and remove transfers
    int sockets, most_sockets;
};

static inline void curl_guest_take_done(struct curl_guest *g)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(g->multi, &left));) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        curl_multi_remove_handle(g->multi, easy);
        g->done(easy, result);
    }
}

static inline void curl_guest_act(struct curl_guest *g, curl_socket_t fd, int what)
{
    int running;
    ck_assert_int_eq(curl_multi_socket_action(g->multi, fd, what, &running), CURLM_OK);
    curl_guest_take_done(g);
}

static inline void curl_guest_on_socket(void *arg, int fd, unsigned events)
{
    curl_guest_act(arg, fd,
                   (events & MPROXY_READABLE ? CURL_CSELECT_IN : 0) |
                       (events & MPROXY_WRITABLE ? CURL_CSELECT_OUT : 0) |
                       (events & MPROXY_BROKEN ? CURL_CSELECT_ERR : 0));
}

static inline void curl_guest_on_time(void *arg)
{
    curl_guest_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

// CURLMOPT_SOCKETFUNCTION. `assigned` is the watch that curl_multi_assign() left.
static inline int curl_guest_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                                    void *assigned)
{
    struct curl_guest *g = arg;
    mproxy_watch *watch = assigned;
    unsigned events = (what & CURL_POLL_IN ? MPROXY_READABLE : 0u) |
                      (what & CURL_POLL_OUT ? MPROXY_WRITABLE : 0u);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        g->sockets -= watch != NULL;
        mproxy_watch_remove(watch);
        curl_multi_assign(g->multi, fd, NULL);
        return 0;
    }
    if (watch)
        return mproxy_watch_set(watch, events, NULL) == MPROXY_OK ? 0 : -1;
    if (mproxy_watch_add(g->loop, fd, events, curl_guest_on_socket, g, &watch, NULL) !=
        MPROXY_OK)
        return -1;
    curl_multi_assign(g->multi, fd, watch);
    if (++g->sockets > g->most_sockets)
        g->most_sockets = g->sockets;
    return 0;
}

// CURLMOPT_TIMERFUNCTION.
static inline int curl_guest_timeout(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_guest *g = arg;
    (void)multi;
    if (timeout_ms < 0)
        mproxy_timer_stop(g->timer);
    else
        mproxy_timer_set(g->timer, timeout_ms);
    return 0;
}

static inline void curl_guest_open(struct curl_guest *g, mproxy_loop *loop,
                                   void (*done)(CURL *easy, CURLcode result))
{
    *g = (struct curl_guest){.loop = loop, .done = done};
    ck_assert_int_eq(mproxy_timer_new(loop, curl_guest_on_time, g, &g->timer, NULL),
                     MPROXY_OK);
    g->multi = curl_multi_init();
    curl_multi_setopt(g->multi, CURLMOPT_SOCKETFUNCTION, curl_guest_socket);
    curl_multi_setopt(g->multi, CURLMOPT_SOCKETDATA, g);
    curl_multi_setopt(g->multi, CURLMOPT_TIMERFUNCTION, curl_guest_timeout);
    curl_multi_setopt(g->multi, CURLMOPT_TIMERDATA, g);
}

// Transfers must have been removed.
static inline void curl_guest_close(struct curl_guest *g)
{
    curl_multi_cleanup(g->multi);
    mproxy_timer_free(g->timer);
}

#endif
