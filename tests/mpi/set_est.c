// Preloaded with ScaLAPACK's xdlu: gives PDLACON the value that its callers never set.
//
// ScaLAPACK before 2.2.3 (Debian 12 has 2.2.1) reads PDLACON's argument EST before anything
// wrote it: PDGERFS passes a variable from its stack. Each process compares with whatever lies
// there, and where they decide differently, one calls PDGETRS for the matrix and the other for
// its transpose: "PDGETRS parameter number 1 had an illegal value", or both wait for ever.
// Any library that is called in between may change what lies there, ours too. This is the
// mend of 2.2.3 (ScaLAPACK's issue 121), done from outside.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

typedef void pdlacon(const int *n, double *v, const int *iv, const int *jv,
                     const int *descv, double *x, const int *ix, const int *jx,
                     const int *descx, int *isgn, double *est, int *kase);

pdlacon pdlacon_;

void pdlacon_(const int *n, double *v, const int *iv, const int *jv, const int *descv,
              double *x, const int *ix, const int *jx, const int *descx, int *isgn,
              double *est, int *kase)
{
    pdlacon *next = (pdlacon *)dlsym(RTLD_NEXT, "pdlacon_");
    // For trying what another content does, on one rank: EST=1e300.
    const char *value = getenv("EST");
    *est = value ? strtod(value, NULL) : 0;
    next(n, v, iv, jv, descv, x, ix, jx, descx, isgn, est, kase);
}
