// The list of targets: which numbers are whose, what is joined. A small file, replaced whole.

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/codec.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/file.h"
#include "scrape/kept.h"

#define LIST "targets"
#define LIST_MAGIC "PRXLIST1" // 8 bytes, then the checksum of what follows
#define LIST_MAX ((size_t)64 << 20)

enum {
    HEAD = 12,
    URL_MAX = 4096,
    JOINED = 1,
    FOR_NOW = 2,
    PROXY = 4,
    PERIOD_MAX_MS = 3600000
};

void mpx_kept_list_begin(struct mpx_buf *out, uint64_t last_number, size_t count)
{
    mpx_buf_clear(out);
    mpx_buf_add(out, LIST_MAGIC "\0\0\0\0", HEAD);
    mpx_put_u64(out, last_number);
    mpx_put_u64(out, count);
}

void mpx_kept_list_add(struct mpx_buf *out, const struct mpx_kept_target *target)
{
    mpx_put_u64(out, target->number);
    mpx_put_string(out, target->url);
    mpx_put_u64(out, target->period_ms);
    mpx_put_u64(out, (target->is_joined ? JOINED : 0) |
                         (target->is_for_now ? FOR_NOW : 0) |
                         (target->is_proxy ? PROXY : 0));
}

mproxy_status mpx_kept_list_write(int state_fd, struct mpx_buf *list, mproxy_error *err)
{
    if (list->failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the list of targets");
    const unsigned char *body = (const unsigned char *)list->data + HEAD;
    uint32_t crc = (uint32_t)crc32_z(0, body, list->size - HEAD);
    memcpy(list->data + HEAD - sizeof crc, &crc, sizeof crc);
    MPX_CRASH_POINT("scrape.list");
    mproxy_status status =
        mpx_file_replace(state_fd, ".new-list", LIST, list->data, list->size, false, err);
    MPX_CRASH_POINT("scrape.listed");
    return status;
}

static mproxy_status corrupt(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_CORRUPT, "the list of targets is damaged");
}

// False: it is none. Numbers rise, so that none is there twice.
static bool read_target(struct mpx_cursor *c, uint64_t after, struct mpx_kept_target *out,
                        char **url)
{
    out->number = mpx_get_u64(c);
    *url = mpx_get_string(c, URL_MAX);
    uint64_t period = mpx_get_u64(c), flags = mpx_get_u64(c);
    out->url = *url;
    out->period_ms = (unsigned)period;
    out->is_joined = flags & JOINED;
    out->is_for_now = flags & FOR_NOW;
    out->is_proxy = flags & PROXY;
    return !c->bad && out->number > after && period > 0 && period <= PERIOD_MAX_MS &&
           flags <= (JOINED | FOR_NOW | PROXY);
}

// Twice: once to see that all is well, once to tell.
static mproxy_status read_all(struct mpx_cursor c, uint64_t *last_number,
                              mpx_kept_list_fn each, void *arg, mproxy_error *err)
{
    uint64_t last = mpx_get_u64(&c), before = 0;
    size_t count = mpx_get_count(&c, 4);
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++) {
        struct mpx_kept_target target;
        char *url = NULL;
        if (!read_target(&c, before, &target, &url) || target.number > last)
            status = c.no_memory ? mpx_fail(err, MPROXY_E_NOMEM, "no memory for targets")
                                 : corrupt(err);
        else if (each)
            status = each(arg, &target);
        before = target.number;
        free(url);
    }
    if (status == MPROXY_OK && (c.bad || c.at != c.end))
        status = corrupt(err);
    if (status == MPROXY_OK)
        *last_number = last;
    return status;
}

mproxy_status mpx_kept_list_decode(const void *bytes, size_t size, uint64_t *last_number,
                                   mpx_kept_list_fn each, void *arg, mproxy_error *err)
{
    uint32_t crc;
    const unsigned char *at = bytes;
    if (size < HEAD || memcmp(at, LIST_MAGIC, 8) != 0)
        return corrupt(err);
    memcpy(&crc, at + HEAD - sizeof crc, sizeof crc);
    if (crc32_z(0, at + HEAD, size - HEAD) != crc)
        return corrupt(err);
    struct mpx_cursor c = {.at = at + HEAD, .end = at + size};
    mproxy_status status = read_all(c, last_number, NULL, NULL, err);
    return status == MPROXY_OK ? read_all(c, last_number, each, arg, err) : status;
}

mproxy_status mpx_kept_list_read(int state_fd, uint64_t *last_number,
                                 mpx_kept_list_fn each, void *arg, mproxy_error *err)
{
    struct mpx_buf bytes = MPX_BUF_INIT;
    mproxy_status status = mpx_file_read(state_fd, LIST, LIST_MAX, &bytes, err);
    if (status == MPROXY_E_LIMIT || status == MPROXY_E_INVALID)
        status = corrupt(err);
    if (status == MPROXY_OK)
        status =
            mpx_kept_list_decode(bytes.data, bytes.size, last_number, each, arg, err);
    mpx_buf_free(&bytes);
    return status;
}
