// A sample: the series that its name is, and what stands behind its value.
//
// Three questions are asked in turn, the dear one last. Is it the line that followed on the last
// page? Is it, up to its last word (or the one before, if that is a time), a spelling that is
// known? Else the name is taken apart, its labels are put in order, and the series is found
// by the result, or added.
//
// The first two compare bytes. What they find was judged when it was spelled for the first time,
// but for one thing: which family a name belongs to depends on the TYPE lines of this page.
// Where the family that is current, or that the name now begins, is not the series' own, or is
// of another kind, the name is taken apart as if it were unknown.
//
// A spelling ends in a blank, or in the brace of its labels, so that no other name begins
// with it; blanks or a brace behind it mean that the line is another one.

#include "exposition/parse_private.h"

#include <string.h>

#include "base/array.h"
#include "base/utf8.h"
#include "metric/reserved.h"

#define EXEMPLAR_CHARACTERS 128
#define MISSES 8
#define NAME_LIMIT 1024 // above it no name is taken

// --- the series of a name that is not known by its spelling ------------------------------

// The number that a label's value is, such as a bucket's bound.
static mproxy_status read_bound(const struct mpx_scan *s, const struct mpx_key *key,
                                const char *name, const struct mpx_key_label **label,
                                double *bound)
{
    const struct mpx_line *line = &s->line;
    const struct mpx_key_label *l = *label = mpx_key_find(key, name, strlen(name));
    if (!l || l->value_length == 0)
        return mpx_line_fault(line, line->at, "label '%s' of '%.*s' expected", name,
                              mpx_line_shown(line, key->base), key->base);
    int shown = l->value_length < 60 ? (int)l->value_length : 60;
    if (!mpx_number_is(l->value, l->value_length, !line->is_open, bound) || isnan(*bound))
        return mpx_line_fault(line, l->value, "%s=\"%.*s\": a number expected", name,
                              shown, l->value);
    bool is_infinite = *bound == INFINITY && strcmp(name, "le") == 0;
    if (line->is_open && is_infinite &&
        !(l->value_length == 4 && memcmp(l->value, "+Inf", 4) == 0))
        return mpx_line_fault(line, l->value, "le=\"%.*s\": +Inf expected", shown,
                              l->value);
    if (line->is_open && strcmp(name, "quantile") == 0 && !(*bound >= 0 && *bound <= 1))
        return mpx_line_fault(line, l->value, "quantile=\"%.*s\": 0 to 1 expected", shown,
                              l->value);
    return MPROXY_OK;
}

static mproxy_status read_state(const struct mpx_scan *s, const struct mpx_key *key,
                                const struct mpx_key_label **label)
{
    struct mpx_span name = s->t->families[s->family].name;
    *label = mpx_key_find(key, mpx_parsed_text(s->t, name), name.length);
    if (*label && (*label)->value_length > 0)
        return MPROXY_OK;
    int shown = name.length < 80 ? (int)name.length : 80;
    return mpx_line_fault(&s->line, s->line.at, "label '%.*s' with the state expected",
                          shown, mpx_parsed_text(s->t, name));
}

// OpenMetrics keeps the labels of buckets and quantiles from their metric.
static mproxy_status check_reserved(const struct mpx_scan *s, const struct mpx_key *key,
                                    uint8_t kind)
{
    const char *name =
        kind == MPROXY_FAMILY_SUMMARY ? "quantile"
        : kind == MPROXY_FAMILY_HISTOGRAM || kind == MPROXY_FAMILY_GAUGE_HISTOGRAM ? "le"
                                                                                   : NULL;
    const struct mpx_key_label *label =
        s->line.is_open && name ? mpx_key_find(key, name, strlen(name)) : NULL;
    return label ? mpx_line_fault(&s->line, label->name,
                                  "label '%s' of a %s: none expected", name,
                                  mpx_kind_word(kind))
                 : MPROXY_OK;
}

// What a role asks of the labels. *left_out is the one that is not the metric's.
static mproxy_status check_role(const struct mpx_scan *s, const struct mpx_key *key,
                                struct mpx_parse_series *x,
                                const struct mpx_key_label **left_out)
{
    *left_out = NULL;
    switch (x->role) {
    case MPX_ROLE_BUCKET:
        return read_bound(s, key, "le", left_out, &x->bound);
    case MPX_ROLE_QUANTILE:
        return read_bound(s, key, "quantile", left_out, &x->bound);
    case MPX_ROLE_STATE:
        return read_state(s, key, left_out);
    }
    return check_reserved(s, key, x->kind);
}

static bool has_point(const struct mpx_scan *s, const struct mpx_parse_series *x)
{
    if (x->role == MPX_ROLE_VALUE || x->role == MPX_ROLE_INFO)
        return false;
    return s->line.is_open || x->kind == MPROXY_FAMILY_HISTOGRAM ||
           (x->kind == MPROXY_FAMILY_SUMMARY && x->role == MPX_ROLE_QUANTILE);
}

static bool make_name(const struct mpx_scan *s, struct mpx_key *key)
{
    struct mpx_buf *name = &s->p->name;
    mpx_buf_clear(name);
    mpx_key_put_base(key, name);
    const char *base = mpx_buf_text(name);
    if (!base)
        return false;
    mpx_key_order(key, mpx_name_is_reserved(base));
    mpx_key_put_labels(key, NULL, name);
    return mpx_buf_text(name) != NULL;
}

static bool find_point(const struct mpx_scan *s, const struct mpx_key *key,
                       const struct mpx_key_label *left_out, struct mpx_parse_series *x)
{
    struct mpx_buf *point = &s->p->point;
    x->point = MPX_NONE;
    if (!has_point(s, x))
        return true;
    mpx_buf_clear(point);
    mpx_key_put_labels(key, left_out, point);
    if (!mpx_buf_text(point))
        return false;
    x->point = mpx_parsed_point(s->t, s->family, point->data, point->size);
    return x->point != MPX_NONE;
}

static mproxy_status add_fresh(struct mpx_scan *s, uint32_t series)
{
    mproxy_parser *p = s->p;
    p->fresh[p->fresh_count++] = series;
    return MPROXY_OK;
}

// Names without quotes are of the form that the store takes, but for length and controls.
static bool fits(const struct mpx_key *key, const struct mpx_buf *name)
{
    bool is_quoted = key->is_quoted;
    for (size_t i = 0; i < key->label_count; i++)
        is_quoted |= key->labels[i].is_quoted;
    if (is_quoted || name->size > NAME_LIMIT)
        return mproxy_metric_check_name(name->data, name->size, NULL) == MPROXY_OK;
    return mpx_utf8_is_printable(name->data, name->size);
}

static mproxy_status add_series(struct mpx_scan *s, struct mpx_parse_series *x,
                                const struct mpx_key *key,
                                const struct mpx_key_label *left_out, uint32_t *series)
{
    mproxy_parser *p = s->p;
    uint32_t known = s->t->series_slots.used - s->t->series_slots.count;
    if (known >= p->o.max_series)
        return mpx_fail_at(s->line.err, MPROXY_E_LIMIT, s->line.number, 1,
                           "more than %zu series", p->o.max_series);
    if (!MPX_RESERVE(p->fresh, p->fresh_room, (size_t)p->fresh_count + 1) ||
        !find_point(s, key, left_out, x))
        return mpx_no_memory(s);
    x->fits = fits(key, &p->name);
    *series = mpx_parsed_add(s->t, x, p->name.data, p->name.size, s->line.at,
                             (size_t)(key->end - s->line.at));
    return *series == MPX_NONE ? mpx_no_memory(s) : add_fresh(s, *series);
}

// The left-out label moves when labels are put in order.
static const struct mpx_key_label *again(const struct mpx_key *key,
                                         const struct mpx_key_label *label,
                                         struct mpx_key_label copy)
{
    return label ? mpx_key_find(key, copy.name, copy.name_length) : NULL;
}

static mproxy_status find_or_add(struct mpx_scan *s, struct mpx_key *key,
                                 enum mpx_role role, uint32_t *series)
{
    mproxy_parser *p = s->p;
    struct mpx_parse_series x = {
        .family = s->family, .role = (uint8_t)role, .sample = MPX_NONE};
    x.kind = s->t->families[s->family].next.kind;
    x.base_length = (uint32_t)p->name.size;
    const struct mpx_key_label *left_out;
    mproxy_status status = check_role(s, key, &x, &left_out);
    if (status)
        return status;
    struct mpx_key_label copy = left_out ? *left_out : (struct mpx_key_label){0};
    if (!make_name(s, key))
        return mpx_no_memory(s);
    uint32_t twin = MPX_NONE;
    *series = mpx_parsed_named(s->t, p->name.data, p->name.size, x.family, x.kind, &twin);
    if (twin != MPX_NONE)
        return mpx_line_fault(&s->line, s->line.at, "'%.100s': given twice",
                              p->name.data);
    if (*series == MPX_NONE)
        return add_series(s, &x, key, again(key, left_out, copy), series);
    size_t length = (size_t)(key->end - s->line.at);
    if (mpx_parsed_is(s->t, s->t->series[*series].spelling, s->line.at, length) ||
        mpx_parsed_respell(s->t, *series, s->line.at, length))
        return MPROXY_OK;
    return mpx_no_memory(s);
}

static mproxy_status read_name(struct mpx_scan *s, uint32_t *series, const char **value)
{
    mproxy_parser *p = s->p;
    struct mpx_key key = {.labels = p->labels, .label_room = p->o.max_labels};
    mproxy_status status = mpx_line_key(&s->line, &key);
    // Without a value a name would be a spelling that others begin with.
    if (!status && key.end == s->line.end)
        status = mpx_line_word(&s->line, key.end, "a number");
    if (status)
        return status;
    mpx_buf_clear(&p->name);
    mpx_key_put_base(&key, &p->name);
    if (p->name.failed)
        return mpx_no_memory(s);
    *value = key.end;
    enum mpx_role role;
    status =
        mpx_group_sample(s, p->name.data, p->name.size, &role, mpx_line_skip(s->line.at));
    return status ? status : find_or_add(s, &key, role, series);
}

// --- the series of a known spelling ------------------------------------------------------

// Neither more blanks than there were nor labels follow.
static bool ends_there(const char *value)
{
    return !mpx_is_blank(*value) && *value != '{';
}

// The series with this spelling, or MPX_NONE.
static uint32_t by_spelling(const struct mpx_parse_table *t, const char *text,
                            size_t length)
{
    return mpx_parsed_hashed(t, mpx_parsed_hash(text, length), text, length);
}

// The line up to its last word is a spelling, or up to the one before if the last is a time.
static uint32_t find_spelled(struct mpx_scan *s, const char **value)
{
    if (s->misses >= MISSES && !s->has_times) {
        uint32_t found = mpx_ahead_find(s, value);
        if (found != MPX_NONE && ends_there(*value))
            return found;
    }
    const char *last = mpx_line_last_word(s->line.at, s->line.end);
    const char *before = mpx_line_last_word(s->line.at, last);
    const char *tries[2] = {s->has_times ? before : last, s->has_times ? last : before};
    for (int i = 0; i < 2; i++) {
        if (tries[i] == s->line.at || !ends_there(tries[i]))
            continue;
        uint32_t found = by_spelling(s->t, s->line.at, (size_t)(tries[i] - s->line.at));
        *value = tries[i];
        if (found != MPX_NONE)
            return found;
    }
    return MPX_NONE;
}

// The series that followed on the last page, if that is this line. Where lines come in another
// order it never is, and asking costs memory that is not in the cache: then only some ask.
static uint32_t find_guessed(struct mpx_scan *s, const char **value)
{
    const struct mpx_outline *last = &s->p->last;
    if (s->guess >= last->samples || (s->misses >= MISSES && s->line.number % MISSES))
        return MPX_NONE;
    uint32_t series = last->series[s->guess];
    struct mpx_span spelling = s->t->series[series].spelling;
    *value = s->line.at + spelling.length;
    if ((size_t)(s->line.end - s->line.at) < spelling.length ||
        memcmp(s->line.at, mpx_parsed_text(s->t, spelling), spelling.length) != 0 ||
        !ends_there(*value)) {
        s->misses++;
        return MPX_NONE;
    }
    s->misses = 0;
    return series;
}

static bool is_current(const struct mpx_scan *s, const struct mpx_parse_series *x)
{
    return x->family == s->family && !x->has_twin &&
           s->t->families[x->family].next.kind == x->kind &&
           s->t->families[x->family].has_samples;
}

// Whether the series is what its name is on this page. A fault, or no memory: not MPROXY_OK.
static mproxy_status is_same(struct mpx_scan *s, uint32_t series, bool *same)
{
    const struct mpx_parse_series *x = &s->t->series[series];
    *same = is_current(s, x);
    if (*same || x->has_twin)
        return MPROXY_OK;
    struct mpx_buf *name = &s->p->name;
    mpx_buf_clear(name);
    mpx_buf_add(name, mpx_parsed_text(s->t, x->name), x->base_length);
    if (name->failed)
        return mpx_no_memory(s);
    enum mpx_role role;
    mproxy_status status =
        mpx_group_sample(s, name->data, name->size, &role, mpx_line_skip(s->line.at));
    *same = !status && is_current(s, x);
    return status;
}

mproxy_status mpx_sample_series(struct mpx_scan *s, uint32_t *series, const char **value)
{
    uint32_t found = find_guessed(s, value);
    if (found == MPX_NONE)
        found = find_spelled(s, value);
    bool same = false;
    mproxy_status status = found != MPX_NONE ? is_same(s, found, &same) : MPROXY_OK;
    if (status)
        return status;
    if (!same)
        status = read_name(s, &found, value);
    if (status)
        return status;
    uint32_t before = s->t->series[found].sample;
    const struct mpx_outline *last = &s->p->last;
    if (before >= last->samples || last->series[before] != found)
        s->has_returned = true;
    else if (s->t->series[found].page != s->t->page)
        s->guess = before + 1;
    *series = found;
    return MPROXY_OK;
}

// --- behind the value --------------------------------------------------------------------

static const char *read_time(const struct mpx_scan *s, const char *at, int64_t *time)
{
    const struct mpx_line *line = &s->line;
    const char *end =
        line->is_open ? mpx_time_read_s(at, time) : mpx_time_read_ms(at, time);
    if (end)
        return end;
    if (mpx_line_word(line, at, "a time") == MPROXY_OK)
        mpx_line_fault(
            line, at, "time '%.*s': a %s expected", mpx_line_shown(line, at), at,
            line->is_open ? "number of seconds" : "whole number of milliseconds");
    return NULL;
}

// Characters of a text with escapes, each of which is one.
static size_t count_characters(const char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length &&
            (text[i + 1] == '\\' || text[i + 1] == '"' || text[i + 1] == 'n'))
            i++;
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count;
}

static mproxy_status check_exemplar(const struct mpx_scan *s, const struct mpx_key *key,
                                    const struct mpx_parse_series *x, double value,
                                    const char *where)
{
    size_t characters = 0;
    for (size_t i = 0; i < key->label_count; i++)
        characters += count_characters(key->labels[i].name, key->labels[i].name_length) +
                      count_characters(key->labels[i].value, key->labels[i].value_length);
    if (characters > EXEMPLAR_CHARACTERS)
        return mpx_line_fault(&s->line, where,
                              "exemplar's labels of %zu characters: at most %d expected",
                              characters, EXEMPLAR_CHARACTERS);
    if (x->role == MPX_ROLE_BUCKET && !(value <= x->bound))
        return mpx_line_fault(&s->line, where,
                              "exemplar's value: at most the bucket's le expected");
    return MPROXY_OK;
}

// `# {labels} value [time]`, from the '#' on.
static mproxy_status read_exemplar(const struct mpx_scan *s, const char *at,
                                   const struct mpx_parse_series *x)
{
    const struct mpx_line *line = &s->line;
    struct mpx_key key = {.labels = s->p->labels, .label_room = s->p->o.max_labels};
    const char *where = at, *end;
    double value;
    int64_t time;
    if (x->role != MPX_ROLE_TOTAL && x->role != MPX_ROLE_BUCKET)
        return mpx_line_fault(line, at,
                              "exemplar: none expected but of _total and _bucket");
    if (at[1] != ' ' || at[2] != '{')
        return mpx_line_fault(line, at + 1,
                              "one space and an exemplar's labels expected");
    mproxy_status status = mpx_line_labels(line, at + 2, &key, &end);
    if (status)
        return status;
    if (*end != ' ')
        return mpx_line_fault(line, end, "one space and an exemplar's value expected");
    at = end + 1;
    end = mpx_number_read(at, false, &value);
    if (!end && (status = mpx_line_word(line, at, "an exemplar's value")))
        return status;
    if (!end)
        return mpx_line_fault(line, at, "exemplar's value '%.*s': a number expected",
                              mpx_line_shown(line, at), at);
    status = check_exemplar(s, &key, x, value, where);
    if (status || *end == '\n')
        return status;
    if (*end == ' ')
        end = read_time(s, end + 1, &time);
    if (end && end != line->end)
        return mpx_line_fault(line, end, "end of the line expected");
    return end ? MPROXY_OK : MPROXY_E_INVALID;
}

static mproxy_status open_tail(struct mpx_scan *s, const char *at,
                               const struct mpx_parse_series *x, int64_t *time)
{
    if (*at == ' ' && at[1] != '#') {
        at = read_time(s, at + 1, time);
        if (!at)
            return MPROXY_E_INVALID;
    }
    if (at == s->line.end)
        return MPROXY_OK;
    if (*at != ' ' || at[1] != '#')
        return mpx_line_fault(&s->line, at,
                              "end of the line, or one space and an exemplar, "
                              "expected");
    s->exemplars++;
    return read_exemplar(s, at + 1, x);
}

mproxy_status mpx_sample_tail(struct mpx_scan *s, const char *at,
                              const struct mpx_parse_series *x, int64_t *time)
{
    *time = MPX_NO_TIME;
    if (s->line.is_open)
        return open_tail(s, at, x, time);
    at = mpx_line_skip(at);
    if (at == s->line.end)
        return MPROXY_OK;
    at = read_time(s, at, time);
    if (!at)
        return MPROXY_E_INVALID;
    at = mpx_line_skip(at);
    return at == s->line.end
               ? MPROXY_OK
               : mpx_line_fault(&s->line, at, "'%.*s': end of the line expected",
                                mpx_line_shown(&s->line, at), at);
}
