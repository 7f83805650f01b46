// What the journal of pushed groups is made of: records, each in a frame with a checksum.
//
// The file is a sequence of frames, the first of them a head. A record never means anything
// but by those before it in the same file, and always says what is, never what is to be added:
// read twice, or read up to any frame, a file tells a state that was true.
#ifndef MPX_PUSH_RECORD_H
#define MPX_PUSH_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/exposition.h>

#include "base/buf.h"

enum { MPX_PUSH_VERSION = 1, MPX_PUSH_TEXT_MAX = 1 << 20 };

enum mpx_push_kind {
    MPX_PUSH_HEAD = 1,   // version, generation
    MPX_PUSH_SERIES = 2, // what an id of a series means from here on, in this file
    MPX_PUSH_GROUP = 3,  // a group, whole
    MPX_PUSH_CHANGE = 4, // values of some slots of a group
    MPX_PUSH_GONE = 5    // a group was deleted, or has expired
};

// Of a group, whatever it holds. Wall times are microseconds of UNIX time, 0: never.
struct mpx_push_times {
    uint64_t pushed_us, failed_us;
    int64_t expires_ms; // on CLOCK_BOOTTIME; 0: never
};

// A record as it is read. All that it points to is the reader's, or in the frame.
struct mpx_push_record {
    enum mpx_push_kind kind;
    uint64_t version, generation; // HEAD
    uint32_t id;                  // SERIES
    mproxy_type type;
    mproxy_family_kind family_kind;
    const char *name, *family, *help;
    uint64_t number; // GROUP, CHANGE, GONE
    struct mpx_push_times times;
    const char *labels; // GROUP: as mpx_push_labels has them
    size_t labels_length;
    // GROUP: of each slot; CHANGE: of those that are told
    size_t count;
    const uint32_t *ids;   // GROUP
    const uint32_t *slots; // CHANGE, rising
    const double *values;
    const uint64_t *changed_us; // GROUP
};

// Scratch of a reader, its own to free with mpx_push_reader_fini().
struct mpx_push_reader {
    uint32_t *numbers;
    double *values;
    uint64_t *times;
    size_t number_room, value_room, time_room;
    struct mpx_buf texts;
};

// Append a frame with this record. What fails for want of memory is seen by the buffer.
void mpx_push_record_put(struct mpx_buf *out, const struct mpx_push_record *record);

enum mpx_push_frame {
    MPX_PUSH_FRAME_OK,
    MPX_PUSH_FRAME_END,    // nothing more
    MPX_PUSH_FRAME_TORN,   // it reaches beyond the end: its writer was killed
    MPX_PUSH_FRAME_DAMAGED // it is not what was written
};

// Find the frame at *at: of one that is whole, set its payload and move on behind it.
enum mpx_push_frame mpx_push_frame_next(const char *bytes, size_t size, size_t *at,
                                        const char **payload, size_t *length);
// The next place behind *at where a frame is whole. False: there is none.
bool mpx_push_frame_find(const char *bytes, size_t size, size_t *at);

// @return MPROXY_OK, MPROXY_E_CORRUPT (no record), MPROXY_E_NOMEM
mproxy_status mpx_push_record_get(struct mpx_push_reader *reader, const char *payload,
                                  size_t length, struct mpx_push_record *out);
void mpx_push_reader_fini(struct mpx_push_reader *reader);

#endif
