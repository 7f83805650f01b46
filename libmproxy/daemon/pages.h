// Files of web/, built in: compute nodes have nothing to fetch them from. The table is made
// by cmake/EmbedWeb.cmake; a file that is added there is served under its name.
#ifndef MPX_DAEMON_PAGES_H
#define MPX_DAEMON_PAGES_H

#include <stddef.h>

struct mpx_page {
    const char *path; // below the root
    const char *type;
    const char *start, *end;
    const char *packed, *packed_end; // as gzip; NULL when that is not shorter
    const char *etag, *packed_etag;
};

extern const struct mpx_page mpx_pages[];
extern const size_t mpx_page_count;

#endif
