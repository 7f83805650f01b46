// Reads a page, has it parsed, and prints the verdict: one line, and one for each remark.
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "lint.h"

#define PAGE_MOST ((size_t)1 << 30)

struct text {
    char *bytes;
    size_t length;
};

static int fail(const struct check *c, const char *what)
{
    tool_complain(c->tool, NULL, "%s: %s", c->path, what);
    return TOOL_FAILED;
}

static int read_all(const struct check *c, FILE *in, struct text *out)
{
    size_t room = 0;
    for (;;) {
        if (out->length == room) {
            if (room >= PAGE_MOST)
                return fail(c, "more than 1 GiB");
            room = room ? 2 * room : 65536;
            char *bytes = realloc(out->bytes, room);
            if (!bytes)
                return fail(c, "no memory");
            out->bytes = bytes;
        }
        size_t got = fread(out->bytes + out->length, 1, room - out->length, in);
        out->length += got;
        if (got == 0)
            return ferror(in) ? fail(c, strerror(errno)) : TOOL_OK;
    }
}

static int read_page(const struct check *c, struct text *out)
{
    if (strcmp(c->path, "-") == 0)
        return read_all(c, stdin, out);
    FILE *in = fopen(c->path, "rb");
    if (!in)
        return fail(c, strerror(errno));
    int status = read_all(c, in, out);
    fclose(in);
    return status;
}

// A page that ends as OpenMetrics does is one, unless the header says something else.
static bool ends_as_openmetrics(const struct text *page)
{
    static const char end[] = "# EOF";
    size_t length = page->length;
    length -= length > 0 && page->bytes[length - 1] == '\n';
    return length >= strlen(end) &&
           memcmp(page->bytes + length - strlen(end), end, strlen(end)) == 0 &&
           (length == strlen(end) || page->bytes[length - strlen(end) - 1] == '\n');
}

static void put_fault(const struct check *c, const mproxy_error *err)
{
    if (!c->as_json) {
        printf("%s:%d:%d: %s\n", c->path, err->line, err->column, err->text);
        return;
    }
    fputs("{\"file\":", stdout);
    tool_put_json(c->path);
    printf(",\"ok\":false,\"line\":%d,\"column\":%d,\"error\":", err->line, err->column);
    tool_put_json(err->text);
    puts("}");
}

static const char *plural(size_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

// Series, each once however many samples it has.
static size_t count_series(const mproxy_page *page)
{
    return page->fresh_count; // nothing was known before
}

static void put_verdict(const struct check *c, const mproxy_page *page,
                        const struct remarks *remarks)
{
    size_t series = count_series(page);
    if (!c->as_json) {
        printf("ok: %zu %s, %zu series\n", page->families,
               plural(page->families, "family", "families"), series);
        for (size_t i = 0; i < remarks->count; i++)
            printf("%s %s\n", remarks->items[i].metric, remarks->items[i].text);
        return;
    }
    fputs("{\"file\":", stdout);
    tool_put_json(c->path);
    printf(",\"ok\":true,\"families\":%zu,\"series\":%zu,\"remarks\":[", page->families,
           series);
    for (size_t i = 0; i < remarks->count; i++) {
        fputs(i ? ",\n{\"metric\":" : "\n{\"metric\":", stdout);
        tool_put_json(remarks->items[i].metric);
        fputs(",\"text\":", stdout);
        tool_put_json(remarks->items[i].text);
        putchar('}');
    }
    puts("]}");
}

static int judge(const struct check *c, mproxy_parser *parser, const struct text *text,
                 mproxy_format format)
{
    mproxy_page page = {.struct_size = sizeof page};
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_status status =
        mproxy_parser_read(parser, text->bytes, text->length, format, &page, &err);
    if (status == MPROXY_E_NOMEM)
        return fail(c, err.text);
    if (status != MPROXY_OK) {
        put_fault(c, &err);
        return TOOL_FAILED;
    }
    struct remarks remarks = {0};
    lint_page(parser, &page, &remarks);
    int exit_status = remarks.count > 0 ? CHECK_REMARKS : TOOL_OK;
    if (remarks.failed)
        exit_status = fail(c, "no memory");
    else
        put_verdict(c, &page, &remarks);
    remarks_free(&remarks);
    return exit_status;
}

int check_page(const struct check *c)
{
    struct text text = {0};
    mproxy_parser *parser = NULL;
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_format format = MPROXY_FORMAT_PROMETHEUS;
    int status = read_page(c, &text);
    if (status == TOOL_OK && !c->content_type && ends_as_openmetrics(&text))
        format = MPROXY_FORMAT_OPENMETRICS;
    if (status == TOOL_OK && c->content_type &&
        mproxy_format_of_content_type(c->content_type, &format, &err) != MPROXY_OK)
        status = tool_fail(c->tool, &err, NULL);
    if (status == TOOL_OK && mproxy_parser_new(NULL, &parser, &err) != MPROXY_OK)
        status = tool_fail(c->tool, &err, NULL);
    if (status == TOOL_OK)
        status = judge(c, parser, &text, format);
    mproxy_parser_free(parser);
    free(text.bytes);
    if (fflush(stdout) != 0)
        status = fail(c, "what was found can't be written");
    return status;
}
