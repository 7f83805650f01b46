// A look at a directory of text files, on a thread that may wait for it.
#ifndef MPX_TEXTFILE_SCAN_H
#define MPX_TEXTFILE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include <mproxy/base.h>

// What tells a version of a file from another.
struct mpx_file_id {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
};

struct mpx_seen {
    char *name;
    struct mpx_file_id id;
    bool is_fresh; // `text` has it; else it is as it was known
    bool is_young; // it may be written again without a trace: read it again
    struct mpx_buf text;
    mproxy_error why; // status not MPROXY_OK: it can't be read
};

struct mpx_scan {
    char *path;
    size_t max_bytes;
    // What is known: rising by name.
    struct mpx_seen *known;
    size_t known_count;
    // What was found: rising by name.
    struct mpx_seen *seen;
    size_t count, room;
    mproxy_error why; // status not MPROXY_OK: the directory can't be read
};

struct mpx_scan *mpx_scan_new(const char *path, size_t max_bytes); // NULL: no memory
// A file that need not be read if it has this identity. False: no memory.
bool mpx_scan_know(struct mpx_scan *scan, size_t room, const char *name,
                   const struct mpx_file_id *id);
void mpx_scan_run(void *scan);
void mpx_scan_free(struct mpx_scan *scan); // accepts NULL

#endif
