#include "processes/users.h"

#include <stdlib.h>
#include <unistd.h>

enum { BUCKETS = 256 };

struct mpx_users {
    struct mpx_users_bounds bounds;
    struct mpx_user *buckets[BUCKETS];
};

struct mpx_users *mpx_users_new(const struct mpx_users_bounds *bounds)
{
    struct mpx_users *users = calloc(1, sizeof *users);
    if (users)
        users->bounds = *bounds;
    return users;
}

void mpx_users_free(struct mpx_users *users)
{
    for (int i = 0; users && i < BUCKETS; i++) {
        for (struct mpx_user *u = users->buckets[i], *next; u; u = next) {
            next = u->next;
            free(u);
        }
    }
    free(users);
}

struct mpx_user *mpx_users_get(struct mpx_users *users, uint32_t uid)
{
    struct mpx_user **bucket = &users->buckets[uid % BUCKETS];
    struct mpx_user *u = *bucket;
    while (u && u->uid != uid)
        u = u->next;
    if (u)
        return u;
    u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    bool is_own = uid == geteuid();
    u->uid = uid;
    u->max_files = is_own ? UINT32_MAX : users->bounds.files;
    u->max_names = is_own ? users->bounds.own_names : users->bounds.names;
    u->max_entries = is_own ? SIZE_MAX : users->bounds.entries;
    u->next = *bucket;
    *bucket = u;
    return u;
}
