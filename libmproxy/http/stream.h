// A pipe of bounded size inside the process: a thread of its own produces a body by
// writing, the server takes it out as the connection can send.
#ifndef MPX_HTTP_STREAM_H
#define MPX_HTTP_STREAM_H

#include "http/request.h"

struct mpx_stream;

struct mpx_stream_options {
    mpx_produce_fn produce;
    void (*release)(void *arg); // of produce's argument
    void *arg;
    void (*wake)(void *arg); // more may be read, or the end; on the producing thread
    void *wake_arg;
    bool gzip;
};

// Starts the thread. On failure `release` was not called.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_stream_open(const struct mpx_stream_options *options,
                              struct mpx_stream **out, mproxy_error *err);
// Cut the producer off, wait for it, free. Accepts NULL.
void mpx_stream_close(struct mpx_stream *s);

enum { MPX_STREAM_EMPTY = 0, MPX_STREAM_END = -1, MPX_STREAM_BROKEN = -2 };
// Take up to `room` bytes out. @return how many, or one of the above
long mpx_stream_read(struct mpx_stream *s, char *bytes, size_t room);
// Ask to be woken. False when there is something to read already: no wake will come.
bool mpx_stream_wait(struct mpx_stream *s);

#endif
