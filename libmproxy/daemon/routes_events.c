// What /events sends: one topic so far, the rounds.

#include <stdio.h>

#include "base/clock.h"
#include "daemon/daemon_private.h"
#include "daemon/routes.h"

enum topic { TOPIC_ROUND, TOPICS };

mproxy_status mpx_daemon_open_events(struct mproxy_daemon *d, mproxy_error *err)
{
    static const struct mpx_events_topic topics[TOPICS] = {
        [TOPIC_ROUND] = {.name = "round", .backlog = 128}};
    // No two starts of proxies that a client may take for one fall into one microsecond.
    struct mpx_events_options options = {
        .topics = topics, .topic_count = TOPICS, .origin = mpx_wall_us()};
    return mpx_events_open(&options, &d->events, err);
}

void mpx_daemon_tell_round(struct mproxy_daemon *d)
{
    char data[96];
    snprintf(data, sizeof data, "{\"round\":%llu,\"ts\":%llu}",
             (unsigned long long)d->round_count,
             (unsigned long long)mproxy_rounds_last(d->rounds)->wall_us);
    // Without memory those that listen are told of a gap.
    (void)mpx_events_publish(d->events, TOPIC_ROUND, data);
}

void mpx_route_events(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_events(rq, 1u << TOPIC_ROUND);
}
