// The counter of an instrumented function, shared by the exporter and the older client API.
#ifndef MPX_BINDINGS_FINSTRUMENT_FUNCTIONS_H
#define MPX_BINDINGS_FINSTRUMENT_FUNCTIONS_H

#include <mproxy/client.h>

// `func__SYMBOL_DSO` of the function at this address, declared at the first call. NULL when
// more functions are in use than a segment can hold.
mproxy_fcounter *mpx_function_counter(void *function)
    __attribute__((visibility("hidden")));

#endif
