#include "metric/order.h"

#include <string.h>

#include "metric/label.h"
#include "metric/reserved.h"

static bool is_after(const struct mpx_label *a, const struct mpx_label *b)
{
    bool a_is_le = mpx_label_is(a, "le"), b_is_le = mpx_label_is(b, "le");
    if (a_is_le || b_is_le)
        return a_is_le && !b_is_le;
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->name, b->name, shorter);
    return order ? order > 0 : a->name_length > b->name_length;
}

bool mpx_name_is_ordered(const char *name)
{
    const char *at = strchr(name, '{');
    struct mpx_label last, label;
    if (!at || !mpx_label_next(&at, &last))
        return true;
    for (; mpx_label_next(&at, &label); last = label)
        if (is_after(&last, &label))
            return mpx_name_is_reserved(name);
    return true;
}

static void reverse(char *from, char *to)
{
    while (from < to) {
        char c = *from;
        *from++ = *--to;
        *to = c;
    }
}

// a,b -> b,a where b is what lies between `middle` and `to`.
static void swap(char *from, char *middle, char *to)
{
    size_t length = (size_t)(to - middle);
    reverse(from, to);
    reverse(from, from + length);
    reverse(from + length + 1, to);
}

void mpx_name_order(char *name)
{
    if (mpx_name_is_ordered(name))
        return;
    const char *begin = strchr(name, '{'), *at = begin;
    struct mpx_label label, other;
    mpx_label_next(&at, &label);
    while (mpx_label_next(&at, &label)) {
        const char *before = begin;
        while (mpx_label_next(&before, &other) && other.name != label.name &&
               !is_after(&other, &label)) {
        }
        if (other.name != label.name)
            swap(name + (other.name - name), name + (label.name - name),
                 name + (at - name));
    }
}

const char *mpx_name_ordered(const char *name, char room[MPX_NAME_ROOM])
{
    if (mpx_name_is_ordered(name))
        return name;
    strcpy(room, name);
    mpx_name_order(room);
    return room;
}
