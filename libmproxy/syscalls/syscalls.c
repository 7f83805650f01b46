// System calls counted in the kernel, written into segments of the jobs once a round.
//
// For each group (a process and all that it started) that the kernel has, this has a
// scribe with a segment of the group's job, made like those of the gateway's clients;
// the way on, through ledger, reduction and profiles, is that of any process.
//
// The kernel's sums are the truth for as long as it has the group, and the segment is a
// copy that can be made again at any time. Everything follows from that:
// * Sums are absolute, since the group began, and a counter in the segment is only
//   raised to them. Writing twice changes nothing, and a sum that is read too low while
//   a thread ends does no harm.
// * A proxy that finds groups of one that was killed removes their segments first and
//   writes new ones. So no call is counted twice, whatever the dead one had written.
// * A group leaves the kernel only when its segment has all of it, and the segment is
//   closed, and so becomes final, only after that. A proxy killed in between finds one
//   of the two, never neither: see docs/decisions/0015-kernel-sums-outlive-the-proxy.md.
//
// The mark file in the rendezvous directory tells proxy_run that calls are counted here,
// and the next proxy by its id which sums are meant. It is made last and removed after
// the last reading.
//
// libbpf and libseccomp stand behind a library of their own (backend.c), loaded on
// request, so that a proxy that counts no system calls carries neither.

#include "syscalls/syscalls.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "syscalls/backend.h"
#include "own/scribe.h"
#include "launch/mark.h"

#define LIBRARY "mproxy/ebpf.so"

enum metric { HITS, TIME, SIZE, TOTAL };
static const struct {
    const char *name, *doc;
} metrics[] = {
#define MPX_SYSCALL_METRIC(id, name, doc) [id] = {name, doc},
#include "tables/syscall_metrics.def"
#undef MPX_SYSCALL_METRIC
};

// Sums since the group began. What is in the segment can be made again from them for as long
// as the kernel has the group; so the group goes when all is written, and the segment is
// closed after that.
struct group {
    struct group *next;
    uint32_t number;
    bool ended, is_written;
    struct mpx_scribe *scribe;
    struct mpx_ebpf_sum now[MPX_EBPF_CALLS], written[MPX_EBPF_CALLS];
};

struct mpx_syscalls {
    const char *dir_path;
    void *library;
    const struct mpx_ebpf_backend *backend;
    struct mpx_ebpf *ebpf;
    struct group *groups;
    uint64_t count;
    mproxy_input input;
};

// ---- the library, beside the one that this is in

static bool find_library(char path[PATH_MAX])
{
    Dl_info here;
    if (!dladdr(LIBRARY, &here) || !here.dli_fname)
        return false;
    const char *slash = strrchr(here.dli_fname, '/');
    int length = slash ? (int)(slash - here.dli_fname) + 1 : 0;
    return snprintf(path, PATH_MAX, "%.*s%s", length, here.dli_fname, LIBRARY) < PATH_MAX;
}

static mproxy_status load(struct mpx_syscalls *s, mproxy_error *err)
{
    char path[PATH_MAX];
    if (!find_library(path) || access(path, R_OK) != 0)
        return mpx_fail(err, MPROXY_E_SYSTEM, "no %s: it was left out of the build",
                        LIBRARY);
    s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!s->library)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%.200s", dlerror());
    s->backend = dlsym(s->library, MPX_EBPF_SYMBOL);
    if (!s->backend || s->backend->version != MPX_EBPF_VERSION)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%.150s is of another release", path);
    return MPROXY_OK;
}

// ---- groups

static void free_group(struct mpx_syscalls *s, struct group *g)
{
    mpx_scribe_free(g->scribe);
    free(g);
    s->count--;
}

static struct group *find_group(struct mpx_syscalls *s, uint32_t number)
{
    struct group *g = s->groups;
    while (g && g->number != number)
        g = g->next;
    return g;
}

// The strings stay in the mark, which is closed by a NUL. Any process may have written it.
static void read_job(struct mpx_mark *mark, mproxy_job *out)
{
    char **fields[] = {&out->jobid,   &out->nodelist, &out->partition,
                       &out->cluster, &out->run_dir,  &out->command};
    char *at = mark->text, *end = mark->text + sizeof mark->text - 1;
    *end = '\0';
    *out = (mproxy_job){.size = mark->size, .start_time = mark->start_time};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        *fields[i] = at;
        at += strlen(at);
        at += at < end;
    }
}

// One without an id counts for the node only. Where there is no room, the next use of the
// scribe tries again.
static bool open_group(struct mpx_syscalls *s, struct group *g,
                       struct mpx_ebpf_group *seen)
{
    mproxy_job job;
    if (mpx_scribe_new(s->dir_path, MPX_SEG_GATEWAY, &g->scribe, NULL) != MPROXY_OK)
        return false;
    struct mpx_scribe_origin origin = {seen->mark.rank, g->number, seen->birth_boot_ns};
    mpx_scribe_set_origin(g->scribe, &origin);
    read_job(&seen->mark, &job);
    bool named = mproxy_job_check_id(job.jobid, NULL) == MPROXY_OK;
    mpx_scribe_begin(g->scribe, named ? &job : NULL, seen->uid, NULL);
    return true;
}

static struct group *add_group(struct mpx_syscalls *s, uint32_t number,
                               struct mpx_ebpf_group *seen)
{
    struct group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->number = number;
    s->count++;
    if (!open_group(s, g, seen)) {
        free_group(s, g);
        return NULL;
    }
    g->next = s->groups;
    s->groups = g;
    return g;
}

// Whether its last thread has gone is asked before its sums are read.
static void see_groups(struct mpx_syscalls *s)
{
    struct mpx_ebpf_group seen;
    for (uint32_t number = 0; s->backend->next_group(s->ebpf, &number, &seen);) {
        struct group *g = find_group(s, number);
        if (!g)
            g = add_group(s, number, &seen);
        if (g)
            g->ended = seen.alive <= 0;
    }
}

static void forget(struct mpx_syscalls *s, struct group *g)
{
    MPX_CRASH_POINT("syscalls.written");
    s->backend->forget(s->ebpf, g->number);
    MPX_CRASH_POINT("syscalls.forgotten");
}

static void forget_ended(struct mpx_syscalls *s)
{
    for (struct group **link = &s->groups; *link;) {
        struct group *g = *link;
        if (!g->ended || !g->is_written) {
            link = &g->next;
            continue;
        }
        forget(s, g);
        *link = g->next;
        free_group(s, g);
    }
}

// ---- sums

static bool raise(struct group *g, enum metric what, const char *name, double value)
{
    char metric[128], doc[128];
    snprintf(metric, sizeof metric, metrics[what].name, name);
    snprintf(doc, sizeof doc, metrics[what].doc, name);
    return mpx_scribe_raise(g->scribe, metric, doc, value, NULL) == MPROXY_OK;
}

static void add_part(void *arg, const struct mpx_ebpf_key *key,
                     const struct mpx_ebpf_sum *part)
{
    struct group *g = find_group(arg, key->group);
    if (!g || key->call >= MPX_EBPF_CALLS)
        return;
    struct mpx_ebpf_sum *now = &g->now[key->call];
    now->hits += part->hits;
    now->ns += part->ns;
    now->bytes += part->bytes;
}

// What could not be written is tried again with the next round.
static void write_call(struct mpx_syscalls *s, struct group *g, uint32_t call)
{
    struct mpx_ebpf_sum *now = &g->now[call], *written = &g->written[call];
    const char *name = s->backend->name_of(call);
    if (now->hits > written->hits && raise(g, HITS, name, (double)now->hits))
        written->hits = now->hits;
    if (now->ns > written->ns && raise(g, TIME, name, (double)now->ns * 1e-9))
        written->ns = now->ns;
    if (now->bytes > written->bytes && raise(g, SIZE, name, (double)now->bytes))
        written->bytes = now->bytes;
    if (now->hits > written->hits || now->ns > written->ns || now->bytes > written->bytes)
        g->is_written = false;
}

static void write_total(struct mpx_syscalls *s, struct group *g, enum mpx_call_moves way)
{
    uint64_t bytes = 0;
    for (uint32_t call = 0; call < MPX_EBPF_CALLS; call++)
        if (s->backend->moves_of(call) == way)
            bytes += g->written[call].bytes;
    if (bytes && !raise(g, TOTAL, way == MPX_MOVES_IN ? "read" : "write", (double)bytes))
        g->is_written = false;
}

static void write_group(struct mpx_syscalls *s, struct group *g)
{
    g->is_written = true;
    for (uint32_t call = 0; call < MPX_EBPF_CALLS; call++)
        if (memcmp(&g->now[call], &g->written[call], sizeof *g->now) != 0)
            write_call(s, g, call);
    write_total(s, g, MPX_MOVES_IN);
    write_total(s, g, MPX_MOVES_OUT);
}

static void read_sums(struct mpx_syscalls *s)
{
    for (struct group *g = s->groups; g; g = g->next) {
        mpx_scribe_retry(g->scribe);
        memset(g->now, 0, sizeof g->now);
    }
    see_groups(s);
    if (!s->groups)
        return;
    s->backend->each_sum(s->ebpf, add_part, s);
    for (struct group *g = s->groups; g; g = g->next)
        write_group(s, g);
    forget_ended(s);
}

// ---- what an earlier proxy left

// The group of a segment that this user's proxy wrote; 0: none.
static uint32_t group_of(int dir_fd, const char *name)
{
    struct stat st;
    struct mpx_seg_header h = {0};
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bool is_ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                   pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h &&
                   h.magic == MPX_SEG_MAGIC && h.kind == MPX_SEG_GATEWAY;
    close(fd);
    return is_ours ? h.group : 0;
}

// Segments of groups that the kernel has: what is in them will be written again, whole.
static void remove_segments(struct mpx_syscalls *s, int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 4, ".seg") != 0)
            continue;
        uint32_t group = group_of(dir_fd, entry->d_name);
        if (group && s->backend->has_group(s->ebpf, group))
            unlinkat(dir_fd, entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    MPX_CRASH_POINT("syscalls.removed");
}

// The id of kept sums that the directory tells of; 0: none.
static uint64_t id_in(int dir_fd)
{
    struct stat st;
    struct mpx_buf text = {0};
    uint64_t id = 0;
    if (fstatat(dir_fd, MPX_MARK_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_uid == geteuid() && st.st_size == 16 &&
        mpx_file_read(dir_fd, MPX_MARK_FILE, 16, &text, NULL) == MPROXY_OK) {
        mpx_buf_add(&text, "", 1);
        if (!text.failed && isxdigit((unsigned char)*text.data))
            id = strtoull(text.data, NULL, 16);
    }
    mpx_buf_free(&text);
    return id;
}

// ---- life

// The sign tells which sums are meant, should they outlive us.
static mproxy_status announce(struct mpx_syscalls *s, int dir_fd, mproxy_error *err)
{
    char text[20];
    uint64_t id = s->backend->state(s->ebpf)->id;
    int length = id ? snprintf(text, sizeof text, "%016llx", (unsigned long long)id) : 0;
    return mpx_file_replace(dir_fd, MPX_MARK_FILE ".new", MPX_MARK_FILE, text,
                            (size_t)length, false, err);
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    (void)round;
    (void)err; // what can't be written now is written by a later round
    read_sums(self);
    return MPROXY_OK;
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    const struct mpx_syscalls *s = self;
    (void)round;
    (void)err;
    for (struct group *g = s->groups; g; g = g->next)
        mpx_scribe_keep(g->scribe);
    return MPROXY_OK;
}

const mproxy_input *mpx_syscalls_input(const struct mpx_syscalls *s)
{
    return &s->input;
}

// Without the sign programs are traced by a process of their own.
void mpx_syscalls_move(struct mpx_syscalls *s, int dir_fd)
{
    struct stat st;
    if (fstat(dir_fd, &st) == 0)
        s->backend->move(s->ebpf, st.st_dev, st.st_ino);
    (void)announce(s, dir_fd, NULL);
}

void mpx_syscalls_renounce(int dir_fd)
{
    unlinkat(dir_fd, MPX_MARK_FILE, 0);
}

bool mpx_syscalls_are_left(int dir_fd)
{
    return id_in(dir_fd) != 0;
}

static mproxy_status open_backend(struct mpx_syscalls *s, int dir_fd, mproxy_error *err)
{
    struct stat st;
    char why[160];
    mproxy_status status = load(s, err);
    if (status != MPROXY_OK)
        return status;
    if (fstat(dir_fd, &st) != 0)
        return mpx_fail_errno(err, "%s", s->dir_path);
    struct mpx_ebpf_owner owner = {.dir_path = s->dir_path,
                                   .dir_device = st.st_dev,
                                   .dir_inode = st.st_ino,
                                   .id_in = id_in,
                                   .id = id_in(dir_fd)};
    s->ebpf = s->backend->open(&owner, why, sizeof why);
    if (!s->ebpf)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%s", why);
    if (s->backend->goes_on(s->ebpf))
        remove_segments(s, dir_fd);
    return MPROXY_OK;
}

mproxy_status mpx_syscalls_open(const char *dir_path, int dir_fd,
                                struct mpx_syscalls **out, mproxy_error *err)
{
    struct mpx_syscalls *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for system calls");
    s->dir_path = dir_path;
    s->input = (mproxy_input){.struct_size = sizeof s->input,
                              .name = "system calls",
                              .self = s,
                              .before_round = before_round,
                              .after_round = after_round};
    mproxy_status status = open_backend(s, dir_fd, err);
    if (status == MPROXY_OK)
        status = announce(s, dir_fd, err);
    if (status == MPROXY_OK)
        *out = s;
    else
        mpx_syscalls_close(s, -1);
    return status;
}

const char *mpx_syscalls_why_brief(const struct mpx_syscalls *s)
{
    return s->backend->why_brief(s->ebpf);
}

// The segments have all, before nothing else has; only then the sign may go.
static void finish(struct mpx_syscalls *s, int dir_fd)
{
    read_sums(s);
    for (struct group *g = s->groups; g; g = g->next)
        forget(s, g);
    if (dir_fd >= 0)
        mpx_syscalls_renounce(dir_fd);
    s->backend->close(s->ebpf);
}

void mpx_syscalls_close(struct mpx_syscalls *s, int dir_fd)
{
    if (!s)
        return;
    if (s->ebpf)
        finish(s, dir_fd);
    while (s->groups) {
        struct group *g = s->groups;
        s->groups = g->next;
        free_group(s, g);
    }
    if (s->library)
        dlclose(s->library);
    free(s);
}

void mpx_syscalls_get_stats(const struct mpx_syscalls *s, struct mpx_syscalls_stats *out)
{
    const struct mpx_ebpf_state *state = s->backend->state(s->ebpf);
    *out = (struct mpx_syscalls_stats){.trees = s->count,
                                       .lost_trees = state->lost[MPX_LOST_TREES],
                                       .lost_threads = state->lost[MPX_LOST_THREADS],
                                       .lost_calls = state->lost[MPX_LOST_CALLS]};
}
