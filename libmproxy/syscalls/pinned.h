// The part of a killed proxy that the kernel keeps: a directory of pinned maps and links in
// the BPF file system, mproxy-DEVICE-INODE of the rendezvous directory. Its proxy holds its
// lock, which processes of other mount namespaces see, too.
#ifndef MPX_SYSCALLS_PINNED_H
#define MPX_SYSCALLS_PINNED_H

#include "syscalls/backend.h"

enum { MPX_PINNED_PATH = 96 };

struct mpx_pinned {
    char path[MPX_PINNED_PATH];
    int lock_fd; // -1: nothing is kept
};

// Make or open the directory of this owner, and lock it. False: `why` says why not.
bool mpx_pinned_take(struct mpx_pinned *k, const struct mpx_ebpf_owner *owner, char *why,
                     size_t room);
void mpx_pinned_path(const struct mpx_pinned *k, const char *name,
                     char out[2 * MPX_PINNED_PATH]);
// Whether its content is of this release and whole but for links.
bool mpx_pinned_state(const struct mpx_pinned *k, struct mpx_ebpf_state *out);
bool mpx_pinned_has_links(const struct mpx_pinned *k);
void mpx_pinned_drop_links(const struct mpx_pinned *k);
void mpx_pinned_clear(const struct mpx_pinned *k); // all but the directory
void mpx_pinned_remove(struct mpx_pinned *k);      // all; unlocks
// False with errno set: the name is as before.
bool mpx_pinned_move(struct mpx_pinned *k, uint64_t dir_device, uint64_t dir_inode);

// Look at all that the user's dead proxies left. Of one that no proxy can go on with nothing
// is left; of the others, programs that count nobody end, and sums stay.
void mpx_pinned_sweep(const struct mpx_ebpf_owner *owner);

#endif
