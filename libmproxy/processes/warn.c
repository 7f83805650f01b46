// What people are told: some lines a round, for one bad user has many files.

#include "processes/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { WARNINGS_PER_ROUND = 8 };

void mpx_segments_warn(struct mpx_segments *s, const char *format, ...)
{
    if (!s->warn || ++s->warned > WARNINGS_PER_ROUND)
        return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    mpx_utf8_make_printable(line, strlen(line));
    s->warn(s->warn_arg, line);
}

void mpx_segments_warn_of_more(struct mpx_segments *s)
{
    if (!s->warn || s->warned <= WARNINGS_PER_ROUND)
        return;
    char line[64];
    snprintf(line, sizeof line, "segments: %u more warnings in this round",
             s->warned - WARNINGS_PER_ROUND);
    s->warn(s->warn_arg, line);
}
