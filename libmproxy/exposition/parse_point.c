// What the samples of a family owe each other.
//
// In the text format 0.0.4 a family's lines are in any order but for this: the buckets of one
// histogram and the quantiles of one summary stand in the order of their bounds. A histogram
// has a bucket `+Inf`, and its count is the value of that. The points of a family are
// gathered, and judged when it ends.
//
// In OpenMetrics all samples of a point stand together, so that one is open at a time and is
// judged when it ends. A metric may have several points, one behind the other, told apart by
// their times. A series that has no point, such as a gauge, may be repeated in the same way.
//
// What a value owes others is written into the outline as a rule with a place, so that the next
// page of the same order is judged by the same words: buckets do not fall, the count is the
// last bucket. A page in which that would take two places is `odd`, and compared to no later
// one. The same holds where times tell points apart.

#include "exposition/parse_private.h"

#include "base/array.h"

// --- faults ------------------------------------------------------------------------------

static int name_shown(const struct mpx_parse_series *s)
{
    return s->name.length < 100 ? (int)s->name.length : 100;
}

static mproxy_status name_fault(const struct mpx_scan *s,
                                const struct mpx_parse_series *x, const char *what)
{
    return mpx_line_fault(&s->line, s->line.at, "'%.*s': %s", name_shown(x),
                          mpx_parsed_text(s->t, x->name), what);
}

static mproxy_status point_fault(const struct mpx_scan *s,
                                 const struct mpx_parse_point *p, const char *what)
{
    const struct mpx_parse_family *f = &s->t->families[p->family];
    int shown = f->name.length < 80 ? (int)f->name.length : 80;
    int key_shown = p->key.length < 80 ? (int)p->key.length : 80;
    return mpx_fail_at(s->line.err, MPROXY_E_INVALID, p->line, 1, "%s '%.*s%.*s': %s",
                       mpx_kind_word(f->next.kind), shown, mpx_parsed_text(s->t, f->name),
                       key_shown, mpx_parsed_text(s->t, p->key), what);
}

static mproxy_status value_fault(const struct mpx_scan *s,
                                 const struct mpx_parse_series *x, uint32_t rule,
                                 const char *where)
{
    const char *expected = rule == MPX_RULE_NUMBER         ? "a number"
                           : rule == MPX_RULE_NOT_NEGATIVE ? "0 or more"
                           : rule == MPX_RULE_WHOLE        ? "a whole number"
                           : rule == MPX_RULE_ONE          ? "1"
                           : rule == MPX_RULE_BOOLEAN      ? "0 or 1"
                           : rule == MPX_RULE_NOT_BELOW
                               ? "at least that of the bucket before"
                           : rule == MPX_RULE_EQUAL ? "that of bucket le=\"+Inf\""
                                                    : "a finite number";
    return mpx_line_fault(&s->line, where, "value %.*s of '%.*s': %s expected",
                          mpx_line_shown(&s->line, where), where, name_shown(x),
                          mpx_parsed_text(s->t, x->name), expected);
}

// --- points ------------------------------------------------------------------------------

static bool is_histogram(uint8_t kind)
{
    return kind == MPROXY_FAMILY_HISTOGRAM || kind == MPROXY_FAMILY_GAUGE_HISTOGRAM;
}

static uint8_t kind_of(const struct mpx_scan *s, const struct mpx_parse_point *p)
{
    return s->t->families[p->family].next.kind;
}

static void start_point(const struct mpx_scan *s, struct mpx_parse_point *p, int64_t time)
{
    p->page = s->t->page;
    p->first = s->p->next.samples;
    p->bucket = p->infinite = p->count = p->sum = MPX_NONE;
    p->bound = -INFINITY;
    p->time = time;
    p->is_negative = false;
}

static mproxy_status end_open_histogram(const struct mpx_scan *s,
                                        const struct mpx_parse_point *p)
{
    bool is_gauge = kind_of(s, p) == MPROXY_FAMILY_GAUGE_HISTOGRAM;
    if (p->infinite == MPX_NONE)
        return point_fault(s, p, "no bucket le=\"+Inf\"");
    if (p->sum != MPX_NONE && p->count == MPX_NONE)
        return point_fault(s, p,
                           is_gauge ? "_gsum without _gcount" : "_sum without _count");
    if (p->count != MPX_NONE && p->sum == MPX_NONE)
        return point_fault(s, p,
                           is_gauge ? "_gcount without _gsum" : "_count without _sum");
    if (p->sum == MPX_NONE)
        return MPROXY_OK;
    if (!is_gauge && p->is_negative)
        return point_fault(s, p, "_sum beside a bucket below 0");
    if (is_gauge && !p->is_negative && s->p->values[p->sum] < 0)
        return point_fault(s, p, "_gsum below 0 without a bucket below 0");
    return MPROXY_OK;
}

static mproxy_status end_point(struct mpx_scan *s)
{
    if (s->point == MPX_NONE)
        return MPROXY_OK;
    const struct mpx_parse_point *p = &s->t->points[s->point];
    return is_histogram(kind_of(s, p)) ? end_open_histogram(s, p) : MPROXY_OK;
}

mproxy_status mpx_points_end(struct mpx_scan *s)
{
    mproxy_status status = end_point(s);
    s->point = MPX_NONE;
    for (uint32_t i = 0; i < s->points && !status; i++) {
        const struct mpx_parse_point *p = &s->t->points[s->p->points[i]];
        if (is_histogram(kind_of(s, p)) && p->infinite == MPX_NONE)
            status = point_fault(s, p, "no bucket le=\"+Inf\"");
    }
    s->points = 0;
    return status;
}

static bool gather(struct mpx_scan *s, uint32_t point)
{
    if (!MPX_RESERVE(s->p->points, s->p->points_room, (size_t)s->points + 1))
        return false;
    s->p->points[s->points++] = point;
    return true;
}

// --- one sample --------------------------------------------------------------------------

static mproxy_status take_bucket(struct mpx_scan *s, const struct mpx_parse_series *x,
                                 struct mpx_parse_point *p, double value,
                                 struct mpx_piece *piece)
{
    if (p->bucket != MPX_NONE && !(x->bound > p->bound))
        return name_fault(s, x, "buckets in the order of le expected");
    if (s->line.is_open && p->bucket != MPX_NONE) {
        piece->rules |= MPX_RULE_NOT_BELOW;
        piece->ref = p->bucket;
    }
    p->bucket = s->p->next.samples;
    p->bound = x->bound;
    p->is_negative |= x->bound < 0;
    if (x->bound != INFINITY)
        return MPROXY_OK;
    p->infinite = p->bucket;
    if (p->count == MPX_NONE)
        return MPROXY_OK;
    s->is_odd = true; // two places: that of the count, too
    return mpx_rule_holds(MPX_RULE_EQUAL, value, s->p->values[p->count])
               ? MPROXY_OK
               : name_fault(s, x, "the value of _count before it expected");
}

static mproxy_status take_quantile(struct mpx_scan *s, const struct mpx_parse_series *x,
                                   struct mpx_parse_point *p)
{
    if (!s->line.is_open && p->bucket != MPX_NONE && !(x->bound > p->bound))
        return name_fault(s, x, "quantiles in increasing order expected");
    p->bucket = s->p->next.samples;
    p->bound = x->bound;
    return MPROXY_OK;
}

static void take_count(struct mpx_scan *s, struct mpx_parse_point *p,
                       struct mpx_piece *piece)
{
    p->count = s->p->next.samples;
    if (!is_histogram(kind_of(s, p)))
        return;
    piece->ref = p->infinite;
    if (p->infinite != MPX_NONE)
        piece->rules |= MPX_RULE_EQUAL;
    else
        s->is_odd = true;
}

static void take_sum(struct mpx_scan *s, struct mpx_parse_point *p,
                     struct mpx_piece *piece)
{
    p->sum = s->p->next.samples;
    if (!s->line.is_open || kind_of(s, p) != MPROXY_FAMILY_GAUGE_HISTOGRAM)
        return;
    if (p->bucket == MPX_NONE)
        s->is_odd = true; // whether there are buckets below 0 is not known yet
    else if (!p->is_negative)
        piece->rules |= MPX_RULE_NOT_NEGATIVE;
}

static mproxy_status take_part(struct mpx_scan *s, const struct mpx_parse_series *x,
                               double value, struct mpx_piece *piece)
{
    struct mpx_parse_point *p = &s->t->points[x->point];
    p->line = s->line.number;
    switch (x->role) {
    case MPX_ROLE_BUCKET:
        return take_bucket(s, x, p, value, piece);
    case MPX_ROLE_QUANTILE:
        return take_quantile(s, x, p);
    case MPX_ROLE_COUNT:
        take_count(s, p, piece);
        break;
    case MPX_ROLE_SUM:
        take_sum(s, p, piece);
        break;
    }
    return MPROXY_OK;
}

static uint32_t open_rules(const struct mpx_parse_series *x)
{
    const uint32_t count = MPX_RULE_NUMBER | MPX_RULE_NOT_NEGATIVE;
    switch (x->role) {
    case MPX_ROLE_TOTAL:
        return MPX_RULE_TIMELESS | MPX_RULE_EXEMPLAR | count;
    case MPX_ROLE_CREATED:
        return MPX_RULE_TIMELESS | MPX_RULE_FINITE;
    case MPX_ROLE_BUCKET:
        return MPX_RULE_TIMELESS | MPX_RULE_EXEMPLAR | count | MPX_RULE_WHOLE;
    case MPX_ROLE_COUNT:
        return MPX_RULE_TIMELESS | count | MPX_RULE_WHOLE;
    case MPX_ROLE_SUM:
        return MPX_RULE_TIMELESS |
               (x->kind == MPROXY_FAMILY_GAUGE_HISTOGRAM ? (uint32_t)MPX_RULE_NUMBER
                                                         : count);
    case MPX_ROLE_QUANTILE:
        return MPX_RULE_TIMELESS | MPX_RULE_NOT_NEGATIVE;
    case MPX_ROLE_INFO:
        return MPX_RULE_ONE;
    case MPX_ROLE_STATE:
        return MPX_RULE_TIMELESS | MPX_RULE_BOOLEAN;
    }
    return 0;
}

static mproxy_status check_times(const struct mpx_scan *s,
                                 const struct mpx_parse_series *x, int64_t before,
                                 int64_t now)
{
    if (before == MPX_NO_TIME || now == MPX_NO_TIME)
        return name_fault(s, x, "given twice, which takes a time on both");
    return now < before ? name_fault(s, x, "times that do not go back expected")
                        : MPROXY_OK;
}

// Points of one metric stand behind each other, and their times do not go back.
static mproxy_status enter_open_point(struct mpx_scan *s,
                                      const struct mpx_parse_series *x, int64_t time)
{
    struct mpx_parse_point *p = &s->t->points[x->point];
    mproxy_status status = MPROXY_OK;
    if (s->point != x->point) {
        status = end_point(s);
        if (!status && p->page == s->t->page)
            return name_fault(s, x, "all samples of a metric together expected");
    } else if (time != p->time) {
        status = check_times(s, x, p->time, time);
    } else if (x->page != s->t->page || x->sample < p->first) {
        return MPROXY_OK; // a further sample of the same point
    } else if (time == MPX_NO_TIME || x->role == MPX_ROLE_BUCKET) {
        return name_fault(s, x, "given twice");
    }
    if (!status && s->point == x->point) {
        s->is_odd = true;
        status = end_point(s);
    }
    s->point = x->point;
    start_point(s, p, time);
    return status;
}

// A series without a point may be repeated at once, with times.
static mproxy_status check_repeated(struct mpx_scan *s, const struct mpx_parse_series *x,
                                    int64_t time)
{
    if (x->page != s->t->page)
        return MPROXY_OK;
    if (x->sample + 1 != s->p->next.samples)
        return name_fault(s, x, "given twice");
    s->is_odd = true;
    return check_times(s, x, s->has_times ? s->p->times[x->sample] : MPX_NO_TIME, time);
}

static mproxy_status take_open(struct mpx_scan *s, const struct mpx_parse_series *x,
                               double value, int64_t time, struct mpx_piece *piece)
{
    piece->rules |= open_rules(x);
    if (time != MPX_NO_TIME && (piece->rules & MPX_RULE_TIMELESS))
        s->is_odd = true;
    if (x->point == MPX_NONE)
        return check_repeated(s, x, time);
    mproxy_status status = enter_open_point(s, x, time);
    return status ? status : take_part(s, x, value, piece);
}

static mproxy_status take_prometheus(struct mpx_scan *s, const struct mpx_parse_series *x,
                                     double value, struct mpx_piece *piece)
{
    if (x->page == s->t->page)
        return name_fault(s, x, "given twice");
    if (x->point == MPX_NONE)
        return MPROXY_OK;
    struct mpx_parse_point *p = &s->t->points[x->point];
    if (p->page != s->t->page) {
        start_point(s, p, MPX_NO_TIME);
        if (!gather(s, x->point))
            return mpx_no_memory(s);
    }
    return take_part(s, x, value, piece);
}

mproxy_status mpx_point_take(struct mpx_scan *s, uint32_t series, double value,
                             int64_t time, const char *where, struct mpx_piece *piece)
{
    struct mpx_parse_series *x = &s->t->series[series];
    mproxy_status status = s->line.is_open ? take_open(s, x, value, time, piece)
                                           : take_prometheus(s, x, value, piece);
    if (status)
        return status;
    x->page = s->t->page;
    x->sample = s->p->next.samples;
    uint32_t broken = mpx_rules_broken(piece, value, s->p->values);
    return broken ? value_fault(s, x, broken, where) : MPROXY_OK;
}
