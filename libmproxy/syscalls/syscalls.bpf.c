// Counts the system calls of tracked processes, in the kernel.
//
// A process asks to be tracked by a prctl() with an option that the kernel does not know
// (see launch/mark.h), from its next exec on, with all its children. Each thread carries the
// number of its group, the call that it is in and its sums, which are added to the group's
// when it ends; those of live threads are read by an iterator over all tasks. So a call takes
// no look into a shared table, and a thread that is not tracked costs one look at a pointer.
//
// Types of the kernel are named with the few fields that are used; the loader finds where
// they are in the running kernel.
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "syscalls/shared.h"

const char bpf_license[] SEC("license") = "GPL";

#define RELOCATED __attribute__((preserve_access_index))

#if defined(__TARGET_ARCH_x86)
enum { PRCTL = 157, IN_COMPAT_CALL = 2 };
struct pt_regs {
    unsigned long di, si;
} RELOCATED;
struct thread_info {
    __u32 status;
} RELOCATED;
struct task_struct {
    struct thread_info thread_info;
    void *bpf_storage;
} RELOCATED;

static unsigned long argument(const struct pt_regs *regs, int place)
{
    return place == 0 ? regs->di : regs->si;
}

// Calls of 32-bit programs have numbers of their own.
static bool is_native(const struct task_struct *task)
{
    return !(task->thread_info.status & IN_COMPAT_CALL);
}
#elif defined(__TARGET_ARCH_arm64)
enum { PRCTL = 167 };
struct pt_regs {
    __u64 regs[31];
    __u64 orig_x0;
} RELOCATED;
struct task_struct {
    void *bpf_storage;
} RELOCATED;

static unsigned long argument(const struct pt_regs *regs, int place)
{
    return place == 0 ? regs->orig_x0 : regs->regs[1];
}

static bool is_native(const struct task_struct *task)
{
    return true;
}
#endif

struct thread {
    __u32 group;  // 0: none
    __s32 call;   // that it is in; -1: none
    __u32 active; // the exec has come
    __u64 begin_ns;
    struct mpx_ebpf_sum sums[MPX_EBPF_CALLS];
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct thread);
} threads SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MPX_EBPF_GROUPS);
    __type(key, __u32);
    __type(value, struct mpx_ebpf_group);
} groups SEC(".maps");

// Of threads that have ended.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, MPX_EBPF_SUMS);
    __type(key, struct mpx_ebpf_key);
    __type(value, struct mpx_ebpf_sum);
} sums SEC(".maps");

// Too large for the stack.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct mpx_ebpf_group);
} scratch SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct mpx_ebpf_state);
} state SEC(".maps");

const volatile __u8 moves[MPX_EBPF_CALLS]; // its result is a number of bytes

static struct mpx_ebpf_state *the_state(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&state, &zero);
}

static void lose(enum mpx_ebpf_loss what, __u64 count)
{
    struct mpx_ebpf_state *s = the_state();
    if (s)
        __sync_fetch_and_add(&s->lost[what], count);
}

// The storage of a task that may have one.
static struct thread *thread_of(struct task_struct *task)
{
    if (!task->bpf_storage)
        return NULL;
    return bpf_task_storage_get(&threads, task, 0, 0);
}

struct fold {
    struct thread *thread;
    struct mpx_ebpf_key key;
};

static void add_sum(const struct mpx_ebpf_key *key, const struct mpx_ebpf_sum *more)
{
    struct mpx_ebpf_sum *sum = bpf_map_lookup_elem(&sums, key);
    if (!sum && bpf_map_update_elem(&sums, key, more, BPF_NOEXIST) == 0)
        return;
    if (!sum)
        sum = bpf_map_lookup_elem(&sums, key);
    if (!sum) {
        lose(MPX_LOST_CALLS, more->hits);
        return;
    }
    __sync_fetch_and_add(&sum->hits, more->hits);
    __sync_fetch_and_add(&sum->ns, more->ns);
    __sync_fetch_and_add(&sum->bytes, more->bytes);
}

static long fold_call(__u32 call, struct fold *fold)
{
    struct mpx_ebpf_sum *sum = &fold->thread->sums[call & (MPX_EBPF_CALLS - 1)];
    fold->key.call = call;
    if (sum->hits)
        add_sum(&fold->key, sum);
    *sum = (struct mpx_ebpf_sum){0};
    return 0;
}

// The group is left before its sums change, and told last that it has one thread less.
static void leave_group(struct thread *t)
{
    __u32 number = t->group;
    struct fold fold = {t, {number, 0}};
    t->group = 0;
    t->active = 0;
    t->call = -1;
    bpf_loop(MPX_EBPF_CALLS, fold_call, &fold, 0);
    struct mpx_ebpf_group *group = bpf_map_lookup_elem(&groups, &number);
    if (group)
        __sync_fetch_and_add(&group->alive, -1);
}

static __u32 next_number(struct mpx_ebpf_state *s)
{
    __u32 number = __sync_fetch_and_add(&s->last_group, 1) + 1;
    return number ? number : __sync_fetch_and_add(&s->last_group, 1) + 1;
}

static void enter_group(struct task_struct *task, const void *mark)
{
    __u32 zero = 0;
    struct mpx_ebpf_group *group = bpf_map_lookup_elem(&scratch, &zero);
    struct mpx_ebpf_state *s = the_state();
    struct thread *t = thread_of(task);
    if (t && t->group)
        leave_group(t);
    if (!group || !s ||
        bpf_probe_read_user(&group->mark, sizeof group->mark, mark) != 0 ||
        group->mark.dir_device != s->dir_device || group->mark.dir_inode != s->dir_inode)
        return;
    t = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    group->alive = 1;
    group->birth_boot_ns = bpf_ktime_get_boot_ns();
    group->uid = (__u32)bpf_get_current_uid_gid();
    __u32 number = next_number(s);
    if (!t || bpf_map_update_elem(&groups, &number, group, BPF_NOEXIST) != 0) {
        lose(MPX_LOST_TREES, 1);
        return;
    }
    t->call = -1;
    t->group = number;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long id)
{
    struct task_struct *task = bpf_get_current_task_btf();
    if (id == PRCTL && argument(regs, 0) == MPX_MARK_OPTION && is_native(task)) {
        enter_group(task, (const void *)argument(regs, 1));
        return 0;
    }
    struct thread *t = thread_of(task);
    if (!t || !t->group)
        return 0;
    t->call = id >= 0 && id < MPX_EBPF_CALLS && is_native(task) ? (__s32)id : -1;
    t->begin_ns = bpf_ktime_get_ns();
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_exit, struct pt_regs *regs, long result)
{
    struct thread *t = thread_of(bpf_get_current_task_btf());
    if (!t || t->call < 0)
        return 0;
    __u32 call = (__u32)t->call & (MPX_EBPF_CALLS - 1);
    t->call = -1;
    if (!t->active)
        return 0;
    struct mpx_ebpf_sum *sum = &t->sums[call];
    sum->hits++;
    sum->ns += bpf_ktime_get_ns() - t->begin_ns;
    if (result > 0 && moves[call])
        sum->bytes += (__u64)result;
    return 0;
}

// Before the child runs.
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    struct thread *t = thread_of(parent);
    if (!t || !t->group)
        return 0;
    struct mpx_ebpf_group *group = bpf_map_lookup_elem(&groups, &t->group);
    struct thread *c =
        group ? bpf_task_storage_get(&threads, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE)
              : NULL;
    if (!c) {
        lose(MPX_LOST_THREADS, 1);
        return 0;
    }
    c->call = -1;
    c->active = t->active;
    c->group = t->group;
    __sync_fetch_and_add(&group->alive, 1);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
    struct thread *t = thread_of(task);
    if (t && t->group)
        t->active = 1;
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_end, struct task_struct *task)
{
    struct thread *t = thread_of(task);
    if (t && t->group)
        leave_group(t);
    return 0;
}

// ---- reading

struct seq_file;
struct bpf_iter_meta {
    struct seq_file *seq;
} RELOCATED;
struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
} RELOCATED;

struct show {
    struct thread *thread;
    struct seq_file *seq;
};

static long show_call(__u32 call, struct show *show)
{
    struct thread *t = show->thread;
    const struct mpx_ebpf_sum *sum = &t->sums[call & (MPX_EBPF_CALLS - 1)];
    struct mpx_ebpf_record record = {.key = {t->group, call}, .sum = *sum};
    if (record.sum.hits && record.key.group)
        bpf_seq_write(show->seq, &record, sizeof record);
    return 0;
}

// Records of the calls of all live threads.
SEC("iter/task")
int show_live(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    if (!task)
        return 0;
    struct thread *t = bpf_task_storage_get(&threads, task, 0, 0);
    if (!t || !t->group)
        return 0;
    struct show show = {t, ctx->meta->seq};
    bpf_loop(MPX_EBPF_CALLS, show_call, &show, 0);
    return 0;
}
