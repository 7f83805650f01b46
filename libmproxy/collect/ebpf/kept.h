// What the kernel keeps of a proxy that was killed: a directory of pinned maps and links in
// the BPF file system, mproxy-DEVICE-INODE of the rendezvous directory. Its proxy holds its
// lock, which processes of other mount namespaces see, too.
#ifndef MPX_COLLECT_EBPF_KEPT_H
#define MPX_COLLECT_EBPF_KEPT_H

#include "collect/ebpf/backend.h"

enum { MPX_KEPT_PATH = 96 };

struct mpx_kept {
    char path[MPX_KEPT_PATH];
    int lock_fd; // -1: nothing is kept
};

// The names of links; NULL at the end.
extern const char *const mpx_kept_links[];

// Make or open the directory of this owner, and lock it. False: `why` says why not.
bool mpx_kept_take(struct mpx_kept *k, const struct mpx_ebpf_owner *owner, char *why,
                   size_t room);
void mpx_kept_path(const struct mpx_kept *k, const char *name,
                   char out[2 * MPX_KEPT_PATH]);
// What is in it is of this release and whole but for links.
bool mpx_kept_state(const struct mpx_kept *k, struct mpx_ebpf_state *out);
bool mpx_kept_has_links(const struct mpx_kept *k);
void mpx_kept_drop_links(const struct mpx_kept *k);
void mpx_kept_clear(const struct mpx_kept *k); // all but the directory
void mpx_kept_remove(struct mpx_kept *k);      // all; unlocks
// False with errno set: the name is as before.
bool mpx_kept_move(struct mpx_kept *k, uint64_t dir_device, uint64_t dir_inode);

// Look at all that the user's dead proxies left. Of one that no proxy can go on with nothing
// is left; of the others, programs that count nobody end, and sums stay.
void mpx_kept_sweep(const struct mpx_ebpf_owner *owner);

#endif
