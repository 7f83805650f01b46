// Clients of a gateway that the test itself dispatches.
#ifndef TESTS_SUPPORT_GATEWAY_CLIENT_H
#define TESTS_SUPPORT_GATEWAY_CLIENT_H

#include <check.h>
#include <poll.h>
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

// Let the gateway do all there is to do.
static inline void gateway_settle(struct mpx_gateway *gw)
{
    struct pollfd ready = {.fd = mpx_gateway_fd(gw), .events = POLLIN};
    while (poll(&ready, 1, 0) == 1)
        mpx_gateway_dispatch(gw);
}

static inline void gateway_tell(struct mpx_gateway *gw, int fd, const char *message)
{
    ck_assert_int_eq(send(fd, message, strlen(message) + 1, MSG_NOSIGNAL),
                     (ssize_t)strlen(message) + 1);
    gateway_settle(gw);
}

static inline void gateway_tell_job(struct mpx_gateway *gw, int fd, const char *jobid)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"JobDesc\":{\"jobid\":\"%s\",\"command\":\"./a\",\"size\":4,"
             "\"nodelist\":\"\",\"partition\":\"\",\"cluster\":\"\",\"run_dir\":\"/x\","
             "\"start_time\":1700000000000,\"end_time\":0}}",
             jobid);
    gateway_tell(gw, fd, text);
}

#endif
