// Requests that will bring data: which function posted them, so that the wait or test that
// completes one can credit it.
//
// A fixed table without locks or allocation. Whoever is about to complete a request takes its
// entry out first, and gives it back if the request was not completed: MPI may hand the same
// handle to another thread before the completing call has even returned.
#ifndef MPX_BINDINGS_MPI_REQUESTS_H
#define MPX_BINDINGS_MPI_REQUESTS_H

#include <stdint.h>

enum mpx_request_flag {
    MPX_REQUEST_RECEIVES = 1,      // its status tells the bytes
    MPX_REQUEST_PERSISTENT = 2,    // stays until it is freed
    MPX_REQUEST_ON_COMPLETION = 4, // `in` counts when it completes, not when it starts
    MPX_REQUEST_FILE = 8,          // reads a file, which can't be cancelled
};

struct mpx_request {
    _Atomic uint64_t key; // 0: free
    uint64_t handle;      // the key, kept while the entry is taken
    uint32_t fn;
    uint32_t flags;
    uint64_t out, in; // of each start, for persistent ones
    _Atomic uint32_t active;
};

// Remember a handle; when the table is full the request is not followed and 0 is returned.
int mpx_request_add(uint64_t key, uint32_t fn, uint32_t flags, uint64_t out, uint64_t in);
// NULL for a handle that is not followed (a send, say). Take it to change it: a taken entry
// is found by nobody else until it is given back or cleared.
struct mpx_request *mpx_request_find(uint64_t key);
struct mpx_request *mpx_request_take(uint64_t key);
void mpx_request_give_back(struct mpx_request *r);
void mpx_request_clear(struct mpx_request *r);

#endif
