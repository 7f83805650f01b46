// What a process says of itself at its orderly end. It may be called in any state of the
// program, so it takes no lock and waits for nothing.
//
// Files in /proc cost 12 to 15 us each, and 20 more where the process is young and none was
// opened before (writer/identity.c). So getrusage() says what it can. Of storage it tells blocks
// of 512 bytes, the unit of all storage, and without those of children, which /proc/self/io
// holds too once they were waited for. Its peak is that of all images that the process ever
// was: one higher than at the birth of this one is its own, else /proc/self/status has it.
// Memory and threads of now are in two cheaper places, and there too. A forked child has been
// one image only, and unless it has lived for a while its memory is still its parent's: it
// does not look.

#include <mproxy/client.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/sys.h"
#include "client/state.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"

enum { BLOCK = 512 };

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
static bool is_own_end(void)
{
    if (mpx_client_is_confined())
        return true;
    mpx_own_begin();
    bool is_own = mpx_client_is_this();
    mpx_own_end();
    return is_own;
}

static void put_usage(struct final *f, const struct rusage *u)
{
    put(f, MPX_FINAL_USER_TIME, microseconds(&u->ru_utime));
    put(f, MPX_FINAL_SYSTEM_TIME, microseconds(&u->ru_stime));
    put(f, MPX_FINAL_MAX_RESIDENT, (uint64_t)u->ru_maxrss * 1024);
    put(f, MPX_FINAL_MINOR_FAULTS, (uint64_t)u->ru_minflt);
    put(f, MPX_FINAL_MAJOR_FAULTS, (uint64_t)u->ru_majflt);
    put(f, MPX_FINAL_VOLUNTARY_SWITCHES, (uint64_t)u->ru_nvcsw);
    put(f, MPX_FINAL_INVOLUNTARY_SWITCHES, (uint64_t)u->ru_nivcsw);
    put(f, MPX_FINAL_READ_BYTES, (uint64_t)u->ru_inblock * BLOCK);
    put(f, MPX_FINAL_WRITTEN_BYTES, (uint64_t)u->ru_oublock * BLOCK);
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

static const struct {
    const char *key;
    enum mpx_final index;
    uint64_t unit;
} status_lines[] = {{"VmHWM:", MPX_FINAL_MAX_RESIDENT, 1024},
                    {"VmRSS:", MPX_FINAL_RESIDENT, 1024},
                    {"Threads:", MPX_FINAL_THREADS, 1}};
enum { STATUS_LINES = sizeof status_lines / sizeof *status_lines };

// Returns how many of them it is: 1 or 0.
static int take_line(struct final *f, const char *line)
{
    for (int i = 0; i < STATUS_LINES; i++) {
        size_t length = strlen(status_lines[i].key);
        if (strncmp(line, status_lines[i].key, length) != 0)
            continue;
        put(f, status_lines[i].index,
            strtoull(line + length, NULL, 10) * status_lines[i].unit);
        return 1;
    }
    return 0;
}

// Lines that are longer than the room, a list of groups may be, are passed over in pieces.
static void read_status(struct final *f)
{
    char text[1024];
    size_t held = 0;
    ssize_t got;
    int wanted = STATUS_LINES;
    int fd = mpx_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    while (wanted > 0 && (got = mpx_read(fd, text + held, sizeof text - 1 - held)) > 0) {
        char *at = text, *end;
        text[held + (size_t)got] = '\0';
        for (; (end = strchr(at, '\n')); at = end + 1)
            wanted -= take_line(f, at);
        held = strlen(at);
        held = held < sizeof text - 1 ? held : 0;
        memmove(text, at, held);
    }
    mpx_close(fd);
}

// The kernel's peak is of counters that lag behind a little on each CPU.
static void put_resident(struct final *f, uint64_t now)
{
    put(f, MPX_FINAL_RESIDENT, now);
    if (f->value[MPX_FINAL_MAX_RESIDENT] < now)
        put(f, MPX_FINAL_MAX_RESIDENT, now);
}

// Memory and threads of now, for less than read_status() costs.
static void read_now(struct final *f, uint32_t page_size)
{
    char text[128];
    struct stat st;
    const char *at =
        read_text("/proc/self/statm", text, sizeof text) ? strchr(text, ' ') : NULL;
    if (at)
        put_resident(f, strtoull(at, NULL, 10) * page_size);
    if (mpx_lstat("/proc/self/task", &st) == 0 && st.st_nlink > 2)
        put(f, MPX_FINAL_THREADS, st.st_nlink - 2);
}

// A second is when the proxy first looks at a process, too.
static bool is_young_child(const struct mpx_seg_header *header)
{
    enum { YOUNG_NS = 1000000000 };
    return atomic_load(&mpx_client.forked) &&
           mpx_clock_ns(CLOCK_BOOTTIME) - (int64_t)header->birth_boot_ns < YOUNG_NS;
}

static void write_final(struct mpx_seg_header *header)
{
    struct final f = {0};
    struct rusage u = {0};
    if (mpx_getrusage(&u) == 0)
        put_usage(&f, &u);
    if (u.ru_maxrss <= mpx_client.peak_kib)
        read_status(&f);
    else if (!is_young_child(header))
        read_now(&f, header->page_size);
    memcpy(header->final, f.value, sizeof header->final);
    header->final_set = f.set;
    header->end_wall_ns = (uint64_t)mpx_clock_ns(CLOCK_REALTIME);
}

// Whoever removed our file may have ended the proxy that had it mapped, and the next one has never
// seen it. A young child costs what it can; its parent's file was in the same place.
static void tell_if_lost(const struct mpx_client *c, const struct mpx_seg_header *header)
{
    if (!is_young_child(header) && mpx_writer_is_gone(c->writer) &&
        !mpx_crowd_is_known(c->dir_path, (int64_t)header->birth_boot_ns))
        mpx_rendezvous_refuse(c->dir_path, MPX_OFF_REMOVED, c->jobid);
}

// A few system calls, of which none is new to the program: an exec follows.
void mproxy_process_leaves(int leaves)
{
    struct mpx_client *c = &mpx_client;
    if (!mproxy_thread_has_storage() || atomic_load(&c->state) != MPX_CLIENT_OPEN)
        return;
    int saved = errno;
    if (mpx_client_open() && is_own_end()) {
        struct mpx_seg_header *header = mpx_writer_header(c->writer);
        __atomic_store_n(&header->left, leaves != 0, __ATOMIC_RELEASE);
        if (leaves && !mpx_client_is_confined()) {
            mpx_own_begin();
            tell_if_lost(c, header);
            mpx_own_end();
        }
    }
    errno = saved;
}

void mproxy_process_finished(void)
{
    struct mpx_client *c = &mpx_client;
    // A child without thread-local storage of its own: not this process, and no errno.
    if (!mproxy_thread_has_storage())
        return;
    if (atomic_load(&c->state) != MPX_CLIENT_OPEN)
        return;
    int *error = mpx_errno(), saved = *error;
    bool marks = !mpx_client_is_confined();
    if (marks)
        mpx_own_begin();
    if (mpx_client_open() && is_own_end() && !atomic_exchange(&c->finished, true)) {
        struct mpx_seg_header *header = mpx_writer_header(c->writer);
        if (!mpx_client_is_confined())
            write_final(header);
        __atomic_store_n(&header->finished, 1, __ATOMIC_RELEASE);
        if (!mpx_client_is_confined())
            tell_if_lost(c, header);
    }
    if (marks)
        mpx_own_end();
    *error = saved;
}
