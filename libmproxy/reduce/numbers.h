// Sorted arrays of share numbers.
#ifndef MPX_REDUCE_NUMBERS_H
#define MPX_REDUCE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
