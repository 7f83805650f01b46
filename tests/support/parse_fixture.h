// Pages for tests of the exposition's parser, and their series as lines of text.
#ifndef TESTS_SUPPORT_PARSE_FIXTURE_H
#define TESTS_SUPPORT_PARSE_FIXTURE_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "base/buf.h"

// A sample as a line: `counter VALUE TIME|- NAME`, control characters of the name as \xNN.
static inline void describe_sample(mproxy_parser *parser, const mproxy_page *page,
                                   size_t i, struct mpx_buf *out)
{
    mproxy_series series = {.struct_size = sizeof series};
    if (mproxy_parser_series(parser, page->series[i], &series, NULL) != MPROXY_OK) {
        out->failed = true;
        return;
    }
    mpx_buf_addf(out, "%s ", series.type == MPROXY_COUNTER ? "counter" : "gauge");
    if (isnan(page->values[i]))
        mpx_buf_add_text(out, "nan ");
    else
        mpx_buf_addf(out, "%.17g ", page->values[i]);
    if (page->times_us && page->times_us[i] != INT64_MIN)
        mpx_buf_addf(out, "%" PRId64 " ", page->times_us[i]);
    else
        mpx_buf_add_text(out, "- ");
    for (size_t k = 0; k < series.name_length; k++)
        if ((unsigned char)series.name[k] < 0x20)
            mpx_buf_addf(out, "\\x%02x", (unsigned)series.name[k]);
        else
            mpx_buf_add(out, series.name + k, 1);
    mpx_buf_add(out, "\n", 1);
}

static inline void describe_page(mproxy_parser *parser, const mproxy_page *page,
                                 struct mpx_buf *out)
{
    for (size_t i = 0; i < page->count; i++)
        describe_sample(parser, page, i, out);
    mpx_buf_text(out);
}

static inline mproxy_status read_page(mproxy_parser *parser, const char *text,
                                      size_t length, mproxy_format format,
                                      mproxy_page *page, mproxy_error *err)
{
    *page = (mproxy_page){.struct_size = sizeof *page};
    return mproxy_parser_read(parser, text, length, format, page, err);
}

#endif
