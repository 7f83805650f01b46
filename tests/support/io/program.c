// A program that knows its own I/O: `program MODE DIR` does it in DIR and prints, one a line,
// the metrics that the posix exporter must show: "posix___hits___write 5". What it prints
// goes out through stdio, whose own calls below are not counted.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(x)                                                                          \
    do {                                                                                 \
        if (!(x)) {                                                                      \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static const char *file;      // in DIR
static const char *directory; // DIR
static char data[70000];
static volatile size_t unknown = 100; // a size that the compiler can't see through

static void says(const char *fn, long hits, long size)
{
    printf("posix___hits___%s %ld\n", fn, hits);
    if (size >= 0)
        printf("posix___size___%s %ld\n", fn, size);
}

// Each function of a kind once, and what it fails with.
static void descriptors(void)
{
    struct iovec v[2] = {{data, 10}, {data + 10, 20}};
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    MUST(fd >= 0 && write(fd, data, 1000) == 1000 && writev(fd, v, 2) == 30);
    MUST(pwrite(fd, data, 50, 1030) == 50 && lseek(fd, 0, SEEK_SET) == 0);
    MUST(read(fd, data, sizeof data) == 1080 && read(fd, data, 10) == 0);
    MUST(pread(fd, data, 80, 1000) == 80 && preadv(fd, v, 2, 1060) == 20);
    MUST(fsync(fd) == 0 && ftruncate(fd, 10) == 0 && close(fd) == 0);
    struct stat st;
    MUST(stat(file, &st) == 0 && st.st_size == 10 && lstat(file, &st) == 0);
    MUST(rename(file, file) == 0 && unlink(file) == 0 && unlink(file) < 0);
    MUST(open(file, O_RDONLY) < 0 && read(-1, data, 5) < 0);
    says("open", 2, -1);
    says("write", 1, 1000);
    says("writev", 1, 30);
    says("pwrite", 1, 50);
    says("lseek", 1, -1);
    says("read", 3, 1080);
    says("pread", 1, 80);
    says("preadv", 1, 20);
    says("fsync", 1, -1);
    says("ftruncate", 1, -1);
    says("close", 1, -1);
    says("stat", 1, -1);
    says("lstat", 1, -1);
    says("rename", 1, -1);
    says("unlink", 2, -1);
}

static void streams(void)
{
    FILE *f = fopen(file, "w");
    MUST(f);
    for (int i = 0; i < 1000; i++)
        MUST(fwrite(data, 25, 4, f) == 4);
    MUST(fflush(f) == 0 && fclose(f) == 0);
    f = fopen(file, "r");
    MUST(f && fseek(f, 30, SEEK_SET) == 0);
    size_t got, calls = 0, items = 0;
    do {
        got = fread(data, 16, unknown, f);
        items += got;
        calls++;
    } while (got == unknown);
    MUST(fclose(f) == 0);
    says("fopen", 2, -1);
    says("fwrite", 1000, 100000);
    says("fflush", 1, -1);
    says("fseek", 1, -1);
    says("fread", (long)calls,
         (long)items * 16); // what is left of an item does not count
    says("fclose", 2, -1);
}

static int null_fd, zero_fd;

static void *exchange(void *p)
{
    char own[512];
    for (int i = 0; i < 5000; i++) {
        MUST(write(null_fd, own, 128) == 128);
        MUST(read(zero_fd, own, 512) == 512);
    }
    return p;
}

static void threads(void)
{
    pthread_t t[8];
    null_fd = open("/dev/null", O_WRONLY);
    zero_fd = open("/dev/zero", O_RDONLY);
    for (int i = 0; i < 8; i++)
        MUST(pthread_create(&t[i], NULL, exchange, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    says("open", 2, -1);
    says("write", 40000, 40000L * 128);
    says("read", 40000, 40000L * 512);
}

static volatile long in_handler;

static void on_alarm(int signal)
{
    (void)signal;
    int saved = errno;
    in_handler += write(null_fd, data, 7) == 7;
    errno = saved;
}

// Until the handler has run often enough to have come in between at any place.
static void storm(void)
{
    null_fd = open("/dev/null", O_WRONLY);
    signal(SIGALRM, on_alarm);
    struct itimerval every = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &every, NULL);
    long mine = 0;
    while (in_handler < 4000) {
        MUST(write(null_fd, data, 100) == 100);
        mine++;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    says("write", mine + in_handler, mine * 100 + in_handler * 7);
}

static void children(void)
{
    null_fd = open("/dev/null", O_WRONLY);
    MUST(write(null_fd, data, 1) == 1);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 5; i++)
            MUST(write(null_fd, data, 10) == 10);
        _exit(0);
    }
    MUST(waitpid(pid, NULL, 0) == pid);
    pid = vfork();
    if (pid == 0) {
        if (write(null_fd, data, 100) != 100 || pwrite(null_fd, data, 3, 0) != 3)
            _exit(1);
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    int status;
    MUST(waitpid(pid, &status, 0) == pid && status == 0);
    MUST(write(null_fd, data, 1000) == 1000);
    says("write", 8, 1 + 50 + 100 + 1000);
    says("pwrite", 1, 3);
}

// Descriptors of others are none of its business, and it closes them all.
static void closes(void)
{
    long calls = 0;
    for (int fd = 3; fd < 1024; fd++, calls++)
        close(fd);
    null_fd = open("/dev/null", O_WRONLY);
    MUST(null_fd == 3);
    for (int i = 0; i < 10; i++)
        MUST(write(null_fd, data, 10) == 10);
    says("close", calls, -1);
    says("open", 1, -1);
    says("write", 10, 100);
}

// Neither the first call of a function, which declares its counters, nor a later one.
// Each descriptor that is closed was made by a call that is counted.
static void makers(void)
{
    char name[] = "/tmp/mproxy-test-maker-XXXXXX",
         named[] = "/tmp/mproxy-test-maker-XXXXXX.x";
    int fds[12];
    MUST(pipe(&fds[0]) == 0);
    MUST(pipe2(&fds[2], O_CLOEXEC) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, &fds[4]) == 0);
    MUST((fds[6] = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
    MUST((fds[7] = dup(fds[0])) >= 0);
    MUST((fds[8] = dup2(fds[0], 100)) == 100);
    MUST((fds[9] = dup3(fds[0], 101, O_CLOEXEC)) == 101);
    MUST((fds[10] = mkstemp(name)) >= 0);
    MUST((fds[11] = mkostemps(named, 2, O_CLOEXEC)) >= 0);
    MUST(accept(fds[6], NULL, NULL) == -1);
    for (int i = 0; i < 12; i++)
        MUST(close(fds[i]) == 0);
    MUST(unlink(name) == 0 && unlink(named) == 0);
    says("pipe", 1, -1);
    says("pipe2", 1, -1);
    says("socketpair", 1, -1);
    says("socket", 1, -1);
    says("dup", 1, -1);
    says("dup2", 1, -1);
    says("dup3", 1, -1);
    says("mkstemp", 1, -1);
    says("mkostemps", 1, -1);
    says("accept", 1, -1);
    says("close", 12, -1);
    says("unlink", 2, -1);
}

static void errors(void)
{
    for (int i = 0; i < 2; i++) {
        errno = 77;
        int fd = open("/dev/null", O_RDWR);
        MUST(fd >= 0 && errno == 77);
        MUST(write(fd, data, 1) == 1 && errno == 77);
        MUST(read(fd, data, 1) == 0 && errno == 77);
        MUST(lseek(fd, 0, SEEK_CUR) == 0 && errno == 77);
        MUST(close(fd) == 0 && errno == 77);
        MUST(close(fd) < 0 && errno == EBADF);
        MUST(unlink("/nowhere/at/all") < 0 && errno == ENOENT);
        MUST(mkdir("/", 0700) < 0 && errno == EEXIST);
        MUST(fsync(-1) < 0 && errno == EBADF);
    }
    says("open", 2, -1);
    says("close", 4, -1);
    says("unlink", 2, -1);
}

static void sizes(void)
{
    static const size_t each[] = {1, 2, 3, 4, 5, 4096, 4097, 65536};
    null_fd = open("/dev/null", O_WRONLY);
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
        MUST(write(null_fd, data, each[i]) == (ssize_t)each[i]);
    FILE *f = fopen("/dev/zero", "r");
    MUST(f && fread(data, 1, 1000, f) == 1000 && fclose(f) == 0);
    says("write", 8, 1 + 2 + 3 + 4 + 5 + 4096 + 4097 + 65536);
    says("fread", 1, 1000);
}

// What fortified builds call. Which of them a compiler makes use of is its own affair, so
// they are called by name.
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
int __open_2(const char *, int);
int __openat_2(int, const char *, int);

static void fortified(void)
{
    char small[200];
    int fd = __open_2("/dev/zero", O_RDONLY);
    MUST(fd >= 0 && __read_chk(fd, small, 100, sizeof small) == 100 &&
         __pread_chk(fd, small, 100, 0, sizeof small) == 100);
    int at = __openat_2(AT_FDCWD, "/dev/zero", O_RDONLY);
    MUST(at >= 0 && close(at) == 0 && close(fd) == 0);
    FILE *f = fopen("/dev/zero", "r");
    MUST(f && __fread_chk(small, sizeof small, 1, 100, f) == 100 && fclose(f) == 0);
    struct stat st;
    MUST(stat("/dev/zero", &st) == 0);
    says("open", 1, -1);
    says("openat", 1, -1);
    says("read", 1, 100);
    says("pread", 1, 100);
    says("fread", 1, 100);
    says("fopen", 1, -1);
    says("stat", 1, -1);
    says("close", 2, -1);
}

static void plugin(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/plugin.so", directory);
    for (int i = 0; i < 3; i++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        MUST(library);
        int (*writes)(void) = (int (*)(void))dlsym(library, "plugin_writes");
        MUST(writes && writes() == 0);
        dlclose(library);
    }
    says("open", 3, -1);
    says("write", 6, 6 * 9);
    says("close", 3, -1);
}

// Between two looks at a marker come a thousand writes and nothing else.
static long allocations;

static void steady(void)
{
    null_fd = open("/dev/null", O_WRONLY);
    MUST(write(null_fd, data, 10) == 10);
    long before = allocations;
    MUST(access("marker", F_OK) < 0);
    for (int i = 0; i < 1000; i++)
        MUST(write(null_fd, data, 10) == 10);
    MUST(access("marker", F_OK) < 0);
    MUST(allocations == before);
    says("write", 1001, 10010);
}

#ifdef COUNT_ALLOCATIONS
extern void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
#endif

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"descriptors", descriptors},
                 {"streams", streams},
                 {"threads", threads},
                 {"storm", storm},
                 {"children", children},
                 {"closes", closes},
                 {"makers", makers},
                 {"errors", errors},
                 {"sizes", sizes},
                 {"plugin", plugin},
                 {"fortified", fortified},
                 {"steady", steady}};
    char path[4096];
    if (argc < 3)
        return 2;
    directory = argv[2];
    snprintf(path, sizeof path, "%s/file", directory);
    file = path;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run();
            return 0;
        }
    return 2;
}
