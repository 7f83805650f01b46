#include "collect/syscalls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "collect/ebpf/backend.h"
#include "collect/gateway_segment.h"
#include "launch/mark.h"

#define LIBRARY "mproxy/ebpf.so"

struct group {
    struct group *next;
    uint32_t number;
    bool ended;
    struct mpx_scribe *scribe; // NULL: it asked another proxy
    struct mpx_ebpf_sum now[MPX_EBPF_CALLS], written[MPX_EBPF_CALLS];
};

struct mpx_syscalls {
    const char *dir_path;
    struct stat dir;
    void *library;
    const struct mpx_ebpf_backend *backend;
    struct mpx_ebpf *ebpf;
    struct group *groups;
    uint64_t count;
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
    char path[PATH_MAX], why[160];
    if (!find_library(path) || access(path, R_OK) != 0)
        return mpx_fail(err, MPROXY_E_SYSTEM, "no %s: it was left out of the build",
                        LIBRARY);
    s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!s->library)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%.200s", dlerror());
    s->backend = dlsym(s->library, MPX_EBPF_SYMBOL);
    if (!s->backend || s->backend->version != MPX_EBPF_VERSION)
        return mpx_fail(err, MPROXY_E_SYSTEM, "%.150s is of another release", path);
    s->ebpf = s->backend->open(why, sizeof why);
    return s->ebpf ? MPROXY_OK : mpx_fail(err, MPROXY_E_SYSTEM, "%s", why);
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
static bool open_group(struct mpx_syscalls *s, struct group *g, struct mpx_mark *mark,
                       uint32_t uid)
{
    mproxy_job job;
    if (mpx_scribe_new(s->dir_path, MPX_SEG_GATEWAY, &g->scribe, NULL) != MPROXY_OK)
        return false;
    mpx_scribe_set_rank(g->scribe, mark->rank);
    read_job(mark, &job);
    bool named = mproxy_job_check_id(job.jobid, NULL) == MPROXY_OK;
    mpx_scribe_begin(g->scribe, named ? &job : NULL, uid, NULL);
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
    bool ours =
        seen->mark.dir_device == s->dir.st_dev && seen->mark.dir_inode == s->dir.st_ino;
    if (ours && !open_group(s, g, &seen->mark, seen->uid)) {
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

static void forget_ended(struct mpx_syscalls *s)
{
    for (struct group **link = &s->groups; *link;) {
        struct group *g = *link;
        if (!g->ended) {
            link = &g->next;
            continue;
        }
        s->backend->forget(s->ebpf, g->number);
        *link = g->next;
        free_group(s, g);
    }
}

// ---- sums

static bool add(struct group *g, const char *form, const char *name, const char *doc,
                double value)
{
    char metric[128];
    snprintf(metric, sizeof metric, form, name);
    return mpx_scribe_write(g->scribe, metric, MPROXY_COUNTER, doc, value, NULL) ==
           MPROXY_OK;
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

static void write_bytes(struct mpx_syscalls *s, struct group *g, uint32_t call)
{
    struct mpx_ebpf_sum *now = &g->now[call], *written = &g->written[call];
    const char *way = s->backend->moves_of(call) == MPX_MOVES_IN ? "read" : "write";
    if (now->bytes <= written->bytes)
        return;
    double more = (double)(now->bytes - written->bytes);
    if (!add(g, "strace___size___%s", s->backend->name_of(call),
             "Bytes moved by the call", more))
        return;
    written->bytes = now->bytes;
    add(g, "total___strace___size___%s", way, "Bytes moved by all such system calls",
        more);
}

// What could not be written is tried again with what comes.
static void write_call(struct mpx_syscalls *s, struct group *g, uint32_t call)
{
    struct mpx_ebpf_sum *now = &g->now[call], *written = &g->written[call];
    const char *name = s->backend->name_of(call);
    if (now->hits > written->hits &&
        add(g, "strace___hits___%s", name, "Calls", (double)(now->hits - written->hits)))
        written->hits = now->hits;
    if (now->ns > written->ns &&
        add(g, "strace___time___%s", name, "Time in the call, in seconds",
            (double)(now->ns - written->ns) * 1e-9))
        written->ns = now->ns;
    write_bytes(s, g, call);
}

static void write_group(struct mpx_syscalls *s, struct group *g)
{
    for (uint32_t call = 0; call < MPX_EBPF_CALLS; call++)
        if (memcmp(&g->now[call], &g->written[call], sizeof *g->now) != 0)
            write_call(s, g, call);
}

void mpx_syscalls_round(struct mpx_syscalls *s)
{
    for (struct group *g = s->groups; g; g = g->next) {
        if (g->scribe)
            mpx_scribe_retry(g->scribe);
        memset(g->now, 0, sizeof g->now);
    }
    see_groups(s);
    if (!s->groups)
        return;
    s->backend->each_sum(s->ebpf, add_part, s);
    for (struct group *g = s->groups; g; g = g->next)
        if (g->scribe)
            write_group(s, g);
    forget_ended(s);
}

// ---- life

static mproxy_status announce(struct mpx_syscalls *s, int dir_fd, mproxy_error *err)
{
    if (fstat(dir_fd, &s->dir) != 0)
        return mpx_fail_errno(err, "%s", s->dir_path);
    int fd =
        openat(dir_fd, MPX_MARK_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return mpx_fail_errno(err, "%s", MPX_MARK_FILE);
    close(fd);
    return MPROXY_OK;
}

void mpx_syscalls_keep(struct mpx_syscalls *s, const struct mpx_segments *by)
{
    for (struct group *g = s->groups; g; g = g->next)
        if (g->scribe)
            mpx_scribe_keep(g->scribe, by);
}

// Without the sign programs are traced by a process of their own.
void mpx_syscalls_move(struct mpx_syscalls *s, int dir_fd)
{
    (void)announce(s, dir_fd, NULL);
}

void mpx_syscalls_renounce(int dir_fd)
{
    unlinkat(dir_fd, MPX_MARK_FILE, 0);
}

mproxy_status mpx_syscalls_open(const char *dir_path, int dir_fd,
                                struct mpx_syscalls **out, mproxy_error *err)
{
    struct mpx_syscalls *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for system calls");
    s->dir_path = dir_path;
    mproxy_status status = load(s, err);
    if (status == MPROXY_OK)
        status = announce(s, dir_fd, err);
    if (status == MPROXY_OK)
        *out = s;
    else
        mpx_syscalls_close(s);
    return status;
}

void mpx_syscalls_close(struct mpx_syscalls *s)
{
    if (!s)
        return;
    if (s->ebpf) {
        mpx_syscalls_round(s);
        s->backend->close(s->ebpf);
    }
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
    *out = (struct mpx_syscalls_stats){.groups = s->count,
                                       .lost = s->backend->lost(s->ebpf)};
}
