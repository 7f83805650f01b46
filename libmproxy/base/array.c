#include "base/array.h"

#include <stdlib.h>
#include <string.h>

// Pointers of any type have one representation here; memcpy() keeps it from being an alias.
bool mpx_array_resize(void *array, size_t room, size_t item_bytes)
{
    size_t bytes;
    void *items;
    if (__builtin_mul_overflow(room, item_bytes, &bytes))
        return false;
    memcpy(&items, array, sizeof items);
    void *moved = realloc(items, bytes ? bytes : 1);
    if (!moved)
        return false;
    memcpy(array, &moved, sizeof moved);
    // cppcheck-suppress memleak ; the caller's pointer holds it now
    return true;
}

bool mpx_array_reserve(void *array, size_t *room, size_t count, size_t item_bytes,
                       bool zeroed)
{
    if (count <= *room)
        return true;
    size_t more = mpx_array_room(*room, count);
    if (!mpx_array_resize(array, more, item_bytes))
        return false;
    if (zeroed) {
        char *items;
        memcpy(&items, array, sizeof items);
        memset(items + *room * item_bytes, 0, (more - *room) * item_bytes);
    }
    *room = more;
    return true;
}
