// Files of targets and lists of them: refused with a text, or what they tell is written again
// and reads back the same. For input that starts with no magic the head of a file is made: a
// checksum is no trust line, but it would stop every search.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <mproxy/metric.h>

#include "scrape/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mproxy_status hear(void *arg, const struct mpx_kept_item *item)
{
    if (mproxy_metric_check_name(item->name, strlen(item->name), NULL) != MPROXY_OK ||
        !(item->offset >= 0) || !(item->raw >= 0) || !isfinite(item->offset + item->raw))
        abort();
    ++*(size_t *)arg;
    return MPROXY_OK;
}

static mproxy_status hear_target(void *arg, const struct mpx_kept_target *target)
{
    struct mpx_buf *out = arg;
    if (target->number == 0 || target->period_ms == 0)
        abort();
    mpx_kept_list_add(out, target);
    return MPROXY_OK;
}

static void check(mproxy_status status, const mproxy_error *err)
{
    if (status != MPROXY_OK && !err->text[0])
        abort();
}

static void read_file(const void *bytes, size_t size)
{
    mproxy_error err = {0};
    size_t count = 0, skipped;
    check(mpx_kept_decode(bytes, size, hear, &count, &skipped, &err), &err);
}

// As a file of as many entries as the first byte says, the names behind them.
static void read_as_body(const uint8_t *data, size_t size)
{
    uint64_t head[8] = {0};
    uint64_t entries = size > 0 ? data[0] % 8 : 0;
    if (size < 1 + entries * 40)
        return;
    uint8_t *whole = malloc(sizeof head + size);
    if (!whole)
        return;
    head[0] = UINT64_C(0x3147524154585250);
    head[1] = entries;
    head[2] = size - 1 - entries * 40;
    head[3] = crc32_z(0, data + 1 + entries * 40, head[2]);
    memcpy(whole, head, sizeof head);
    memcpy(whole + sizeof head, data + 1, size - 1);
    read_file(whole, sizeof head + size - 1);
    free(whole);
}

static void read_as_list(const uint8_t *data, size_t size)
{
    mproxy_error err = {0};
    uint64_t last = 0;
    struct mpx_buf list = MPX_BUF_INIT, again = MPX_BUF_INIT;
    uint32_t crc = (uint32_t)crc32_z(0, data, size);
    mpx_buf_add(&list, "PRXLIST1", 8);
    mpx_buf_add(&list, &crc, sizeof crc);
    mpx_buf_add(&list, data, size);
    if (mpx_buf_text(&list))
        check(
            mpx_kept_list_decode(list.data, list.size, &last, hear_target, &again, &err),
            &err);
    mpx_buf_free(&list);
    mpx_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mpx_buf told = MPX_BUF_INIT;
    uint64_t last = 0;
    mproxy_error err = {0};
    read_file(data, size);
    check(mpx_kept_list_decode(data, size, &last, hear_target, &told, &err), &err);
    mpx_buf_free(&told);
    read_as_body(data, size);
    read_as_list(data, size);
    return 0;
}
