// The filter: a search tree over the system calls' numbers, whose leaves let a call pass or
// make it stop.
//
// It is written here and not by libseccomp, which takes 3 ms to turn the same list into a
// program: as long as everything else that starts a traced command. Two more reasons shape
// it. The kernel remembers which calls a filter always lets pass, and then no longer runs
// it for them, if on their way through it there are only comparisons with constants: so the
// leaves come last, and nothing is computed before. And a stop has to say which call it is:
// its leaf returns the number itself, so that one leaf can stand for a range of numbers.
//
// Two calls have leaves of their own, which look at an argument: clone, see untraced.h, and
// close, see own.h. x32's numbers lie above all of ours and pass, and so do the calls of
// another architecture.
#include "filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mproxy/inline.h>

#include "own.h"

enum { CODE_MAX = 4 * CALLS_MAX < BPF_MAXINSNS ? 4 * CALLS_MAX : BPF_MAXINSNS };

enum leaf { PASS, STOP, CLONE, CLOSE };

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned size;
    bool close_stops;
};

// From `first` on, up to the next range's, all calls have the same leaf.
struct range {
    uint32_t first;
    enum leaf leaf;
};

static bool put(struct program *p, struct sock_filter instruction)
{
    if (p->size == CODE_MAX)
        return false;
    p->code[p->size++] = instruction;
    return true;
}

#define STATEMENT(code, k) ((struct sock_filter)BPF_STMT(code, k))
#define JUMP(code, k, yes, no) ((struct sock_filter)BPF_JUMP(code, k, yes, no))

static bool put_result(struct program *p, uint32_t action)
{
    return put(p, STATEMENT(BPF_RET | BPF_K, action));
}

// The low half of the first argument.
static bool load_argument(struct program *p)
{
    unsigned offset = offsetof(struct seccomp_data, args);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        offset += 4;
    return put(p, STATEMENT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static bool put_leaf(struct program *p, enum leaf leaf)
{
    switch (leaf) {
    case PASS:
        return put_result(p, SECCOMP_RET_ALLOW);
    case STOP: // the number is what was loaded last
        return put(p, STATEMENT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_TRACE)) &&
               put(p, STATEMENT(BPF_RET | BPF_A, 0));
    case CLONE:
        return load_argument(p) &&
               put(p, JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_UNTRACED, 0, 1)) &&
               put_result(p, SECCOMP_RET_TRACE | SYS_clone) &&
               put_result(p, SECCOMP_RET_ALLOW);
    case CLOSE:
        return load_argument(p) &&
               put(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, MPROXY_OWN_BEGIN, 0, 1)) &&
               put_result(p, SECCOMP_RET_TRACE | OWN_BEGIN) &&
               put(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, MPROXY_OWN_END, 0, 1)) &&
               put_result(p, SECCOMP_RET_TRACE | OWN_END) &&
               put_result(p, p->close_stops ? SECCOMP_RET_TRACE | SYS_close
                                            : SECCOMP_RET_ALLOW);
    }
    return false;
}

// The tree over `count` ranges. A conditional jump reaches 255 instructions, so that the
// right half is reached by an unconditional one.
static bool put_tree(struct program *p, const struct range *ranges, unsigned count)
{
    if (count == 1)
        return put_leaf(p, ranges->leaf);
    unsigned half = count / 2;
    if (!put(p, JUMP(BPF_JMP | BPF_JGE | BPF_K, ranges[half].first, 0, 1)))
        return false;
    unsigned jump = p->size;
    if (!put(p, STATEMENT(BPF_JMP | BPF_JA, 0)) || !put_tree(p, ranges, half))
        return false;
    p->code[jump].k = p->size - jump - 1;
    return put_tree(p, ranges + half, count - half);
}

static bool is_watched(int number)
{
    for (size_t i = 0; i < CALLS_WATCHED; i++)
        if (number == calls_watched[i])
            return true;
    return false;
}

static enum leaf leaf_of(const struct calls *calls, bool watched, int number)
{
    if (number == SYS_close)
        return CLOSE;
    if (calls->wanted[number] || (watched && is_watched(number)))
        return STOP;
    return number == SYS_clone ? CLONE : PASS;
}

static unsigned split(const struct calls *calls, bool watched,
                      struct range ranges[CALLS_MAX + 1])
{
    unsigned count = 0;
    for (int number = 0; number < CALLS_MAX; number++) {
        enum leaf leaf = leaf_of(calls, watched, number);
        // cppcheck-suppress uninitvar ; what lies below count was set
        if (count == 0 || ranges[count - 1].leaf != leaf)
            ranges[count++] = (struct range){(uint32_t)number, leaf};
    }
    if (ranges[count - 1].leaf != PASS)
        ranges[count++] = (struct range){CALLS_MAX, PASS};
    return count;
}

static bool make(struct program *p, const struct calls *calls, bool watched)
{
    struct range ranges[CALLS_MAX + 1];
    unsigned count = split(calls, watched, ranges);
    p->close_stops = calls->wanted[SYS_close];
    return put(p, STATEMENT(BPF_LD | BPF_W | BPF_ABS,
                            offsetof(struct seccomp_data, arch))) &&
           put(p, JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls_arch(), 1, 0)) &&
           put_result(p, SECCOMP_RET_ALLOW) &&
           put(p,
               STATEMENT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))) &&
           put_tree(p, ranges, count);
}

// Without speculation bypass disabled, which older kernels would do to filtered tasks.
static bool install(struct sock_filter *code, unsigned size)
{
    struct sock_fprog program = {.len = (unsigned short)size, .filter = code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                   &program) == 0;
}

static bool allow_all(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return install(&allow, 1);
}

static bool bind_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

enum filter_leave filter_try(void)
{
    if (allow_all())
        return FILTER_PLAIN;
    if (bind_privileges() && allow_all())
        return FILTER_BOUND;
    return FILTER_NONE;
}

bool filter_install(const struct calls *calls, bool watched, enum filter_leave leave)
{
    static struct program program;
    program.size = 0;
    return make(&program, calls, watched) &&
           (leave != FILTER_BOUND || bind_privileges()) &&
           install(program.code, program.size);
}
