#include "base/decimal.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

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

// In the locale of this thread.
static void write_shortest(char *out, size_t room, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
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
