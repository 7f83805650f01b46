// What people are told: some lines a round, for one bad user has many files.

#include "processes/private.h"

#include <stdarg.h>

enum { WARNINGS_PER_ROUND = 8 };

void mpx_segments_warn(struct mpx_segments *s, const char *format, ...)
{
    if (++s->warned > WARNINGS_PER_ROUND)
        return;
    va_list args;
    va_start(args, format);
    mpx_say_args(&s->logger, MPROXY_LOG_WARNING, format, args);
    va_end(args);
}

void mpx_segments_warn_of_more(struct mpx_segments *s)
{
    if (s->warned > WARNINGS_PER_ROUND)
        mpx_say(&s->logger, MPROXY_LOG_WARNING,
                "segments: %u more warnings in this round",
                s->warned - WARNINGS_PER_ROUND);
}
