// Who stands at the other end of a connection.
#ifndef MPX_GATEWAY_PEER_H
#define MPX_GATEWAY_PEER_H

#include <stdbool.h>

// Whether the process counts its own start and end in a segment: proxy_run preloads into
// programs of the older library, too. It is looked up in the process while it lives, else
// among the segments of the directory.
bool mpx_peer_counts_itself(int pid, const char *dir_path);

#endif
