// A proxy composed of the library's parts, rather than the whole daemon: the node's own
// metrics, added up once a second and served to Prometheus.
//
//   rpath=-Wl,-rpath,$(pkg-config --variable=libdir mproxy)
//   cc -o node_metrics node_metrics.c $rpath $(pkg-config --cflags --libs mproxy)
//   ./node_metrics 8080 &
//   curl http://127.0.0.1:8080/metrics
#include <mproxy/exposition.h>
#include <mproxy/http.h>
#include <mproxy/reduction.h>
#include <mproxy/system.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static mproxy_store *store; // HTTP threads read its snapshots, main() writes
static mproxy_reduction *reduction;
static mproxy_system *node;
static mproxy_http *http;

static mproxy_status render(void *snapshot, mproxy_write_fn write, void *arg)
{
    return mproxy_render_snapshot(snapshot, MPROXY_FORMAT_PROMETHEUS, NULL, write, arg);
}

static void release(void *snapshot)
{
    mproxy_snapshot_unref(snapshot);
}

// On a thread of the server's: the newest snapshot does not change while it is sent.
static void serve_metrics(mproxy_request *request, void *context)
{
    (void)context;
    mproxy_reply_stream(request, "text/plain; version=0.0.4", render, release,
                        mproxy_store_snapshot(store));
}

static mproxy_status open_all(int port, mproxy_error *err)
{
    const mproxy_http_route routes[] = {{.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/metrics",
                                         .handle = serve_metrics}};
    mproxy_http_options web = {.struct_size = sizeof web,
                               .address = "127.0.0.1",
                               .port = port,
                               .routes = routes,
                               .route_count = 1};
    mproxy_status status = mproxy_store_open(NULL, &store, err);
    mproxy_system_options system = {.struct_size = sizeof system, .store = store};
    if (status == MPROXY_OK)
        status = mproxy_reduction_new(store, &reduction, err);
    if (status == MPROXY_OK)
        status = mproxy_system_open(&system, &node, err);
    return status == MPROXY_OK ? mproxy_http_open(&web, &http, err) : status;
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// Read the node, add up, and show it to the readers.
static mproxy_status do_round(const char *host, uint64_t number, mproxy_error *err)
{
    uint64_t boot_ms = now_us(CLOCK_BOOTTIME) / 1000;
    mproxy_status status =
        mproxy_system_sample(node, (int64_t)boot_ms, now_us(CLOCK_REALTIME));
    mproxy_source source = {.struct_size = sizeof source,
                            .kind = MPROXY_SOURCE_NODE,
                            .host = host,
                            .epoch = 1,
                            .sequence = number,
                            .count = mproxy_system_layout(node)->count,
                            .metrics = mproxy_system_layout(node)->metrics,
                            .values = mproxy_system_values(node)};
    if (status == MPROXY_OK)
        status = mproxy_reduction_put(reduction, &source, err);
    return status == MPROXY_OK ? mproxy_reduction_publish(reduction, err) : status;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: node_metrics PORT\n");
        return 2;
    }
    // Blocked before the server's threads begin, so that they are waited for below.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    mproxy_error err = {.text = "no memory"};
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    mproxy_status status = open_all(atoi(argv[1]), &err);
    if (status == MPROXY_OK)
        status = do_round(host, 1, &err);
    if (status == MPROXY_OK) {
        printf("serving at http://127.0.0.1:%d\n", mproxy_http_port(http));
        fflush(stdout);
    }
    const struct timespec period = {.tv_sec = 1};
    for (uint64_t number = 2; status == MPROXY_OK; number++) {
        if (sigtimedwait(&ends, NULL, &period) > 0)
            break;
        status = do_round(host, number, &err);
    }
    if (status != MPROXY_OK)
        fprintf(stderr, "node_metrics: %s\n", err.text);
    mproxy_http_close(http);
    mproxy_system_close(node);
    mproxy_reduction_free(reduction);
    mproxy_store_close(store);
    return status == MPROXY_OK ? 0 : 1;
}
