// The first look into /proc/self makes the kernel build entries for the process, which its end
// takes down again: some 20 us, beside those of each file. A forked child may have nothing else
// to do, so it works out what it can:
// - Its start, in ticks of 10 ms, lies between a time that its parent took before the fork
//   and now. Mostly both are in the same tick. The time may be an older fork's (_Fork and
//   clone() run no handlers): the stretch is wider then, and no less true.
// - It lives in its parent's PID namespace if it sees its parent, and under the same number. In
//   another namespace its parent is 0, also when the parent has ended.
#include "writer/identity.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sys.h"

enum { TICK_NS = 10000000 };

static ssize_t read_file(const char *path, char *buffer, size_t size)
{
    int fd = mpx_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    ssize_t got = mpx_read(fd, buffer, size - 1);
    mpx_close(fd);
    buffer[got > 0 ? got : 0] = '\0';
    return got;
}

// Field 22 of /proc/self/stat. Where it cannot be read, the clock in the same unit keeps
// processes apart; an image after an exec then looks like another process.
static uint64_t start_ticks(void)
{
    char text[512];
    const char *at = NULL;
    if (read_file("/proc/self/stat", text, sizeof text) > 0)
        at = strrchr(text, ')'); // the name before it may hold anything
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        return strtoull(at + 1, NULL, 10);
    return (uint64_t)mpx_clock_ns(CLOCK_BOOTTIME) / TICK_NS;
}

static uint64_t pid_namespace(void)
{
    char text[64];
    ssize_t got = mpx_readlink("/proc/self/ns/pid", text, sizeof text - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *digits = strchr(text, '[');
    return digits ? strtoull(digits + 1, NULL, 10) : 0;
}

static void fill_plain(struct mpx_seg_header *header)
{
    header->pid = (uint32_t)mpx_getpid();
    header->uid = (uint32_t)mpx_geteuid();
    header->birth_wall_ns = (uint64_t)mpx_clock_ns(CLOCK_REALTIME);
    header->birth_boot_ns = (uint64_t)mpx_clock_ns(CLOCK_BOOTTIME);
}

void mpx_identity_read(struct mpx_seg_header *header)
{
    fill_plain(header);
    header->start_ticks = start_ticks();
    header->pid_ns = pid_namespace();
}

void mpx_identity_of_child(struct mpx_seg_header *header,
                           const struct mpx_seg_header *parent, int64_t before_fork_ns)
{
    fill_plain(header);
    uint64_t first = (uint64_t)before_fork_ns / TICK_NS;
    bool is_told = before_fork_ns > 0 && first == header->birth_boot_ns / TICK_NS;
    header->start_ticks = is_told ? first : start_ticks();
    bool sees_parent = parent->pid_ns != 0 && parent->pid == (uint32_t)mpx_getppid();
    header->pid_ns = sees_parent ? parent->pid_ns : pid_namespace();
}
