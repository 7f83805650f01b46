// The lists of finished jobs, rendered by any one thread from copies of what the loop knows.
#ifndef MPX_DAEMON_LISTING_H
#define MPX_DAEMON_LISTING_H

#include "base/buf.h"
#include "profile/keeper.h"

struct mpx_listing;

// Copies the runs. `by_command`: an object of lists, by command. NULL: no memory.
struct mpx_listing *mpx_listing_new(const struct mpx_provisional *runs, size_t count,
                                    bool by_command);
// With what the archive has (NULL: nothing). False: no memory.
bool mpx_listing_render(struct mpx_listing *list, mproxy_archive *archive,
                        struct mpx_buf *body);
void mpx_listing_free(struct mpx_listing *list); // accepts NULL

#endif
