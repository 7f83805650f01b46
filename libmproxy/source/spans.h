// Sorted arrays of share numbers, and of spans of them: what a base has absorbed is mostly one
// span, however many jobs there were.
#ifndef MPX_SOURCE_SPANS_H
#define MPX_SOURCE_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <mproxy/source.h>

static inline bool mpx_numbers_have(const uint64_t *numbers, size_t count,
                                    uint64_t number)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (numbers[low + half] == number)
            return true;
        if (numbers[low + half] < number) {
            low += half + 1;
            count -= half + 1;
        } else
            count = half;
    }
    return false;
}

// Position of the first span that ends after `number`.
static inline size_t mpx_spans_find(const mproxy_span *spans, size_t count,
                                    uint64_t number)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (spans[middle].end <= number)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static inline bool mpx_spans_have(const mproxy_span *spans, size_t count, uint64_t number)
{
    size_t at = mpx_spans_find(spans, count, number);
    return at < count && spans[at].first <= number;
}

// Add a number that they do not have; there is room for one span more.
static inline void mpx_spans_add(mproxy_span *spans, size_t *count, uint64_t number)
{
    size_t at = mpx_spans_find(spans, *count, number);
    bool after = at > 0 && spans[at - 1].end == number;
    bool before = at < *count && spans[at].first == number + 1;
    if (after && before) {
        spans[at - 1].end = spans[at].end;
        memmove(spans + at, spans + at + 1, (--*count - at) * sizeof *spans);
    } else if (after) {
        spans[at - 1].end++;
    } else if (before) {
        spans[at].first--;
    } else {
        memmove(spans + at + 1, spans + at, ((*count)++ - at) * sizeof *spans);
        spans[at] = (mproxy_span){number, number + 1};
    }
}

#endif
