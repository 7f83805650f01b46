// What fork() and the child's _exit() cost a counted program over the same program bare, alone
// in its rendezvous and beside the segments of 10,000 live processes. And the floor: the same
// program bare, but that each child makes a locked page of shared memory that outlives it, in the
// place of its parent's, by the fewest system calls, and nothing else. All run by turns, so that
// all see the same machine.
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
#include "base/sys.h"

enum { TURNS = 60, FORKS = 40, CROWD = 10000, PAGE = 4096, DIGITS = 8 };
enum kind { BARE, ALONE, CROWDED, FLOOR, KINDS };

static char preload[2 * PATH_MAX], top[] = "/dev/shm/mproxy-bench-XXXXXX";
static const char *self, *const rooms[KINDS] = {"none", "alone", "crowd", "floor"};

// What a child of the floor does: no function that is not inline, as each is a page to touch.
struct floor {
    char path[PATH_MAX], *number; // the pid's digits in it
    char *page;
    char image[PAGE];
};

static bool make_page(struct floor *f)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    long fd = mpx_sys_raw(SYS_openat, AT_FDCWD, (long)f->path,
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, 0, 0);
    bool ok = mpx_sys_raw(SYS_fcntl, fd, F_OFD_SETLK, (long)&lock, 0, 0, 0) == 0 &&
              mpx_sys_raw(SYS_pwrite64, fd, (long)f->image, PAGE, 0, 0, 0) == PAGE &&
              mpx_sys_raw(SYS_mmap, (long)f->page, PAGE, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, fd, 0) == (long)f->page;
    mpx_sys_raw(SYS_close, fd, 0, 0, 0, 0, 0);
    if (ok)
        *(volatile char *)f->page = 1;
    return ok;
}

static void be_floor(struct floor *f)
{
    unsigned pid = (unsigned)mpx_getpid();
    for (int i = DIGITS; i-- > 0; pid /= 10)
        f->number[i] = (char)('0' + pid % 10);
    if (!make_page(f))
        abort();
}

static struct floor *open_floor(const char *room)
{
    static struct floor f;
    int length = snprintf(f.path, sizeof f.path, "%s/%08d.seg", room, 0);
    f.number = f.path + length - DIGITS - strlen(".seg");
    f.page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    be_floor(&f);
    return &f;
}

// Tells the parent by a pipe what each of its forks took.
static int fork_often(int fd, const char *room)
{
    float took[FORKS];
    struct floor *floor = room ? open_floor(room) : NULL;
    for (int i = 0; i < FORKS; i++) {
        int64_t start = mpx_clock_ns(CLOCK_MONOTONIC);
        pid_t pid = fork();
        if (pid == 0) {
            if (floor)
                be_floor(floor);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        took[i] = (float)(mpx_clock_ns(CLOCK_MONOTONIC) - start) / 1000;
    }
    return write(fd, took, sizeof took) != (ssize_t)sizeof took;
}

static bool run(enum kind kind, float *out)
{
    int ends[2], status = -1;
    char path[PATH_MAX + 8], number[12];
    if (pipe(ends) != 0)
        return false;
    snprintf(path, sizeof path, "%s/%s", top, rooms[kind]);
    snprintf(number, sizeof number, "%d", ends[1]);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("PROXY_PATH", path, 1);
        if (kind == ALONE || kind == CROWDED)
            setenv("LD_PRELOAD", preload, 1);
        strcat(path, ".d");
        execl(self, self, "forks", number, kind == FLOOR ? path : NULL, NULL);
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
    if (argc >= 3 && strcmp(argv[1], "forks") == 0)
        return fork_often(atoi(argv[2]), argv[3]);
    self = "/proc/self/exe";
    snprintf(preload, sizeof preload,
             "%.2000s/lib/libmproxy_client.so.0:"
             "%.2000s/lib/libmetricproxy-exporter-process.so",
             build, build);
    setenv("PROXY_JOB_ID", "bench", 1);
    setenv("MPROXY_COMMAND", "forks", 1);
    if (!mkdtemp(top))
        return 1;
    bool ok = make_room("alone", 0, build) && make_room("crowd", CROWD, build) &&
              make_room("floor", 0, build);
    for (int turn = 0; turn < TURNS && ok; turn++) {
        for (int kind = 0; kind < KINDS && ok; kind++)
            ok = run((enum kind)kind, took[kind] + (size_t)turn * FORKS);
        remove_entries("alone", false);
        remove_entries("crowd", false);
        remove_entries("floor", false);
    }
    remove_entries("alone", true);
    remove_entries("crowd", true);
    remove_entries("floor", true);
    rmdir(top);
    for (int kind = 0; kind < KINDS; kind++)
        qsort(took[kind], TURNS * FORKS, sizeof took[kind][0], by_size);
    enum { MIDDLE = TURNS * FORKS / 2 };
    printf("{\"bench\":\"fork\",\"us_over_bare\":%.0f,\"us_over_bare_crowd\":%.0f,"
           "\"us_bare\":%.0f,\"us_floor_over_bare\":%.0f,\"crowd\":%d,\"aim_us\":50}\n",
           took[ALONE][MIDDLE] - took[BARE][MIDDLE],
           took[CROWDED][MIDDLE] - took[BARE][MIDDLE], took[BARE][MIDDLE],
           took[FLOOR][MIDDLE] - took[BARE][MIDDLE], CROWD);
    return !ok;
}
