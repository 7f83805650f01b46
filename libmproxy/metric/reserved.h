// Names under which the proxy tells of processes, of nodes and of itself (`has_started`,
// `mproxy_...`): nobody else may add to these. The names of exporters are free: whoever counts
// MPI calls in another way may do so under them.
#ifndef MPX_METRIC_RESERVED_H
#define MPX_METRIC_RESERVED_H

#include <stdbool.h>

bool mpx_name_is_reserved(const char *name);

// Names that a page of somebody else may not bring: those above, and those of our exporters,
// since a sum would not tell theirs from ours. Also of a name that text shows as one of them.
bool mpx_name_is_ours(const char *name);

#endif
