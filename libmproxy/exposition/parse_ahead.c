// Looking up lines that come in no known order.
//
// A page of 100,000 series and what is known of them do not fit into the cache, so that a line
// waits three times: for the cell of the index, for the series there, and for its spelling. In
// disorder the lines behind the current one are therefore hashed some lines ahead, and memory
// is asked for what they will want, one step at a time. Nothing is decided here: what a line
// is, is asked when its turn comes.

#include "exposition/parse_private.h"

// How many lines before its turn each step of a line is taken.
#define CELL_AHEAD (MPX_AHEAD - 1)
#define SERIES_AHEAD 4
#define TEXT_AHEAD 2

// Each asks memory for what the next step looks at.

static void warm_cell(const struct mpx_parse_table *t, uint32_t hash)
{
    if (t->by_text.room > 0)
        __builtin_prefetch(&t->by_text.cells[mpx_index_start(&t->by_text, hash)]);
}

static uint32_t warm_series(const struct mpx_parse_table *t, uint32_t hash)
{
    uint32_t at = mpx_index_start(&t->by_text, hash), series;
    if (!mpx_index_next(&t->by_text, hash, &at, &series))
        return MPX_NONE;
    __builtin_prefetch(&t->series[series]);
    return series;
}

static void warm_text(const struct mpx_parse_table *t, uint32_t series)
{
    if (series != MPX_NONE)
        __builtin_prefetch(mpx_parsed_text(t, t->series[series].spelling));
}

static struct mpx_ahead_line *ahead(struct mpx_scan *s, uint32_t lines)
{
    return &s->ahead[(s->ahead_from + lines) % MPX_AHEAD];
}

static bool look_at_next(struct mpx_scan *s)
{
    const char *at = s->ahead_at, *end = NULL;
    if (at < s->end)
        end = memchr(at, '\n', (size_t)(s->end - at));
    if (!end)
        return false;
    const char *value = mpx_line_last_word(at, end);
    struct mpx_ahead_line *line = ahead(s, s->ahead_count++);
    *line = (struct mpx_ahead_line){.at = at, .value = value, .series = MPX_NONE};
    line->hash = mpx_parsed_hash(at, (size_t)(value - at));
    warm_cell(s->t, line->hash);
    s->ahead_at = end + 1;
    return true;
}

// The lines from the current one on.
static void align(struct mpx_scan *s)
{
    while (s->ahead_count > 0 && ahead(s, 0)->at < s->line.at) {
        s->ahead_from++;
        s->ahead_count--;
    }
    if (s->ahead_count == 0)
        s->ahead_at = s->line.at;
    while (s->ahead_count <= CELL_AHEAD && look_at_next(s)) {
    }
}

uint32_t mpx_ahead_find(struct mpx_scan *s, const char **value)
{
    align(s);
    if (s->ahead_count == 0 || ahead(s, 0)->at != s->line.at)
        return MPX_NONE;
    if (s->ahead_count > SERIES_AHEAD)
        ahead(s, SERIES_AHEAD)->series = warm_series(s->t, ahead(s, SERIES_AHEAD)->hash);
    if (s->ahead_count > TEXT_AHEAD)
        warm_text(s->t, ahead(s, TEXT_AHEAD)->series);
    const struct mpx_ahead_line *line = ahead(s, 0);
    *value = line->value;
    return mpx_parsed_hashed(s->t, line->hash, line->at,
                             (size_t)(line->value - line->at));
}
