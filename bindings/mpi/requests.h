// Requests that will bring data: which function posted them, so that the wait or test that
// completes one can credit it.
//
// A fixed table without locks or allocation. A handle is looked up before the completing
// call and its slot cleared after it: another thread may be given the same handle in
// between, and then simply takes another slot.
#ifndef MPX_BINDINGS_MPI_REQUESTS_H
#define MPX_BINDINGS_MPI_REQUESTS_H

#include <stdint.h>

enum mpx_request_flag {
    MPX_REQUEST_RECEIVES = 1,      // its status tells the bytes
    MPX_REQUEST_PERSISTENT = 2,    // stays until it is freed
    MPX_REQUEST_ON_COMPLETION = 4, // `in` counts when it completes, not when it starts
};

struct mpx_request {
    _Atomic uint64_t key;
    uint32_t fn;
    uint32_t flags;
    uint64_t out, in; // of each start, for persistent ones
    _Atomic uint32_t active;
};

// Remember a handle; when the table is full the request is not followed and 0 is returned.
int mpx_request_add(uint64_t key, uint32_t fn, uint32_t flags, uint64_t out, uint64_t in);
// NULL for a handle that is not followed (a send, say).
struct mpx_request *mpx_request_find(uint64_t key);
void mpx_request_clear(struct mpx_request *r);

#endif
