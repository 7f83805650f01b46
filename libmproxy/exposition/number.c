#include "exposition/number.h"

#include <math.h>

#include <mproxy/exposition.h>

#include "base/decimal.h"

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
