// What a push of 100 series costs with one group stored and with 10,000, and what a round
// costs then. Also the load of bench_pushgateway.sh:
//     bench_push PORT CONNECTIONS GROUPS SECONDS   pushes by HTTP for so long, round and round
//     bench_push PORT CONNECTIONS GROUPS 0         pushes to each group once
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mproxy/push.h>

#include "base/buf.h"
#include "base/clock.h"

enum { SERIES = 100, GROUPS = 10000, CONNECTIONS_MAX = 64, REPLY_MAX = 4096, PAGES = 61 };

// A page of a program: counters with two labels, and other values each time.
static void make_page(struct mpx_buf *out, unsigned turn)
{
    mpx_buf_clear(out);
    for (int family = 0; family < 10; family++) {
        mpx_buf_addf(out, "# HELP program_metric_%d_total What it counts.\n", family);
        mpx_buf_addf(out, "# TYPE program_metric_%d_total counter\n", family);
        for (int i = 0; i < SERIES / 10; i++)
            mpx_buf_addf(out,
                         "program_metric_%d_total{device=\"disk%d\",mode=\"read\"} %u\n",
                         family, i, turn * 7 + (unsigned)i);
    }
}

// ---- by HTTP

struct connection {
    int fd;
    char reply[REPLY_MAX];
    size_t got;
};

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static void send_push(struct connection *c, unsigned group, unsigned turn)
{
    static struct mpx_buf pages[PAGES], request;
    struct mpx_buf *page = &pages[turn % PAGES];
    if (page->size == 0)
        make_page(page, turn);
    mpx_buf_clear(&request);
    mpx_buf_addf(&request,
                 "PUT /metrics/job/bench/instance/node%u HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n\r\n",
                 group, page->size);
    mpx_buf_add(&request, page->data, page->size);
    for (size_t done = 0; done < request.size;) {
        ssize_t put = send(c->fd, request.data + done, request.size - done, 0);
        if (put <= 0) {
            perror("send");
            exit(1);
        }
        done += (size_t)put;
    }
    c->got = 0;
}

// Whether the reply is whole.
static bool receive(struct connection *c)
{
    ssize_t got = recv(c->fd, c->reply + c->got, REPLY_MAX - 1 - c->got, 0);
    if (got <= 0) {
        fprintf(stderr, "recv: %s\n", got ? strerror(errno) : "closed");
        exit(1);
    }
    c->got += (size_t)got;
    c->reply[c->got] = '\0';
    const char *end = strstr(c->reply, "\r\n\r\n");
    const char *length = strcasestr(c->reply, "content-length:");
    if (!end || !length ||
        c->got < (size_t)(end + 4 - c->reply) + strtoul(length + 15, NULL, 10))
        return false;
    if (strncmp(c->reply, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "%s\n", c->reply);
        exit(1);
    }
    return true;
}

// @return pushes a second
static double load(int port, int connections, unsigned groups, double seconds)
{
    static struct connection all[CONNECTIONS_MAX];
    struct pollfd fds[CONNECTIONS_MAX];
    unsigned sent = 0, done = 0;
    int64_t begin = mpx_clock_ns(CLOCK_MONOTONIC),
            until = begin + (int64_t)(seconds * 1e9);
    bool once = seconds <= 0;
    for (int i = 0; i < connections; i++) {
        all[i].fd = connect_to(port);
        fds[i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
        send_push(&all[i], sent % groups, sent);
        sent++;
    }
    while (done < sent) {
        poll(fds, (nfds_t)connections, -1);
        bool goes_on = once ? sent < groups : mpx_clock_ns(CLOCK_MONOTONIC) < until;
        for (int i = 0; i < connections; i++) {
            if (!(fds[i].revents & (POLLIN | POLLHUP)) || !receive(&all[i]))
                continue;
            done++;
            if (goes_on && !(once && sent >= groups)) {
                send_push(&all[i], sent % groups, sent);
                sent++;
            } else
                fds[i].fd = -1;
        }
    }
    for (int i = 0; i < connections; i++)
        close(all[i].fd);
    return done / ((double)(mpx_clock_ns(CLOCK_MONOTONIC) - begin) / 1e9);
}

// ---- in this process

struct bench {
    mproxy_store *store;
    mproxy_ledger *ledger;
    mproxy_rounds *rounds;
    mproxy_push *push;
    struct mpx_buf page;
    unsigned turn;
};

static void require(mproxy_status status, const mproxy_error *err)
{
    if (status == MPROXY_OK)
        return;
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void push_to(struct bench *b, unsigned group)
{
    char path[64];
    mproxy_error err;
    make_page(&b->page, b->turn++);
    snprintf(path, sizeof path, "job/bench/instance/node%u", group);
    const mproxy_pushed pushed = {.struct_size = sizeof pushed,
                                  .path = path,
                                  .verb = MPROXY_PUSH_REPLACE,
                                  .format = MPROXY_FORMAT_PROMETHEUS,
                                  .text = b->page.data,
                                  .length = b->page.size};
    require(mproxy_push_take(b->push, &pushed, &err), &err);
}

// Nanoseconds of a push; making the page is taken off.
static double time_pushes(struct bench *b, unsigned count, unsigned groups)
{
    int64_t begin = mpx_clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < count; i++)
        make_page(&b->page, i);
    int64_t middle = mpx_clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < count; i++)
        push_to(b, i * 7919 % groups);
    int64_t end = mpx_clock_ns(CLOCK_MONOTONIC);
    return (double)((end - middle) - (middle - begin)) / count;
}

static double time_round(struct bench *b)
{
    mproxy_error err;
    int64_t begin = mpx_clock_ns(CLOCK_MONOTONIC);
    require(mproxy_rounds_run(b->rounds, &err), &err);
    return (double)(mpx_clock_ns(CLOCK_MONOTONIC) - begin) / 1e6;
}

// The best of some rounds, each after `pushes` of them.
static double best_round(struct bench *b, unsigned pushes, unsigned groups)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        for (unsigned k = 0; k < pushes; k++)
            push_to(b, k % groups);
        double ms = time_round(b);
        best = ms < best ? ms : best;
    }
    return best;
}

static void open_bench(struct bench *b, int dir_fd)
{
    mproxy_error err;
    const mproxy_ledger_options ledger = {.struct_size = sizeof ledger, .host = "n1"};
    require(mproxy_store_open(NULL, &b->store, &err), &err);
    require(mproxy_ledger_open(dir_fd, b->store, &ledger, &b->ledger, &err), &err);
    const mproxy_rounds_options rounds = {
        .struct_size = sizeof rounds, .store = b->store, .ledger = b->ledger};
    const mproxy_push_options push = {.struct_size = sizeof push,
                                      .store = b->store,
                                      .ledger = b->ledger,
                                      .state_fd = dir_fd,
                                      .host = "n1"};
    require(mproxy_rounds_new(&rounds, &b->rounds, &err), &err);
    require(mproxy_push_open(&push, &b->push, &err), &err);
    require(mproxy_rounds_add(b->rounds, mproxy_push_input(b->push), &err), &err);
}

static void close_bench(struct bench *b)
{
    mproxy_rounds_free(b->rounds);
    mproxy_push_close(b->push);
    mproxy_ledger_close(b->ledger);
    mproxy_store_close(b->store);
}

static double anonymous_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "RssAnon: %lf", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib / 1024;
}

static void run(int dir_fd)
{
    struct bench b = {0};
    mproxy_push_stats stats = {.struct_size = sizeof stats};
    open_bench(&b, dir_fd);
    push_to(&b, 0);
    time_round(&b);
    double one = time_pushes(&b, 20000, 1), one_round = best_round(&b, 1, 1);
    int64_t begin = mpx_clock_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < GROUPS; i++)
        push_to(&b, i);
    double fill = (double)(mpx_clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
    double first_round = time_round(&b);
    double many = time_pushes(&b, 20000, GROUPS);
    double quiet = best_round(&b, 0, GROUPS), a_push = best_round(&b, 1, GROUPS);
    double thousand = best_round(&b, 1000, GROUPS);
    push_to(&b, GROUPS);
    double new_group = time_round(&b);
    mproxy_push_get_stats(b.push, &stats);
    double memory = anonymous_mib();
    close_bench(&b);
    begin = mpx_clock_ns(CLOCK_MONOTONIC);
    open_bench(&b, dir_fd);
    double start = (double)(mpx_clock_ns(CLOCK_MONOTONIC) - begin) / 1e6;
    close_bench(&b);
    printf("{\"bench\":\"push\",\"series\":%d,\"one_group_us\":%.2f,"
           "\"ten_thousand_us\":%.2f,\"ratio\":%.2f,\"aim_ratio\":1.5,\"fill_s\":%.2f}\n",
           SERIES, one / 1e3, many / 1e3, many / one, fill);
    printf("{\"bench\":\"push_round\",\"groups\":%d,\"one_group_ms\":%.3f,"
           "\"quiet_ms\":%.3f,\"a_push_ms\":%.2f,\"thousand_ms\":%.2f,"
           "\"new_group_ms\":%.2f,\"all_new_ms\":%.1f,\"start_ms\":%.1f}\n",
           GROUPS, one_round, quiet, a_push, thousand, new_group, first_round, start);
    printf("{\"bench\":\"push_memory\",\"series\":%llu,\"anonymous_mib\":%.1f,"
           "\"bytes_a_series\":%.0f,\"file_mib\":%.1f,\"file_bytes_a_series\":%.1f}\n",
           (unsigned long long)stats.series, memory,
           memory * 1048576 / (double)stats.series, (double)stats.bytes / 1048576,
           (double)stats.bytes / (double)stats.series);
}

int main(int argc, char **argv)
{
    if (argc == 5) {
        printf("%.1f\n", load(atoi(argv[1]), atoi(argv[2]),
                              (unsigned)strtoul(argv[3], NULL, 10), atof(argv[4])));
        return 0;
    }
    char path[] = "/dev/shm/mproxy-bench-push-XXXXXX", command[128];
    int dir_fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY) : -1;
    if (dir_fd < 0) {
        perror(path);
        return 1;
    }
    run(dir_fd);
    close(dir_fd);
    snprintf(command, sizeof command, "rm -rf %s", path);
    return system(command) != 0;
}
