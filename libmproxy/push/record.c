// Records and their frames, in bytes.
//
// A frame is: magic, length of the payload, CRC-32 of both and the payload (four bytes each,
// of this machine: the file never leaves it), the payload, and zeroes up to a multiple of
// eight. So a reader that meets a damaged frame finds the next whole one by trying every
// eighth byte, and the bytes of a value that happen to look like a frame have to have its
// checksum, too.
//
// Numbers are varints, values eight bytes as they are; the slots of a change are runs, since
// most pushes change all or none of neighbouring values.

#include "push/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/array.h"
#include "base/codec.h"

#define MAGIC UINT32_C(0x5348504d) // "MPHS"

enum { HEADER = 12, ALIGN = 8, PAYLOAD_MAX = 1 << 30 };

struct header {
    uint32_t magic, length, sum;
};

static uint32_t sum_of(uint32_t length, const char *payload)
{
    uLong sum = crc32(0, (const unsigned char *)&length, sizeof length);
    return (uint32_t)crc32(sum, (const unsigned char *)payload, length);
}

static void put_times(struct mpx_buf *out, const struct mpx_push_times *times)
{
    mpx_put_u64(out, times->pushed_us);
    mpx_put_u64(out, times->failed_us);
    mpx_put_i64(out, times->expires_ms);
}

static void put_group(struct mpx_buf *out, const struct mpx_push_record *r)
{
    put_times(out, &r->times);
    mpx_put_u64(out, r->labels_length);
    mpx_put_bytes(out, r->labels, r->labels_length);
    mpx_put_u64(out, r->count);
    for (size_t i = 0; i < r->count; i++)
        mpx_put_i64(out, (int64_t)r->ids[i] - (i ? (int64_t)r->ids[i - 1] : 0));
    mpx_put_bytes(out, r->values, r->count * sizeof *r->values);
    for (size_t i = 0; i < r->count; i++)
        mpx_put_i64(out, (int64_t)(r->times.pushed_us - r->changed_us[i]));
}

static size_t run_from(const struct mpx_push_record *r, size_t i)
{
    size_t length = 1;
    while (i + length < r->count && r->slots[i + length] == r->slots[i] + length)
        length++;
    return length;
}

static void put_change(struct mpx_buf *out, const struct mpx_push_record *r)
{
    put_times(out, &r->times);
    mpx_put_u64(out, r->count);
    uint32_t behind = 0;
    for (size_t i = 0, length; i < r->count; i += length) {
        length = run_from(r, i);
        mpx_put_u64(out, r->slots[i] - behind);
        mpx_put_u64(out, length);
        mpx_put_bytes(out, r->values + i, length * sizeof *r->values);
        behind = r->slots[i] + (uint32_t)length;
    }
}

static void put_payload(struct mpx_buf *out, const struct mpx_push_record *r)
{
    mpx_put_u64(out, r->kind);
    switch (r->kind) {
    case MPX_PUSH_HEAD:
        mpx_put_u64(out, r->version);
        mpx_put_u64(out, r->generation);
        return;
    case MPX_PUSH_SERIES:
        mpx_put_u64(out, r->id);
        mpx_put_u64(out, r->type);
        mpx_put_u64(out, r->family_kind);
        mpx_put_string(out, r->name);
        mpx_put_string(out, r->family);
        mpx_put_string(out, r->help);
        return;
    case MPX_PUSH_GROUP:
    case MPX_PUSH_CHANGE:
    case MPX_PUSH_GONE:
        mpx_put_u64(out, r->number);
        break;
    }
    if (r->kind == MPX_PUSH_GROUP)
        put_group(out, r);
    else if (r->kind == MPX_PUSH_CHANGE)
        put_change(out, r);
}

void mpx_push_record_put(struct mpx_buf *out, const struct mpx_push_record *record)
{
    static const char zeroes[ALIGN];
    struct header h = {.magic = MAGIC};
    size_t begin = out->size;
    mpx_put_bytes(out, &h, sizeof h);
    put_payload(out, record);
    if (out->failed)
        return;
    h.length = (uint32_t)(out->size - begin - HEADER);
    h.sum = sum_of(h.length, out->data + begin + HEADER);
    memcpy(out->data + begin, &h, sizeof h);
    mpx_put_bytes(out, zeroes, (ALIGN - (out->size - begin) % ALIGN) % ALIGN);
}

enum mpx_push_frame mpx_push_frame_next(const char *bytes, size_t size, size_t *at,
                                        const char **payload, size_t *length)
{
    struct header h;
    size_t left = size - *at;
    if (left == 0)
        return MPX_PUSH_FRAME_END;
    memset(&h, 0, sizeof h);
    memcpy(&h, bytes + *at, left < HEADER ? left : HEADER);
    if (left < sizeof h.magic)
        return memcmp(&h, &(struct header){.magic = MAGIC}, left) == 0
                   ? MPX_PUSH_FRAME_TORN
                   : MPX_PUSH_FRAME_DAMAGED;
    if (h.magic != MAGIC || (left >= 8 && h.length > PAYLOAD_MAX))
        return MPX_PUSH_FRAME_DAMAGED;
    if (left < HEADER || h.length > left - HEADER)
        return MPX_PUSH_FRAME_TORN;
    if (h.sum != sum_of(h.length, bytes + *at + HEADER))
        return MPX_PUSH_FRAME_DAMAGED;
    *payload = bytes + *at + HEADER;
    *length = h.length;
    size_t step = (HEADER + (size_t)h.length + ALIGN - 1) / ALIGN * ALIGN;
    *at += step < left ? step : left;
    return MPX_PUSH_FRAME_OK;
}

bool mpx_push_frame_find(const char *bytes, size_t size, size_t *at)
{
    const char *payload;
    size_t length;
    for (size_t try = *at / ALIGN * ALIGN + ALIGN; try < size; try += ALIGN) {
        size_t begin = try;
        if (mpx_push_frame_next(bytes, size, &try, &payload, &length) ==
            MPX_PUSH_FRAME_OK) {
            *at = begin;
            return true;
        }
    }
    return false;
}

// ---- reading

static void get_times(struct mpx_cursor *c, struct mpx_push_times *out)
{
    out->pushed_us = mpx_get_u64(c);
    out->failed_us = mpx_get_u64(c);
    out->expires_ms = mpx_get_i64(c);
}

static bool take_values(struct mpx_push_reader *reader, struct mpx_cursor *c, size_t from,
                        size_t count)
{
    const void *bytes = mpx_get_bytes(c, count * sizeof *reader->values);
    if (c->bad)
        return false;
    memcpy(reader->values + from, bytes, count * sizeof *reader->values);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(reader->values[from + i]))
            c->bad = true;
    return !c->bad;
}

static bool reserve(struct mpx_push_reader *reader, struct mpx_cursor *c, size_t count)
{
    if (MPX_RESERVE(reader->numbers, reader->number_room, count + 1) &&
        MPX_RESERVE(reader->values, reader->value_room, count + 1) &&
        MPX_RESERVE(reader->times, reader->time_room, count + 1))
        return true;
    c->bad = c->no_memory = true;
    return false;
}

static void get_group(struct mpx_push_reader *reader, struct mpx_cursor *c,
                      struct mpx_push_record *out)
{
    get_times(c, &out->times);
    out->labels_length = mpx_get_count(c, 1);
    out->labels = mpx_get_bytes(c, out->labels_length);
    out->count = mpx_get_count(c, 1 + sizeof(double) + 1);
    if (c->bad || !reserve(reader, c, out->count))
        return;
    int64_t id = 0;
    for (size_t i = 0; i < out->count; i++) {
        int64_t step = mpx_get_i64(c);
        if (step < -(int64_t)UINT32_MAX || step > (int64_t)UINT32_MAX)
            c->bad = true;
        id += c->bad ? 0 : step;
        if (id < 0 || id >= (int64_t)UINT32_MAX)
            c->bad = true;
        reader->numbers[i] = c->bad ? 0 : (uint32_t)id;
    }
    if (c->bad || !take_values(reader, c, 0, out->count))
        return;
    for (size_t i = 0; i < out->count; i++)
        reader->times[i] = out->times.pushed_us - (uint64_t)mpx_get_i64(c);
    out->ids = reader->numbers;
    out->values = reader->values;
    out->changed_us = reader->times;
}

static void get_change(struct mpx_push_reader *reader, struct mpx_cursor *c,
                       struct mpx_push_record *out)
{
    get_times(c, &out->times);
    out->count = mpx_get_count(c, sizeof(double));
    if (c->bad || !reserve(reader, c, out->count))
        return;
    uint64_t behind = 0;
    for (size_t i = 0; i < out->count && !c->bad;) {
        uint64_t gap = mpx_get_u64(c), length = mpx_get_u64(c);
        if (length == 0 || length > out->count - i || gap > UINT32_MAX ||
            behind + gap + length > UINT32_MAX)
            c->bad = true;
        if (c->bad || !take_values(reader, c, i, (size_t)length))
            break;
        for (uint64_t k = 0; k < length; k++)
            reader->numbers[i + k] = (uint32_t)(behind + gap + k);
        behind += gap + length;
        i += (size_t)length;
    }
    out->slots = reader->numbers;
    out->values = reader->values;
}

// Texts follow each other in one buffer, which may move while they are read.
static size_t get_text(struct mpx_push_reader *reader, struct mpx_cursor *c)
{
    size_t at = reader->texts.size, length = mpx_get_count(c, 1);
    const char *bytes = mpx_get_bytes(c, length);
    if (!c->bad && (length > MPX_PUSH_TEXT_MAX || memchr(bytes, '\0', length)))
        c->bad = true;
    if (c->bad)
        return at;
    mpx_buf_add(&reader->texts, bytes, length);
    mpx_buf_add(&reader->texts, "", 1);
    c->bad = c->no_memory = reader->texts.failed;
    return at;
}

static void get_series(struct mpx_push_reader *reader, struct mpx_cursor *c,
                       struct mpx_push_record *out)
{
    uint64_t id = mpx_get_u64(c), type = mpx_get_u64(c), kind = mpx_get_u64(c);
    mpx_buf_clear(&reader->texts);
    size_t name = get_text(reader, c), family = get_text(reader, c),
           help = get_text(reader, c);
    if (id >= UINT32_MAX || (type != MPROXY_COUNTER && type != MPROXY_GAUGE) ||
        kind < MPROXY_FAMILY_UNKNOWN || kind > MPROXY_FAMILY_STATE_SET)
        c->bad = true;
    if (c->bad)
        return;
    out->id = (uint32_t)id;
    out->type = (mproxy_type)type;
    out->family_kind = (mproxy_family_kind)kind;
    out->name = reader->texts.data + name;
    out->family = reader->texts.data + family;
    out->help = reader->texts.data + help;
}

static void get_payload(struct mpx_push_reader *reader, struct mpx_cursor *c,
                        struct mpx_push_record *out)
{
    switch (out->kind) {
    case MPX_PUSH_HEAD:
        out->version = mpx_get_u64(c);
        out->generation = mpx_get_u64(c);
        return;
    case MPX_PUSH_SERIES:
        get_series(reader, c, out);
        return;
    case MPX_PUSH_GROUP:
        out->number = mpx_get_u64(c);
        get_group(reader, c, out);
        return;
    case MPX_PUSH_CHANGE:
        out->number = mpx_get_u64(c);
        get_change(reader, c, out);
        return;
    case MPX_PUSH_GONE:
        out->number = mpx_get_u64(c);
        return;
    }
    c->bad = true;
}

mproxy_status mpx_push_record_get(struct mpx_push_reader *reader, const char *payload,
                                  size_t length, struct mpx_push_record *out)
{
    const unsigned char *bytes = (const unsigned char *)payload;
    struct mpx_cursor c = {.at = bytes, .end = bytes + length};
    uint64_t kind = mpx_get_u64(&c);
    *out = (struct mpx_push_record){
        .kind = kind <= MPX_PUSH_GONE ? (enum mpx_push_kind)kind : (enum mpx_push_kind)0};
    get_payload(reader, &c, out);
    // A head may be longer in a later version.
    if (c.bad || (c.at != c.end && out->kind != MPX_PUSH_HEAD))
        return c.no_memory ? MPROXY_E_NOMEM : MPROXY_E_CORRUPT;
    return MPROXY_OK;
}

void mpx_push_reader_fini(struct mpx_push_reader *reader)
{
    free(reader->numbers);
    free(reader->values);
    free(reader->times);
    mpx_buf_free(&reader->texts);
    *reader = (struct mpx_push_reader){0};
}
