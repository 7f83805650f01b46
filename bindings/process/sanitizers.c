// Programs that were built with GCC's address sanitizer end at once, with a message, where a
// library is loaded before the sanitizer's own, lest something of it was replaced. We
// replace nothing that it needs before our wrappers call it, so it is told not to mind. It
// asks this function for defaults; the program's own one, if any, or ASAN_OPTIONS override it.
#include <mproxy/base.h>

MPROXY_API const char *__asan_default_options(void);

MPROXY_API const char *__asan_default_options(void)
{
    return "verify_asan_link_order=0";
}
