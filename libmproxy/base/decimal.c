#include "base/decimal.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The C locale is a constant of libc: nothing is loaded or allocated for it.
static locale_t with_point(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

double mpx_decimal_read(const char *text, char **end)
{
    locale_t c = with_point();
    double value = c ? strtod_l(text, end, c) : strtod(text, end);
    if (c)
        freelocale(c);
    return value;
}

// In the locale of this thread. From six digits on, so that 10 is not 1e+01, which others would
// take for another bound.
static void write_shortest(char *out, size_t room, double value)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, room, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

void mpx_decimal_shortest(char *out, size_t room, double value)
{
    locale_t c = with_point();
    locale_t before = c ? uselocale(c) : (locale_t)0;
    write_shortest(out, room, value);
    if (!c)
        return;
    uselocale(before);
    freelocale(c);
}

// ---- integers

static const char pairs[201] = "00010203040506070809101112131415161718192021222324"
                               "25262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374"
                               "75767778798081828384858687888990919293949596979899";

#define EIGHT_DIGITS 100000000u

static void put_pair(char *out, uint32_t value)
{
    memcpy(out, pairs + 2 * value, 2);
}

// All eight of them; no division waits for more than one other.
static char *put_eight(char *out, uint32_t value)
{
    uint32_t high = value / 10000, low = value % 10000;
    put_pair(out, high / 100);
    put_pair(out + 2, high % 100);
    put_pair(out + 4, low / 100);
    put_pair(out + 6, low % 100);
    return out + 8;
}

static unsigned digits_of(uint32_t value)
{
    static const uint32_t powers[10] = {0,      10,      100,      1000,      10000,
                                        100000, 1000000, 10000000, 100000000, 1000000000};
    // 1233 / 4096 is a little more than the decimal logarithm of 2.
    unsigned bits = 32 - (unsigned)__builtin_clz(value | 1);
    unsigned guess = bits * 1233 >> 12;
    return guess + (value >= powers[guess] ? 1 : 0);
}

static char *put_few(char *out, uint32_t value)
{
    unsigned digits = value ? digits_of(value) : 1;
    char *at = out + digits;
    for (; value >= 100; value /= 100)
        put_pair(at -= 2, value % 100);
    if (value >= 10)
        put_pair(at - 2, value);
    else
        at[-1] = (char)('0' + value);
    return out + digits;
}

char *mpx_write_u64(char *out, uint64_t value)
{
    if (value < EIGHT_DIGITS)
        return put_few(out, (uint32_t)value);
    uint64_t high = value / EIGHT_DIGITS;
    if (high < EIGHT_DIGITS)
        out = put_few(out, (uint32_t)high);
    else
        out = put_eight(put_few(out, (uint32_t)(high / EIGHT_DIGITS)),
                        (uint32_t)(high % EIGHT_DIGITS));
    return put_eight(out, (uint32_t)(value % EIGHT_DIGITS));
}

char *mpx_write_i64(char *out, int64_t value)
{
    if (value >= 0)
        return mpx_write_u64(out, (uint64_t)value);
    *out = '-';
    return mpx_write_u64(out + 1, -(uint64_t)value);
}
