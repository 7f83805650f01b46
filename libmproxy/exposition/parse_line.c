// The words of a sample's line: name, labels, and the blanks between them.
//
// The two formats differ in what they leave to the writer. The text format 0.0.4 has blanks
// and tabs between any two words, a comma behind the last label, names in quotes (then inside
// the braces), and three escapes. OpenMetrics 1.0 has one space where there is one, no comma
// too many, no names in quotes, and takes a backslash before any character as itself.
//
// A newline ends every line and can be in no word, so that it needs no bound to find a word's
// end. Texts are kept as they are written: the escapes of both formats are those of names in
// the store, but for OpenMetrics' odd ones.
//
// The page is silent on some things. A label `__name__`, which would give the metric another
// name, is refused, as Prometheus does. A label with an empty value is taken for absent, as
// both Prometheus and OpenMetrics ask for.

#include "exposition/parse_line.h"

#include <string.h>

#include "base/utf8.h"

#define SHOWN 60

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26 || c == '_';
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

int mpx_line_shown(const struct mpx_line *line, const char *at)
{
    const char *end = at;
    while (end < line->end && end - at < SHOWN && *end != ' ' && *end != '\t')
        end++;
    return (int)mpx_utf8_cut(at, (size_t)(line->end - at), (size_t)(end - at));
}

static const char *bad_utf8(const struct mpx_line *line, const char *at)
{
    mpx_line_fault(line, at, "byte 0x%02x: not UTF-8", (unsigned)(unsigned char)*at);
    return NULL;
}

mproxy_status mpx_line_utf8(const struct mpx_line *line, const char *at)
{
    while (at < line->end) {
        size_t step = mpx_utf8_char(at, (size_t)(line->end - at));
        if (step == 0)
            return bad_utf8(line, at) ? MPROXY_OK : MPROXY_E_INVALID;
        at += step;
    }
    return MPROXY_OK;
}

mproxy_status mpx_line_word(const struct mpx_line *line, const char *at,
                            const char *expected)
{
    const char *end = at;
    while (end < line->end && *end != ' ' && *end != '\t')
        end++;
    if (at == line->end)
        return mpx_line_fault(line, at, "end of the line: %s expected", expected);
    if (at == end)
        return mpx_line_fault(line, at, "%s where none may be: %s expected",
                              *at == ' ' ? "space" : "tab", expected);
    if (end == line->end && end[-1] == '\r')
        return mpx_line_fault(line, end - 1,
                              "carriage return: a line ends in a line feed alone");
    if ((unsigned char)*at < 0x20)
        return mpx_line_fault(line, at, "byte 0x%02x: %s expected", (unsigned)*at,
                              expected);
    return mpx_line_utf8(line, at);
}

static mproxy_status unexpected(const struct mpx_line *line, const char *at,
                                const char *expected)
{
    mproxy_status status = mpx_line_word(line, at, expected);
    return status ? status
                  : mpx_line_fault(line, at, "'%.*s': %s expected",
                                   mpx_line_shown(line, at), at, expected);
}

static const char *name_end(const char *at, bool colons)
{
    while (is_letter(*at) || is_digit(*at) || (colons && *at == ':'))
        at++;
    return at;
}

static const char *identifier_end(const char *at, bool colons)
{
    return is_digit(*at) ? at : name_end(at, colons);
}

const char *mpx_line_unit(const char *at)
{
    return name_end(at, true);
}

static const char *string_end(const struct mpx_line *line, const char *at)
{
    for (at++; *at != '"';) {
        if (at >= line->end) {
            mpx_line_fault(line, at, "end of the line: '\"' expected");
            return NULL;
        }
        if (*at == '\\') {
            at++;
            if (!line->is_open && *at != '\\' && *at != '"' && *at != 'n') {
                mpx_line_fault(line, at - 1,
                               "escape '\\%.1s': \\\\, \\\" or \\n expected",
                               at < line->end ? at : "");
                return NULL;
            }
            if (at >= line->end)
                continue;
        }
        size_t step = mpx_utf8_char(at, (size_t)(line->end - at));
        if (step == 0)
            return bad_utf8(line, at);
        at += step;
    }
    return at + 1;
}

mproxy_status mpx_line_name(const struct mpx_line *line, const char *at,
                            struct mpx_key *key)
{
    key->is_quoted = !line->is_open && *at == '"';
    key->base = at + key->is_quoted;
    const char *end = key->is_quoted ? string_end(line, at) : identifier_end(at, true);
    if (!end)
        return MPROXY_E_INVALID;
    key->base_length = (size_t)(end - key->base) - key->is_quoted;
    key->end = end;
    if (key->base_length == 0)
        return key->is_quoted
                   ? mpx_line_fault(line, at, "empty name: a metric's name expected")
                   : unexpected(line, at, "a metric's name");
    return MPROXY_OK;
}

static const char *skip(const struct mpx_line *line, const char *at)
{
    return line->is_open ? at : mpx_line_skip(at);
}

static bool same(const struct mpx_key_label *label, const char *name, size_t length)
{
    return label->name_length == length && memcmp(label->name, name, length) == 0;
}

const struct mpx_key_label *mpx_key_find(const struct mpx_key *key, const char *name,
                                         size_t length)
{
    for (size_t i = 0; i < key->label_count; i++)
        if (same(&key->labels[i], name, length))
            return &key->labels[i];
    return NULL;
}

static mproxy_status check_label_name(const struct mpx_line *line, const char *at,
                                      const struct mpx_key *key,
                                      const struct mpx_key_label *label)
{
    int shown = label->name_length < SHOWN ? (int)label->name_length : SHOWN;
    if (label->name_length == 0)
        return mpx_line_fault(line, at, "empty name: a label's name expected");
    if (line->is_open && label->name[0] == '_')
        return mpx_line_fault(line, at,
                              "label '%.*s': names that begin with '_' are "
                              "reserved",
                              shown, label->name);
    if (same(label, "__name__", strlen("__name__")))
        return mpx_line_fault(line, at, "label '__name__' is reserved");
    if (mpx_key_find(key, label->name, label->name_length))
        return mpx_line_fault(line, at, "label '%.*s' given twice", shown, label->name);
    if (key->label_count == key->label_room)
        return mpx_fail_at(line->err, MPROXY_E_LIMIT, line->number,
                           (int)(at - line->at) + 1, "more than %zu labels",
                           key->label_room);
    return MPROXY_OK;
}

static mproxy_status read_label(const struct mpx_line *line, const char **place,
                                struct mpx_key *key)
{
    const char *at = *place, *begin = at;
    struct mpx_key_label label = {.is_quoted = !line->is_open && *at == '"'};
    label.name = at + label.is_quoted;
    at = label.is_quoted ? string_end(line, at) : identifier_end(at, false);
    if (!at)
        return MPROXY_E_INVALID;
    if (at == begin)
        return unexpected(line, at, "a label's name");
    label.name_length = (size_t)(at - label.name) - label.is_quoted;
    mproxy_status status = check_label_name(line, begin, key, &label);
    if (status)
        return status;
    at = skip(line, at);
    if (*at != '=')
        return unexpected(line, at, "'=' behind a label's name");
    at = skip(line, at + 1);
    if (*at != '"')
        return unexpected(line, at, "a label's value in double quotes");
    label.value = at + 1;
    at = string_end(line, at);
    if (!at)
        return MPROXY_E_INVALID;
    label.value_length = (size_t)(at - label.value) - 1;
    key->labels[key->label_count++] = label;
    *place = at;
    return MPROXY_OK;
}

// From what stands before the first label on, with or without one, up to the brace.
static mproxy_status read_labels(const struct mpx_line *line, const char *at,
                                 struct mpx_key *key, const char **end)
{
    at = skip(line, at);
    while (*at != '}') {
        mproxy_status status = read_label(line, &at, key);
        if (status)
            return status;
        at = skip(line, at);
        if (*at == '}')
            break;
        if (*at != ',')
            return unexpected(line, at, "',' or '}' behind a label");
        at = skip(line, at + 1);
        if (line->is_open && *at == '}')
            return unexpected(line, at, "a label's name");
    }
    *end = at + 1;
    return MPROXY_OK;
}

mproxy_status mpx_line_labels(const struct mpx_line *line, const char *at,
                              struct mpx_key *key, const char **end)
{
    key->label_count = 0;
    return read_labels(line, at + 1, key, end);
}

// `{"name",labels}`
static mproxy_status read_quoted(const struct mpx_line *line, const char *at,
                                 struct mpx_key *key, const char **end)
{
    at = mpx_line_skip(at + 1);
    if (*at != '"')
        return unexpected(line, at, "a metric's name in double quotes");
    mproxy_status status = mpx_line_name(line, at, key);
    if (status)
        return status;
    at = mpx_line_skip(key->end);
    key->label_count = 0;
    if (*at == '}') {
        *end = at + 1;
        return MPROXY_OK;
    }
    if (*at != ',')
        return unexpected(line, at, "',' or '}' behind the metric's name");
    return read_labels(line, at + 1, key, end);
}

static mproxy_status read_plain(const struct mpx_line *line, const char *at,
                                struct mpx_key *key, const char **end)
{
    if (*at == '"')
        return unexpected(line, at, "a metric's name, which in quotes stands in braces,");
    mproxy_status status = mpx_line_name(line, at, key);
    if (status)
        return status;
    if (line->is_open && key->base[0] == '_')
        return mpx_line_fault(line, at,
                              "metric '%.*s': names that begin with '_' are "
                              "reserved",
                              mpx_line_shown(line, at), at);
    key->label_count = 0;
    *end = key->end;
    at = skip(line, *end);
    if (*at == '{')
        return read_labels(line, at + 1, key, end);
    return *at == ' ' || at > *end || at == line->end
               ? MPROXY_OK
               : unexpected(line, at, "'{' or a blank behind the metric's name");
}

mproxy_status mpx_line_key(const struct mpx_line *line, struct mpx_key *key)
{
    const char *at = skip(line, line->at), *end = at;
    mproxy_status status = !line->is_open && *at == '{' ? read_quoted(line, at, key, &end)
                                                        : read_plain(line, at, key, &end);
    if (status)
        return status;
    if (line->is_open && *end != ' ')
        return unexpected(line, end, "one space and the value");
    key->end = line->is_open ? end + 1 : mpx_line_skip(end);
    return MPROXY_OK;
}

static bool is_after(const struct mpx_key_label *a, const struct mpx_key_label *b)
{
    bool a_is_le = same(a, "le", 2), b_is_le = same(b, "le", 2);
    if (a_is_le || b_is_le)
        return a_is_le && !b_is_le;
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->name, b->name, shorter);
    return order ? order > 0 : a->name_length > b->name_length;
}

void mpx_key_order(struct mpx_key *key, bool is_reserved)
{
    size_t used = 0;
    for (size_t i = 0; i < key->label_count; i++) {
        struct mpx_key_label label = key->labels[i];
        if (label.value_length == 0)
            continue;
        size_t to = used++;
        for (; to > 0 && !is_reserved && is_after(&key->labels[to - 1], &label); to--)
            key->labels[to] = key->labels[to - 1];
        key->labels[to] = label;
    }
    key->label_count = used;
}

// A name in quotes as it is meant.
static void put_unescaped(struct mpx_buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '\\' && i + 1 < length)
            c = text[++i] == 'n' ? '\n' : text[i];
        mpx_buf_add(out, &c, 1);
    }
}

// A value with the escapes of names in the store: a backslash before something else is one.
static void put_value(struct mpx_buf *out, const char *text, size_t length)
{
    size_t from = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\\')
            continue;
        i++;
        if (text[i] == '\\' || text[i] == '"' || text[i] == 'n')
            continue;
        mpx_buf_add(out, text + from, i - from);
        mpx_buf_add(out, "\\", 1);
        from = i;
    }
    mpx_buf_add(out, text + from, length - from);
}

void mpx_key_put_base(const struct mpx_key *key, struct mpx_buf *out)
{
    if (key->is_quoted)
        put_unescaped(out, key->base, key->base_length);
    else
        mpx_buf_add(out, key->base, key->base_length);
}

void mpx_key_put_labels(const struct mpx_key *key, const struct mpx_key_label *left_out,
                        struct mpx_buf *out)
{
    bool any = false;
    for (size_t i = 0; i < key->label_count; i++) {
        const struct mpx_key_label *label = &key->labels[i];
        if (label == left_out)
            continue;
        // A name that needs its quotes keeps them; the others are the same without.
        const char *plain = identifier_end(label->name, false);
        bool quotes = label->is_quoted && plain != label->name + label->name_length;
        mpx_buf_add(out, any ? "," : "{", 1);
        mpx_buf_add(out, label->name - quotes, label->name_length + 2 * (size_t)quotes);
        mpx_buf_add(out, "=\"", 2);
        put_value(out, label->value, label->value_length);
        mpx_buf_add(out, "\"", 1);
        any = true;
    }
    if (any)
        mpx_buf_add(out, "}", 1);
}
