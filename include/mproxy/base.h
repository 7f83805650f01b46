/**
 * @file mproxy/base.h
 * The ground of every other header: statuses, error texts, export marks, the version.
 *
 * Threads: every function may be called from any thread.
 * Memory:  texts returned are static; a mproxy_error belongs to the caller.
 *
 * Wrong arguments, such as NULL where a function does not say that it may be, are mistakes of
 * the program: a function that returns a status returns MPROXY_E_INVALID, and a debug build of
 * the library aborts.
 *
 * Options structs begin with `size_t struct_size`, which the caller sets to their sizeof. Every
 * other field that is zero means its default; where a function says so, NULL instead of the
 * struct means all defaults. MPROXY_E_INVALID refuses a struct_size of 0 or below that of the
 * first release; MPROXY_E_VERSION refuses a field that is set and that only a newer library
 * knows. The same holds for every other struct that a caller allocates and that begins with
 * struct_size; a struct that is filled in for the caller is filled as far as it reaches.
 *
 * Structs without struct_size never change (values, errors, job descriptions), or are made by the
 * library only and lent by pointer: these may grow at their end (docs/decisions/0026).
 */
#ifndef MPROXY_BASE_H
#define MPROXY_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks what the shared libraries export; all else is hidden. */
#define MPROXY_API __attribute__((visibility("default")))

#define MPROXY_VERSION_MAJOR 0
#define MPROXY_VERSION_MINOR 1
#define MPROXY_VERSION_PATCH 0
#define MPROXY_VERSION "0.1.0"

/**
 * How a call ended: 0 is success, every failure is negative. The numbers never change
 * and are never used again; their texts are in libmproxy/tables/status.def.
 */
typedef enum mproxy_status {
    MPROXY_OK = 0,
    MPROXY_E_INVALID = -1,  /**< an argument or input is not of the form asked for */
    MPROXY_E_NOMEM = -2,    /**< no memory */
    MPROXY_E_SYSTEM = -3,   /**< a system call failed; the error's text has its reason */
    MPROXY_E_NOTFOUND = -4, /**< the thing named does not exist */
    MPROXY_E_EXISTS = -5,   /**< the thing named is there already */
    MPROXY_E_LIMIT = -6,    /**< a stated bound would be exceeded */
    MPROXY_E_CORRUPT = -7,  /**< stored or received bytes are damaged */
    MPROXY_E_VERSION = -8,  /**< written by a version that is not understood */
    MPROXY_E_BUSY = -9,     /**< somebody else holds it */
    MPROXY_E_TYPE = -10,    /**< the metric is known with another type */
    MPROXY_E_OFF = -11,     /**< counting is off in this process */
    MPROXY_E_UNSUPPORTED = -12, /**< not built in, or not on this system */
    MPROXY_E_GAP = -13,         /**< a change does not stand on the state that is held */
    MPROXY_E_TIMEOUT = -14      /**< took longer than it was given */
} mproxy_status;

/** An error, told in one line that names the thing and the value. */
typedef struct mproxy_error {
    mproxy_status status;
    int line;   /**< of the input, from 1; 0 where there is none */
    int column; /**< of the input, from 1; 0 where there is none */
    char text[244];
} mproxy_error;

/** How much a line for people matters. */
typedef enum mproxy_log_level {
    MPROXY_LOG_ERROR = 0,
    MPROXY_LOG_WARNING = 1,
    MPROXY_LOG_INFO = 2,
    MPROXY_LOG_DEBUG = 3
} mproxy_log_level;

/**
 * Receives a line for people: one line without control characters, no newline at its end.
 * The library itself never prints. Each use says on which threads it is called.
 */
typedef void (*mproxy_log_fn)(void *arg, mproxy_log_level level, const char *line);

/**
 * Receives bytes, in order.
 *
 * @return MPROXY_OK to go on; anything else ends what is written with that status
 */
typedef mproxy_status (*mproxy_write_fn)(void *arg, const char *bytes, size_t length);

/** A status in words ("no memory"); static, never NULL, for unknown numbers too. */
MPROXY_API const char *mproxy_status_text(mproxy_status status);

/** The version of the library that is running, as "MAJOR.MINOR.PATCH". */
MPROXY_API const char *mproxy_version(void);

#ifdef __cplusplus
}
#endif
#endif
