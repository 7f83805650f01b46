#include "exposition/number.h"

#include <math.h>
#include <string.h>

#include <mproxy/exposition.h>

static const char pairs[201] = "00010203040506070809101112131415161718192021222324"
                               "25262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374"
                               "75767778798081828384858687888990919293949596979899";

static const uint64_t powers[20] = {UINT64_C(0),
                                    UINT64_C(10),
                                    UINT64_C(100),
                                    UINT64_C(1000),
                                    UINT64_C(10000),
                                    UINT64_C(100000),
                                    UINT64_C(1000000),
                                    UINT64_C(10000000),
                                    UINT64_C(100000000),
                                    UINT64_C(1000000000),
                                    UINT64_C(10000000000),
                                    UINT64_C(100000000000),
                                    UINT64_C(1000000000000),
                                    UINT64_C(10000000000000),
                                    UINT64_C(100000000000000),
                                    UINT64_C(1000000000000000),
                                    UINT64_C(10000000000000000),
                                    UINT64_C(100000000000000000),
                                    UINT64_C(1000000000000000000),
                                    UINT64_C(10000000000000000000)};

static unsigned digits_of(uint64_t value)
{
    // 1233 / 4096 is a little more than the decimal logarithm of 2.
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned guess = bits * 1233 >> 12;
    return guess + (value >= powers[guess] ? 1 : 0);
}

char *mpx_write_u64(char *out, uint64_t value)
{
    unsigned digits = value ? digits_of(value) : 1;
    char *at = out + digits;
    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return out + digits;
}

char *mpx_write_i64(char *out, int64_t value)
{
    if (value >= 0)
        return mpx_write_u64(out, (uint64_t)value);
    *out = '-';
    return mpx_write_u64(out + 1, -(uint64_t)value);
}

char *mpx_write_number(char *out, double value)
{
    if (fabs(value) < 9007199254740992.0) { // 2^53: below it doubles hold every integer
        int64_t whole = (int64_t)value;
        if ((double)whole == value) {
            if (whole == 0 && signbit(value))
                *out++ = '-';
            return mpx_write_i64(out, whole);
        }
    }
    return mpx_write_shortest(out, value);
}

size_t mproxy_format_number(double value, char out[MPROXY_NUMBER_MAX])
{
    char *end = mpx_write_number(out, value);
    *end = '\0';
    return (size_t)(end - out);
}
