// Numbers: nearly all have at most 19 digits, which are read in one loop.
//
// Such a number is an integer below 2^64 times a power of ten. Where the integer is at most
// 2^53 and the power at most 10^22, both are doubles without an error, so that one
// multiplication or division rounds once, to the nearest double (Clinger, "How to read
// floating point numbers accurately", 1990).
//
// Up to 10^27 either way the power of five in it is below 2^64. The product, or quotient and
// remainder, is then known in integers of 128 bits, and rounded once; that takes what has 16
// to 19 digits, as sums of seconds have.
//
// Everything else, words and malformed ones among it, goes the slow way: the form is checked
// here, and base/decimal.h reads it.
//
// Loops over digits need no bound: a newline ends every text that is read, or a quote.

#include "exposition/parse_number.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"

#define EXACT_INTEGER (UINT64_C(1) << 53)
#define EXACT_POWER 22
#define WIDE_POWER 27
#define DIGITS 19
#define LONGEST 1000 // of a number with underscores

static const double powers[EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || (unsigned char)((c | 0x20) - 'a') < 6;
}

static size_t digits_at(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && is_digit(*at))
        at++;
    return (size_t)(at - from);
}

// Behind the sign; +1 or -1 in *sign.
static const char *skip_sign(const char *at, const char *end, double *sign)
{
    *sign = at < end && *at == '-' ? -1 : 1;
    return at < end && (*at == '-' || *at == '+') ? at + 1 : at;
}

static bool is_word(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) == length && strncasecmp(at, word, length) == 0;
}

static bool read_word(const char *at, const char *end, double *out)
{
    double sign;
    if (is_word(at, end, "nan")) {
        *out = NAN;
        return true;
    }
    at = skip_sign(at, end, &sign);
    *out = sign * INFINITY;
    return is_word(at, end, "inf") || is_word(at, end, "infinity");
}

// Digits, of which a point may be among or beside, and an exponent.
static bool is_decimal(const char *at, const char *end)
{
    double sign;
    size_t digits = digits_at(at, end);
    at += digits;
    if (at < end && *at == '.') {
        size_t decimals = digits_at(++at, end);
        at += decimals;
        digits += decimals;
    }
    if (digits == 0)
        return false;
    if (at == end)
        return true;
    if ((*at | 0x20) != 'e')
        return false;
    at = skip_sign(at + 1, end, &sign);
    return at < end && digits_at(at, end) == (size_t)(end - at);
}

// Behind 0x: digits of base 16, of which a point may be among or beside, and the exponent.
static bool is_hexadecimal(const char *at, const char *end)
{
    double sign;
    size_t digits = 0, points = 0;
    for (; at < end && (is_hex_digit(*at) || *at == '.'); at++) {
        digits += *at != '.';
        points += *at == '.';
    }
    if (digits == 0 || points > 1 || at == end || (*at | 0x20) != 'p')
        return false;
    at = skip_sign(at + 1, end, &sign);
    return at < end && digits_at(at, end) == (size_t)(end - at);
}

static bool is_prefixed(const char *at, const char *end)
{
    return end - at > 2 && at[0] == '0' && (at[1] | 0x20) == 'x';
}

// An underscore stands between two digits, of which the prefix may be one.
static bool underscores_are_good(const char *at, const char *end)
{
    bool hex = is_prefixed(at, end), after_digit = hex;
    for (at += hex ? 2 : 0; at < end; at++) {
        bool digit = hex ? is_hex_digit(*at) : is_digit(*at);
        if (*at == '_' && (!after_digit || at + 1 == end ||
                           !(hex ? is_hex_digit(at[1]) : is_digit(at[1]))))
            return false;
        after_digit = digit;
    }
    return true;
}

static bool read_unsigned(const char *at, const char *end, bool go, double *out)
{
    bool hex = go && is_prefixed(at, end);
    if (!(hex ? is_hexadecimal(at + 2, end) : is_decimal(at, end)))
        return false;
    *out = mpx_decimal_read(at, NULL); // of a form that was checked
    return !isinf(*out);
}

static bool read_slowly(const char *at, const char *end, bool go, double *out)
{
    char plain[LONGEST + 1];
    double sign;
    if (read_word(at, end, out))
        return true;
    at = skip_sign(at, end, &sign);
    if (go && memchr(at, '_', (size_t)(end - at))) {
        size_t used = 0;
        if (end - at > LONGEST || !underscores_are_good(at, end))
            return false;
        for (; at < end; at++)
            if (*at != '_')
                plain[used++] = *at;
        plain[used] = '\0';
        at = plain;
        end = plain + used;
    }
    if (!read_unsigned(at, end, go, out))
        return false;
    *out *= sign;
    return true;
}

// The exponent behind its letter; 0 digits: NULL.
static const char *read_exponent(const char *at, int *exponent)
{
    bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    const char *from = at;
    int value = 0;
    for (; is_digit(*at) && at - from < 5; at++)
        value = value * 10 + (*at - '0');
    *exponent += negative ? -value : value;
    return at == from || is_digit(*at) ? NULL : at;
}

#ifdef __SIZEOF_INT128__
typedef unsigned __int128 wide;

// integer * 2^exponent, rounded to nearest, ties to even; `more`: it is a little more.
static double round_wide(wide integer, bool more, int exponent)
{
    uint64_t high = (uint64_t)(integer >> 64);
    int bits =
        high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)integer);
    int cut = bits - 53;
    if (cut <= 0)
        return ldexp((double)(uint64_t)integer, exponent);
    uint64_t kept = (uint64_t)(integer >> cut);
    wide rest = integer & (((wide)1 << cut) - 1), half = (wide)1 << (cut - 1);
    if (rest > half || (rest == half && (more || (kept & 1))))
        kept++;
    return ldexp((double)kept, exponent + cut);
}

// integer * 10^power, for powers up to WIDE_POWER either way.
static double scale_wide(uint64_t integer, int power)
{
    uint64_t five = 1;
    for (int i = power < 0 ? -power : power; i > 0; i--)
        five *= 5;
    if (power >= 0)
        return round_wide((wide)integer * five, false, power);
    int lead = __builtin_clzll(integer);
    wide whole = (wide)(integer << lead) << 64;
    return round_wide(whole / five, whole % five != 0, power - lead - 64);
}

#endif

// integer * 10^power. False: the slow way.
static bool scale(uint64_t integer, int power, double *out)
{
    bool is_exact =
        integer <= EXACT_INTEGER && power >= -EXACT_POWER && power <= EXACT_POWER;
    if (is_exact)
        *out = power < 0 ? (double)integer / powers[-power]
                         : (double)integer * powers[power];
#ifdef __SIZEOF_INT128__
    if (!is_exact && integer > 0 && power >= -WIDE_POWER && power <= WIDE_POWER) {
        *out = scale_wide(integer, power);
        return true;
    }
#endif
    return is_exact;
}

const char *mpx_number_read(const char *at, bool go, double *out)
{
    const char *p = at;
    uint64_t integer = 0;
    int power = 0;
    bool negative = *p == '-';
    p += negative;
    const char *from = p;
    for (; is_digit(*p); p++)
        integer = integer * 10 + (uint64_t)(*p - '0');
    ptrdiff_t digits = p - from;
    if (*p == '.') {
        from = ++p;
        for (; is_digit(*p); p++)
            integer = integer * 10 + (uint64_t)(*p - '0');
        power = (int)(from - p);
        digits += p - from;
    }
    if (digits > 0 && (*p | 0x20) == 'e')
        p = read_exponent(p + 1, &power);
    double value;
    if (p && digits > 0 && digits <= DIGITS && (mpx_is_blank(*p) || *p == '\n') &&
        scale(integer, power, &value)) {
        *out = negative ? -value : value;
        return p;
    }
    p = mpx_word_end(at);
    return read_slowly(at, p, go, out) ? p : NULL;
}

bool mpx_number_is(const char *text, size_t length, bool go, double *out)
{
    return read_slowly(text, text + length, go, out);
}

const char *mpx_time_read_ms(const char *at, int64_t *out)
{
    bool negative = *at == '-';
    at += *at == '-' || *at == '+';
    const char *from = at;
    int64_t value = 0;
    for (; is_digit(*at); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value))
            return NULL;
    // Summed up below zero, where there is one number more.
    if (at == from || (!negative && __builtin_sub_overflow(0, value, &value)))
        return NULL;
    if (!(mpx_is_blank(*at) || *at == '\n'))
        return NULL;
    if (__builtin_mul_overflow(value, 1000, out))
        *out = negative ? INT64_MIN + 1 : INT64_MAX;
    return at;
}

const char *mpx_time_read_s(const char *at, int64_t *out)
{
    double seconds;
    const char *end = mpx_number_read(at, false, &seconds);
    if (!end || !isfinite(seconds))
        return NULL;
    double us = seconds * 1e6;
    *out = us >= 9.2e18 ? INT64_MAX : us <= -9.2e18 ? INT64_MIN + 1 : llround(us);
    return end;
}
