// Lines for people: a module that has something to say holds the struct mpx_logger that its
// caller gave it.
#ifndef MPX_BASE_LOG_H
#define MPX_BASE_LOG_H

#include <stdarg.h>

#include <mproxy/base.h>

struct mpx_logger {
    mproxy_log_fn log; // NULL: nobody listens
    void *arg;
};

// One line, cut at 1 KiB and made printable, for it quotes what came from outside.
void mpx_say(const struct mpx_logger *logger, mproxy_log_level level, const char *format,
             ...) __attribute__((format(printf, 3, 4)));
void mpx_say_args(const struct mpx_logger *logger, mproxy_log_level level,
                  const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
