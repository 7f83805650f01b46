// The inside of a target that is a proxy: told.c has its views and their counters on file,
// proxy.c takes replies into them, proxy_tell.c puts them into the reduction.
#ifndef MPX_SCRAPE_PROXY_PRIVATE_H
#define MPX_SCRAPE_PROXY_PRIVATE_H

#include "base/buf.h"
#include "base/index.h"
#include "scrape/private.h"

enum mpx_told_kind { MPX_TOLD_MAIN = 0, MPX_TOLD_NODE = 1, MPX_TOLD_JOB = 2 };

struct mpx_told_item {
    const mproxy_metric *metric; // referred to
    double offset;               // of a counter: what it was before restarts
    mproxy_value value;          // as it was told last
    uint64_t reply;              // that told it last; 0: of the proxy before
    uint32_t kept; // place in the state file; MPX_FIGURE_NONE: it is in none
    bool is_shown; // it has a value
    bool is_gone;  // a counter that has left the reply
};

struct mpx_told {
    uint64_t id;    // of its key, and of the start of a job
    uint64_t reply; // that told it last
    char *key;      // NULL: the proxy before knew it, and no reply has told it yet
    enum mpx_told_kind kind;
    mproxy_job job; // of a job
    int64_t start_ms, end_ms;
    unsigned absent; // good replies without it
    bool is_over;    // a job that is finished
    bool is_changed;
    bool is_put; // into the reduction
    bool is_dropped;
    struct mpx_told_item *items;
    size_t count, room, gone_count;
    struct mpx_index by_metric;
};

struct mpx_proxy {
    struct mpx_told **views;
    size_t count, room;
    char *url;
    char host[256]; // of its url, with the port
    uint64_t reply, sequence, epoch;
    size_t next; // view that is most likely told next
    bool is_silent;
    size_t refused;
    char why[256];
    // scratch: of the reply that is taken, and of items
    struct mpx_told **of_jobs;
    uint32_t *places;
    size_t of_jobs_room, places_room;
    struct mpx_buf names;
};

// FNV-1a of 64 bits.
#define MPX_TOLD_HASH UINT64_C(0xcbf29ce484222325)
static inline uint64_t mpx_told_hash(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline mproxy_value mpx_told_value(const struct mpx_told_item *item)
{
    mproxy_value value = item->value;
    value.total += item->offset;
    return value;
}

// told.c

// The label that names have in the state file, and the longest name that has room for it.
#define MPX_TOLD_LABEL "mproxy_view=\""
enum {
    MPX_TOLD_ID_DIGITS = 16,
    MPX_TOLD_NAME_MAX = 1024 - (int)sizeof("{" MPX_TOLD_LABEL "\"}") - MPX_TOLD_ID_DIGITS,
};

enum mpx_told_kind mpx_told_kind_of(const char *key);
uint64_t mpx_told_id(const char *key, enum mpx_told_kind kind, int64_t start_time);
struct mpx_told *mpx_told_find(struct mpx_proxy *p, uint64_t id); // NULL: there is none
struct mpx_told *mpx_told_add(struct mpx_proxy *p,
                              uint64_t id); // or find; NULL: no memory
void mpx_told_free(struct mpx_told *v);

bool mpx_told_is_counter(const struct mpx_told_item *item);
// Its place, found or made. MPX_FIGURE_NONE: no memory.
uint32_t mpx_told_item_add(struct mpx_told *v, const mproxy_metric *metric);
void mpx_told_item_remove(struct mpx_told *v, uint32_t place); // the last takes its place

#endif
