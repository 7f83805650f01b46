// A proxy of one's own, composed of the library's parts: the programs that count on this
// node and the node's own metrics, added up once a second and served to Prometheus. It keeps
// no profiles. The whole daemon, as proxy-v2 runs it, is <mproxy/daemon.h>.
//
//   rpath=-Wl,-rpath,$(pkg-config --variable=libdir mproxy)
//   cc -o daemon daemon.c $rpath $(pkg-config --cflags --libs mproxy)
//   ./daemon /dev/shm/own.socket 8080 &
//   proxy_run -u /dev/shm/own.socket -j first -- ls
//   curl http://127.0.0.1:8080/metrics
#include <mproxy/exposition.h>
#include <mproxy/http.h>
#include <mproxy/processes.h>
#include <mproxy/reduction.h>
#include <mproxy/system.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static mproxy_store *store; // HTTP threads read its snapshots, main() writes
static mproxy_reduction *reduction;
static mproxy_processes *processes;
static mproxy_system *node;
static mproxy_http *http;

// The library never prints: what it has to say comes here.
static void log_line(void *arg, mproxy_log_level level, const char *line)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    fprintf(arg, "%s: %s\n", words[level], line);
}

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

static mproxy_status open_all(const char *socket, int port, mproxy_error *err)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    mproxy_status status = mproxy_store_open(NULL, &store, err);
    mproxy_ledger_options ledger = {.struct_size = sizeof ledger,
                                    .host = host,
                                    .linger_ms = 2000,
                                    .continue_ms = 600000};
    mproxy_processes_options programs = {.struct_size = sizeof programs,
                                         .socket_path = socket,
                                         .store = store,
                                         .ledger = &ledger,
                                         .log = log_line,
                                         .log_arg = stderr};
    mproxy_system_options system = {.struct_size = sizeof system, .store = store};
    const mproxy_http_route routes[] = {{.struct_size = sizeof *routes,
                                         .methods = MPROXY_HTTP_GET,
                                         .path = "/metrics",
                                         .handle = serve_metrics}};
    mproxy_http_options web = {.struct_size = sizeof web,
                               .address = "127.0.0.1",
                               .port = port,
                               .routes = routes,
                               .route_count = 1};
    if (status == MPROXY_OK)
        status = mproxy_reduction_new(store, &reduction, err);
    if (status == MPROXY_OK)
        status = mproxy_processes_open(&programs, &processes, err);
    if (status == MPROXY_OK)
        status = mproxy_system_open(&system, &node, err);
    return status == MPROXY_OK ? mproxy_http_open(&web, &http, err) : status;
}

// Shares that were sealed in the last round: no profile waits for them here, so the next one
// lets them go. Their counters stay in `main`.
enum { SEALED_MAX = 100 };
static uint64_t sealed[SEALED_MAX];
static size_t sealed_count;

static void release_sealed(mproxy_ledger *ledger)
{
    for (size_t i = 0; i < sealed_count; i++) {
        mproxy_reduction_stored(reduction, mproxy_ledger_directory(ledger), sealed[i]);
        mproxy_ledger_release(ledger, sealed[i]);
    }
    sealed_count = 0;
}

// What the ledger has goes into the sums, what it has no more leaves them.
static mproxy_status show(mproxy_ledger *ledger, mproxy_error *err)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(ledger, &sources), held = 0;
    uint64_t *shares = calloc(count + 1, sizeof *shares);
    mproxy_status status = shares ? MPROXY_OK : MPROXY_E_NOMEM;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++) {
        status = mproxy_reduction_put(reduction, sources[i], err);
        if (sources[i]->kind != MPROXY_SOURCE_SHARE)
            continue;
        shares[held++] = sources[i]->number;
        if (sources[i]->sealed && sealed_count < SEALED_MAX)
            sealed[sealed_count++] = sources[i]->number;
    }
    if (count > 0 && status == MPROXY_OK)
        mproxy_reduction_retain(reduction, mproxy_ledger_directory(ledger),
                                MPROXY_SOURCE_SHARE, shares, held);
    free(shares);
    return status == MPROXY_OK ? mproxy_reduction_publish(reduction, err) : status;
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// Nothing is shown or unlinked before the ledger has it on disk.
static mproxy_status do_round(mproxy_error *err)
{
    int64_t boot_ms = (int64_t)(now_us(CLOCK_BOOTTIME) / 1000);
    uint64_t wall_us = now_us(CLOCK_REALTIME);
    mproxy_ledger *ledger = mproxy_processes_ledger(processes);
    mproxy_ledger_round_begin(ledger, boot_ms, wall_us);
    mproxy_status status = mproxy_processes_read(processes, boot_ms, wall_us, err);
    if (status != MPROXY_OK)
        return status;
    if (mproxy_system_sample(node, boot_ms, wall_us) == MPROXY_OK)
        mproxy_ledger_node(ledger, mproxy_system_layout(node), mproxy_system_values(node),
                           NULL);
    release_sealed(ledger);
    status = mproxy_ledger_round_end(ledger, err);
    if (status == MPROXY_OK)
        status = show(ledger, err);
    if (status == MPROXY_OK)
        mproxy_processes_settle(processes);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: daemon SOCKET PORT\n");
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
    mproxy_status status = open_all(argv[1], atoi(argv[2]), &err);
    if (status == MPROXY_OK)
        status = do_round(&err);
    if (status == MPROXY_OK) {
        printf("serving at http://127.0.0.1:%d\n", mproxy_http_port(http));
        fflush(stdout);
    }
    // Whatever fails, the programs go on counting, and the next proxy finds all of it.
    const struct timespec period = {.tv_sec = 1};
    while (status == MPROXY_OK && sigtimedwait(&ends, NULL, &period) < 0)
        status = do_round(&err);
    if (status == MPROXY_OK)
        status = do_round(&err);
    if (status != MPROXY_OK)
        fprintf(stderr, "daemon: %s\n", err.text);
    mproxy_http_close(http);
    mproxy_system_close(node);
    mproxy_reduction_free(reduction);
    mproxy_processes_close(processes);
    mproxy_store_close(store);
    return status == MPROXY_OK ? 0 : 1;
}
