// What the kernel's program and its loader agree on.
#ifndef MPX_COLLECT_EBPF_SHARED_H
#define MPX_COLLECT_EBPF_SHARED_H

#include "launch/mark.h"

enum {
    MPX_EBPF_CALLS = 512, // calls of higher numbers are not counted
    MPX_EBPF_GROUPS = 1024,
    MPX_EBPF_SUMS = 65536, // pairs of group and call
};

// A process and all that it starts.
struct mpx_ebpf_group {
    long long alive; // threads
    unsigned uid;
    struct mpx_mark mark;
};

struct mpx_ebpf_key {
    unsigned group;
    unsigned call;
};

struct mpx_ebpf_sum {
    unsigned long long hits, ns, bytes;
};

// Of one live thread.
struct mpx_ebpf_record {
    struct mpx_ebpf_key key;
    struct mpx_ebpf_sum sum;
};

#endif
