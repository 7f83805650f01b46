// The inside of the parser. parse.c drives; parse_meta.c reads comment lines and
// parse_sample.c the names of samples; both tell parse_group.c, which knows the families of
// the page, and that parse_point.c, which knows what the samples of one family owe each other.
#ifndef MPX_EXPOSITION_PARSE_PRIVATE_H
#define MPX_EXPOSITION_PARSE_PRIVATE_H

#include <math.h>

#include "exposition/parse_line.h"
#include "exposition/parse_number.h"
#include "exposition/parse_table.h"

// A sample's name that a family of the page may have, OpenMetrics only.
struct mpx_claim {
    uint32_t family;
    const char *suffix;
};

struct mproxy_parser {
    mproxy_parser_options o;
    struct mpx_parse_table table;
    struct mpx_outline last; // the last good page
    struct mpx_outline next; // the page that is read
    double *values;          // of samples, in the order of the page
    int64_t *times;
    size_t values_room, times_room;
    uint32_t *fresh, *gone;
    size_t fresh_room, gone_room;
    uint32_t fresh_count, gone_count;
    struct mpx_key_label *labels; // scratch: o.max_labels
    struct mpx_buf name, point;   // scratch
    struct mpx_buf told;          // what mproxy_parser_series() gave out
    struct mpx_claim *claims;
    size_t claims_room;
    uint32_t claim_count;
    struct mpx_index by_claim;
    uint32_t *points; // of the current family, text format 0.0.4
    size_t points_room;
};

// A line that is looked at before its turn.
#define MPX_AHEAD 8
struct mpx_ahead_line {
    const char *at;
    const char *value; // its last word
    uint32_t hash;     // of what stands before that
    uint32_t series;   // that may be it
};

// How far a page is read.
struct mpx_scan {
    mproxy_parser *p;
    struct mpx_parse_table *t;
    struct mpx_line line;
    const char *text; // the page
    const char *end;
    const char *block; // where the comments behind the last sample begin
    uint32_t family;   // current; MPX_NONE: none
    uint32_t pushed;   // that of the last sample
    uint32_t point;    // current, OpenMetrics
    uint32_t points;   // of the current family, text format 0.0.4
    uint32_t guess;    // place on the last page of what the next line may be
    uint32_t misses;   // lines in turn that were something else
    struct mpx_ahead_line ahead[MPX_AHEAD];
    const char *ahead_at; // the line behind them
    uint32_t ahead_from, ahead_count;
    size_t exemplars;
    bool has_times;    // a sample before this one had a time
    bool is_odd;       // the page's order depends on what the outline does not hold
    bool has_returned; // a series that was known, and not on the last page
    bool is_ended;     // # EOF was there
};

// What a piece of a outline says of its sample.
enum mpx_rule {
    MPX_RULE_STARTS = 1 << 0,   // a family begins here
    MPX_RULE_TIMELESS = 1 << 1, // a time would tell points apart
    MPX_RULE_EXEMPLAR = 1 << 2, // may have one
    // What its value must be. But for the first, NaN is asked for by itself.
    MPX_RULE_NUMBER = 1 << 3, // not NaN
    MPX_RULE_NOT_NEGATIVE = 1 << 4,
    MPX_RULE_WHOLE = 1 << 5,
    MPX_RULE_ONE = 1 << 6,
    MPX_RULE_BOOLEAN = 1 << 7,
    MPX_RULE_NOT_BELOW = 1 << 8, // that of `ref`
    MPX_RULE_EQUAL = 1 << 9,     // to that of `ref`
    MPX_RULE_FINITE = 1 << 10,
    MPX_RULE_VALUES = ~7
};

static inline bool mpx_rule_holds(uint32_t rule, double value, double other)
{
    switch (rule) {
    case MPX_RULE_NUMBER:
        return !isnan(value);
    case MPX_RULE_NOT_NEGATIVE:
        return !(value < 0);
    case MPX_RULE_WHOLE:
        return isfinite(value) && floor(value) == value;
    case MPX_RULE_ONE:
        return value == 1;
    case MPX_RULE_BOOLEAN:
        return value == 0 || value == 1;
    case MPX_RULE_NOT_BELOW:
        return value >= other;
    case MPX_RULE_EQUAL:
        return value == other || (isnan(value) && isnan(other));
    case MPX_RULE_FINITE:
        return isfinite(value);
    }
    return true;
}

// The first rule that a value breaks; 0: none.
static inline uint32_t mpx_rules_broken(const struct mpx_piece *piece, double value,
                                        const double *values)
{
    double other = piece->ref != MPX_NONE ? values[piece->ref] : 0;
    for (uint32_t left = piece->rules & (uint32_t)MPX_RULE_VALUES; left; left &= left - 1)
        if (!mpx_rule_holds(left & -left, value, other))
            return left & -left;
    return 0;
}

static inline mproxy_status mpx_no_memory(const struct mpx_scan *s)
{
    return mpx_fail(s->line.err, MPROXY_E_NOMEM, "no memory for the page's series");
}

// parse_point.c

// Take the current sample into its family. *piece gets what its value owes, and is checked.
mproxy_status mpx_point_take(struct mpx_scan *s, uint32_t series, double value,
                             int64_t time, const char *where, struct mpx_piece *piece);
// The current family ends here.
mproxy_status mpx_points_end(struct mpx_scan *s);

// parse_group.c

// What HELP, TYPE and UNIT say of a family, which becomes the current one.
enum mpx_meta_word { MPX_META_HELP, MPX_META_TYPE, MPX_META_UNIT };
mproxy_status mpx_group_meta(struct mpx_scan *s, const char *name, size_t length,
                             enum mpx_meta_word word, const char *where);
mproxy_status mpx_group_set_kind(struct mpx_scan *s, uint8_t kind, const char *where);
mproxy_status mpx_group_set_unit(struct mpx_scan *s, const char *unit, size_t length);
mproxy_status mpx_group_set_help(struct mpx_scan *s, const char *help, size_t length);
// The current family becomes that of a sample of this name.
mproxy_status mpx_group_sample(struct mpx_scan *s, const char *base, size_t length,
                               enum mpx_role *role, const char *where);
// A family of the page's part that was compared, with samples.
bool mpx_group_mark(struct mpx_scan *s, uint32_t family);
mproxy_status mpx_group_end(struct mpx_scan *s);

// parse_meta.c

// A line that begins with '#', at `at`. MPROXY_OK, or a fault.
mproxy_status mpx_meta_line(struct mpx_scan *s, const char *at);

// parse_ahead.c

// The series whose spelling is the current line up to its last word, which *value is.
uint32_t mpx_ahead_find(struct mpx_scan *s, const char **value);

// parse_sample.c

// The series of the current line, by its name, which *value stands behind. One that is not
// known is added to the parser's `fresh`.
mproxy_status mpx_sample_series(struct mpx_scan *s, uint32_t *series, const char **value);
// What follows a value: time, exemplar, and the line's end.
mproxy_status mpx_sample_tail(struct mpx_scan *s, const char *at,
                              const struct mpx_parse_series *series, int64_t *time);

#endif
