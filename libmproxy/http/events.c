// Server-sent events.
//
// An event is made once, as the bytes that are sent, and counted: its topic's ring holds one
// reference, a listener one more for the event that it is just sending. So a listener holds
// at most one event that is not in a ring any more, and copying to a connection's memory
// needs no lock. A listener is a number, the last event it has taken, and nothing else: what
// comes next for it is looked up in the rings.
//
// The lock covers the rings, the numbers and the list of those that wait. It is held for
// look-ups of some hundred steps at most, never over a wake, which goes into the server's
// library. One thread, started with the first listener, wakes all that wait: publishing
// costs the publisher (the daemon's loop) the same however many listen, and somebody must
// break the silence now and then, which is how a connection whose client has gone is found
// and what keeps proxies in between from closing it.
//
// A listener that waits can't vanish: its connection is suspended until it is woken. So the
// waking thread takes the list, and may not touch a listener once it has woken it.

#include "http/events.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/internal.h"

enum { BEAT_S = 15, STACK = 64 * 1024 };

struct event {
    atomic_uint references;
    uint64_t number;
    size_t length;
    char text[];
};

struct topic {
    char *name;
    struct event **ring;
    unsigned room, start, used;
    uint64_t lost; // number of the newest event that is not in the ring any more
};

struct listener {
    struct listener *next; // of those that wait
    struct mpx_events_hub *events;
    struct mpx_waker waker;
    unsigned topics;
    bool begun, resumes, ending;
    bool missed;    // it names a number that says nothing
    uint64_t taken; // number of the last event
    uint64_t beat;
    struct event *now; // being sent, with a reference
    size_t sent;
};

struct mpx_events_hub {
    pthread_mutex_t lock; // guards all below, but what is fixed
    pthread_cond_t news;
    pthread_t thread;
    bool has_thread, has_news, ended;
    uint64_t last; // number of the newest event
    uint64_t beats;
    struct listener *waiting;
    struct mpx_events_stats stats;
    uint64_t origin;      // fixed
    unsigned beat_s;      // fixed
    unsigned topic_count; // fixed
    struct topic topics[MPX_EVENTS_TOPICS_MAX];
};

// Events.

static struct event *make_event(uint64_t number, struct mpx_buf *text)
{
    struct event *event = text->failed ? NULL : malloc(sizeof *event + text->size);
    if (event) {
        atomic_init(&event->references, 1);
        event->number = number;
        event->length = text->size;
        memcpy(event->text, text->data, text->size);
    }
    mpx_buf_free(text);
    return event;
}

static void unref_event(struct event *event)
{
    if (event && atomic_fetch_sub(&event->references, 1) == 1)
        free(event);
}

// A reader ends a line at LF, at CR and at CR LF.
static void add_data(struct mpx_buf *text, const char *data)
{
    do {
        size_t length = strcspn(data, "\r\n");
        mpx_buf_add_text(text, "data: ");
        mpx_buf_add(text, data, length);
        mpx_buf_add_text(text, "\n");
        data += length;
        data += strncmp(data, "\r\n", 2) == 0 ? 2 : *data != '\0';
    } while (*data);
    mpx_buf_add_text(text, "\n");
}

static void add_id(struct mpx_buf *text, const struct mpx_events_hub *e, uint64_t number)
{
    mpx_buf_addf(text, "id: %" PRIx64 "-%" PRIu64 "\n", e->origin, number);
}

static struct event *make_named(struct mpx_events_hub *e, uint64_t number,
                                const char *name, const char *data)
{
    struct mpx_buf text = MPX_BUF_INIT;
    add_id(&text, e, number);
    mpx_buf_addf(&text, "event: %s\n", name);
    add_data(&text, data);
    return make_event(number, &text);
}

// With an id it is told once: a client that has heard it goes on behind it.
static struct event *make_gap(const struct mpx_events_hub *e, uint64_t number,
                              bool has_id)
{
    struct mpx_buf text = MPX_BUF_INIT;
    if (has_id)
        add_id(&text, e, number);
    mpx_buf_add_text(&text, "event: gap\n");
    mpx_buf_add_text(&text, "data: ");
    mpx_http_put_operation(&text, "events were missed: read anew what they are about",
                           false);
    mpx_buf_add_text(&text, "\n\n");
    return make_event(number, &text);
}

// An id without data is no event, but where a client goes on that breaks before the first.
// A listener that has still to be told of a gap gets none: it would come back as if it knew.
static struct event *make_greeting(const struct listener *l)
{
    struct mpx_buf text = MPX_BUF_INIT;
    mpx_buf_add_text(&text, "retry: 1000\n");
    if (!l->missed)
        add_id(&text, l->events, l->taken);
    mpx_buf_add_text(&text, "\n");
    return make_event(l->taken, &text);
}

static struct event *make_beat(uint64_t number)
{
    struct mpx_buf text = MPX_BUF_INIT;
    mpx_buf_add_text(&text, ":\n\n");
    return make_event(number, &text);
}

// Rings. A number that is in no ring and not lost was another topic's.

static void put_locked(struct topic *topic, struct event *event)
{
    if (topic->used == topic->room) {
        struct event *oldest = topic->ring[topic->start];
        topic->lost = oldest->number;
        topic->start = (topic->start + 1) % topic->room;
        topic->used--;
        unref_event(oldest);
    }
    topic->ring[(topic->start + topic->used) % topic->room] = event;
    topic->used++;
}

// The first event of a topic behind a number.
static struct event *after_locked(const struct topic *topic, uint64_t number)
{
    struct event *found = NULL;
    for (unsigned i = topic->used; i > 0; i--) { // mostly the newest, or none
        struct event *event = topic->ring[(topic->start + i - 1) % topic->room];
        if (event->number <= number)
            break;
        found = event;
    }
    return found;
}

static struct event *next_locked(const struct listener *l)
{
    struct event *next = NULL;
    for (unsigned i = 0; i < l->events->topic_count; i++) {
        struct event *event =
            l->topics >> i & 1 ? after_locked(&l->events->topics[i], l->taken) : NULL;
        if (event && (!next || event->number < next->number))
            next = event;
    }
    return next;
}

static bool has_missed_locked(const struct listener *l)
{
    if (l->missed)
        return true;
    for (unsigned i = 0; i < l->events->topic_count; i++)
        if ((l->topics >> i & 1) && l->events->topics[i].lost > l->taken)
            return true;
    return false;
}

static uint64_t newest_lost_locked(const struct listener *l)
{
    uint64_t newest = l->taken;
    for (unsigned i = 0; i < l->events->topic_count; i++)
        if ((l->topics >> i & 1) && l->events->topics[i].lost > newest)
            newest = l->events->topics[i].lost;
    return newest;
}

// Listeners.

static long missed_locked(struct listener *l)
{
    l->missed = false;
    if (l->resumes) {
        // Its state is to be read anew in any case: it goes on behind what was lost.
        l->taken = newest_lost_locked(l);
        l->now = make_gap(l->events, l->taken, true);
    } else {
        l->now = make_gap(l->events, l->taken, false);
        l->ending = true;
        l->events->stats.let_go++;
    }
    return l->now ? 1 : MPX_PIECE_BROKEN;
}

// Choose what is sent next. @return above 0, or why there is nothing
static long choose_locked(struct listener *l)
{
    struct mpx_events_hub *e = l->events;
    if (e->ended || l->ending)
        return MPX_PIECE_END;
    if (!l->begun) {
        l->begun = true;
        l->now = make_greeting(l);
        return l->now ? 1 : MPX_PIECE_BROKEN;
    }
    if (has_missed_locked(l))
        return missed_locked(l);
    l->resumes = false;
    struct event *next = next_locked(l);
    if (next) {
        atomic_fetch_add(&next->references, 1);
        l->now = next;
        l->taken = next->number;
    } else if (l->beat != e->beats) {
        l->now = make_beat(l->taken);
    } else {
        return MPX_PIECE_NONE;
    }
    l->beat = e->beats;
    return l->now ? 1 : MPX_PIECE_BROKEN;
}

static long read_listener(void *arg, char *bytes, size_t room)
{
    struct listener *l = arg;
    if (!l->now) {
        pthread_mutex_lock(&l->events->lock);
        long chosen = choose_locked(l);
        pthread_mutex_unlock(&l->events->lock);
        if (chosen <= 0)
            return chosen;
    }
    size_t left = l->now->length - l->sent, step = left < room ? left : room;
    memcpy(bytes, l->now->text + l->sent, step);
    l->sent += step;
    if (l->sent == l->now->length) {
        unref_event(l->now);
        l->now = NULL;
        l->sent = 0;
    }
    return (long)step;
}

static bool wait_listener(void *arg)
{
    struct listener *l = arg;
    struct mpx_events_hub *e = l->events;
    pthread_mutex_lock(&e->lock);
    bool waits = !e->ended && !l->ending && l->beat == e->beats &&
                 !has_missed_locked(l) && !next_locked(l);
    if (waits) {
        l->next = e->waiting;
        e->waiting = l;
    }
    pthread_mutex_unlock(&e->lock);
    return waits;
}

static void close_listener(void *arg)
{
    struct listener *l = arg;
    pthread_mutex_lock(&l->events->lock);
    l->events->stats.listeners--;
    pthread_mutex_unlock(&l->events->lock);
    unref_event(l->now);
    free(l);
}

// The thread that wakes.

static bool wait_for_news_locked(struct mpx_events_hub *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += e->beat_s;
    while (!e->has_news && !e->ended)
        if (pthread_cond_timedwait(&e->news, &e->lock, &until) == ETIMEDOUT)
            break;
    if (!e->has_news)
        e->beats++;
    e->has_news = false;
    return !e->ended;
}

static void wake_all(struct listener *waiting)
{
    while (waiting) {
        struct listener *l = waiting;
        waiting = l->next; // once it is woken, it may be gone
        l->waker.wake(l->waker.arg);
    }
}

static void *wake(void *arg)
{
    struct mpx_events_hub *e = arg;
    bool goes_on = true;
    while (goes_on) {
        pthread_mutex_lock(&e->lock);
        goes_on = wait_for_news_locked(e);
        struct listener *waiting = e->waiting;
        e->waiting = NULL;
        pthread_mutex_unlock(&e->lock);
        wake_all(waiting);
    }
    return NULL;
}

static int start_thread_locked(struct mpx_events_hub *e)
{
    if (e->has_thread || e->ended)
        return 0;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    int failed = pthread_create(&e->thread, &attributes, wake, e);
    pthread_attr_destroy(&attributes);
    e->has_thread = failed == 0;
    return failed;
}

// What others call.

mproxy_status mpx_events_open(const struct mpx_events_options *options,
                              struct mpx_events_hub **out, mproxy_error *err)
{
    struct mpx_events_hub *e = calloc(1, sizeof *e);
    if (!e)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for events");
    e->origin = options->origin;
    e->beat_s = options->beat_s ? options->beat_s : BEAT_S;
    e->topic_count = options->topic_count;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&e->news, &attributes);
    pthread_condattr_destroy(&attributes);
    bool all = true;
    for (unsigned i = 0; i < e->topic_count; i++) {
        struct topic *topic = &e->topics[i];
        topic->name = strdup(options->topics[i].name);
        topic->room = options->topics[i].backlog;
        topic->ring = calloc(topic->room, sizeof *topic->ring);
        all = all && topic->ring && topic->name;
    }
    if (all) {
        *out = e;
        return MPROXY_OK;
    }
    mpx_events_close(e);
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for events");
}

void mpx_events_end(struct mpx_events_hub *events)
{
    pthread_mutex_lock(&events->lock);
    events->ended = true;
    pthread_cond_signal(&events->news);
    pthread_mutex_unlock(&events->lock);
}

void mpx_events_close(struct mpx_events_hub *events)
{
    struct mpx_events_hub *e = events;
    if (!e)
        return;
    mpx_events_end(e);
    if (e->has_thread)
        pthread_join(e->thread, NULL);
    for (unsigned i = 0; i < e->topic_count; i++) {
        struct topic *topic = &e->topics[i];
        for (unsigned k = 0; k < topic->used; k++)
            unref_event(topic->ring[(topic->start + k) % topic->room]);
        free(topic->ring);
        free(topic->name);
    }
    pthread_cond_destroy(&e->news);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

mproxy_status mpx_events_publish(struct mpx_events_hub *events, unsigned topic,
                                 const char *data)
{
    struct mpx_events_hub *e = events;
    pthread_mutex_lock(&e->lock);
    uint64_t number = ++e->last;
    struct event *event =
        data ? make_named(e, number, e->topics[topic].name, data) : NULL;
    if (event)
        put_locked(&e->topics[topic], event);
    else
        e->topics[topic].lost = number;
    e->has_news = true;
    pthread_cond_signal(&e->news);
    pthread_mutex_unlock(&e->lock);
    return event ? MPROXY_OK : MPROXY_E_NOMEM;
}

bool mpx_events_has_any(const struct mpx_events_hub *events, unsigned topics)
{
    return events->topic_count >= 32 ? topics != 0
                                     : topics & ((1u << events->topic_count) - 1);
}

bool mpx_events_has(const struct mpx_events_hub *events, unsigned topic)
{
    return topic < events->topic_count;
}

void mpx_events_get_stats(struct mpx_events_hub *events, struct mpx_events_stats *out)
{
    pthread_mutex_lock(&events->lock);
    *out = events->stats;
    pthread_mutex_unlock(&events->lock);
}

// The number in an id; above all there are when it is of another start.
static uint64_t number_of(const struct mpx_events_hub *e, const char *id)
{
    uint64_t origin, number;
    int length = 0;
    if (sscanf(id, "%16" SCNx64 "-%19" SCNu64 "%n", &origin, &number, &length) == 2 &&
        id[length] == '\0' && origin == e->origin)
        return number;
    return UINT64_MAX;
}

static void place_locked(struct listener *l, const char *last_id)
{
    struct mpx_events_hub *e = l->events;
    uint64_t number = last_id ? number_of(e, last_id) : e->last;
    l->resumes = last_id != NULL;
    l->taken = number <= e->last ? number : e->last;
    l->beat = e->beats;
    l->missed = number > e->last;
}

mproxy_status mpx_events_listen(struct mpx_events_hub *events, unsigned topics,
                                const char *last_id, struct mpx_waker waker,
                                struct mpx_piecewise *out, mproxy_error *err)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a listener");
    l->events = events;
    l->waker = waker;
    l->topics = topics;
    pthread_mutex_lock(&events->lock);
    int failed = start_thread_locked(events);
    if (!failed) {
        events->stats.listeners++;
        place_locked(l, last_id);
    }
    pthread_mutex_unlock(&events->lock);
    if (failed) {
        free(l);
        errno = failed;
        return mpx_fail_errno(err, "thread for events");
    }
    *out = (struct mpx_piecewise){
        .read = read_listener, .wait = wait_listener, .close = close_listener, .arg = l};
    return MPROXY_OK;
}
