// What counting a libc call costs: the call as the program makes it, and libc's own, whose
// address goes past the exporter. Run under proxy_run by bench_posix.sh.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "turns.h"

static int null_fd, zero_fd;
static char data[4096];
static FILE *stream;
static ssize_t (*bare_write)(int, const void *, size_t);
static ssize_t (*bare_read)(int, void *, size_t);
static off_t (*bare_lseek)(int, off_t, int);
static size_t (*bare_fwrite)(const void *, size_t, size_t, FILE *);

static volatile ssize_t sink;

#define WAY(name, call)                                                                  \
    static void name(int calls)                                                          \
    {                                                                                    \
        for (int i = 0; i < calls; i++)                                                  \
            sink = (ssize_t)(call);                                                      \
    }

WAY(counted_writes, write(null_fd, data, 8))
WAY(bare_writes, bare_write(null_fd, data, 8))
WAY(counted_reads, read(zero_fd, data, 8))
WAY(bare_reads, bare_read(zero_fd, data, 8))
WAY(counted_seeks, lseek(zero_fd, 0, SEEK_SET))
WAY(bare_seeks, bare_lseek(zero_fd, 0, SEEK_SET))
WAY(counted_fwrites, fwrite(data, 1, 8, stream))
WAY(bare_fwrites, bare_fwrite(data, 1, 8, stream))

static void compare(const char *name, void (*counted)(int), void (*bare)(int))
{
    double ns[2];
    take_turns((void (*const[2])(int)){counted, bare}, 1000, ns);
    printf(
        "{\"bench\":\"posix_%s\",\"counted_ns\":%.1f,\"bare_ns\":%.1f,\"extra_ns\":%.1f,"
        "\"aim_extra_ns\":60}\n",
        name, ns[0], ns[1], ns[0] - ns[1]);
}

int main(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    *(void **)&bare_write = dlsym(libc, "write");
    *(void **)&bare_read = dlsym(libc, "read");
    *(void **)&bare_lseek = dlsym(libc, "lseek");
    *(void **)&bare_fwrite = dlsym(libc, "fwrite");
    null_fd = open("/dev/null", O_WRONLY);
    zero_fd = open("/dev/zero", O_RDONLY);
    stream = fopen("/dev/null", "w");
    if (!stream || dlsym(RTLD_DEFAULT, "write") == (void *)bare_write) {
        fprintf(stderr, "io: nothing is counted\n");
        return 1;
    }
    compare("write", counted_writes, bare_writes);
    compare("read", counted_reads, bare_reads);
    compare("lseek", counted_seeks, bare_seeks);
    compare("fwrite", counted_fwrites, bare_fwrites);
    return 0;
}
