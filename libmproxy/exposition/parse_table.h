// What a parser remembers between pages: series, families, points, and their texts.
//
// A *series* is a name with labels in a family of a kind; the same name in a family of
// another kind is another series. Its *spelling* is how the last page wrote it, up to its
// value, blanks included; most are spelled as they are named but for one blank, and then share
// the bytes. A *point* is what the samples of one histogram, summary, counter or state set of
// OpenMetrics have in common: their labels without `le`, `quantile` or the state.
//
// All texts lie in one buffer, as (place, length). What is dropped stays there until half of
// the buffer is waste; then what lives is copied, in the order of the last page.
#ifndef MPX_EXPOSITION_PARSE_TABLE_H
#define MPX_EXPOSITION_PARSE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <mproxy/exposition.h>

#include "base/buf.h"
#include "base/index.h"

#define MPX_NONE UINT32_MAX

struct mpx_span {
    uint32_t at;
    uint32_t length;
};

// What a sample is to its family.
enum mpx_role {
    MPX_ROLE_VALUE,
    MPX_ROLE_TOTAL,
    MPX_ROLE_CREATED,
    MPX_ROLE_BUCKET,
    MPX_ROLE_COUNT,
    MPX_ROLE_SUM,
    MPX_ROLE_QUANTILE,
    MPX_ROLE_INFO,
    MPX_ROLE_STATE,
    MPX_ROLE_NONE
};

struct mpx_parse_series {
    struct mpx_span spelling;
    struct mpx_span name;
    double bound;         // of a bucket or quantile
    uint32_t base_length; // of its name
    uint32_t family;      // MPX_NONE: the slot is free
    uint32_t point;       // MPX_NONE: none
    uint32_t page;        // the last one it was seen on, refused ones included
    uint32_t sample;      // its last place on that page; MPX_NONE: none yet
    uint8_t kind;
    uint8_t role;
    bool fits;
    bool has_twin; // another series may have its name
};

// What HELP, TYPE and UNIT say. Help as it is written, escapes included.
struct mpx_parse_meta {
    struct mpx_span help;
    struct mpx_span unit;
    int line; // where the family begins
    uint8_t kind;
    bool has_help;
    bool has_unit;
    bool has_type;
};

struct mpx_parse_family {
    struct mpx_span name;       // at MPX_NONE: the slot is free
    struct mpx_span block;      // the comments before its first sample, as last seen
    struct mpx_parse_meta meta; // as the last good page says
    struct mpx_parse_meta next; // as the page that is read says
    uint32_t series;            // that belong to it
    uint32_t page;              // the last one it was seen on
    bool has_samples;           // there
    bool on_last;               // on the last good page
};

struct mpx_parse_point {
    struct mpx_span key; // labels
    uint32_t family;
    uint32_t series; // that belong to it; 0: the slot is free
    uint32_t page;   // the last one it was seen on; what follows is of that page
    int line;        // of its last sample
    uint32_t first;  // places of samples; MPX_NONE: none
    uint32_t bucket; // the last one
    uint32_t infinite;
    uint32_t count;
    uint32_t sum;
    double bound; // of the last bucket or quantile
    int64_t time;
    bool is_negative; // has a bucket below zero
};

// Slots of one of the arrays that are free again.
struct mpx_slots {
    uint32_t *free;
    size_t room;
    uint32_t count;
    uint32_t used; // slots that were ever taken
};

struct mpx_parse_table {
    struct mpx_buf text;
    size_t live; // bytes that were left when it was last compacted
    struct mpx_parse_series *series;
    struct mpx_parse_family *families;
    struct mpx_parse_point *points;
    size_t series_room, families_room, points_room;
    struct mpx_slots series_slots, family_slots, point_slots;
    struct mpx_index by_text; // series, by spelling and by name
    struct mpx_index by_family;
    struct mpx_index by_point;
    uint32_t page; // number of the page that is read
};

// A stretch of a page: a sample up to its value, or a block of comment lines.
struct mpx_piece {
    uint32_t at; // its bytes
    uint32_t length;
    uint32_t series; // MPX_NONE: comments
    uint32_t
        ref; // a sample's: the place of the one its value is compared to; of comments:
             // the family that they stand before
    uint32_t rules;
};

// The order of a page.
struct mpx_outline {
    struct mpx_piece *pieces;
    size_t room;
    uint32_t count;
    uint32_t *series; // of each sample
    size_t series_room;
    uint32_t samples;
    uint32_t *families; // in the order of the page
    size_t families_room;
    uint32_t family_count;
    mproxy_format format;
    bool is_replayable; // its next page may be compared piece by piece
    bool has_bare;      // families without samples
};

static inline const char *mpx_parsed_text(const struct mpx_parse_table *t,
                                          struct mpx_span span)
{
    return t->text.data + span.at;
}

static inline bool mpx_parsed_is(const struct mpx_parse_table *t, struct mpx_span span,
                                 const char *text, size_t length)
{
    return span.length == length && memcmp(mpx_parsed_text(t, span), text, length) == 0;
}

// The word of a mproxy_family_kind in texts.
const char *mpx_kind_word(uint8_t kind);

void mpx_parsed_fini(struct mpx_parse_table *t);
// False when there is no memory, or no place below 4 GiB.
bool mpx_parsed_keep(struct mpx_parse_table *t, const char *text, size_t length,
                     struct mpx_span *out);

// The hash that a spelling is found under, and what is found there: a series or MPX_NONE.
uint32_t mpx_parsed_hash(const char *spelling, size_t length);
uint32_t mpx_parsed_hashed(const struct mpx_parse_table *t, uint32_t hash,
                           const char *text, size_t length);
// The series of this name, of a family of this kind. *twin is set to one of another that
// is on the page that is read, or left alone.
uint32_t mpx_parsed_named(const struct mpx_parse_table *t, const char *name,
                          size_t length, uint32_t family, uint8_t kind, uint32_t *twin);
// Add a series, all of whose fields but its texts are set. MPX_NONE: no memory.
uint32_t mpx_parsed_add(struct mpx_parse_table *t, const struct mpx_parse_series *series,
                        const char *name, size_t name_length, const char *spelling,
                        size_t spelling_length);
bool mpx_parsed_respell(struct mpx_parse_table *t, uint32_t series, const char *spelling,
                        size_t length);
void mpx_parsed_remove(struct mpx_parse_table *t, uint32_t series);

// Both find or add. MPX_NONE: no memory (find: not there).
uint32_t mpx_parsed_find_family(const struct mpx_parse_table *t, const char *name,
                                size_t length);
uint32_t mpx_parsed_family(struct mpx_parse_table *t, const char *name, size_t length);
uint32_t mpx_parsed_point(struct mpx_parse_table *t, uint32_t family, const char *key,
                          size_t length);
// Remove a family that has no series and is on no good page.
void mpx_parsed_drop_family(struct mpx_parse_table *t, uint32_t family);

// Get rid of waste, if there is much of it.
void mpx_parsed_tidy(struct mpx_parse_table *t, struct mpx_outline *outline);

#endif
