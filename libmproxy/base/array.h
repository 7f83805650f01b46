// The one way in which arrays grow: to twice their room, or to what is asked for if that is
// more, so that n appends copy fewer than 2 n items in all.
//
//     if (!MPX_RESERVE(list->items, list->room, list->count + 1))
//         return false;
//     list->items[list->count++] = item;
//
// An array is a pointer and a `size_t` room beside it, both zero to begin with; free() is its
// end. Arrays of one room grow one after the other by MPX_RESERVE_TO() with a room that the
// caller sets once all of them have it.
#ifndef MPX_BASE_ARRAY_H
#define MPX_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

// Room for `count` items in all. False when there is no memory; nothing has changed then.
#define MPX_RESERVE(array, room, count)                                                  \
    mpx_array_reserve(&(array), &(room), (count), sizeof *(array), false)
// The same with zeroes in what is new.
#define MPX_RESERVE_ZEROED(array, room, count)                                           \
    mpx_array_reserve(&(array), &(room), (count), sizeof *(array), true)
// Exactly this room, which is not below what there was.
#define MPX_RESERVE_TO(array, room) mpx_array_resize(&(array), (room), sizeof *(array))

// The room that MPX_RESERVE() would grow a room of `room` items to.
static inline size_t mpx_array_room(size_t room, size_t count)
{
    return count <= room ? room : count > 2 * room ? count : 2 * room;
}

// `array` is the address of the pointer to the items.
bool mpx_array_reserve(void *array, size_t *room, size_t count, size_t item_bytes,
                       bool zeroed);
bool mpx_array_resize(void *array, size_t room, size_t item_bytes);

#endif
