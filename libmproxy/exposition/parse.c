// The parser: reads a page line by line, or by comparing it with the page before.
//
// An exporter writes the same lines in the same order each time, and other numbers. So the
// parser keeps the *outline* of the last good page: its pieces, which are a sample's bytes up to
// the value, or the comment lines before one. A page is first *compared*: piece for piece, one
// memcmp() and one number each. Where all pieces agree, nothing else has to be asked: names,
// labels, families and their order were judged when the outline was made, and what values owe
// each other stands in the outline as rules.
//
// At the first difference, be it a new line, a malformed number or a broken rule, the page is
// *read* from the beginning of the family in which the difference is, line by line, and what
// was compared before is marked as seen. Reading finds most series by the line that followed
// on the last page, the others by a hash of the line up to its last word; only a name that is
// not known by its spelling is taken apart. A new outline is made on the way.
//
// A page is taken or refused whole. New series and families are entered while it is read, and
// removed again when it is refused; nothing of what was there is changed before its end.
//
// A newline must end the last line, so that no loop over a line's bytes needs a bound; the end
// of OpenMetrics, `# EOF`, may lack it, and is told apart first.

#include "exposition/parse_private.h"

#include "base/array.h"
#include "base/options.h"

// --- a new outline ------------------------------------------------------------------------

static bool push_piece(struct mpx_scan *s, struct mpx_piece piece)
{
    struct mpx_outline *outline = &s->p->next;
    if (outline->count == outline->room &&
        !MPX_RESERVE(outline->pieces, outline->room, (size_t)outline->count + 1))
        return false;
    outline->pieces[outline->count++] = piece;
    return true;
}

// The comments up to `end`, which stand before a sample of the current family.
static bool push_block(struct mpx_scan *s, const char *end, uint32_t rules)
{
    size_t length = (size_t)(end - s->block);
    struct mpx_span span = {0};
    if (s->family != MPX_NONE)
        span = s->t->families[s->family].block;
    if (!mpx_parsed_is(s->t, span, s->block, length) &&
        !mpx_parsed_keep(s->t, s->block, length, &span))
        return false;
    if (s->family != MPX_NONE)
        s->t->families[s->family].block = span;
    return push_piece(
        s, (struct mpx_piece){span.at, span.length, MPX_NONE, s->family, rules});
}

// Comments before it, and the sample.
static bool push_sample(struct mpx_scan *s, uint32_t series, struct mpx_piece piece)
{
    struct mpx_outline *outline = &s->p->next;
    struct mpx_span spelling = s->t->series[series].spelling;
    uint32_t starts = s->pushed != s->family ? MPX_RULE_STARTS : 0;
    s->pushed = s->family;
    if (s->block < s->line.at) {
        if (!push_block(s, s->line.at, starts))
            return false;
        starts = 0;
    }
    piece.at = spelling.at;
    piece.length = spelling.length;
    piece.series = series;
    piece.rules |= starts;
    if (outline->samples == outline->series_room &&
        !MPX_RESERVE(outline->series, outline->series_room, (size_t)outline->samples + 1))
        return false;
    if (!push_piece(s, piece))
        return false;
    outline->series[outline->samples++] = series;
    return true;
}

// The value and time of the sample that is `place` on the page.
static bool put_value(struct mpx_scan *s, uint32_t place, double value, int64_t time)
{
    mproxy_parser *p = s->p;
    if (place >= p->values_room &&
        !MPX_RESERVE(p->values, p->values_room, (size_t)place + 1))
        return false;
    p->values[place] = value;
    if (time == MPX_NO_TIME && !s->has_times)
        return true;
    if (!MPX_RESERVE(p->times, p->times_room, (size_t)place + 1))
        return false;
    for (uint32_t i = 0; i < place && !s->has_times; i++)
        p->times[i] = MPX_NO_TIME;
    s->has_times = true;
    p->times[place] = time;
    return true;
}

// --- reading line by line ----------------------------------------------------------------

static mproxy_status number_fault(const struct mpx_scan *s, const char *at,
                                  uint32_t series)
{
    const struct mpx_line *line = &s->line;
    struct mpx_span name = s->t->series[series].name;
    int shown = name.length < 100 ? (int)name.length : 100;
    mproxy_status status = mpx_line_word(line, at, "a number");
    if (status)
        return status;
    return mpx_line_fault(line, at, "value '%.*s' of '%.*s': a number expected",
                          mpx_line_shown(line, at), at, shown,
                          mpx_parsed_text(s->t, name));
}

static mproxy_status read_sample(struct mpx_scan *s)
{
    uint32_t series;
    const char *at;
    double value;
    mproxy_status status = mpx_sample_series(s, &series, &at);
    if (status)
        return status;
    const char *end = mpx_number_read(at, !s->line.is_open, &value);
    if (!end)
        return number_fault(s, at, series);
    int64_t time = MPX_NO_TIME;
    if (*end != '\n')
        status = mpx_sample_tail(s, end, &s->t->series[series], &time);
    if (status)
        return status;
    struct mpx_piece piece = {.ref = MPX_NONE};
    if (!put_value(s, s->p->next.samples, value, time))
        return mpx_no_memory(s);
    status = mpx_point_take(s, series, value, time, at, &piece);
    if (status)
        return status;
    if (!push_sample(s, series, piece))
        return mpx_no_memory(s);
    s->block = s->line.end + 1;
    return MPROXY_OK;
}

// Whether the next line is likely that of a series of the current family which owes others
// nothing: the one that followed on the last page.
static bool is_plain_follower(const struct mpx_scan *s, const struct mpx_parse_series *x)
{
    return x->family == s->family && x->page != s->t->page && x->role == MPX_ROLE_VALUE &&
           !x->has_twin && s->t->families[x->family].next.kind == x->kind;
}

// Take the lines at `at` that are in the order of the last page, without looking for their
// ends first. A newline ends the page. Returns where it goes on by single lines.
static const char *follow(struct mpx_scan *s, const char *at)
{
    const struct mpx_outline *last = &s->p->last;
    while (s->guess < last->samples && s->family != MPX_NONE && s->block == at) {
        uint32_t series = last->series[s->guess], place = s->p->next.samples;
        struct mpx_parse_series *x = &s->t->series[series];
        double value;
        if (!is_plain_follower(s, x) || (size_t)(s->end - at) <= x->spelling.length ||
            memcmp(at, mpx_parsed_text(s->t, x->spelling), x->spelling.length) != 0)
            break;
        const char *end =
            mpx_number_read(at + x->spelling.length, !s->line.is_open, &value);
        if (!end || *end != '\n' || (size_t)(end - at) > s->p->o.max_line_bytes ||
            !put_value(s, place, value, MPX_NO_TIME))
            break;
        s->line.at = at;
        if (!push_sample(s, series, (struct mpx_piece){.ref = MPX_NONE}))
            break;
        x->page = s->t->page;
        x->sample = place;
        s->guess++;
        s->line.number++;
        s->block = at = end + 1;
    }
    return at;
}

static mproxy_status read_line(struct mpx_scan *s)
{
    const struct mpx_line *line = &s->line;
    size_t length = (size_t)(line->end - line->at);
    if (s->is_ended)
        return mpx_line_fault(line, line->at, "nothing behind '# EOF' expected");
    if (length > s->p->o.max_line_bytes)
        return mpx_fail_at(line->err, MPROXY_E_LIMIT, line->number, 1,
                           "line of %zu bytes, at most %zu", length,
                           s->p->o.max_line_bytes);
    if (line->is_open) {
        if (length == 0)
            return mpx_line_fault(line, line->at, "empty line: none expected");
        if (line->end[-1] == '\r')
            return mpx_line_fault(line, line->end - 1,
                                  "carriage return: a line ends in a line feed alone");
        return *line->at == '#' ? mpx_meta_line(s, line->at) : read_sample(s);
    }
    const char *at = mpx_line_skip(line->at);
    if (at == line->end)
        return MPROXY_OK;
    return *at == '#' ? mpx_meta_line(s, at) : read_sample(s);
}

// What stands behind the last newline of the page.
static mproxy_status read_rest(struct mpx_scan *s, const char *at)
{
    s->line.at = at;
    s->line.number++;
    size_t length = (size_t)(s->end - at);
    if (s->line.is_open && !s->is_ended && length == 5 && memcmp(at, "# EOF", 5) == 0) {
        s->is_ended = true;
        return MPROXY_OK;
    }
    if (s->is_ended)
        return mpx_line_fault(&s->line, at, "nothing behind '# EOF' expected");
    return mpx_line_fault(&s->line, s->end, "end of the page: a line feed expected");
}

static mproxy_status read_lines(struct mpx_scan *s, const char *at)
{
    mproxy_status status = MPROXY_OK;
    bool ends_in_newline = at < s->end && s->end[-1] == '\n';
    while (at < s->end && !status) {
        if (ends_in_newline)
            at = follow(s, at);
        if (at == s->end)
            break;
        const char *end = memchr(at, '\n', (size_t)(s->end - at));
        if (!end) {
            status = read_rest(s, at);
            break;
        }
        s->line.at = at;
        s->line.end = end;
        s->line.number++;
        status = read_line(s);
        at = end + 1;
    }
    if (status)
        return status;
    if (s->line.is_open && !s->is_ended)
        return mpx_fail_at(s->line.err, MPROXY_E_INVALID, s->line.number + 1, 1,
                           "end of the page: '# EOF' expected");
    status = mpx_group_end(s);
    if (!status && s->block < s->end && !push_block(s, s->end, 0))
        status = mpx_no_memory(s);
    return status;
}

// --- comparing with the last page --------------------------------------------------------

// Where reading may begin: before a family.
struct place {
    const char *at;
    uint32_t piece;
    uint32_t sample;
    size_t exemplars;
};

// What stands behind a value that no newline follows.
static const char *compare_tail(struct mpx_scan *s, const char *at,
                                const struct mpx_piece *piece, int64_t *time)
{
    s->line.at = at;
    s->line.end = memchr(at, '\n', (size_t)(s->end - at));
    if (mpx_sample_tail(s, at, &s->t->series[piece->series], time) != MPROXY_OK)
        return NULL;
    if (*time != MPX_NO_TIME && (piece->rules & MPX_RULE_TIMELESS))
        return NULL;
    return s->line.end;
}

// How far the page agrees with the last one. True: all of it.
static bool compare(struct mpx_scan *s, struct place *last_family)
{
    const struct mpx_outline *outline = &s->p->last;
    const char *at = s->text, *text = s->t->text.data;
    double *values = s->p->values;
    bool go = !s->line.is_open;
    struct place begins = *last_family;
    uint32_t sample = 0;
    for (uint32_t i = 0; i < outline->count; i++) {
        const struct mpx_piece *piece = &outline->pieces[i];
        if ((size_t)(s->end - at) < piece->length ||
            memcmp(at, text + piece->at, piece->length) != 0)
            return false;
        if (piece->rules & MPX_RULE_STARTS)
            begins = (struct place){at, i, sample, s->exemplars};
        at += piece->length;
        if (piece->series == MPX_NONE)
            continue; // of the family before, too, unless a sample shows that it is not
        *last_family = begins;
        int64_t time = MPX_NO_TIME;
        const char *end = mpx_number_read(at, go, &values[sample]);
        if (end && *end != '\n')
            end = compare_tail(s, end, piece, &time);
        if (!end || ((piece->rules & (uint32_t)MPX_RULE_VALUES) &&
                     mpx_rules_broken(piece, values[sample], values)))
            return false;
        if ((time != MPX_NO_TIME || s->has_times) &&
            !put_value(s, sample, values[sample], time))
            return false;
        sample++;
        at = end + 1;
    }
    return at == s->end;
}

// Everything before a place is on this page, too.
static bool take_over(struct mpx_scan *s, const struct place *to)
{
    const struct mpx_outline *last = &s->p->last;
    struct mpx_outline *next = &s->p->next;
    if (!MPX_RESERVE(next->pieces, next->room, (size_t)to->piece) ||
        !MPX_RESERVE(next->series, next->series_room, (size_t)to->sample))
        return false;
    for (uint32_t i = 0; i < to->sample; i++) {
        struct mpx_parse_series *x = &s->t->series[last->series[i]];
        if (x->family != s->pushed && !mpx_group_mark(s, x->family))
            return false;
        s->pushed = x->family;
        x->page = s->t->page;
        x->sample = i;
        next->series[i] = last->series[i];
    }
    if (to->piece > 0)
        memcpy(next->pieces, last->pieces, to->piece * sizeof *next->pieces);
    next->count = to->piece;
    next->samples = to->sample;
    s->family = MPX_NONE;
    return true;
}

static int count_lines(const char *at, const char *end)
{
    int count = 0;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        count++;
    }
    return count;
}

// Whether a newline stands behind every value.
static bool is_comparable(const struct mpx_scan *s, mproxy_format format)
{
    const struct mpx_outline *last = &s->p->last;
    static const char end[] = "\n# EOF";
    size_t length = (size_t)(s->end - s->text);
    if (!last->is_replayable || last->format != format || last->count == 0 || length == 0)
        return false;
    return s->end[-1] == '\n' || (s->line.is_open && length > strlen(end) &&
                                  memcmp(s->end - strlen(end), end, strlen(end)) == 0);
}

// --- a page ------------------------------------------------------------------------------

static void begin_page(mproxy_parser *p)
{
    p->table.page++;
    p->next.count = p->next.samples = p->next.family_count = 0;
    p->next.has_bare = false;
    p->fresh_count = p->gone_count = 0;
    p->claim_count = 0;
    mpx_index_clear(&p->by_claim);
}

static void roll_back(mproxy_parser *p)
{
    while (p->fresh_count > 0)
        mpx_parsed_remove(&p->table, p->fresh[--p->fresh_count]);
    for (uint32_t i = 0; i < p->next.family_count; i++)
        mpx_parsed_drop_family(&p->table, p->next.families[i]);
    for (uint32_t i = 0; i < p->last.samples; i++)
        p->table.series[p->last.series[i]].sample = i;
    mpx_parsed_tidy(&p->table, &p->last);
}

static void commit_families(mproxy_parser *p, const struct mpx_outline *before)
{
    struct mpx_parse_table *t = &p->table;
    for (uint32_t i = 0; i < before->family_count; i++)
        t->families[before->families[i]].on_last = false;
    for (uint32_t i = 0; i < p->last.family_count; i++) {
        struct mpx_parse_family *f = &t->families[p->last.families[i]];
        f->meta = f->next;
        f->on_last = true;
    }
    for (uint32_t i = 0; i < before->family_count; i++)
        mpx_parsed_drop_family(t, before->families[i]);
}

// The page that was read becomes the last one. Room for `gone` is there.
static void commit(mproxy_parser *p, const struct mpx_scan *s, mproxy_format format)
{
    struct mpx_outline before = p->last;
    p->last = p->next;
    p->next = before;
    p->last.format = format;
    p->last.is_replayable = !s->is_odd;
    bool may_be_gone = s->has_returned || p->fresh_count > 0 || s->is_odd ||
                       before.samples != p->last.samples || !before.is_replayable;
    for (uint32_t i = 0; may_be_gone && i < before.samples; i++)
        if (p->table.series[before.series[i]].page != p->table.page &&
            (p->gone_count == 0 || p->gone[p->gone_count - 1] != before.series[i]))
            p->gone[p->gone_count++] = before.series[i];
    commit_families(p, &before);
    mpx_parsed_tidy(&p->table, &p->last);
}

static mproxy_status read_page(struct mpx_scan *s, const struct place *from)
{
    mproxy_parser *p = s->p;
    if (!MPX_RESERVE(p->gone, p->gone_room, (size_t)p->last.samples + 1))
        return mpx_no_memory(s);
    s->line.at = from->at;
    s->line.number = count_lines(s->text, from->at);
    s->exemplars = from->exemplars;
    s->guess = from->sample;
    s->block = from->at;
    static const char mark[] = "\xef\xbb\xbf";
    if ((size_t)(s->end - s->text) >= strlen(mark) &&
        memcmp(s->text, mark, strlen(mark)) == 0)
        return mpx_fail_at(s->line.err, MPROXY_E_INVALID, 1, 1,
                           "byte-order mark: none expected");
    return take_over(s, from) ? read_lines(s, from->at) : mpx_no_memory(s);
}

static void give_page(const mproxy_parser *p, const struct mpx_scan *s, bool same,
                      mproxy_page *page)
{
    const struct mpx_outline *outline = &p->last;
    mproxy_page out = {.count = outline->samples,
                       .series = outline->series,
                       .values = p->values,
                       .times_us = s->has_times ? p->times : NULL,
                       .fresh = p->fresh,
                       .fresh_count = p->fresh_count,
                       .gone = p->gone,
                       .gone_count = p->gone_count,
                       .families = outline->family_count,
                       .exemplars = s->exemplars,
                       .same_order = same};
    MPX_STRUCT_GIVE(mproxy_page, same_order, page, &out, NULL);
}

mproxy_status mproxy_parser_read(mproxy_parser *parser, const char *text, size_t length,
                                 mproxy_format format, mproxy_page *page,
                                 mproxy_error *err)
{
    MPX_REQUIRE(parser && page && (text || length == 0), err);
    mproxy_status status = MPX_STRUCT_CHECK(mproxy_page, same_order, page, err);
    if (status)
        return status;
    if (format != MPROXY_FORMAT_PROMETHEUS && format != MPROXY_FORMAT_OPENMETRICS)
        return mpx_fail(err, MPROXY_E_INVALID, "format %d: a text format expected",
                        (int)format);
    struct mpx_scan s = {.p = parser, .t = &parser->table, .text = text};
    struct place from = {.at = text};
    s.end = text + length;
    s.family = s.pushed = s.point = MPX_NONE;
    s.line.is_open = format == MPROXY_FORMAT_OPENMETRICS;
    begin_page(parser);
    bool same = is_comparable(&s, format) && compare(&s, &from);
    if (!same) {
        s.line.err = err;
        if (parser->last.has_bare)
            from = (struct place){.at = text};
        status = read_page(&s, &from);
        if (status) {
            roll_back(parser);
            return status;
        }
        commit(parser, &s, format);
    }
    give_page(parser, &s, same, page);
    return MPROXY_OK;
}
