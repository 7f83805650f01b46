// The node's own metrics as an input of the daemon; all else is in the public header.
#ifndef MPX_SYSTEM_SYSTEM_H
#define MPX_SYSTEM_SYSTEM_H

#include <mproxy/system.h>

#include "source/input.h"

// Before a round all sources are read, and what they say is handed to the ledger.
extern const struct mpx_input mpx_system_input;

#endif
