// A proxy of one's own: the node's daemon inside another program, in some sixty lines. This
// one keeps no profiles and listens on the loopback only.
//
//   rpath=-Wl,-rpath,$(pkg-config --variable=libdir mproxy)
//   cc -o daemon daemon.c $rpath $(pkg-config --cflags --libs mproxy)
//   ./daemon /dev/shm/own.socket 8080 &
//   proxy_run -u /dev/shm/own.socket -j first -- ls
//   curl http://127.0.0.1:8080/metrics
#include <mproxy/daemon.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static mproxy_daemon *daemon_running;

static void stop(int signal_number)
{
    (void)signal_number;
    mproxy_daemon_stop(daemon_running);
}

// The library never prints: what it has to say comes here.
static void log_line(void *arg, mproxy_log_level level, const char *line)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    fprintf(arg, "%s: %s\n", words[level], line);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: daemon SOCKET PORT\n");
        return 2;
    }
    int port = atoi(argv[2]);
    mproxy_daemon_options options = {
        .struct_size = sizeof options,
        .listen_address = "127.0.0.1",
        .port = port ? port : -1,
        .socket_path = argv[1],
        .no_profiles = 1,
        .log = log_line,
        .log_arg = stderr,
    };
    mproxy_error err;
    if (mproxy_daemon_open(&options, &daemon_running, &err) != MPROXY_OK) {
        fprintf(stderr, "daemon: %s\n", err.text);
        return 1;
    }
    // The daemon leaves signals to the program.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    printf("serving at %s\n", mproxy_daemon_url(daemon_running));
    fflush(stdout);

    mproxy_status status = mproxy_daemon_run(daemon_running, &err);
    if (status != MPROXY_OK)
        fprintf(stderr, "daemon: %s\n", err.text);
    mproxy_daemon_close(daemon_running);
    return status == MPROXY_OK ? 0 : 1;
}
