// Many exporters in one process: `exporters SERIES` listens on a free port, which it
// prints, on all addresses of 127.0.0.0/8, and answers each request with a page of SERIES
// series, half of them counters that grow with each page. So 127.0.0.1 to 127.0.3.232 are a
// thousand targets. Connections are kept; one thread, epoll.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, ROOM = 1 << 22 };

static int series;
static unsigned long pages;
static char reply[ROOM], page[ROOM];

static int listen_anywhere(void)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("exporters");
        exit(EXIT_FAILURE);
    }
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static size_t make_reply(void)
{
    size_t length = 0;
    pages++;
    for (int i = 0; i < series; i++)
        length += (size_t)snprintf(
            page + length, sizeof page - length,
            "%s%s{device=\"eth%d\",mode=\"%d\"} %lu\n",
            i == 0            ? "# TYPE simulated_bytes_total counter\n"
            : i == series / 2 ? "# TYPE simulated_level gauge\n"
                              : "",
            i < series / 2 ? "simulated_bytes_total" : "simulated_level", i, i % 7,
            i < series / 2 ? pages * 13 + (unsigned long)i : pages % 100);
    int head = snprintf(reply, sizeof reply,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        length);
    memcpy(reply + head, page, length);
    return (size_t)head + length;
}

static void accept_all(int epoll_fd, int listener)
{
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

// A request of ours fits into one read.
static void answer(int fd)
{
    char request[4096];
    ssize_t got = read(fd, request, sizeof request);
    size_t length = got > 0 ? make_reply() : 0;
    if (got <= 0 || write(fd, reply, length) != (ssize_t)length)
        close(fd);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    series = argc > 1 ? atoi(argv[1]) : 100;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int listener = listen_anywhere(), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                accept_all(epoll_fd, listener);
            else
                answer(events[i].data.fd);
    }
}
