// A daemon of which there are only its loop, its commands and a server with some routes: what is
// asked of it waits as a command until the test turns the loop.
#ifndef MPX_TEST_COMMANDS_FIXTURE_H
#define MPX_TEST_COMMANDS_FIXTURE_H

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/daemon_private.h"
#include "http/listen.h"
#include "suite.h"

static struct mproxy_daemon *d;
static struct sockaddr_in to; // its server

static inline void open_commands(const struct mpx_route *routes, size_t count)
{
    int port = 0;
    d = calloc(1, sizeof *d);
    ck_assert_int_eq(mproxy_loop_open(&d->loop, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_commands_open(&d->commands, d, d->loop, NULL), MPROXY_OK);
    ck_assert_int_eq(mpx_listen("127.0.0.1", &port, &d->listen_fd, NULL), MPROXY_OK);
    const struct mpx_server_options options = {
        .routes = routes, .route_count = count, .context = d, .listen_fd = d->listen_fd};
    ck_assert_int_eq(mpx_server_open(&options, &d->server, NULL), MPROXY_OK);
    mpx_server_set_ready(d->server, true);
    to = (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                              .sin_port = htons((uint16_t)port)};
}

static inline void close_commands(void)
{
    mpx_commands_close(d);
    mpx_server_close(d->server);
    mpx_commands_fini(&d->commands);
    mproxy_loop_close(d->loop);
    close(d->listen_fd);
    free(d);
}

// Commands that wait.
static inline size_t queued(void)
{
    pthread_mutex_lock(&d->commands.lock);
    size_t count = d->commands.count;
    pthread_mutex_unlock(&d->commands.lock);
    return count;
}

// A connection that has sent a request.
static inline int ask_with(const char *request, size_t length)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    ck_assert_int_eq(send(fd, request, length, MSG_NOSIGNAL), (ssize_t)length);
    return fd;
}

#endif
