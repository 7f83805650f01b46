// Expositions: the first byte tells the format ('o': OpenMetrics), form feeds part pages.
// One parser reads all pages; another reads each as its first one. Both say the same of a
// page: the same samples, or the same fault at the same place.

#include <stdlib.h>
#include <string.h>

#include "../support/parse_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fault(mproxy_status status, const mproxy_error *err)
{
    if (err->status != status || err->text[0] == '\0' || err->line < 1 || err->column < 1)
        abort();
}

static void fail(const char *what, const mproxy_error *known, const mproxy_error *fresh)
{
    fprintf(stderr, "%s: %d:%d: %s; as the first page: %d:%d: %s\n", what, known->line,
            known->column, known->text, fresh->line, fresh->column, fresh->text);
    abort();
}

// Exactly the page's bytes, so that a read behind them is seen.
static void read_one(mproxy_parser *parser, const char *bytes, size_t length,
                     mproxy_format format)
{
    mproxy_parser *other = NULL;
    mproxy_page page, expected;
    mproxy_error err = {0}, other_err = {0};
    char *text = malloc(length ? length : 1);
    if (!text || mproxy_parser_new(NULL, &other, NULL) != MPROXY_OK)
        abort();
    memcpy(text, bytes, length);
    mproxy_status status = read_page(parser, text, length, format, &page, &err);
    mproxy_status other_status =
        read_page(other, text, length, format, &expected, &other_err);
    if (other_status != status)
        fail("another verdict", &err, &other_err);
    if (status != MPROXY_OK) {
        check_fault(status, &err);
        if (err.line != other_err.line || err.column != other_err.column ||
            strcmp(err.text, other_err.text) != 0)
            fail("another fault", &err, &other_err);
    } else {
        struct mpx_buf a = MPX_BUF_INIT, b = MPX_BUF_INIT;
        describe_page(parser, &page, &a);
        describe_page(other, &expected, &b);
        if (a.failed || a.size != b.size ||
            (a.size && memcmp(a.data, b.data, a.size) != 0))
            fail("other samples", &err, &other_err);
        mpx_buf_free(&a);
        mpx_buf_free(&b);
        if (page.gone_count > 0 &&
            mproxy_parser_forget(parser, page.gone[0], NULL) != MPROXY_OK)
            abort();
    }
    mproxy_parser_free(other);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    mproxy_parser *parser = NULL;
    mproxy_format format = MPROXY_FORMAT_PROMETHEUS;
    if (mproxy_parser_new(NULL, &parser, NULL) != MPROXY_OK)
        abort();
    if (at < end && *at++ == 'o')
        format = MPROXY_FORMAT_OPENMETRICS;
    while (at < end) {
        const char *page = at;
        while (at < end && *at != '\f')
            at++;
        read_one(parser, page, (size_t)(at - page), format);
        at += at < end;
    }
    mproxy_parser_free(parser);
    return 0;
}
