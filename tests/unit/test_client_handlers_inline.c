// All that test_client_handlers.c asks, of additions that are written out in the program.
#include <mproxy/inline.h>

#define mproxy_counter_add mproxy_counter_add_inline
#include "test_client_handlers.c"
