// A pipe of bounded size inside the process: a thread of its own produces a body by
// writing, the server takes it out as the connection can send.
#ifndef MPX_HTTP_STREAM_H
#define MPX_HTTP_STREAM_H

#include "http/piecewise.h"
#include "http/request.h"

struct mpx_stream;

struct mpx_stream_options {
    mpx_produce_fn produce;
    void (*release)(void *arg); // of produce's argument
    void *arg;
    struct mpx_waker waker; // called on the producing thread
    bool gzip;
};

// Starts the thread. On failure `release` was not called.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_stream_open(const struct mpx_stream_options *options,
                              struct mpx_stream **out, mproxy_error *err);
// The reading end; its close() cuts the producer off, waits for it and frees all.
struct mpx_piecewise mpx_stream_body(struct mpx_stream *s);

#endif
