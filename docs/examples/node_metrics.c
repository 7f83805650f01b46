// The least that makes a proxy of the library's parts: the node's own metrics, read once a
// second and served to Prometheus. daemon.c beside this one also has programs.
//
//   rpath=-Wl,-rpath,$(pkg-config --variable=libdir mproxy)
//   cc -o node_metrics node_metrics.c $rpath $(pkg-config --cflags --libs mproxy)
//   ./node_metrics 8080 &
//   curl http://127.0.0.1:8080/metrics
#include <mproxy/serve.h>
#include <mproxy/system.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static mproxy_loop *loop;

static void on_signal(int number)
{
    (void)number;
    mproxy_loop_stop(loop);
}

int main(int argc, char **argv)
{
    mproxy_store *store = NULL;
    mproxy_system *node = NULL;
    mproxy_rounds *rounds = NULL;
    mproxy_http *http = NULL;
    mproxy_error err;
    int port = argc == 2 ? atoi(argv[1]) : 0;

    // A status is 0 when all is well.
    int failed = mproxy_loop_open(&loop, &err) || mproxy_store_open(NULL, &store, &err);
    mproxy_system_options system = {.struct_size = sizeof system, .store = store};
    mproxy_rounds_options sums = {.struct_size = sizeof sums, .store = store};
    failed = failed || mproxy_system_open(&system, &node, &err) ||
             mproxy_rounds_new(&sums, &rounds, &err) ||
             mproxy_rounds_add(rounds, mproxy_system_input(node), &err) ||
             mproxy_rounds_start(rounds, loop, &err) ||
             mproxy_serve_open(store, "127.0.0.1", port, &http, &err);
    if (!failed) {
        signal(SIGTERM, on_signal);
        printf("serving at http://127.0.0.1:%d\n", mproxy_http_port(http));
        fflush(stdout);
        failed = mproxy_loop_run(loop, &err);
    }
    if (failed)
        fprintf(stderr, "node_metrics: %s\n", err.text);
    mproxy_http_close(http);
    mproxy_rounds_free(rounds);
    mproxy_system_close(node);
    mproxy_store_close(store);
    mproxy_loop_close(loop);
    return failed != 0;
}
