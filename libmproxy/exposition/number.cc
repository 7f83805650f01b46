// The one file of C++: the standard library's shortest round-trip form of a double.

#include "exposition/number.h"

#include <charconv>
#include <cmath>

extern "C" char *mpx_write_shortest(char *out, double value)
{
    // From 2^53 on doubles leave integers out. Without a format all digits of the nearest
    // double are written where that is no longer than an exponent, as if they were known.
    constexpr double rounded_from = 9007199254740992.0;
    // 24 bytes are the longest that the shortest form can get.
    if (std::fabs(value) >= rounded_from)
        return std::to_chars(out, out + 32, value, std::chars_format::scientific).ptr;
    return std::to_chars(out, out + 32, value).ptr;
}
