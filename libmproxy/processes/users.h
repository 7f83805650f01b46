// The room that each user takes in the rendezvous, so that none takes that of others.
#ifndef MPX_PROCESSES_USERS_H
#define MPX_PROCESSES_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mproxy/store.h>

struct mpx_user {
    uint32_t uid;
    uint32_t files, max_files;   // names in the directory that are known
    size_t names, max_names;     // of metrics known now that this user was first to bring
    size_t entries, max_entries; // of layouts, likewise
    bool told;                   // that there are too many files
};

struct mpx_users;

// Bounds of every user but the one that the proxy runs as, whose programs and HTTP requests
// are bounded by `own_names` alone.
struct mpx_users_bounds {
    uint32_t files;
    size_t names, entries, own_names;
};
// The names that users bring are counted by the store. NULL: no memory.
struct mpx_users *mpx_users_new(mproxy_store *store,
                                const struct mpx_users_bounds *bounds);
void mpx_users_free(struct mpx_users *users); // accepts NULL

// The account of a user, made when it is asked for first; it stays where it is until
// mpx_users_free(). NULL: no memory.
struct mpx_user *mpx_users_get(struct mpx_users *users, uint32_t uid);

#endif
