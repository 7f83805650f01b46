#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void mpx_say(const struct mpx_logger *logger, mproxy_log_level level, const char *format,
             ...)
{
    if (!logger->log)
        return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t length = strlen(line);
    // What was cut may end within a character.
    mpx_utf8_make_printable(line, length);
    logger->log(logger->arg, level, line);
}
