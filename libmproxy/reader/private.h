// The parts of a reader, for reader/*.c alone.
#ifndef MPX_READER_PRIVATE_H
#define MPX_READER_PRIVATE_H

#include <sys/types.h>

#include "reader/reader.h"
#include "reader/records.h"

struct mpx_owner {
    uint32_t uid;
    uint64_t bytes; // mapped
};

struct mpx_readers {
    struct mpx_def_tables *tables;
    uint64_t max_bytes;
    uint32_t max_descriptors, descriptors;
    int dir_fd;
    bool guarded;
    struct mpx_owner *owners;
    size_t owner_count, owner_room;
    uint64_t bytes;
    uint64_t spare_used;    // beyond budgets, by segments that are final
    struct mpx_buf metrics; // of the log that is being read
    uint64_t *sum;          // of the segment that is being read
    double *columns;        // as mpx_reader_columns() gave them last
};

struct mpx_reader {
    struct mpx_readers *rs;
    char *name;
    int fd; // -1: not kept
    dev_t device;
    ino_t inode;
    uint32_t owner; // of the file
    uint32_t user;  // see mpx_reader_user()
    uint64_t size;  // of the file when last looked at
    unsigned char *map;
    uint64_t map_size; // 0: given back
    bool final;        // the lock was seen free
    bool done;         // sampled after that
    bool bad;
    bool crowded;             // could not follow its growth
    uint32_t crowded_samples; // in a row
    char why[160];
    struct mpx_seg_header header;
    struct mpx_reader_state state;
    struct mpx_records log;
    struct mpx_def_table *table;
    uint64_t *sum; // of the last sample
    bool sampled;
    uint32_t trusted; // samples since the size was looked at
};

// file.c

// The descriptor of a segment: kept, or opened for now. -1 with errno set; ENOENT also when
// another file has the name now.
int mpx_reader_borrow(const struct mpx_reader *r);
void mpx_reader_return(const struct mpx_reader *r, int fd);
void mpx_reader_drop_descriptor(struct mpx_reader *r);
void mpx_reader_drop_mapping(struct mpx_reader *r);
// Map the whole file anew; on failure what was mapped stays. MPROXY_E_LIMIT: the owner has no
// bytes left; MPROXY_E_BUSY: it is known to be final, and there is no room in this round.
mproxy_status mpx_reader_map(struct mpx_reader *r, int fd, uint64_t size,
                             mproxy_error *err);
// `why` with the segment's name before it.
mproxy_status mpx_reader_fail(const struct mpx_reader *r, const mproxy_error *why,
                              mproxy_error *err);
// A segment's size: 1 to so many whole pages. Text without the file's name.
mproxy_status mpx_reader_check_size(uint64_t size, mproxy_error *err);

// sample.c

// Look at the file's size; follow its growth if its log may speak of it. To be done after
// the number of records was read, with the guard entered.
mproxy_status mpx_reader_follow_size(struct mpx_reader *r, mproxy_error *err);
// Read the records up to `count` that are new. Text without the file's name. The guard is
// entered by the caller; nothing is used when a page was missing meanwhile.
mproxy_status mpx_reader_read_log(struct mpx_reader *r, uint32_t count, bool *changed,
                                  mproxy_error *err);

#endif
