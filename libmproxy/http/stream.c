#include "http/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/err.h"

// The producer waits while a ring of this size is full, so a slow reader costs no more.
enum { RING = 256 * 1024, STACK = 512 * 1024, PACKED = 16 * 1024 };

struct mpx_stream {
    struct mpx_stream_options options;
    pthread_t thread;
    z_stream z; // the producing thread's
    // A lock, because two threads hand bytes to each other; never held while waking.
    pthread_mutex_t lock;
    pthread_cond_t room_cond;
    size_t start, used; // guarded by lock, like all below
    bool waiting;       // the reader asked to be woken
    bool cut;           // nobody reads any more
    bool ended, broken;
    char ring[RING];
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Waits for room; 0 when the stream was cut off.
static size_t put_some(struct mpx_stream *s, const char *bytes, size_t length)
{
    pthread_mutex_lock(&s->lock);
    while (s->used == RING && !s->cut)
        pthread_cond_wait(&s->room_cond, &s->lock);
    size_t end = (s->start + s->used) % RING;
    size_t step = smaller(smaller(length, RING - s->used), RING - end);
    if (s->cut)
        step = 0;
    memcpy(s->ring + end, bytes, step);
    s->used += step;
    bool wake = s->waiting && step > 0;
    if (wake)
        s->waiting = false;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        s->options.waker.wake(s->options.waker.arg);
    return step;
}

static mproxy_status put_plain(void *arg, const char *bytes, size_t length)
{
    struct mpx_stream *s = arg;
    while (length > 0) {
        size_t step = put_some(s, bytes, length);
        if (step == 0)
            return MPROXY_E_SYSTEM;
        bytes += step;
        length -= step;
    }
    return MPROXY_OK;
}

static mproxy_status pack(struct mpx_stream *s, int flush)
{
    char packed[PACKED];
    do {
        s->z.next_out = (unsigned char *)packed;
        s->z.avail_out = sizeof packed;
        deflate(&s->z, flush);
        mproxy_status status = put_plain(s, packed, sizeof packed - s->z.avail_out);
        if (status != MPROXY_OK)
            return status;
    } while (s->z.avail_out == 0);
    return MPROXY_OK;
}

static mproxy_status put_packed(void *arg, const char *bytes, size_t length)
{
    struct mpx_stream *s = arg;
    s->z.next_in = (unsigned char *)(uintptr_t)bytes;
    s->z.avail_in = (unsigned)length;
    return pack(s, Z_NO_FLUSH);
}

static mproxy_status produce_packed(struct mpx_stream *s)
{
    if (deflateInit2(&s->z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return MPROXY_E_NOMEM;
    mproxy_status status = s->options.produce(s->options.arg, put_packed, s);
    s->z.avail_in = 0;
    if (status == MPROXY_OK)
        status = pack(s, Z_FINISH);
    deflateEnd(&s->z);
    return status;
}

static void *produce(void *arg)
{
    struct mpx_stream *s = arg;
    mproxy_status status = s->options.gzip
                               ? produce_packed(s)
                               : s->options.produce(s->options.arg, put_plain, s);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->broken = status != MPROXY_OK;
    bool wake = s->waiting;
    s->waiting = false;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        s->options.waker.wake(s->options.waker.arg);
    return NULL;
}

mproxy_status mpx_stream_open(const struct mpx_stream_options *options,
                              struct mpx_stream **out, mproxy_error *err)
{
    struct mpx_stream *s = calloc(1, sizeof *s);
    if (!s)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a streamed reply");
    s->options = *options;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room_cond, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    int failed = pthread_create(&s->thread, &attributes, produce, s);
    pthread_attr_destroy(&attributes);
    if (failed) {
        pthread_cond_destroy(&s->room_cond);
        pthread_mutex_destroy(&s->lock);
        free(s);
        errno = failed;
        return mpx_fail_errno(err, "thread for a streamed reply");
    }
    *out = s;
    return MPROXY_OK;
}

static void close_stream(void *arg)
{
    struct mpx_stream *s = arg;
    pthread_mutex_lock(&s->lock);
    s->cut = true;
    s->waiting = false;
    pthread_cond_signal(&s->room_cond);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    if (s->options.release)
        s->options.release(s->options.arg);
    pthread_cond_destroy(&s->room_cond);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static long read_stream(void *arg, char *bytes, size_t room)
{
    struct mpx_stream *s = arg;
    pthread_mutex_lock(&s->lock);
    size_t step = smaller(smaller(room, s->used), RING - s->start);
    long result = (long)step;
    memcpy(bytes, s->ring + s->start, step);
    s->start = (s->start + step) % RING;
    s->used -= step;
    if (step > 0)
        pthread_cond_signal(&s->room_cond);
    else if (s->ended)
        result = s->broken ? MPX_PIECE_BROKEN : MPX_PIECE_END;
    pthread_mutex_unlock(&s->lock);
    return result;
}

static bool wait_stream(void *arg)
{
    struct mpx_stream *s = arg;
    pthread_mutex_lock(&s->lock);
    bool wait = s->used == 0 && !s->ended;
    s->waiting = wait;
    pthread_mutex_unlock(&s->lock);
    return wait;
}

struct mpx_piecewise mpx_stream_body(struct mpx_stream *s)
{
    return (struct mpx_piecewise){
        .read = read_stream, .wait = wait_stream, .close = close_stream, .arg = s};
}
