#include "collect/ebpf/backend.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <syscalls.skel.h>

struct mpx_ebpf {
    struct syscalls_bpf *skeleton;
    int groups, sums;
    struct mpx_ebpf_record records[512];
};

#define COUNTS MPX_MOVES_NOTHING
#define READS MPX_MOVES_IN
#define WRITES MPX_MOVES_OUT
static const struct {
    const char *name;
    enum mpx_call_moves moves;
} known[] = {
#define MPX_SYSCALL(name, moves) {#name, moves},
#include "tables/syscalls.def"
#undef MPX_SYSCALL
};

static unsigned char moves_by_number[MPX_EBPF_CALLS];

static void fill_moves(void)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int number = seccomp_syscall_resolve_name(known[i].name);
        if (number >= 0 && number < MPX_EBPF_CALLS)
            moves_by_number[number] = (unsigned char)known[i].moves;
    }
}

static enum mpx_call_moves moves_of(uint32_t call)
{
    return call < MPX_EBPF_CALLS ? moves_by_number[call] : MPX_MOVES_NOTHING;
}

static const char *name_of(uint32_t call)
{
    static char text[64];
    char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), (int)call);
    if (name)
        snprintf(text, sizeof text, "%s", name);
    else
        snprintf(text, sizeof text, "syscall_%u", (unsigned)call);
    free(name);
    return text;
}

static void close_all(struct mpx_ebpf *e)
{
    if (!e)
        return;
    syscalls_bpf__destroy(e->skeleton);
    free(e);
}

static bool start(struct mpx_ebpf *e)
{
    e->skeleton = syscalls_bpf__open();
    if (!e->skeleton)
        return false;
    fill_moves();
    memcpy((void *)(uintptr_t)e->skeleton->rodata->moves, moves_by_number,
           sizeof moves_by_number);
    int failed = syscalls_bpf__load(e->skeleton);
    if (!failed)
        failed = syscalls_bpf__attach(e->skeleton);
    errno = failed ? -failed : 0;
    return !failed;
}

static int be_silent(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

static struct mpx_ebpf *open_all(char *why, size_t room)
{
    struct mpx_ebpf *e = calloc(1, sizeof *e);
    libbpf_set_print(be_silent);
    if (!e || !start(e)) {
        snprintf(why, room, "eBPF can't be used here: %s", strerror(errno));
        close_all(e);
        return NULL;
    }
    e->groups = bpf_map__fd(e->skeleton->maps.groups);
    e->sums = bpf_map__fd(e->skeleton->maps.sums);
    return e;
}

static bool next_group(struct mpx_ebpf *e, uint32_t *number, struct mpx_ebpf_group *out)
{
    uint32_t next;
    for (const uint32_t *after = *number ? number : NULL;
         bpf_map_get_next_key(e->groups, after, &next) == 0; after = number) {
        *number = next;
        if (bpf_map_lookup_elem(e->groups, &next, out) == 0)
            return true;
    }
    return false;
}

static void each_folded(struct mpx_ebpf *e, mpx_ebpf_visit *visit, void *arg)
{
    struct mpx_ebpf_key key, next;
    struct mpx_ebpf_sum sum;
    for (const struct mpx_ebpf_key *after = NULL;
         bpf_map_get_next_key(e->sums, after, &next) == 0; after = &key) {
        key = next;
        if (bpf_map_lookup_elem(e->sums, &key, &sum) == 0)
            visit(arg, &key, &sum);
    }
}

static void each_live(struct mpx_ebpf *e, mpx_ebpf_visit *visit, void *arg)
{
    int fd = bpf_iter_create(bpf_link__fd(e->skeleton->links.show_live));
    size_t used = 0;
    ssize_t got;
    if (fd < 0)
        return;
    char *at = (char *)e->records;
    while ((got = read(fd, at + used, sizeof e->records - used)) > 0 ||
           (got < 0 && (errno == EAGAIN || errno == EINTR))) {
        used += got > 0 ? (size_t)got : 0;
        size_t whole = used / sizeof *e->records;
        for (size_t i = 0; i < whole; i++)
            visit(arg, &e->records[i].key, &e->records[i].sum);
        used -= whole * sizeof *e->records;
        memmove(at, e->records + whole, used);
    }
    close(fd);
}

// A thread that ends between the two is in neither, and seen at the next time; the other
// way round it could be in both.
static void each_sum(struct mpx_ebpf *e, mpx_ebpf_visit *visit, void *arg)
{
    each_folded(e, visit, arg);
    each_live(e, visit, arg);
}

static void forget(struct mpx_ebpf *e, uint32_t number)
{
    for (uint32_t call = 0; call < MPX_EBPF_CALLS; call++) {
        struct mpx_ebpf_key key = {number, call};
        bpf_map_delete_elem(e->sums, &key);
    }
    bpf_map_delete_elem(e->groups, &number);
}

static uint64_t lost(struct mpx_ebpf *e)
{
    return e->skeleton->bss->lost;
}

__attribute__((
    visibility("default"))) extern const struct mpx_ebpf_backend mpx_ebpf_backend;
const struct mpx_ebpf_backend mpx_ebpf_backend = {
    .version = MPX_EBPF_VERSION,
    .open = open_all,
    .close = close_all,
    .next_group = next_group,
    .each_sum = each_sum,
    .forget = forget,
    .lost = lost,
    .name_of = name_of,
    .moves_of = moves_of,
};
