// Crash points: places where a test kills this process with SIGKILL.
//
// MPX_CRASH_POINT("fold.renamed") dies there when the environment says
// MPROXY_CRASH_AT=fold.renamed or, for the n-th passage, MPROXY_CRASH_AT=fold.renamed:3.
// Compiled in only with MPROXY_TEST_HOOKS; tests/tool lists every point by grepping for it.
#ifndef MPX_BASE_CRASH_H
#define MPX_BASE_CRASH_H

#ifdef MPROXY_TEST_HOOKS
void mpx_crash_point(const char *name);
#define MPX_CRASH_POINT(name) mpx_crash_point(name)
#else
#define MPX_CRASH_POINT(name) ((void)0)
#endif

#endif
