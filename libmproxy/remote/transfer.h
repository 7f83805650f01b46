// Requests on the wire: the one door to libcurl.
//
// A transfer is one request and its reply, without redirects, in the caller's storage. The
// engine keeps connections, and waits for all transfers by one descriptor.
#ifndef MPX_REMOTE_TRANSFER_H
#define MPX_REMOTE_TRANSFER_H

#include <stdbool.h>

#include <mproxy/base.h>

struct mpx_engine;

struct mpx_transfer {
    // By the caller, before the start; all stay until the end.
    const char *url;
    const char *method; // upper case
    const void *body;   // NULL: none
    size_t body_size;
    const char *const *headers; // lines `Name: value`; NULL at the end
    uint64_t timeout_ms;
    // A piece of the reply's body. False ends the transfer with MPROXY_E_LIMIT.
    bool (*on_body)(struct mpx_transfer *t, const char *bytes, size_t length);
    // The end, by mpx_engine_dispatch(); the transfer is no more then. `error` is NULL when
    // status is MPROXY_OK.
    void (*on_end)(struct mpx_transfer *t, mproxy_status status, const char *error);
    // Of the reply, when status is MPROXY_OK; borrowed for on_end.
    int code;
    const char *type;     // NULL: none
    const char *redirect; // where the reply points to, whole; NULL: nowhere
    double seconds;
    // The engine's.
    void *handle;
    void *header_list;
    char why[256]; // libcurl's words
};

// @param user_agent  must stay
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_engine_open(unsigned max_connections, const char *user_agent,
                              struct mpx_engine **out, mproxy_error *err);
// Every transfer has ended or was stopped. Accepts NULL.
void mpx_engine_close(struct mpx_engine *e);
// Readable when there is something to do.
int mpx_engine_fd(const struct mpx_engine *e);
void mpx_engine_dispatch(struct mpx_engine *e);

// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_UNSUPPORTED (no libcurl)
mproxy_status mpx_transfer_start(struct mpx_engine *e, struct mpx_transfer *t,
                                 mproxy_error *err);
// on_end is not called.
void mpx_transfer_stop(struct mpx_engine *e, struct mpx_transfer *t);

#endif
