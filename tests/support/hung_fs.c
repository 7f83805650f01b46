// A file system that does not answer: hung_fs DIR mounts one there, answers the kernel's
// greeting, prints "mounted", and nothing else, until it is killed. Whoever looks at DIR waits
// like before a dead file server, and goes on with an error once we are gone.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int greet(int fd)
{
    static union {
        struct fuse_in_header header;
        char bytes[FUSE_MIN_READ_BUFFER + 4096];
    } request;
    if (read(fd, &request, sizeof request) < 0 || request.header.opcode != FUSE_INIT)
        return -1;
    struct {
        struct fuse_out_header header;
        struct fuse_init_out init;
    } reply = {
        .header = {.len = sizeof reply, .unique = request.header.unique},
        .init = {.major = FUSE_KERNEL_VERSION,
                 .minor = FUSE_KERNEL_MINOR_VERSION,
                 .max_write = 4096},
    };
    return write(fd, &reply, sizeof reply) == sizeof reply ? 0 : -1;
}

int main(int argc, char **argv)
{
    char options[128];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (argc != 2 || fd < 0) {
        fprintf(stderr, "hung_fs: /dev/fuse: %s\n", strerror(errno));
        return 1;
    }
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd,
             (unsigned)getuid(), (unsigned)getgid());
    if (mount("hung", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0 ||
        greet(fd) != 0) {
        fprintf(stderr, "hung_fs: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    puts("mounted");
    fflush(stdout);
    for (;;)
        pause();
}
