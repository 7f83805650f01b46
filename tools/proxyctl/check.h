// proxyctl check: the verdict on an exposition.
#ifndef PROXYCTL_CHECK_H
#define PROXYCTL_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/options.h"

enum { CHECK_REMARKS = 3 }; // exit status: well formed, and there are remarks

struct check {
    const struct tool *tool;
    const char *path;         // "-": stdin
    const char *content_type; // NULL: told by the page
    bool as_json;
};

// Returns the exit status.
int check_page(const struct check *c);

#endif
