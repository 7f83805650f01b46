// What /events sends: one topic so far, the rounds.

#include "base/clock.h"
#include "base/json.h"
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
    struct mpx_buf data = MPX_BUF_INIT;
    struct mpx_json j = {.out = &data};
    mpx_json_begin(&j, '{');
    mpx_json_member_u64(&j, "round", d->round_count);
    mpx_json_member_u64(&j, "ts", mproxy_rounds_last(d->rounds)->wall_us);
    mpx_json_end(&j, '}');
    const char *text = mpx_buf_text(&data);
    // Without memory, here or there, those that listen are told of a gap.
    (void)mpx_events_publish(d->events, TOPIC_ROUND, text);
    mpx_buf_free(&data);
}

void mpx_route_events(struct mpx_request *rq, void *context)
{
    (void)context;
    mpx_reply_events(rq, 1u << TOPIC_ROUND);
}
