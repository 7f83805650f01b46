// What a process says of itself at its orderly end. It may be called in any state of the
// program, so it takes no lock and waits for nothing.

#include <mproxy/client.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/sys.h"
#include "client/state.h"

struct final {
    uint64_t set;
    uint64_t value[MPX_SEG_FINAL_MAX];
};

static void put(struct final *f, enum mpx_final index, uint64_t value)
{
    f->value[index] = value;
    f->set |= UINT64_C(1) << index;
}

static uint64_t microseconds(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

// A vfork child sees its parent's memory under a pid of its own; its end is not ours.
static bool is_own_end(const struct mpx_client *c)
{
    return mpx_client_is_confined() || atomic_load(&c->pid) == mpx_getpid();
}

static void read_usage(struct final *f)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return;
    put(f, MPX_FINAL_USER_TIME, microseconds(&u.ru_utime));
    put(f, MPX_FINAL_SYSTEM_TIME, microseconds(&u.ru_stime));
    put(f, MPX_FINAL_MAX_RESIDENT, (uint64_t)u.ru_maxrss * 1024);
    put(f, MPX_FINAL_MINOR_FAULTS, (uint64_t)u.ru_minflt);
    put(f, MPX_FINAL_MAJOR_FAULTS, (uint64_t)u.ru_majflt);
    put(f, MPX_FINAL_VOLUNTARY_SWITCHES, (uint64_t)u.ru_nvcsw);
    put(f, MPX_FINAL_INVOLUNTARY_SWITCHES, (uint64_t)u.ru_nivcsw);
}

// Without a descriptor, or in a program that may not read its own /proc, these are left to
// what the proxy has sampled.
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = mpx_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t got = mpx_read(fd, text, size - 1);
    mpx_close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static void read_io(struct final *f)
{
    char text[512];
    if (!read_text("/proc/self/io", text, sizeof text))
        return;
    const char *read_at = strstr(text, "\nread_bytes: ");
    const char *write_at = strstr(text, "\nwrite_bytes: ");
    if (read_at)
        put(f, MPX_FINAL_READ_BYTES, strtoull(read_at + 13, NULL, 10));
    if (write_at)
        put(f, MPX_FINAL_WRITTEN_BYTES, strtoull(write_at + 14, NULL, 10));
}

// One read tells both: fields 20 (threads) and 24 (resident pages) of /proc/self/stat.
static void read_stat(struct final *f)
{
    char text[512];
    if (!read_text("/proc/self/stat", text, sizeof text))
        return;
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 24; field++) {
        if (field == 20)
            put(f, MPX_FINAL_THREADS, strtoull(at, NULL, 10));
        at = strchr(at + 1, ' ');
    }
    if (at)
        put(f, MPX_FINAL_RESIDENT,
            strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void write_final(struct mpx_seg_header *header)
{
    struct final f = {0};
    read_usage(&f);
    read_io(&f);
    read_stat(&f);
    memcpy(header->final, f.value, sizeof header->final);
    header->final_set = f.set;
    header->end_wall_ns = (uint64_t)mpx_clock_ns(CLOCK_REALTIME);
}

void mproxy_process_finished(void)
{
    struct mpx_client *c = &mpx_client;
    // A child without thread-local storage of its own: not this process, and no errno.
    if (!mproxy_thread_has_storage())
        return;
    int saved = errno;
    if (atomic_load(&c->state) != MPX_CLIENT_OPEN)
        return;
    bool marks = !mpx_client_is_confined();
    if (marks)
        mpx_own_begin();
    if (mpx_client_open() && is_own_end(c) && !atomic_exchange(&c->finished, true)) {
        struct mpx_seg_header *header = mpx_writer_header(c->writer);
        if (!mpx_client_is_confined())
            write_final(header);
        __atomic_store_n(&header->finished, 1, __ATOMIC_RELEASE);
    }
    if (marks)
        mpx_own_end();
    errno = saved;
}
