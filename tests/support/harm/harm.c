// harm WORD...: a program whose steps are its arguments, for tests that take something away
// from it. What it prints and how it ends must not depend on whether it is counted.
//
// say TEXT             print a line
// count NAME N         add N to a counter
// grow N               N counters grown_I_total, each raised by 3
// gauge NAME N         set a gauge
// threads N NAME       N threads, each adds 1
// fork STEP... done    a child does the steps; its status is printed
// take-descriptors     open all that can be had
// closefrom N          close all descriptors from N on
// limit RESOURCE N     nofile, fsize, as, data, memlock: both limits
// limit-near as|data N the soft limit N bytes above what is in use
// lock-memory          mlockall(MCL_FUTURE)
// take-memory          malloc() until there is none, then free it
// write FILE N         write N bytes
// user UID             setgid and setuid; prints both user ids
// effective UID        seteuid
// chroot DIR           and go there
// mount DIR            a private mount namespace with an empty file system on DIR
// sandbox prctl|syscall seccomp: read, write and exit only, anything else kills
// sandbox fork         by prctl; what opens, maps or renames files kills
// await FILE           until it is there
// touch FILE
// exec WORD...         harm again, as another image, with the words that follow
// exit N, _exit N, raise N
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/client.h>

static char *self;
static char **word; // the next one

static char *next(void)
{
    if (!*word) {
        fprintf(stderr, "harm: a word is missing\n");
        exit(99);
    }
    return *word++;
}

static long number(void)
{
    return strtol(next(), NULL, 10);
}

// Straight to the descriptor: stdio may want memory. That may be closed.
static void put_line(const char *line)
{
    ssize_t put = write(1, line, strlen(line));
    put += write(1, "\n", 1);
    (void)put;
}

static void tell(const char *what, long value)
{
    char line[200];
    snprintf(line, sizeof line, "%s %ld", what, value);
    put_line(line);
}

static void say(void)
{
    put_line(next());
}

static void count(void)
{
    const char *name = next();
    mproxy_counter_add(mproxy_counter_get(name, "Counted by a test", NULL),
                       (uint64_t)number());
}

static void grow(void)
{
    long names = number();
    for (long i = 0; i < names; i++) {
        char name[60];
        snprintf(name, sizeof name, "grown_%ld_total", i);
        mproxy_counter *counter = mproxy_counter_get(name, "Grown by a test", NULL);
        for (int k = 0; k < 3; k++)
            mproxy_counter_add(counter, 1);
    }
}

static void gauge(void)
{
    const char *name = next();
    mproxy_gauge_set(mproxy_gauge_get(name, "Set by a test", NULL), (double)number());
}

static void *count_one(void *name)
{
    mproxy_counter_add(mproxy_counter_get(name, "Counted by a test", NULL), 1);
    return NULL;
}

static void threads(void)
{
    pthread_t thread[64];
    long wanted = number(), made = 0;
    char *name = next();
    while (made < wanted && made < 64 &&
           pthread_create(&thread[made], NULL, count_one, name) == 0)
        made++;
    tell("threads", made);
    while (made > 0)
        pthread_join(thread[--made], NULL);
}

static void step(void);

static void fork_one(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        while (strcmp(*word, "done") != 0)
            step();
        exit(0);
    }
    while (strcmp(next(), "done") != 0)
        ;
    int status = -1;
    if (pid > 0)
        waitpid(pid, &status, 0);
    tell("child", status);
}

static void take_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0);
    tell("no descriptor", errno);
}

static void limit(void)
{
    const char *name = next();
    rlim_t value = (rlim_t)number();
    struct rlimit both = {value, value};
    int resource = strcmp(name, "nofile") == 0  ? RLIMIT_NOFILE
                   : strcmp(name, "fsize") == 0 ? RLIMIT_FSIZE
                   : strcmp(name, "as") == 0    ? RLIMIT_AS
                   : strcmp(name, "data") == 0  ? RLIMIT_DATA
                                                : RLIMIT_MEMLOCK;
    tell(name, setrlimit(resource, &both));
}

// Bytes of VmSize or VmData.
static rlim_t in_use(const char *field)
{
    static char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    const char *at = got > 0 ? strstr(text, field) : NULL;
    return at ? (rlim_t)strtol(at + strlen(field), NULL, 10) * 1024 : 0;
}

static void limit_near(void)
{
    bool is_data = strcmp(next(), "data") == 0;
    struct rlimit r = {.rlim_max = RLIM_INFINITY};
    r.rlim_cur = in_use(is_data ? "VmData:" : "VmSize:") + (rlim_t)number();
    tell("limit", setrlimit(is_data ? RLIMIT_DATA : RLIMIT_AS, &r));
}

static void take_memory(void)
{
    void *first = NULL;
    for (size_t size = (size_t)1 << 30; size >= 64; size /= 2) {
        void **block;
        while ((block = malloc(size))) {
            *block = first;
            first = block;
        }
    }
    tell("no memory", errno);
    while (first) {
        void *block = first;
        first = *(void **)block;
        free(block);
    }
}

static void write_file(void)
{
    int fd = open(next(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    long wanted = number();
    long put = 0, one = 1;
    while (put < wanted && (one = write(fd, "0123456789abcdef", 16)) > 0)
        put += one;
    tell("written", put);
    close(fd);
}

static void become_user(void)
{
    long user = number();
    if (user >= 0 && (setgid((gid_t)user) != 0 || setuid((uid_t)user) != 0))
        tell("not that user", errno);
    tell("user", (long)getuid());
    tell("effective", (long)geteuid());
}

static void become_effective(void)
{
    tell("seteuid", seteuid((uid_t)number()));
}

static void mount_over(void)
{
    const char *dir = next();
    bool ok = unshare(CLONE_NEWNS) == 0 &&
              mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
              mount("tmpfs", dir, "tmpfs", 0, "size=1m") == 0;
    tell("mounted", ok);
}

// Kills for what a child's segment takes.
static void sandbox_files(void)
{
#define KILL(nr)                                                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),                                       \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        KILL(SYS_openat),
        KILL(SYS_fallocate),
        KILL(SYS_ftruncate),
        KILL(SYS_pwritev),
        KILL(SYS_symlinkat),
        KILL(SYS_mmap),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    tell("sandbox", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

static void sandbox(void)
{
#define ALLOW(nr)                                                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),                                       \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_exit),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const char *way = next();
    if (strcmp(way, "fork") == 0) {
        sandbox_files();
        return;
    }
    tell("sandbox", strcmp(way, "prctl") == 0
                        ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)
                        : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static void await(void)
{
    const char *path = next();
    for (int i = 0; access(path, F_OK) != 0; i++) {
        if (i == 6000)
            exit(97);
        usleep(10000);
    }
}

static void touch(void)
{
    int fd = open(next(), O_CREAT | O_WRONLY, 0666);
    if (fd >= 0)
        close(fd);
}

static void change_root(void)
{
    const char *dir = next();
    tell("chroot", chdir(dir) == 0 && chroot(".") == 0);
}

static void step(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } steps[] = {{"say", say},
                 {"count", count},
                 {"grow", grow},
                 {"gauge", gauge},
                 {"threads", threads},
                 {"fork", fork_one},
                 {"take-descriptors", take_descriptors},
                 {"limit", limit},
                 {"take-memory", take_memory},
                 {"write", write_file},
                 {"user", become_user},
                 {"effective", become_effective},
                 {"limit-near", limit_near},
                 {"chroot", change_root},
                 {"mount", mount_over},
                 {"sandbox", sandbox},
                 {"await", await},
                 {"touch", touch}};
    const char *name = next();
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(name, steps[i].name) == 0) {
            steps[i].run();
            return;
        }
    if (strcmp(name, "closefrom") == 0) {
        closefrom((int)number());
    } else if (strcmp(name, "lock-memory") == 0) {
        tell("locked", mlockall(MCL_FUTURE));
    } else if (strcmp(name, "exec") == 0) {
        word[-1] = self;
        execv(self, word - 1);
        tell("exec", errno);
    } else if (strcmp(name, "exit") == 0) {
        exit((int)number());
    } else if (strcmp(name, "_exit") == 0) {
        _exit((int)number());
    } else if (strcmp(name, "raise") == 0) {
        raise((int)number());
    } else {
        fprintf(stderr, "harm: %s?\n", name);
        exit(99);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    self = argv[0];
    word = argv + 1;
    while (*word)
        step();
    return 0;
}
