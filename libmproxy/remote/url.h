// Which server a URL names.
#ifndef MPX_REMOTE_URL_H
#define MPX_REMOTE_URL_H

#include <stdbool.h>

// Whether two URLs name the same scheme, host and port.
bool mpx_url_same_server(const char *a, const char *b);

#endif
