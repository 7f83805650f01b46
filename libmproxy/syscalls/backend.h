// The library lib/mproxy/ebpf.so, which syscalls/syscalls.c loads on request, so that a proxy
// that counts no system calls carries neither libbpf nor libseccomp.
#ifndef MPX_SYSCALLS_BACKEND_H
#define MPX_SYSCALLS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syscalls/shared.h"

enum { MPX_EBPF_VERSION = 2 }; // of the library and of what it keeps in the kernel
#define MPX_EBPF_SYMBOL "mpx_ebpf_backend"

struct mpx_ebpf; // programs that are attached, and their maps

enum mpx_call_moves { MPX_MOVES_NOTHING = 0, MPX_MOVES_IN = 1, MPX_MOVES_OUT = 2 };

typedef void mpx_ebpf_visit(void *arg, const struct mpx_ebpf_key *key,
                            const struct mpx_ebpf_sum *sum);

struct mpx_ebpf_owner {
    const char *dir_path; // rendezvous directory
    uint64_t dir_device, dir_inode;
    uint64_t (*id_in)(int dir_fd); // that the directory's mark file tells; 0: none
    uint64_t id;                   // in this directory
};

// Counting in the kernel outlives the proxy where it may be pinned: then a set of programs
// and sums is left, which the next proxy in the rendezvous directory goes on with if its id
// is the one that the directory tells.
struct mpx_ebpf_backend {
    uint32_t version; // MPX_EBPF_VERSION
    // Load and attach, or go on with what is there. NULL, with the reason in `why`.
    struct mpx_ebpf *(*open)(const struct mpx_ebpf_owner *owner, char *why, size_t room);
    // Counting ends, and nothing is left.
    void (*close)(struct mpx_ebpf *e);
    // Whether there were groups of an earlier proxy at open.
    bool (*goes_on)(const struct mpx_ebpf *e);
    // The rendezvous directory is another one.
    void (*move)(struct mpx_ebpf *e, uint64_t dir_device, uint64_t dir_inode);
    // Losses for want of room, and the id.
    const struct mpx_ebpf_state *(*state)(const struct mpx_ebpf *e);
    // Why sums end with the proxy; "" if they do not.
    const char *(*why_brief)(const struct mpx_ebpf *e);
    // The group behind *number in the map, whose number it becomes; 0: the first.
    bool (*next_group)(struct mpx_ebpf *e, uint32_t *number, struct mpx_ebpf_group *out);
    bool (*has_group)(struct mpx_ebpf *e, uint32_t number);
    // All there is of all groups since they began; several parts of one key add up. What was
    // seen once may be missing another time, while a thread ends.
    void (*each_sum)(struct mpx_ebpf *e, mpx_ebpf_visit *visit, void *arg);
    // The first step: no proxy will see the group again.
    void (*forget)(struct mpx_ebpf *e, uint32_t number);
    const char *(*name_of)(uint32_t call); // valid until the next call
    enum mpx_call_moves (*moves_of)(uint32_t call);
};

#endif
