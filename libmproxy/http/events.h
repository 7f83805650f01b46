// Server-sent events: what is published is kept for a while and sent to all who listen.
//
// An event has a topic and a number; numbers grow over all topics. A topic keeps its newest
// events, so that a listener whose connection broke goes on where it was (Last-Event-ID).
// A listener that has missed events is told so by an event `gap`; one that reads too slowly
// to keep up is told and let go. A listener costs its connection and about 100 bytes, no
// thread.
//
// Threads: any thread may call any function.
#ifndef MPX_HTTP_EVENTS_H
#define MPX_HTTP_EVENTS_H

#include <stdint.h>

#include <mproxy/base.h>

#include "http/piecewise.h"

struct mpx_events_hub;

enum { MPX_EVENTS_TOPICS_MAX = 32 };

struct mpx_events_topic {
    const char *name; // of its events; copied
    unsigned backlog; // how many are kept
};

struct mpx_events_options {
    const struct mpx_events_topic *topics; // copied
    unsigned topic_count;                  // at most 32
    uint64_t origin; // another at each start of the program: numbers begin anew
    unsigned beat_s; // so often silence is broken by a comment; 0: 15
};

struct mpx_events_stats {
    unsigned listeners; // there are now
    uint64_t let_go;    // listeners that read too slowly, ever
};

// @return MPROXY_OK, MPROXY_E_NOMEM
mproxy_status mpx_events_open(const struct mpx_events_options *options,
                              struct mpx_events_hub **out, mproxy_error *err);
// End all that listen; what is published afterwards nobody hears.
void mpx_events_end(struct mpx_events_hub *events);
// After mpx_events_end(), when no listener is left. Accepts NULL.
void mpx_events_close(struct mpx_events_hub *events);

// Tell all who listen to the topic (its place among those of the options). Lines of `data`
// end in "\n"; NULL: there was no memory for them. Never waits for a listener.
// @return MPROXY_OK, MPROXY_E_NOMEM: nobody has heard it, and all are told of a gap
mproxy_status mpx_events_publish(struct mpx_events_hub *events, unsigned topic,
                                 const char *data);
// Whether one of these (1 << topic, or-ed) is there.
bool mpx_events_has_any(const struct mpx_events_hub *events, unsigned topics);
bool mpx_events_has(const struct mpx_events_hub *events, unsigned topic);
void mpx_events_get_stats(struct mpx_events_hub *events, struct mpx_events_stats *out);

// Listen to topics (bits). `last_id` is what the listener has heard last; NULL: it begins.
// `waker` is called on a thread of the events' own.
// @return MPROXY_OK, MPROXY_E_NOMEM, MPROXY_E_SYSTEM
mproxy_status mpx_events_listen(struct mpx_events_hub *events, unsigned topics,
                                const char *last_id, struct mpx_waker waker,
                                struct mpx_piecewise *out, mproxy_error *err);

#endif
