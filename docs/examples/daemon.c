// A proxy of one's own, composed of the library's parts: the programs that count on this node,
// older clients of its socket, the node's metrics and the proxy's own, added up once a second
// and served to Prometheus. It keeps no profiles; all that proxy-v2 does is <mproxy/daemon.h>.
//
//   rpath=-Wl,-rpath,$(pkg-config --variable=libdir mproxy)
//   cc -o daemon daemon.c $rpath $(pkg-config --cflags --libs mproxy)
//   ./daemon /dev/shm/own.socket 8080 &
//   proxy_run -u /dev/shm/own.socket -j first -- ls
//   curl http://127.0.0.1:8080/metrics
#include <mproxy/mproxy.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static mproxy_loop *loop;
static mproxy_store *store; // the loop writes it, HTTP threads read its snapshots
static mproxy_processes *processes;
static mproxy_gateway *gateway;
static mproxy_system *node;
static mproxy_self *self;
static mproxy_http *http;
static mproxy_rounds *rounds;

// The library never prints: what it has to say comes here.
static void log_line(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s%s\n", level <= MPROXY_LOG_WARNING ? "warning: " : "", line);
}

static void on_signal(int number)
{
    (void)number;
    mproxy_loop_stop(loop);
}

// Each of these is 0, MPROXY_OK, until something fails.
static int open_inputs(const char *socket, mproxy_error *err)
{
    mproxy_processes_options programs = {.struct_size = sizeof programs,
                                         .socket_path = socket,
                                         .store = store,
                                         .log = log_line};
    mproxy_gateway_options clients = {.struct_size = sizeof clients,
                                      .loop = loop,
                                      .socket_path = socket,
                                      .log = log_line};
    mproxy_system_options system = {.struct_size = sizeof system, .store = store};
    int failed = mproxy_processes_open(&programs, &processes, err);
    clients.processes = processes;
    return failed || mproxy_gateway_open(&clients, &gateway, err) ||
           mproxy_system_open(&system, &node, err);
}

static int open_rounds(mproxy_error *err)
{
    mproxy_self_options own = {.struct_size = sizeof own,
                               .store = store,
                               .processes = processes,
                               .gateway = gateway,
                               .http = http};
    mproxy_rounds_options options = {.struct_size = sizeof options,
                                     .store = store,
                                     .ledger = mproxy_processes_ledger(processes),
                                     .log = log_line};
    return mproxy_self_open(&own, &self, err) ||
           mproxy_rounds_new(&options, &rounds, err) ||
           mproxy_rounds_add(rounds, mproxy_gateway_input(gateway), err) ||
           mproxy_rounds_add(rounds, mproxy_processes_input(processes), err) ||
           mproxy_rounds_add(rounds, mproxy_system_input(node), err) ||
           mproxy_rounds_add(rounds, mproxy_self_input(self), err);
}

static int serve(const char *socket, int port, mproxy_error *err)
{
    if (mproxy_loop_open(&loop, err) || mproxy_store_open(NULL, &store, err) ||
        open_inputs(socket, err) ||
        mproxy_serve_open(store, "127.0.0.1", port, &http, err) || open_rounds(err) ||
        mproxy_rounds_start(rounds, loop, err))
        return 1;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("serving at http://127.0.0.1:%d\n", mproxy_http_port(http));
    fflush(stdout);
    return mproxy_loop_run(loop, err);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: daemon SOCKET PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    mproxy_error err = {.text = "no memory"};
    int failed = serve(argv[1], atoi(argv[2]), &err);
    if (failed)
        fprintf(stderr, "daemon: %s\n", err.text);
    // Programs go on counting, and what older clients left is in segments: the next proxy
    // finds all of it.
    mproxy_rounds_free(rounds);
    mproxy_self_close(self);
    mproxy_http_close(http);
    mproxy_system_close(node);
    mproxy_gateway_close(gateway);
    mproxy_processes_close(processes);
    mproxy_store_close(store);
    mproxy_loop_close(loop);
    return failed;
}
