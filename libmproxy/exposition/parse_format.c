// Content types of expositions (RFC 9110, 8.3.1): a type, and parameters behind semicolons.

#include <mproxy/exposition.h>

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

struct word {
    const char *text;
    size_t length;
};

static bool is(struct word word, const char *text)
{
    return strlen(text) == word.length && strncasecmp(word.text, text, word.length) == 0;
}

static int shown(struct word word)
{
    return word.length < 60 ? (int)word.length : 60;
}

static struct word trim(const char *text, size_t length)
{
    while (length > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        length--;
    }
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
        length--;
    return (struct word){text, length};
}

// The value of a parameter, without quotes; empty where there is none.
static struct word find_parameter(const char *at, const char *name)
{
    while (*(at += strcspn(at, ";"))) {
        at++;
        size_t length = strcspn(at, "=;");
        struct word word = trim(at, length);
        at += length;
        if (*at != '=' || !is(word, name))
            continue;
        word = trim(at + 1, strcspn(at + 1, ";"));
        if (word.length >= 2 && word.text[0] == '"' && word.text[word.length - 1] == '"')
            word = (struct word){word.text + 1, word.length - 2};
        return word;
    }
    return (struct word){"", 0};
}

static mproxy_status check_version(const char *content_type, const char *const *known,
                                   mproxy_error *err)
{
    struct word version = find_parameter(content_type, "version");
    struct word charset = find_parameter(content_type, "charset");
    if (charset.length > 0 && !is(charset, "utf-8") && !is(charset, "us-ascii"))
        return mpx_fail(err, MPROXY_E_UNSUPPORTED, "charset '%.*s': utf-8 expected",
                        shown(charset), charset.text);
    if (version.length == 0)
        return MPROXY_OK;
    for (const char *const *at = known; *at; at++)
        if (is(version, *at))
            return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_UNSUPPORTED,
                    "version '%.*s' of the exposition: %s expected", shown(version),
                    version.text, known[0]);
}

mproxy_status mproxy_format_of_content_type(const char *content_type, mproxy_format *out,
                                            mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    static const char *const text_versions[] = {"0.0.4", NULL};
    static const char *const open_versions[] = {"1.0.0", "0.0.1", NULL};
    const char *header = content_type ? content_type : "";
    struct word type = trim(header, strcspn(header, ";"));
    if (is(type, "application/vnd.google.protobuf") ||
        is(type, "application/openmetrics-protobuf"))
        return mpx_fail(err, MPROXY_E_UNSUPPORTED,
                        "content type '%.*s': protobuf is not read, text is", shown(type),
                        type.text);
    bool is_open = is(type, "application/openmetrics-text");
    mproxy_status status = MPROXY_OK;
    if (is_open || is(type, "text/plain"))
        status = check_version(header, is_open ? open_versions : text_versions, err);
    if (!status)
        *out = is_open ? MPROXY_FORMAT_OPENMETRICS : MPROXY_FORMAT_PROMETHEUS;
    return status;
}
