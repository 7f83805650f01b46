// The form of a metric's name, checked once where names enter; all else trusts it.

#include <mproxy/metric.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

#define NAME_LIMIT 1024

struct scan {
    const char *text;
    size_t length;
    size_t at;
    mproxy_error *err;
    size_t labels_at; // where the first label's name begins
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static mproxy_status fault(const struct scan *s, size_t at, const char *what)
{
    int shown = s->length < 120 ? (int)s->length : 120;
    return mpx_fail_at(s->err, MPROXY_E_INVALID, 1, (int)at + 1, "metric '%.*s': %s",
                       shown, s->text, what);
}

static bool at_char(const struct scan *s, char c)
{
    return s->at < s->length && s->text[s->at] == c;
}

static mproxy_status check_bytes(const struct scan *s)
{
    if (s->length == 0)
        return mpx_fail_at(s->err, MPROXY_E_INVALID, 1, 1, "metric name is empty");
    if (s->length > NAME_LIMIT)
        return mpx_fail_at(s->err, MPROXY_E_INVALID, 1, NAME_LIMIT + 1,
                           "metric '%.64s...': %zu bytes, at most %d", s->text, s->length,
                           NAME_LIMIT);
    for (size_t at = 0; at < s->length;) {
        unsigned char c = (unsigned char)s->text[at];
        size_t step = mpx_utf8_char(s->text + at, s->length - at);
        if (step == 0)
            return fault(s, at, "not UTF-8");
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s->text[at + 1] < 0xa0))
            return fault(s, at, "control character");
        at += step;
    }
    return MPROXY_OK;
}

static mproxy_status scan_base(struct scan *s)
{
    if (!is_letter(s->text[0]) && s->text[0] != ':')
        return fault(s, 0, "starts with neither a letter, '_' nor ':'");
    while (s->at < s->length && s->text[s->at] != '{') {
        if (strchr(" \"'}", s->text[s->at]))
            return fault(s, s->at, "space, quote or brace in the base");
        s->at++;
    }
    return MPROXY_OK;
}

// After a label's value that was found in order: its quote, and what is escaped in it.
static size_t skip_value(const char *text, size_t at)
{
    for (at++; text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at + 1;
}

// Goes through the labels before once more: a list of them would take 3 KiB of a stack that
// may be a small one.
static bool is_known_label(const struct scan *s, size_t name, size_t length)
{
    for (size_t at = s->labels_at; at < name;) {
        size_t end = at;
        while (s->text[end] != '=')
            end++;
        if (end - at == length && memcmp(s->text + at, s->text + name, length) == 0)
            return true;
        at = skip_value(s->text, end + 1) + 1; // and the comma
    }
    return false;
}

static mproxy_status scan_label_name(struct scan *s)
{
    size_t name = s->at;
    if (s->at == s->length || !is_letter(s->text[s->at]))
        return fault(s, s->at, "a label's name is missing");
    while (s->at < s->length && (is_letter(s->text[s->at]) || is_digit(s->text[s->at])))
        s->at++;
    if (is_known_label(s, name, s->at - name))
        return fault(s, name, "label given twice");
    return MPROXY_OK;
}

static mproxy_status scan_label_value(struct scan *s)
{
    if (!at_char(s, '"'))
        return fault(s, s->at, "a label's value is not in quotes");
    for (s->at++; !at_char(s, '"'); s->at++) {
        if (s->at == s->length)
            return fault(s, s->at, "a label's value does not end");
        if (s->text[s->at] != '\\')
            continue;
        s->at++;
        if (!at_char(s, '\\') && !at_char(s, '"') && !at_char(s, 'n'))
            return fault(s, s->at, "unknown escape in a label's value");
    }
    s->at++;
    return MPROXY_OK;
}

static mproxy_status scan_labels(struct scan *s)
{
    s->labels_at = s->at + 1;
    do {
        s->at++; // the '{' or ','
        mproxy_status status = scan_label_name(s);
        if (status)
            return status;
        if (!at_char(s, '='))
            return fault(s, s->at, "'=' missing after a label's name");
        s->at++;
        status = scan_label_value(s);
        if (status)
            return status;
    } while (at_char(s, ','));
    if (!at_char(s, '}'))
        return fault(s, s->at, "'}' missing after the labels");
    s->at++;
    return s->at == s->length ? MPROXY_OK : fault(s, s->at, "text after the labels");
}

mproxy_status mproxy_metric_check_name(const char *name, size_t length, mproxy_error *err)
{
    MPX_REQUIRE(name || length == 0, err);
    struct scan s = {.text = name, .length = length, .err = err};
    mproxy_status status = check_bytes(&s);
    if (!status)
        status = scan_base(&s);
    if (!status && s.at < length)
        status = scan_labels(&s);
    return status;
}

size_t mproxy_metric_base_length(const char *name)
{
    return strcspn(name, "{");
}
