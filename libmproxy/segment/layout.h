// The bytes of a segment: one process's counters in one file of shared memory.
//
// One page at birth: header, then the record log, then the first slots of row 0 up to the
// page's end. All later room is appended to the file in whole pages and announced by
// records of the log. Everything before `log_count` records is immutable, so a reader
// parses each record once. Little-endian, 64-bit machines only; version 1.
//
// A page is what the writer's system maps: 4 KiB on x86-64, up to 64 KiB on arm64. Only how
// much of row 0 lies in the first page depends on it.
//
// Rows: row 0 is shared by all threads (atomic adds), every other row has one writer. A
// row's slots are contiguous in the writer's memory, in the file they lie in extents. The
// first mpx_seg_row0_first() slots of row 0 need no record; all other extents have one. A
// row's extents come in the order of their slots and do not overlap; row numbers may have
// gaps, and a slot without an extent counts as 0.
#ifndef MPX_SEGMENT_LAYOUT_H
#define MPX_SEGMENT_LAYOUT_H

#include <stdint.h>

enum {
    MPX_SEG_PAGE = 4096, // the smallest page
    MPX_SEG_PAGE_MAX = 65536,
    MPX_SEG_LOG_OFFSET = 512,   // of the first log chunk, up to MPX_SEG_ROW0_OFFSET
    MPX_SEG_ROW0_OFFSET = 3072, // of row 0's slot 0
    MPX_SEG_SLOTS_MAX = 16384,  // per row
    MPX_SEG_ROWS_MAX = 1024,
    MPX_SEG_DEFS_MAX = 16384,
    MPX_SEG_RECORDS_MAX = 65536,
    MPX_SEG_NAME_MAX = 1024,
    MPX_SEG_DOC_MAX = 4096,
    MPX_SEG_BOUNDS_MAX = 128,
    MPX_SEG_SIZE_MAX = 256 << 20, // bytes of a file
};

#define MPX_SEG_MAGIC UINT64_C(0x3147455359585250) // "PRXYSEG1"
#define MPX_SEG_VERSION 1u

// Why (part of) a process is not counted: bits of the header's `flags` and words of the
// `.off-*` links.
enum mpx_off_reason {
    MPX_OFF_NONE = 0,
#define MPX_OFF_REASON(id, bit, words, meaning) MPX_OFF_##id = 1 << (bit),
#include "tables/off_reasons.def"
#undef MPX_OFF_REASON
};

// Values that the process exporter writes at the end: indices of header.final[].
enum mpx_final {
#define MPX_PROCESS(id, index, name, kind, scale, doc) MPX_FINAL_##id = (index),
#include "tables/process.def"
#undef MPX_PROCESS
};
enum { MPX_SEG_FINAL_MAX = 24 };

// Offset 0. Written once at birth unless said otherwise.
struct mpx_seg_header {
    uint64_t magic; // 0 until all is whole, locked and mapped
    uint32_t version;
    uint32_t page_size; // see mpx_seg_page_is_known()
    uint32_t pid;       // in its own PID namespace
    uint32_t uid;
    uint64_t start_ticks;   // /proc/PID/stat field 22
    uint64_t pid_ns;        // inode of /proc/self/ns/pid
    uint64_t birth_wall_ns; // CLOCK_REALTIME
    uint64_t birth_boot_ns; // CLOCK_BOOTTIME
    uint32_t rank;
    uint32_t image; // 0 for the first image of (pid, start), 1 after an exec, ...
    uint32_t kind;  // enum mpx_seg_kind
    uint32_t group; // of a GATEWAY segment of the kernel's counts: number there; else 0
    // changing
    uint32_t flags;                    // enum mpx_off_reason; only ever set
    uint32_t log_count;                // records published; release store
    uint32_t started;                  // 0 or 1: mproxy_process_started() was called
    uint32_t finished;                 // 0 or 1: orderly end
    uint64_t end_wall_ns;              // set with finished
    uint64_t final_set;                // bit i: final[i] is written
    uint64_t final[MPX_SEG_FINAL_MAX]; // see tables/process.def for units
    // 0 or 1: may end unseen, as by an exec; zero in older segments. LAUNCH: about to exec what
    // should count.
    uint32_t left;
    uint32_t reserved;
};

enum mpx_seg_kind {
    MPX_SEG_PROGRAM = 0, // a process counts for itself
    MPX_SEG_LAUNCH = 1, // proxy_run before its exec: tells of the process, counts nothing
    MPX_SEG_GATEWAY = 2, // the proxy, for a client of its socket
    MPX_SEG_PASSIVE = 3, // the proxy, for direct counters: does not keep a job alive
};

// Log records: 8-byte aligned, `size` counts the whole record with its padding.
enum mpx_rec_type {
    MPX_REC_JOB = 1, // first record of every segment, but for a NEXT when it is long
    MPX_REC_METRIC = 2,
    MPX_REC_EXTENT = 3, // slots [first, first + count) of a row lie at `offset`
    // The log goes on at `offset`, in a chunk of `length` bytes; counts as a record itself.
    MPX_REC_NEXT = 4,
};

struct mpx_rec_head {
    uint32_t type;
    uint32_t size;
};

// Followed by the strings, each NUL-terminated, in this order.
struct mpx_rec_job {
    struct mpx_rec_head head;
    uint64_t job_size;  // ranks
    int64_t start_time; // UNIX seconds of the job, 0 unknown
    uint32_t length[6]; // without NUL: jobid command nodelist partition cluster run_dir
};

enum mpx_def_kind {
    MPX_DEF_COUNTER = 1,  // u64, value = sum * scale
    MPX_DEF_FCOUNTER = 2, // double
    MPX_DEF_GAUGE = 3,    // two slots of row 0: double, set flag
    MPX_DEF_HISTOGRAM =
        4, // count + 1 u64 buckets (last: above all bounds), one double sum
};

// Followed by bound_count doubles, then name and doc, each NUL-terminated.
// A histogram of powers of two has bound_count 63 and its bounds written out.
struct mpx_rec_metric {
    struct mpx_rec_head head;
    uint32_t kind;
    uint32_t slot;
    uint32_t slot_count;
    uint32_t bound_count;
    double scale;
    uint32_t name_length; // without NUL
    uint32_t doc_length;
};

struct mpx_rec_extent {
    struct mpx_rec_head head;
    uint32_t row;
    uint32_t first;
    uint32_t count;
    uint32_t reserved;
    uint64_t offset; // in the file, 8-byte aligned
};

struct mpx_rec_next {
    struct mpx_rec_head head;
    uint64_t offset;
    uint64_t length;
};

// Whether segments can be made of such pages.
static inline int mpx_seg_page_is_known(long page)
{
    return page >= MPX_SEG_PAGE && page <= MPX_SEG_PAGE_MAX && (page & (page - 1)) == 0;
}

// Slots of row 0 in page 0: 128 for pages of 4 KiB.
static inline uint32_t mpx_seg_row0_first(uint32_t page)
{
    return (page - MPX_SEG_ROW0_OFFSET) / 8;
}

_Static_assert(sizeof(struct mpx_seg_header) <= MPX_SEG_LOG_OFFSET,
               "header fits its room");

#endif
