// Filling in a caller's mproxy_error.
#ifndef MPX_BASE_ERR_H
#define MPX_BASE_ERR_H

#include <assert.h>

#include <mproxy/base.h>

// Write status and text where err is not NULL, and return the status: `return mpx_fail(...)`.
// The text names the thing and the value, in one line; control characters become '?'.
mproxy_status mpx_fail(mproxy_error *err, mproxy_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As mpx_fail(), with the place in the input.
mproxy_status mpx_fail_at(mproxy_error *err, mproxy_status status, int line, int column,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

// MPROXY_E_SYSTEM (MPROXY_E_NOMEM for ENOMEM), the text followed by ": " and errno's words.
mproxy_status mpx_fail_errno(mproxy_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Refuse a wrong argument, a mistake of the program that calls: the public function it stands
// in first stops a debug build, and returns MPROXY_E_INVALID in a release build (NDEBUG),
// which runs inside other people's jobs. For what users write there is mpx_fail().
#define MPX_REQUIRE(condition, err)                                                      \
    do {                                                                                 \
        assert(condition);                                                               \
        if (!(condition))                                                                \
            return mpx_fail((err), MPROXY_E_INVALID, "wrong argument: %s expected",      \
                            #condition);                                                 \
    } while (0)

#endif
