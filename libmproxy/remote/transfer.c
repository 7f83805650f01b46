// The one file that knows libcurl.
//
// The library is loaded by dlopen() at the first request, because linking it costs every
// daemon, also one that asks nobody, thirty libraries, a MiB of memory of its own and 10 ms of
// its start. It stays loaded. What we call of it stands once in CURL_FUNCTIONS.
//
// libcurl's multi interface says by callbacks which sockets it waits for and until when. Both
// go into one epoll descriptor of the engine, the time as a timer descriptor, so that an event
// loop watches a single descriptor, whatever connections come and go.
//
// Names are resolved by libcurl's threads. CURLOPT_QUICK_EXIT keeps it from waiting for such a
// thread when a request is given up while the name server is silent. Signals stay the
// program's (CURLOPT_NOSIGNAL).
//
// on_end may start and stop transfers: finished handles are taken out of libcurl's list of
// messages, and of the multi handle, before it is called.

#include "remote/transfer.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/err.h"

// X(our name, libcurl's name)
#define CURL_FUNCTIONS(X)                                                                \
    X(global_init, curl_global_init)                                                     \
    X(version_info, curl_version_info)                                                   \
    X(slist_append, curl_slist_append)                                                   \
    X(slist_free, curl_slist_free_all)                                                   \
    X(easy_init, curl_easy_init)                                                         \
    X(easy_cleanup, curl_easy_cleanup)                                                   \
    X(easy_setopt, curl_easy_setopt)                                                     \
    X(easy_getinfo, curl_easy_getinfo)                                                   \
    X(easy_strerror, curl_easy_strerror)                                                 \
    X(multi_init, curl_multi_init)                                                       \
    X(multi_cleanup, curl_multi_cleanup)                                                 \
    X(multi_setopt, curl_multi_setopt)                                                   \
    X(multi_add, curl_multi_add_handle)                                                  \
    X(multi_remove, curl_multi_remove_handle)                                            \
    X(multi_action, curl_multi_socket_action)                                            \
    X(multi_read, curl_multi_info_read)

// libcurl checks the types of these two by macros, which know them by name only.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

static struct {
#define DECLARE(name, symbol) __typeof__(&symbol) name;
    CURL_FUNCTIONS(DECLARE)
#undef DECLARE
    char why[256]; // it can't be used; empty: it can
} curl;
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

enum { EVENTS = 64 };

struct mpx_engine {
    CURLM *multi; // NULL until the first request
    int epoll_fd, timer_fd;
    unsigned max_connections;
    const char *user_agent;
    // What libcurl wants to be called for, told to the kernel once a dispatch: it changes its
    // mind several times in each request.
    long timeout_ms;
    bool is_timeout_new, is_timer_set;
};

static void load_symbols(void *library)
{
#define LOAD(name, symbol)                                                               \
    {                                                                                    \
        void *found = dlsym(library, #symbol);                                           \
        memcpy(&curl.name, &found, sizeof found);                                        \
        if (!found)                                                                      \
            snprintf(curl.why, sizeof curl.why, "libcurl.so.4 has no " #symbol);         \
    }
    CURL_FUNCTIONS(LOAD)
#undef LOAD
}

static void load_curl(void)
{
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        snprintf(curl.why, sizeof curl.why, "%s", dlerror());
        return;
    }
    load_symbols(library);
    if (curl.why[0])
        return;
    const curl_version_info_data *info = curl.version_info(CURLVERSION_NOW);
    if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        snprintf(curl.why, sizeof curl.why, "libcurl can't be initialised");
    else if (!(info->features & CURL_VERSION_ASYNCHDNS))
        snprintf(curl.why, sizeof curl.why,
                 "libcurl %s resolves names without a thread: others would wait",
                 info->version);
}

// What libcurl waits for.

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *engine,
                     void *is_known)
{
    (void)easy;
    (void)is_known;
    struct mpx_engine *e = engine;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(e->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    struct epoll_event event = {.data.fd = socket};
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(e->epoll_fd, EPOLL_CTL_MOD, socket, &event) != 0 && errno == ENOENT)
        epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, socket, &event);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *engine)
{
    (void)multi;
    struct mpx_engine *e = engine;
    e->timeout_ms = timeout_ms;
    e->is_timeout_new = true;
    return 0;
}

static void set_timer(struct mpx_engine *e)
{
    struct itimerspec when = {{0}, {0}};
    bool is_wanted = e->timeout_ms >= 0;
    if (!e->is_timeout_new)
        return;
    e->is_timeout_new = false;
    if (!is_wanted && !e->is_timer_set)
        return;
    if (e->timeout_ms > 0) {
        when.it_value.tv_sec = e->timeout_ms / 1000;
        when.it_value.tv_nsec = e->timeout_ms % 1000 * 1000000;
    } else if (is_wanted) {
        when.it_value.tv_nsec = 1; // at once, but not from within a call of libcurl
    }
    timerfd_settime(e->timer_fd, 0, &when, NULL);
    e->is_timer_set = is_wanted;
}

// Opening and closing.

static mproxy_status open_descriptors(struct mpx_engine *e, mproxy_error *err)
{
    e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    e->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = e->timer_fd};
    if (e->epoll_fd < 0 || e->timer_fd < 0 ||
        epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->timer_fd, &event) != 0)
        return mpx_fail_errno(err, "requests: descriptors");
    return MPROXY_OK;
}

mproxy_status mpx_engine_open(unsigned max_connections, const char *user_agent,
                              struct mpx_engine **out, mproxy_error *err)
{
    struct mpx_engine *e = calloc(1, sizeof *e);
    if (!e)
        return mpx_fail(err, MPROXY_E_NOMEM, "requests: no memory");
    e->max_connections = max_connections;
    e->user_agent = user_agent;
    mproxy_status status = open_descriptors(e, err);
    if (status != MPROXY_OK) {
        mpx_engine_close(e);
        return status;
    }
    *out = e;
    return MPROXY_OK;
}

// Before the first request.
static mproxy_status open_multi(struct mpx_engine *e, mproxy_error *err)
{
    pthread_once(&curl_once, load_curl);
    if (curl.why[0])
        return mpx_fail(err, MPROXY_E_UNSUPPORTED, "libcurl can't be used: %s", curl.why);
    e->multi = curl.multi_init();
    if (!e->multi)
        return mpx_fail(err, MPROXY_E_NOMEM, "requests: no memory");
    curl.multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl.multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
    curl.multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl.multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
    curl.multi_setopt(e->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)e->max_connections);
    curl.multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)e->max_connections);
    return MPROXY_OK;
}

void mpx_engine_close(struct mpx_engine *e)
{
    if (!e)
        return;
    if (e->multi)
        curl.multi_cleanup(e->multi);
    if (e->epoll_fd > 0)
        close(e->epoll_fd);
    if (e->timer_fd > 0)
        close(e->timer_fd);
    free(e);
}

int mpx_engine_fd(const struct mpx_engine *e)
{
    return e->epoll_fd;
}

// One transfer.

static size_t on_write(char *bytes, size_t size, size_t count, void *transfer)
{
    struct mpx_transfer *t = transfer;
    return t->on_body(t, bytes, size * count) ? size * count : 0;
}

static bool set_headers(struct mpx_transfer *t)
{
    for (size_t i = 0; t->headers[i]; i++) {
        struct curl_slist *longer = curl.slist_append(t->header_list, t->headers[i]);
        if (!longer)
            return false;
        t->header_list = longer;
    }
    return curl.easy_setopt(t->handle, CURLOPT_HTTPHEADER, t->header_list) == CURLE_OK;
}

static bool set_up(const struct mpx_engine *e, struct mpx_transfer *t)
{
    CURL *h = t->handle;
    bool ok = curl.easy_setopt(h, CURLOPT_URL, t->url) == CURLE_OK &&
              curl.easy_setopt(h, CURLOPT_CUSTOMREQUEST, t->method) == CURLE_OK &&
              curl.easy_setopt(h, CURLOPT_USERAGENT, e->user_agent) == CURLE_OK &&
              curl.easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK &&
              curl.easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
              curl.easy_setopt(h, CURLOPT_NOPROXY, "*") == CURLE_OK && set_headers(t);
    curl.easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl.easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)t->timeout_ms);
    curl.easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)t->timeout_ms);
    curl.easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);

    curl.easy_setopt(h, CURLOPT_ERRORBUFFER, t->why);
    curl.easy_setopt(h, CURLOPT_WRITEFUNCTION, on_write);
    curl.easy_setopt(h, CURLOPT_WRITEDATA, t);
    curl.easy_setopt(h, CURLOPT_PRIVATE, t);
    if (strcmp(t->method, "HEAD") == 0)
        curl.easy_setopt(h, CURLOPT_NOBODY, 1L);
    if (t->body) {
        curl.easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_size);
        curl.easy_setopt(h, CURLOPT_POSTFIELDS, t->body);
    }
    return ok;
}

static void clean_up(struct mpx_transfer *t)
{
    curl.slist_free(t->header_list);
    if (t->handle)
        curl.easy_cleanup(t->handle);
    t->handle = t->header_list = NULL;
}

mproxy_status mpx_transfer_start(struct mpx_engine *e, struct mpx_transfer *t,
                                 mproxy_error *err)
{
    mproxy_status status = e->multi ? MPROXY_OK : open_multi(e, err);
    if (status != MPROXY_OK)
        return status;
    t->header_list = NULL;
    t->why[0] = '\0';
    t->handle = curl.easy_init();
    if (t->handle && set_up(e, t) && curl.multi_add(e->multi, t->handle) == CURLM_OK) {
        set_timer(e);
        return MPROXY_OK;
    }
    clean_up(t);
    return mpx_fail(err, MPROXY_E_NOMEM, "%s: no memory for a request", t->url);
}

void mpx_transfer_stop(struct mpx_engine *e, struct mpx_transfer *t)
{
    curl.multi_remove(e->multi, t->handle);
    set_timer(e);
    clean_up(t);
}

static mproxy_status status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return MPROXY_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return MPROXY_E_TIMEOUT;
    case CURLE_WRITE_ERROR:
    case CURLE_FILESIZE_EXCEEDED:
        return MPROXY_E_LIMIT;
    case CURLE_OUT_OF_MEMORY:
        return MPROXY_E_NOMEM;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_PARTIAL_FILE:
        return MPROXY_E_CORRUPT;
    default:
        return MPROXY_E_SYSTEM;
    }
}

static void read_reply(struct mpx_transfer *t)
{
    long code = 0;
    char *type = NULL, *redirect = NULL;
    curl_off_t us = 0;
    curl.easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &code);
    curl.easy_getinfo(t->handle, CURLINFO_CONTENT_TYPE, &type);
    curl.easy_getinfo(t->handle, CURLINFO_REDIRECT_URL, &redirect);
    curl.easy_getinfo(t->handle, CURLINFO_TOTAL_TIME_T, &us);
    t->code = (int)code;
    t->type = type;
    t->redirect = redirect;
    t->seconds = (double)us / 1e6;
}

static void end(struct mpx_engine *e, CURL *handle, CURLcode result)
{
    char *private = NULL;
    curl.easy_getinfo(handle, CURLINFO_PRIVATE, &private);
    struct mpx_transfer *t = (struct mpx_transfer *)(void *)private;
    curl.multi_remove(e->multi, handle);
    read_reply(t);
    // on_end may start the same storage anew.
    CURL *old = t->handle;
    struct curl_slist *headers = t->header_list;
    t->handle = t->header_list = NULL;
    curl.easy_setopt(old, CURLOPT_ERRORBUFFER, NULL);
    t->on_end(t, status_of(result),
              result == CURLE_OK ? NULL
              : t->why[0]        ? t->why
                                 : curl.easy_strerror(result));
    curl.slist_free(headers);
    curl.easy_cleanup(old);
}

void mpx_engine_dispatch(struct mpx_engine *e)
{
    struct epoll_event events[EVENTS];
    int running, left;
    if (!e->multi)
        return;
    int count = epoll_wait(e->epoll_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == e->timer_fd) {
            uint64_t times;
            if (read(e->timer_fd, &times, sizeof times) == sizeof times)
                curl.multi_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            continue;
        }
        int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl.multi_action(e->multi, events[i].data.fd, what, &running);
    }
    for (const CURLMsg *m; (m = curl.multi_read(e->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            end(e, m->easy_handle, m->data.result);
    set_timer(e);
}
