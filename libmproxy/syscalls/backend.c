// The library that speaks to the kernel: loading the programs, keeping or finding what
// they count, and reading it. It is the only file that knows libbpf's skeleton, and is
// loaded on request.
//
// Three maps make up what is counted: groups (a process and all that it started), sums
// per group and call of threads that have ended, and the state (version, id, losses),
// which is mapped into our memory. Sums of living threads are in their tasks, and an
// iterator shows them.
//
// All is kept or nothing is. With a BPF file system the maps and the links of the
// programs are pinned (pinned.c), and the next proxy has three cases: programs and sums
// are whole and of the id that the rendezvous directory names, so it goes on with them;
// the sums are and the programs are not, so it loads programs anew on the old sums, and
// groups whose threads nobody saw since are over; or nothing fits, and all is cleared
// first. If what was kept is in the way of a start, it is removed and one more start is
// tried.
//
// Readers take the sums of ended threads first, then those of the living. A thread that
// ends between the two is in neither and is seen the next time; the other way round it
// could be in both, and what is counted twice can never be taken back. So a sum read
// here may be lower than before, never higher than the truth: the caller (syscalls.c)
// only ever raises what it has written.

#include "syscalls/backend.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <syscalls.skel.h>

#include "syscalls/pinned.h"

enum { STATE_BYTES = (sizeof(struct mpx_ebpf_state) + 4095) / 4096 * 4096 };

struct mpx_ebpf {
    struct mpx_pinned kept;
    char why_brief[160];
    bool goes_on;
    struct syscalls_bpf *skeleton; // NULL: an earlier proxy's programs go on
    int groups, sums, live;
    struct mpx_ebpf_state *state; // the kernel's memory
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

static bool has_group(struct mpx_ebpf *e, uint32_t number)
{
    struct mpx_ebpf_group group;
    return bpf_map_lookup_elem(e->groups, &number, &group) == 0;
}

// ---- open and close

static void let_go(struct mpx_ebpf *e)
{
    int *const fds[] = {&e->groups, &e->sums, &e->live};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (!e->skeleton && *fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    if (e->state)
        munmap(e->state, STATE_BYTES);
    e->state = NULL;
    syscalls_bpf__destroy(e->skeleton);
    e->skeleton = NULL;
}

static void close_all(struct mpx_ebpf *e)
{
    if (!e)
        return;
    if (e->kept.lock_fd >= 0)
        mpx_pinned_remove(&e->kept);
    let_go(e);
    free(e);
}

static bool map_state(struct mpx_ebpf *e, int fd)
{
    void *at = mmap(NULL, STATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    e->state = at == MAP_FAILED ? NULL : at;
    return e->state != NULL;
}

static void begin_state(struct mpx_ebpf *e, const struct mpx_ebpf_owner *owner)
{
    struct mpx_ebpf_state *s = e->state;
    s->version = MPX_EBPF_VERSION;
    s->dir_device = owner->dir_device;
    s->dir_inode = owner->dir_inode;
    snprintf(s->dir_path, sizeof s->dir_path, "%s", owner->dir_path);
    // Numbers that no segment in the directory tells of already.
    if (getrandom(&s->last_group, sizeof s->last_group, 0) < 0)
        s->last_group = (unsigned)getpid() << 16;
    if (e->kept.lock_fd >= 0 && getrandom(&s->id, sizeof s->id, 0) < 0)
        s->id = 0;
}

static int fd_in(const struct mpx_ebpf *e, const char *name)
{
    char path[2 * MPX_PINNED_PATH];
    mpx_pinned_path(&e->kept, name, path);
    return bpf_obj_get(path);
}

// All that an earlier proxy left, with its programs.
static bool go_on(struct mpx_ebpf *e)
{
    if (!mpx_pinned_has_links(&e->kept))
        return false;
    e->groups = fd_in(e, "groups");
    e->sums = fd_in(e, "sums");
    e->live = fd_in(e, "show_live");
    int state = fd_in(e, "state");
    bool whole = e->groups >= 0 && e->sums >= 0 && e->live >= 0 && state >= 0 &&
                 map_state(e, state);
    if (state >= 0)
        close(state);
    if (!whole)
        let_go(e);
    return whole;
}

static int set_pins(struct mpx_ebpf *e)
{
    char path[2 * MPX_PINNED_PATH];
    struct bpf_map *const pinned[] = {e->skeleton->maps.groups, e->skeleton->maps.sums,
                                      e->skeleton->maps.state};
    int failed = 0;
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned && !failed; i++) {
        mpx_pinned_path(&e->kept, bpf_map__name(pinned[i]), path);
        failed = bpf_map__set_pin_path(pinned[i], path);
    }
    return failed;
}

static int pin_links(struct mpx_ebpf *e)
{
    char path[2 * MPX_PINNED_PATH];
    const struct bpf_object_skeleton *all = e->skeleton->skeleton;
    int failed = 0;
    for (int i = 0; i < all->prog_cnt && !failed; i++) {
        mpx_pinned_path(&e->kept, all->progs[i].name, path);
        failed = bpf_link__pin(*all->progs[i].link, path);
    }
    return failed;
}

// No program has seen them since the last ones ended.
static void end_groups(struct mpx_ebpf *e)
{
    struct mpx_ebpf_group group;
    uint32_t number = 0, next;
    for (const uint32_t *after = NULL; bpf_map_get_next_key(e->groups, after, &next) == 0;
         after = &number) {
        number = next;
        if (bpf_map_lookup_elem(e->groups, &number, &group) != 0)
            continue;
        group.alive = 0;
        bpf_map_update_elem(e->groups, &number, &group, BPF_EXIST);
    }
}

// A group that was being forgotten.
static void drop_orphans(struct mpx_ebpf *e)
{
    struct mpx_ebpf_key key, next;
    int left = bpf_map_get_next_key(e->sums, NULL, &key);
    while (left == 0) {
        left = bpf_map_get_next_key(e->sums, &key, &next);
        if (!has_group(e, key.group))
            bpf_map_delete_elem(e->sums, &key);
        key = next;
    }
}

static int load(struct mpx_ebpf *e)
{
    e->skeleton = syscalls_bpf__open();
    if (!e->skeleton)
        return -errno;
    memcpy((void *)(uintptr_t)e->skeleton->rodata->moves, moves_by_number,
           sizeof moves_by_number);
    int failed = e->kept.lock_fd >= 0 ? set_pins(e) : 0;
    if (!failed)
        failed = syscalls_bpf__load(e->skeleton);
    if (failed)
        return failed;
    e->groups = bpf_map__fd(e->skeleton->maps.groups);
    e->sums = bpf_map__fd(e->skeleton->maps.sums);
    return map_state(e, bpf_map__fd(e->skeleton->maps.state)) ? 0 : -errno;
}

// Begin anew, but that sums of an earlier proxy are kept.
static bool start(struct mpx_ebpf *e, const struct mpx_ebpf_owner *owner)
{
    int failed = load(e);
    if (!failed && e->goes_on)
        end_groups(e);
    else if (!failed)
        begin_state(e, owner);
    if (!failed)
        failed = syscalls_bpf__attach(e->skeleton);
    if (!failed && e->kept.lock_fd >= 0)
        failed = pin_links(e);
    if (!failed)
        e->live = bpf_link__fd(e->skeleton->links.show_live);
    else
        let_go(e);
    errno = -failed;
    return !failed;
}

static bool start_or_go_on(struct mpx_ebpf *e, const struct mpx_ebpf_owner *owner)
{
    struct mpx_ebpf_state left;
    bool kept = mpx_pinned_take(&e->kept, owner, e->why_brief, sizeof e->why_brief);
    if (kept) {
        e->goes_on = mpx_pinned_state(&e->kept, &left) && left.id && left.id == owner->id;
        if (e->goes_on && go_on(e))
            return true;
        if (e->goes_on)
            mpx_pinned_drop_links(&e->kept);
        else
            mpx_pinned_clear(&e->kept);
    }
    if (start(e, owner))
        return true;
    int saved = errno;
    if (!kept)
        return false;
    snprintf(e->why_brief, sizeof e->why_brief, "%s: %s", e->kept.path, strerror(saved));
    mpx_pinned_remove(&e->kept);
    e->goes_on = false;
    return start(e, owner);
}

static int be_silent(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

static struct mpx_ebpf *open_all(const struct mpx_ebpf_owner *owner, char *why,
                                 size_t room)
{
    struct mpx_ebpf *e = calloc(1, sizeof *e);
    libbpf_set_print(be_silent);
    fill_moves();
    if (e) {
        e->groups = e->sums = e->live = -1;
        e->kept.lock_fd = -1;
    }
    if (!e || !start_or_go_on(e, owner)) {
        snprintf(why, room, "eBPF can't be used here: %s", strerror(errno));
        close_all(e);
        return NULL;
    }
    if (e->goes_on)
        drop_orphans(e);
    mpx_pinned_sweep(owner);
    return e;
}

// ---- what is there

static bool goes_on(const struct mpx_ebpf *e)
{
    return e->goes_on;
}

static void move(struct mpx_ebpf *e, uint64_t dir_device, uint64_t dir_inode)
{
    if (e->kept.lock_fd >= 0 && !mpx_pinned_move(&e->kept, dir_device, dir_inode))
        e->state->id = 0; // found by no other proxy
    e->state->dir_device = dir_device;
    e->state->dir_inode = dir_inode;
}

static const struct mpx_ebpf_state *state_of(const struct mpx_ebpf *e)
{
    return e->state;
}

static const char *why_brief(const struct mpx_ebpf *e)
{
    return e->why_brief;
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
    int fd = bpf_iter_create(e->live);
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
    bpf_map_delete_elem(e->groups, &number);
    for (uint32_t call = 0; call < MPX_EBPF_CALLS; call++) {
        struct mpx_ebpf_key key = {number, call};
        bpf_map_delete_elem(e->sums, &key);
    }
}

__attribute__((
    visibility("default"))) extern const struct mpx_ebpf_backend mpx_ebpf_backend;
const struct mpx_ebpf_backend mpx_ebpf_backend = {
    .version = MPX_EBPF_VERSION,
    .open = open_all,
    .close = close_all,
    .goes_on = goes_on,
    .move = move,
    .state = state_of,
    .why_brief = why_brief,
    .next_group = next_group,
    .has_group = has_group,
    .each_sum = each_sum,
    .forget = forget,
    .name_of = name_of,
    .moves_of = moves_of,
};
