// What /proc/PID says of a process: whether it lives, and what it used.
//
// Reading a process costs some 10 us a file, so it is asked at most every few seconds;
// the process itself says more exactly what it used when it ends (client/finish.c).
//
// A pid is not an identity: it is given again. Every answer here is of a pid *and* a
// start time, and what was read counts only if /proc/PID/stat, read last, still shows
// that start and no zombie. A process whose files are hidden from us (hidepid) is
// neither alive nor gone: MPX_LIFE_UNKNOWN, and its segment's lock decides.
//
// /proc/PID/io holds the bytes of children that were waited for, which are counted as their own.
// While stat tells of no fault of such a child, there was none; else the threads that live are
// asked one by one, which leaves out the bytes of those that ended: less than the truth for
// once, never more, and the process's own word at its end is exact.
//
// A segment's header claims a pid, and anybody can write a header. So nothing is read
// for a segment's owner that he could not read himself: one of the process's user ids
// must be his, unless he is root or the user that the proxy runs as.

#include "processes/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

struct mpx_procfs {
    int root_fd;
    uint64_t namespace;
    uint64_t us_per_tick;
    uint64_t page_size;
};

// What is used of /proc/PID/stat.
struct stat_fields {
    char state;
    uint64_t minflt, cminflt, majflt, utime, stime, threads, start, rss;
};

bool mpx_process_values_merge(struct mpx_process_values *v,
                              const struct mpx_process_values *other)
{
    bool changed = false;
    for (unsigned i = 0; i < MPX_SEG_FINAL_MAX; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (!(other->set & bit))
            continue;
        bool replaces = i == MPX_FINAL_RESIDENT || i == MPX_FINAL_THREADS;
        if ((v->set & bit) &&
            (replaces ? v->value[i] == other->value[i] : v->value[i] >= other->value[i]))
            continue;
        v->value[i] = other->value[i];
        v->set |= bit;
        changed = true;
    }
    return changed;
}

mproxy_status mpx_procfs_open(const char *root, struct mpx_procfs **out,
                              mproxy_error *err)
{
    struct mpx_procfs *p = calloc(1, sizeof *p);
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %s", root);
    p->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (p->root_fd < 0) {
        mproxy_status status = mpx_fail_errno(err, "%s", root);
        free(p);
        return status;
    }
    struct stat st;
    if (stat("/proc/self/ns/pid", &st) == 0)
        p->namespace = st.st_ino;
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    p->us_per_tick = 1000000 / (uint64_t)(ticks > 0 ? ticks : 100);
    p->page_size = (uint64_t)(page > 0 ? page : 4096);
    *out = p;
    return MPROXY_OK;
}

void mpx_procfs_close(struct mpx_procfs *p)
{
    if (!p)
        return;
    close(p->root_fd);
    free(p);
}

uint64_t mpx_procfs_namespace(const struct mpx_procfs *p)
{
    return p->namespace;
}

static bool read_text(const struct mpx_procfs *p, uint32_t pid, const char *file,
                      char *text, size_t room)
{
    char path[300];
    snprintf(path, sizeof path, "%u/%s", pid, file);
    int fd = openat(p->root_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, room - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static bool read_stat(const struct mpx_procfs *p, uint32_t pid, struct stat_fields *f)
{
    char text[1024];
    if (!read_text(p, pid, "stat", text, sizeof text))
        return false;
    const char *at = strrchr(text, ')'); // the name before it may hold anything
    uint64_t field[25] = {0};
    if (!at || sscanf(at + 1, " %c", &f->state) != 1)
        return false;
    at = strchr(at, f->state);
    int n = 3; // number of the field at `at`, counted from 1
    for (char *end; at && n < 24; n++) {
        at = strchr(at, ' ');
        if (at) {
            field[n + 1] = strtoull(at + 1, &end, 10);
            at = end;
        }
    }
    if (n < 24 || !at)
        return false;
    f->minflt = field[10];
    f->cminflt = field[11];
    f->majflt = field[12];
    f->utime = field[14];
    f->stime = field[15];
    f->threads = field[20];
    f->start = field[22];
    f->rss = field[24];
    return true;
}

static bool is_alive(const struct stat_fields *f, uint64_t start_ticks)
{
    return f->start == start_ticks && f->state != 'Z' && f->state != 'X';
}

static bool is_free(uint32_t pid)
{
    return pid == 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

enum mpx_life mpx_procfs_life(const struct mpx_procfs *p, uint32_t pid,
                              uint64_t start_ticks)
{
    if (is_free(pid))
        return MPX_LIFE_GONE;
    struct stat_fields f;
    if (read_stat(p, pid, &f))
        return is_alive(&f, start_ticks) ? MPX_LIFE_ALIVE : MPX_LIFE_GONE;
    return is_free(pid) ? MPX_LIFE_GONE : MPX_LIFE_UNKNOWN;
}

static void put(struct mpx_process_values *v, enum mpx_final index, uint64_t value)
{
    v->value[index] = value;
    v->set |= UINT64_C(1) << index;
}

// "key: 123" at the start of a line.
static void take(struct mpx_process_values *v, enum mpx_final index, const char *text,
                 const char *key, uint64_t factor)
{
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0) {
            put(v, index, strtoull(line + length, NULL, 10) * factor);
            return;
        }
        if (!*line)
            return;
    }
}

// Whether one of the real, effective, saved and file system's user ids is this one.
static bool is_of(const char *status, uint32_t owner)
{
    unsigned ids[4];
    const char *line = strstr(status, "\nUid:");
    if (!line ||
        sscanf(line, " Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
        return false;
    return ids[0] == owner || ids[1] == owner || ids[2] == owner || ids[3] == owner;
}

static bool read_io(const struct mpx_procfs *p, uint32_t pid, const char *file,
                    struct mpx_process_values *v)
{
    char text[512];
    if (!read_text(p, pid, file, text, sizeof text))
        return false;
    take(v, MPX_FINAL_READ_BYTES, text, "read_bytes:", 1);
    take(v, MPX_FINAL_WRITTEN_BYTES, text, "write_bytes:", 1);
    return true;
}

static void add_io_of_threads(const struct mpx_procfs *p, uint32_t pid, DIR *threads,
                              struct mpx_process_values *v)
{
    uint64_t read_bytes = 0, written_bytes = 0;
    for (struct dirent *entry; (entry = readdir(threads));) {
        char file[sizeof "task//io" + sizeof entry->d_name];
        struct mpx_process_values one = {0};
        snprintf(file, sizeof file, "task/%s/io", entry->d_name);
        if (entry->d_name[0] == '.' || !read_io(p, pid, file, &one))
            continue;
        read_bytes += one.value[MPX_FINAL_READ_BYTES];
        written_bytes += one.value[MPX_FINAL_WRITTEN_BYTES];
    }
    put(v, MPX_FINAL_READ_BYTES, read_bytes);
    put(v, MPX_FINAL_WRITTEN_BYTES, written_bytes);
}

static void read_io_of_threads(const struct mpx_procfs *p, uint32_t pid,
                               struct mpx_process_values *v)
{
    char path[32];
    snprintf(path, sizeof path, "%u/task", pid);
    int fd = openat(p->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *threads = fd < 0 ? NULL : fdopendir(fd);
    if (threads) {
        add_io_of_threads(p, pid, threads, v);
        closedir(threads);
    } else if (fd >= 0) {
        close(fd);
    }
}

bool mpx_procfs_sample(const struct mpx_procfs *p, uint32_t pid, uint64_t start_ticks,
                       uint32_t owner, struct mpx_process_values *v)
{
    char text[4096];
    struct stat_fields f;
    bool allowed = owner == 0 || owner == geteuid();
    *v = (struct mpx_process_values){0};
    bool has_io = read_io(p, pid, "io", v);
    if (read_text(p, pid, "status", text, sizeof text)) {
        take(v, MPX_FINAL_MAX_RESIDENT, text, "VmHWM:", 1024);
        take(v, MPX_FINAL_VOLUNTARY_SWITCHES, text, "voluntary_ctxt_switches:", 1);
        take(v, MPX_FINAL_INVOLUNTARY_SWITCHES, text, "nonvoluntary_ctxt_switches:", 1);
        allowed = allowed || is_of(text, owner);
    }
    // Read last: a pid that is still this process's now was so above, too.
    bool has_stat = read_stat(p, pid, &f);
    if (has_stat && has_io && f.cminflt > 0) {
        read_io_of_threads(p, pid, v);
        has_stat = read_stat(p, pid, &f);
    }
    if (!has_stat || !is_alive(&f, start_ticks) || !allowed) {
        *v = (struct mpx_process_values){0};
        return false;
    }
    put(v, MPX_FINAL_USER_TIME, f.utime * p->us_per_tick);
    put(v, MPX_FINAL_SYSTEM_TIME, f.stime * p->us_per_tick);
    put(v, MPX_FINAL_MINOR_FAULTS, f.minflt);
    put(v, MPX_FINAL_MAJOR_FAULTS, f.majflt);
    put(v, MPX_FINAL_THREADS, f.threads);
    put(v, MPX_FINAL_RESIDENT, f.rss * p->page_size);
    if (v->value[MPX_FINAL_MAX_RESIDENT] < v->value[MPX_FINAL_RESIDENT])
        put(v, MPX_FINAL_MAX_RESIDENT, v->value[MPX_FINAL_RESIDENT]);
    return true;
}
