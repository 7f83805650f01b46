// What fork() and the child's _exit() cost a counted program over the same program bare, alone
// in its rendezvous and beside the segments of 10,000 live processes. All three run by turns,
// so that all see the same machine.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { TURNS = 60, FORKS = 40, CROWD = 10000 };
enum kind { BARE, ALONE, CROWDED, KINDS };

static char preload[2 * PATH_MAX], top[] = "/dev/shm/mproxy-bench-XXXXXX";
static const char *self, *const rooms[KINDS] = {"none", "alone", "crowd"};

// Tells the parent by a pipe what each of its forks took.
static int fork_often(int fd)
{
    float took[FORKS];
    for (int i = 0; i < FORKS; i++) {
        int64_t start = mpx_clock_ns(CLOCK_MONOTONIC);
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
        took[i] = (float)(mpx_clock_ns(CLOCK_MONOTONIC) - start) / 1000;
    }
    return write(fd, took, sizeof took) != (ssize_t)sizeof took;
}

static bool run(enum kind kind, float *out)
{
    int ends[2], status = -1;
    char path[PATH_MAX], number[12];
    if (pipe(ends) != 0)
        return false;
    snprintf(path, sizeof path, "%s/%s", top, rooms[kind]);
    snprintf(number, sizeof number, "%d", ends[1]);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("PROXY_PATH", path, 1);
        if (kind != BARE)
            setenv("LD_PRELOAD", preload, 1);
        execl(self, self, "forks", number, NULL);
        _exit(127);
    }
    close(ends[1]);
    bool ok = read(ends[0], out, FORKS * sizeof *out) == FORKS * (ssize_t)sizeof *out;
    close(ends[0]);
    return waitpid(pid, &status, 0) == pid && status == 0 && ok;
}

// No proxy takes segments away here; theirs begin with a number, the crowd's do not.
static void remove_entries(const char *room, bool all)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s.d", top, room);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (all || (entry->d_name[0] >= '0' && entry->d_name[0] <= '9'))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    if (all)
        rmdir(path);
}

// As a proxy that attends, for which the bound on entries does not hold, and 10,000 segments.
static bool make_room(const char *room, int entries, char *build)
{
    char path[PATH_MAX], command[3 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", top, room);
    snprintf(command, sizeof command, "%s/bin/proxy_run -u %s -e process -- true", build,
             path);
    if (system(command) != 0)
        return false;
    strcat(path, ".d");
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    int proxy = openat(dir, "proxy", O_RDWR | O_CREAT, 0600);
    char word[64];
    memset(word, ' ', sizeof word);
    int length = snprintf(word, sizeof word, "%d %lld 86400000 0", (int)getpid(),
                          (long long)mpx_boot_ms());
    word[length] = ' ';
    word[63] = '\n';
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool ok = pwrite(proxy, word, sizeof word, 0) == (ssize_t)sizeof word &&
              fcntl(proxy, F_OFD_SETLK, &lock) == 0;
    for (int i = 0; i < entries; i++) {
        char name[32];
        snprintf(name, sizeof name, "live-%d.seg", i);
        close(openat(dir, name, O_RDWR | O_CREAT, 0600));
    }
    close(dir);
    return ok; // `proxy` stays open, and locked
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static float took[KINDS][TURNS * FORKS];
    char *build = argc > 1 ? argv[1] : ".";
    if (argc == 3 && strcmp(argv[1], "forks") == 0)
        return fork_often(atoi(argv[2]));
    self = "/proc/self/exe";
    snprintf(preload, sizeof preload,
             "%.2000s/lib/libmproxy_client.so.0:"
             "%.2000s/lib/libmetricproxy-exporter-process.so",
             build, build);
    setenv("PROXY_JOB_ID", "bench", 1);
    setenv("MPROXY_COMMAND", "forks", 1);
    if (!mkdtemp(top))
        return 1;
    bool ok = make_room("alone", 0, build) && make_room("crowd", CROWD, build);
    for (int turn = 0; turn < TURNS && ok; turn++) {
        for (int kind = 0; kind < KINDS && ok; kind++)
            ok = run((enum kind)kind, took[kind] + (size_t)turn * FORKS);
        remove_entries("alone", false);
        remove_entries("crowd", false);
    }
    remove_entries("alone", true);
    remove_entries("crowd", true);
    rmdir(top);
    for (int kind = 0; kind < KINDS; kind++)
        qsort(took[kind], TURNS * FORKS, sizeof took[kind][0], by_size);
    enum { MIDDLE = TURNS * FORKS / 2 };
    printf("{\"bench\":\"fork\",\"us_over_bare\":%.0f,\"us_over_bare_crowd\":%.0f,"
           "\"us_bare\":%.0f,\"crowd\":%d,\"aim_us\":50}\n",
           took[ALONE][MIDDLE] - took[BARE][MIDDLE],
           took[CROWDED][MIDDLE] - took[BARE][MIDDLE], took[BARE][MIDDLE], CROWD);
    return !ok;
}
