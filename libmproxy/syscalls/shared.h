// The agreement between the kernel's program and its loader.
#ifndef MPX_SYSCALLS_SHARED_H
#define MPX_SYSCALLS_SHARED_H

#include "launch/mark.h"

enum {
    MPX_EBPF_CALLS = 512, // calls of higher numbers are not counted
    MPX_EBPF_GROUPS = 1024,
    MPX_EBPF_SUMS = 65536, // pairs of group and call
};

// Losses for want of room.
enum mpx_ebpf_loss { MPX_LOST_TREES, MPX_LOST_THREADS, MPX_LOST_CALLS, MPX_EBPF_LOSSES };

// One of it. All is kept with the sums, for the next proxy.
struct mpx_ebpf_state {
    unsigned version; // MPX_EBPF_VERSION
    unsigned last_group;
    unsigned long long id; // of these sums; 0: they end with the proxy
    // Of the rendezvous directory: whose marks are heard.
    unsigned long long dir_device, dir_inode;
    unsigned long long lost[MPX_EBPF_LOSSES];
    char dir_path[4096];
};

// A process and all that it starts.
struct mpx_ebpf_group {
    long long alive; // threads
    unsigned long long birth_boot_ns;
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
