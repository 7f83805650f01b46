// The library lib/mproxy/ebpf.so, which collect/syscalls.c loads when it is asked to: so that
// a proxy that counts no system calls carries neither libbpf nor libseccomp.
#ifndef MPX_COLLECT_EBPF_BACKEND_H
#define MPX_COLLECT_EBPF_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/ebpf/shared.h"

enum { MPX_EBPF_VERSION = 1 };
#define MPX_EBPF_SYMBOL "mpx_ebpf_backend"

struct mpx_ebpf; // programs that are attached, and their maps

enum mpx_call_moves { MPX_MOVES_NOTHING = 0, MPX_MOVES_IN = 1, MPX_MOVES_OUT = 2 };

typedef void mpx_ebpf_visit(void *arg, const struct mpx_ebpf_key *key,
                            const struct mpx_ebpf_sum *sum);

struct mpx_ebpf_backend {
    uint32_t version; // MPX_EBPF_VERSION
    // Load and attach. NULL, with the reason in `why`.
    struct mpx_ebpf *(*open)(char *why, size_t room);
    void (*close)(struct mpx_ebpf *e);
    // The group behind *number in the map, whose number it becomes; 0: the first.
    bool (*next_group)(struct mpx_ebpf *e, uint32_t *number, struct mpx_ebpf_group *out);
    // All there is of all groups; several parts of one key add up. What was seen once may be
    // missing another time, while a thread ends.
    void (*each_sum)(struct mpx_ebpf *e, mpx_ebpf_visit *visit, void *arg);
    // A group that has ended.
    void (*forget)(struct mpx_ebpf *e, uint32_t number);
    uint64_t (*lost)(struct mpx_ebpf *e);  // calls that there was no room to count
    const char *(*name_of)(uint32_t call); // valid until the next call
    enum mpx_call_moves (*moves_of)(uint32_t call);
};

#endif
