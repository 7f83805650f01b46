#include "processes/users.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/array.h"
#include "base/index.h"
#include "store/exempt.h"

struct mpx_users {
    mproxy_store *store;
    struct mpx_users_bounds bounds;
    struct mpx_user **list; // each stays where it is
    size_t count, room;
    struct mpx_index index;
};

struct mpx_users *mpx_users_new(mproxy_store *store,
                                const struct mpx_users_bounds *bounds)
{
    struct mpx_users *users = calloc(1, sizeof *users);
    if (!users)
        return NULL;
    users->store = store;
    users->bounds = *bounds;
    return users;
}

void mpx_users_free(struct mpx_users *users)
{
    if (!users)
        return;
    for (size_t i = 0; i < users->count; i++) {
        if (users->list[i]->names > 0)
            mpx_store_close_account(users->store, &users->list[i]->names);
        free(users->list[i]);
    }
    free(users->list);
    mpx_index_fini(&users->index);
    free(users);
}

static struct mpx_user *add(struct mpx_users *users, uint32_t uid)
{
    if (!MPX_RESERVE(users->list, users->room, users->count + 1) ||
        !mpx_index_reserve(&users->index, (uint32_t)users->count + 1))
        return NULL;
    struct mpx_user *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    bool is_own = uid == geteuid();
    u->uid = uid;
    u->max_files = is_own ? UINT32_MAX : users->bounds.files;
    u->max_names = is_own ? users->bounds.own_names : users->bounds.names;
    u->max_entries = is_own ? SIZE_MAX : users->bounds.entries;
    mpx_index_put(&users->index, mpx_hash_u64(uid), (uint32_t)users->count);
    users->list[users->count++] = u;
    return u;
}

struct mpx_user *mpx_users_get(struct mpx_users *users, uint32_t uid)
{
    uint32_t hash = mpx_hash_u64(uid), at = mpx_index_start(&users->index, hash);
    for (uint32_t i; mpx_index_next(&users->index, hash, &at, &i);)
        if (users->list[i]->uid == uid)
            return users->list[i];
    return add(users, uid);
}
