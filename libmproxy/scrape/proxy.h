// Targets that are proxies: what GET /job says of one, as sources of the reduction.
//
// A target is a proxy if its page of recognition says so (poll.c asks). It has one *told view* for
// each job that it told: its main, its nodes, its jobs.
#ifndef MPX_SCRAPE_PROXY_H
#define MPX_SCRAPE_PROXY_H

#include <mproxy/round.h>

#include "exposition/jobs.h"
#include "scrape/kept.h"

struct mpx_proxy;
struct mpx_target;

// A URL with a path of its own is no place of a proxy's.
bool mpx_proxy_may_be_at(const char *url);
// Of a target that may be one; MPROXY_OK also when it is one already.
mproxy_status mpx_proxy_open(struct mpx_target *t, mproxy_error *err);
void mpx_proxy_free(struct mpx_proxy *p);             // accepts NULL
const char *mpx_proxy_url(const struct mpx_proxy *p); // where its jobs are read
const char *mpx_proxy_why_refused(const struct mpx_proxy *p);
size_t mpx_proxy_refused(const struct mpx_proxy *p); // of the last reply

// Take a good reply; what it has is emptied, not freed. On failure values are as before.
//
// @return MPROXY_OK, MPROXY_E_CORRUPT (a reply without main, or with a job twice), what
//         mpx_remember_figures() returns, or MPROXY_E_NOMEM
mproxy_status mpx_proxy_take(struct mpx_target *t, struct mpx_jobs *jobs,
                             mproxy_error *err);
void mpx_proxy_silence(struct mpx_proxy *p); // gauges go
// It is asked no more, or is no proxy any more: the counters of its main stay.
void mpx_proxy_leave(struct mpx_proxy *p);

// Put what has changed into the reduction; `is_dropped`: take all out of it.
mproxy_status mpx_proxy_tell(struct mpx_target *t, const mproxy_round *round,
                             bool is_dropped, mproxy_error *err);

// Counters in the file of the target: their names have the view as a label.
size_t mpx_proxy_kept_count(const struct mpx_proxy *p);
// Fill in the items from the first on; their names stay until mpx_proxy_end_items(). False: no
// memory.
bool mpx_proxy_begin_items(struct mpx_proxy *p, struct mpx_kept_item *items);
void mpx_proxy_end_items(struct mpx_proxy *p, bool is_written, size_t first_place);
// A counter that the proxy before has written. False: it is none of a view.
bool mpx_proxy_load(struct mpx_target *t, const struct mpx_kept_item *item,
                    mproxy_status *status);

#endif
