// bench_launch [BUILD [PROGRAM]]: what `proxy_run -- /bin/true` costs over `/bin/true`, with the
// process exporter alone and with all that are on by default, and what the preload alone costs a
// program that a job starts. They are run by turns, so that all see the same machine. PROGRAM, in
// the place of /bin/true, may be one that calls MPI_Init() and ends.
#include <dirent.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

extern char **environ;

enum { RUNS = 400 };
enum kind { BARE, PRELOADED, UNDER, WITH_ALL, KINDS };

static char *program = "/bin/true";
static char proxy_run[PATH_MAX], exporter[PATH_MAX + 128],
    directory[] = "/dev/shm/mproxy-bench-XXXXXX";

// No proxy takes the segments away here, and a directory takes some thousands only.
static void remove_segments(bool all)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/s.d", directory);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (all && rmdir(path) == 0)
        rmdir(directory);
}

static double run_us(enum kind kind)
{
    char *bare[] = {program, NULL};
    char *under[] = {proxy_run, "-j", "bench", "-e", "process", "--", program, NULL};
    char *with_all[] = {proxy_run, "-j", "bench", "--", program, NULL};
    int status = -1;
    pid_t pid;
    if (kind == PRELOADED)
        setenv("LD_PRELOAD", exporter, 1);
    else
        unsetenv("LD_PRELOAD");
    int64_t start = mpx_clock_ns(CLOCK_MONOTONIC);
    char **words = kind == UNDER ? under : kind == WITH_ALL ? with_all : bare;
    if (posix_spawn(&pid, words[0], NULL, NULL, words, environ) == 0)
        waitpid(pid, &status, 0);
    double took = (double)(mpx_clock_ns(CLOCK_MONOTONIC) - start) / 1000;
    if (status != 0) {
        remove_segments(true);
        exit(1);
    }
    return took;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static double took[KINDS][RUNS];
    char socket[PATH_MAX];
    const char *build = argc > 1 ? argv[1] : ".";
    program = argc > 2 ? argv[2] : program;
    snprintf(proxy_run, sizeof proxy_run, "%.3000s/bin/proxy_run", build);
    snprintf(exporter, sizeof exporter,
             "%.2000s/lib/libmproxy_client.so.0:"
             "%.2000s/lib/libmetricproxy-exporter-process.so",
             build, build);
    if (!mkdtemp(directory))
        return 1;
    snprintf(socket, sizeof socket, "%s/s", directory);
    setenv("PROXY_PATH", socket, 1);
    setenv("PROXY_JOB_ID", "bench", 1);
    setenv("MPROXY_COMMAND", program, 1);
    for (int run = 0; run < RUNS; run++) {
        for (int kind = 0; kind < KINDS; kind++)
            took[kind][run] = run_us((enum kind)kind);
        if (run % 100 == 99)
            remove_segments(false);
    }
    remove_segments(true);
    for (int kind = 0; kind < KINDS; kind++)
        qsort(took[kind], RUNS, sizeof took[kind][0], by_size);
    const double *bare = took[BARE], *preloaded = took[PRELOADED], *under = took[UNDER],
                 *with_all = took[WITH_ALL];
    printf("{\"bench\":\"proxy_run_true\",\"us_over_bare\":%.0f,\"us_bare\":%.0f,"
           "\"us_preloaded_over_bare\":%.0f,\"us_over_bare_p90\":%.0f,"
           "\"us_over_bare_all_exporters\":%.0f,\"aim_us\":1000}\n",
           under[RUNS / 2] - bare[RUNS / 2], bare[RUNS / 2],
           preloaded[RUNS / 2] - bare[RUNS / 2],
           under[RUNS * 9 / 10] - bare[RUNS * 9 / 10],
           with_all[RUNS / 2] - bare[RUNS / 2]);
    return 0;
}
