// The one file of C++: the standard library's shortest round-trip form of a double.

#include "exposition/number.h"

#include <charconv>

extern "C" char *mpx_write_shortest(char *out, double value)
{
    // 24 bytes are the longest that the shortest form can get.
    return std::to_chars(out, out + 32, value).ptr;
}
