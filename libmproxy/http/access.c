// Who may do what. Every request passes here once, after its route is known and before its
// handler runs; a rule about authorisation goes here and nowhere else.

#include "http/internal.h"

int mpx_http_may(const struct mpx_request *rq, enum mpx_http_need need, mproxy_error *err)
{
    (void)rq;
    (void)need;
    (void)err;
    return 0;
}
