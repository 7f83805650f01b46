// Clients of a gateway, and the loop that it is a guest of.
#ifndef TESTS_SUPPORT_GATEWAY_CLIENT_H
#define TESTS_SUPPORT_GATEWAY_CLIENT_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/gateway.h"

static inline int gateway_dial(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static mproxy_loop *gateway_loop;

// Open a gateway as a guest of a loop of its own.
static inline mproxy_gateway *gateway_open(mproxy_gateway_options *options,
                                           const char *dir)
{
    mproxy_gateway *gw = NULL;
    ck_assert_int_eq(mproxy_loop_open(&gateway_loop, NULL), MPROXY_OK);
    options->loop = gateway_loop;
    ck_assert_int_eq(mpx_gateway_open_at(options, dir, &gw, NULL), MPROXY_OK);
    return gw;
}

static inline void gateway_close(mproxy_gateway *gw)
{
    mproxy_gateway_close(gw);
    mproxy_loop_close(gateway_loop);
}

// Let the gateway do all there is to do.
static inline void gateway_settle(void)
{
    size_t called;
    do
        ck_assert_int_eq(mproxy_loop_turn(gateway_loop, 0, &called, NULL), MPROXY_OK);
    while (called > 0);
}

static inline void gateway_tell(int fd, const char *message)
{
    ck_assert_int_eq(send(fd, message, strlen(message) + 1, MSG_NOSIGNAL),
                     (ssize_t)strlen(message) + 1);
    gateway_settle();
}

static inline void gateway_tell_job(int fd, const char *jobid)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"JobDesc\":{\"jobid\":\"%s\",\"command\":\"./a\",\"size\":4,"
             "\"nodelist\":\"\",\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/x\","
             "\"start_time\":1700000000000,\"end_time\":0}}",
             jobid);
    gateway_tell(fd, text);
}

#endif
