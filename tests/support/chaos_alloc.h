// Memory that runs out at a chosen allocation, for tests of paths that must survive it.
//
// Use: include "../support/chaos_alloc.h" in tests/unit/test_NAME.c; the build, which looks
// for that line, links chaos_alloc.c and wraps malloc, calloc, realloc, strdup, strndup,
// vasprintf, asprintf and posix_memalign of all code of ours in that binary. Give it to a
// binary of its own: an added #include is seen when CMake runs the next time.
// Allocations that libc makes for itself, and those of shared libraries, do not count.
// Check is linked statically, and each ck_assert allocates: none inside of what chaos_each()
// runs; return another status, which fails the test.
// It works under the sanitizers too; theirs tell what was leaked on the way out.
//
//     static mproxy_status open_and_close(void *arg)
//     {
//         mproxy_store *store = NULL;
//         mproxy_status status = mproxy_store_open(NULL, &store, NULL);
//         mproxy_store_close(store);
//         return status;
//     }
//     ...
//     ck_assert_int_gt(chaos_each(open_and_close, NULL), 1);
#ifndef TESTS_SUPPORT_CHAOS_ALLOC_H
#define TESTS_SUPPORT_CHAOS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include <mproxy/base.h>

// Fail the n-th allocation from now on (from 1), and if `all` every later one too. With
// n = 0 none fails. Counts from zero again.
void chaos_fail(size_t n, bool all);
// Allocations asked for since chaos_fail(), by all threads.
size_t chaos_count(void);
// Whether one failed since chaos_fail().
bool chaos_has_failed(void);

// Call `run` with its first allocation failing, then its second, ... until it meets no
// failure; each time once with that allocation alone failing and once with all later ones
// too. `run` must return MPROXY_E_NOMEM when memory was missing (or MPROXY_OK where it can
// do without) and MPROXY_OK in the end: otherwise this ends the test with a message.
//
// @return how many allocations `run` makes
size_t chaos_each(mproxy_status (*run)(void *arg), void *arg);
// The same for code that has no status of its own for it: any result is taken but a crash.
size_t chaos_each_any(void (*run)(void *arg), void *arg);

#endif
