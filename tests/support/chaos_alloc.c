// See chaos_alloc.h for what this is and how a test gets it.

#include "chaos_alloc.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// More allocations than this in one run: it will never end.
#define ALLOCATIONS_MAX 100000

static size_t counted;  // atomic
static size_t fail_at;  // atomic; 0: never
static bool fail_later; // atomic
static bool failed;     // atomic

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
int __real_vasprintf(char **out, const char *format, va_list args);
int __real_posix_memalign(void **out, size_t alignment, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
int __wrap_vasprintf(char **out, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

void chaos_fail(size_t n, bool all)
{
    __atomic_store_n(&counted, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&failed, false, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fail_later, all, __ATOMIC_SEQ_CST);
    __atomic_store_n(&fail_at, n, __ATOMIC_SEQ_CST);
}

size_t chaos_count(void)
{
    return __atomic_load_n(&counted, __ATOMIC_SEQ_CST);
}

bool chaos_has_failed(void)
{
    return __atomic_load_n(&failed, __ATOMIC_SEQ_CST);
}

static bool must_fail(void)
{
    size_t n = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    size_t at = __atomic_load_n(&fail_at, __ATOMIC_SEQ_CST);
    bool later = __atomic_load_n(&fail_later, __ATOMIC_SEQ_CST);
    if (at == 0 || n < at || (n > at && !later))
        return false;
    __atomic_store_n(&failed, true, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return must_fail() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t max)
{
    return must_fail() ? NULL : __real_strndup(text, max);
}

int __wrap_vasprintf(char **out, const char *format, va_list args)
{
    return must_fail() ? -1 : __real_vasprintf(out, format, args);
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = __wrap_vasprintf(out, format, args);
    va_end(args);
    return length;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    return must_fail() ? ENOMEM : __real_posix_memalign(out, alignment, size);
}

// The test goes on failing otherwise in the middle of its own report.
static void check_status(mproxy_status status, size_t n, bool had_failure)
{
    chaos_fail(0, false);
    bool good = status == MPROXY_OK || (had_failure && status == MPROXY_E_NOMEM);
    ck_assert_msg(good, "allocation %zu %s: status %d (%s)", n,
                  had_failure ? "failed" : "did not fail", (int)status,
                  mproxy_status_text(status));
    ck_assert_msg(n < ALLOCATIONS_MAX, "more than %zu allocations", n);
}

size_t chaos_each(mproxy_status (*run)(void *arg), void *arg)
{
    for (size_t n = 1;; n++) {
        for (int all = 1; all >= 0; all--) {
            chaos_fail(n, all);
            mproxy_status status = run(arg);
            size_t count = chaos_count();
            bool had_failure = chaos_has_failed();
            check_status(status, n, had_failure);
            if (!had_failure)
                return count;
        }
    }
}

struct any {
    void (*run)(void *arg);
    void *arg;
};

static mproxy_status run_any(void *arg)
{
    struct any *any = arg;
    any->run(any->arg);
    return MPROXY_OK;
}

size_t chaos_each_any(void (*run)(void *arg), void *arg)
{
    return chaos_each(run_any, &(struct any){run, arg});
}
