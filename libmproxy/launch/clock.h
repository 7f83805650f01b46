#ifndef MPX_LAUNCH_CLOCK_H
#define MPX_LAUNCH_CLOCK_H

#include <stdbool.h>

// Set MPROXY_CLOCK to "HOST TICKS NANOSECONDS", read when this process started;
// bindings/common/ticks.c uses it.
// False when there is no memory.
bool mpx_launch_set_clock(void);

#endif
