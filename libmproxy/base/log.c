#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void mpx_say_args(const struct mpx_logger *logger, mproxy_log_level level,
                  const char *format, va_list args)
{
    char line[1024];
    if (!logger->log)
        return;
    vsnprintf(line, sizeof line, format, args);
    // Names in it may come from anywhere, and a terminal obeys what it is shown. What was
    // cut may end within a character.
    mpx_utf8_make_printable(line, strlen(line));
    logger->log(logger->arg, level, line);
}

void mpx_say(const struct mpx_logger *logger, mproxy_log_level level, const char *format,
             ...)
{
    va_list args;
    va_start(args, format);
    mpx_say_args(logger, level, format, args);
    va_end(args);
}
