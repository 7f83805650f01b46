// Lines that begin with '#'. In the text format 0.0.4 all but HELP and TYPE are comments; in
// OpenMetrics there are TYPE, UNIT, HELP and the end, each with one space between its words.

#include "exposition/parse_private.h"

#include <string.h>

struct kind {
    const char *word;
    uint8_t kind;
};

static const struct kind prometheus[] = {
    {"counter", MPROXY_FAMILY_COUNTER},     {"gauge", MPROXY_FAMILY_GAUGE},
    {"histogram", MPROXY_FAMILY_HISTOGRAM}, {"summary", MPROXY_FAMILY_SUMMARY},
    {"untyped", MPROXY_FAMILY_UNKNOWN},     {NULL, 0}};

static const struct kind openmetrics[] = {
    {"counter", MPROXY_FAMILY_COUNTER},
    {"gauge", MPROXY_FAMILY_GAUGE},
    {"histogram", MPROXY_FAMILY_HISTOGRAM},
    {"gaugehistogram", MPROXY_FAMILY_GAUGE_HISTOGRAM},
    {"stateset", MPROXY_FAMILY_STATE_SET},
    {"info", MPROXY_FAMILY_INFO},
    {"summary", MPROXY_FAMILY_SUMMARY},
    {"unknown", MPROXY_FAMILY_UNKNOWN},
    {NULL, 0}};

static bool is_word(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) == length && memcmp(at, word, length) == 0;
}

static mproxy_status read_kind(struct mpx_scan *s, const char *at, const char *end)
{
    const struct mpx_line *line = &s->line;
    for (const struct kind *k = line->is_open ? openmetrics : prometheus; k->word; k++)
        if (is_word(at, end, k->word))
            return mpx_group_set_kind(s, k->kind, at);
    mproxy_status status = mpx_line_word(line, at, "a type");
    if (status)
        return status;
    return mpx_line_fault(
        line, at, "type '%.*s': counter, gauge, histogram, summary%s expected",
        mpx_line_shown(line, at), at,
        line->is_open ? ", gaugehistogram, stateset, info or unknown" : " or untyped");
}

// Escapes and UTF-8. OpenMetrics' escapes are any, and a quote is one of what is escaped.
static mproxy_status check_help(const struct mpx_line *line, const char *at)
{
    mproxy_status status = mpx_line_utf8(line, at);
    for (; !status && at < line->end; at++) {
        if (line->is_open && *at == '"')
            return mpx_line_fault(line, at, "quote in HELP: \\\" expected");
        if (*at != '\\')
            continue;
        at++;
        if (at == line->end || (!line->is_open && *at != '\\' && *at != 'n'))
            return mpx_line_fault(line, at - 1, "escape in HELP: \\\\ or \\n expected");
    }
    return status;
}

static mproxy_status set(struct mpx_scan *s, enum mpx_meta_word word, const char *at)
{
    const struct mpx_line *line = &s->line;
    const char *end = mpx_word_end(at);
    mproxy_status status;
    switch (word) {
    case MPX_META_HELP:
        status = check_help(line, at);
        return status ? status : mpx_group_set_help(s, at, (size_t)(line->end - at));
    case MPX_META_TYPE:
        status = read_kind(s, at, end);
        if (!line->is_open)
            end = mpx_line_skip(end);
        break;
    default:
        end = mpx_line_unit(at);
        status = mpx_group_set_unit(s, at, (size_t)(end - at));
    }
    if (!status && end != line->end)
        status = mpx_line_fault(line, end, "end of the line expected");
    return status;
}

// The family's name, and what is behind it.
static mproxy_status read_rest(struct mpx_scan *s, enum mpx_meta_word word,
                               const char *at)
{
    const struct mpx_line *line = &s->line;
    struct mpx_key key = {0};
    mproxy_status status = mpx_line_name(line, at, &key);
    if (status)
        return status;
    struct mpx_buf *name = &s->p->name;
    mpx_buf_clear(name);
    mpx_key_put_base(&key, name);
    if (name->failed)
        return mpx_no_memory(s);
    const char *end = key.end;
    if (line->is_open && *end != ' ')
        return mpx_line_fault(line, end, "one space behind the metric's name expected");
    if (line->is_open && key.base[0] == '_')
        return mpx_line_fault(line, at,
                              "metric '%.*s': names that begin with '_' are "
                              "reserved",
                              mpx_line_shown(line, at), at);
    if (!line->is_open && end != line->end && !mpx_is_blank(*end))
        return mpx_line_fault(line, end,
                              "'%.*s': a blank behind the metric's name expected",
                              mpx_line_shown(line, end), end);
    status = mpx_group_meta(s, name->data, name->size, word, at);
    return status ? status : set(s, word, line->is_open ? end + 1 : mpx_line_skip(end));
}

static mproxy_status end_page(struct mpx_scan *s)
{
    s->is_ended = true;
    return MPROXY_OK;
}

static mproxy_status open_line(struct mpx_scan *s, const char *at)
{
    const struct mpx_line *line = &s->line;
    if (is_word(at, line->end, "# EOF"))
        return end_page(s);
    if (at[1] != ' ')
        return mpx_line_fault(line, at + 1, "one space behind '#' expected");
    const char *word = at + 2, *end = mpx_word_end(word);
    enum mpx_meta_word meta = is_word(word, end, "TYPE")   ? MPX_META_TYPE
                              : is_word(word, end, "HELP") ? MPX_META_HELP
                                                           : MPX_META_UNIT;
    mproxy_status status = mpx_line_word(line, word, "TYPE, UNIT, HELP or EOF");
    if (status)
        return status;
    if (meta == MPX_META_UNIT && !is_word(word, end, "UNIT"))
        return mpx_line_fault(line, word, "'%.*s': TYPE, UNIT, HELP or EOF expected",
                              mpx_line_shown(line, word), word);
    if (*end != ' ')
        return mpx_line_fault(line, end, "one space and a metric's name expected");
    return read_rest(s, meta, end + 1);
}

mproxy_status mpx_meta_line(struct mpx_scan *s, const char *at)
{
    if (s->line.is_open)
        return open_line(s, at);
    const char *word = mpx_line_skip(at + 1), *end = mpx_word_end(word);
    if (is_word(word, end, "HELP"))
        return read_rest(s, MPX_META_HELP, mpx_line_skip(end));
    if (is_word(word, end, "TYPE"))
        return read_rest(s, MPX_META_TYPE, mpx_line_skip(end));
    return mpx_line_utf8(&s->line, at);
}
