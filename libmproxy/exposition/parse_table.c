// The memory of a parser; parse_table.h says what is in it.
//
// Nothing in it is moved while a page is read, but at the end of arrays and of the text, so
// that a page that turns out to be malformed is undone by removing what it added. A spelling
// that it changed may stay: it is one more way to find the series. Positions are used in
// place of pointers throughout, as everything here grows.
//
// The index holds a series once or twice: under its spelling, and under its name if that is
// another text. What it takes to give a slot back is reserved when it is taken, so that
// removing cannot fail.

#include "exposition/parse_table.h"

#include <stdlib.h>

#include "base/array.h"

#define WASTE_ALLOWED ((size_t)64 << 10)

const char *mpx_kind_word(uint8_t kind)
{
    static const char *const words[] = {[MPROXY_FAMILY_UNKNOWN] = "unknown",
                                        [MPROXY_FAMILY_COUNTER] = "counter",
                                        [MPROXY_FAMILY_GAUGE] = "gauge",
                                        [MPROXY_FAMILY_HISTOGRAM] = "histogram",
                                        [MPROXY_FAMILY_GAUGE_HISTOGRAM] =
                                            "gaugehistogram",
                                        [MPROXY_FAMILY_SUMMARY] = "summary",
                                        [MPROXY_FAMILY_INFO] = "info",
                                        [MPROXY_FAMILY_STATE_SET] = "stateset"};
    return words[kind];
}

// --- slots and texts ---------------------------------------------------------------------

// A free slot, or the one behind all. What it takes to give it back is reserved here.
static uint32_t take_slot(struct mpx_slots *slots)
{
    if (slots->count > 0)
        return slots->free[--slots->count];
    if (slots->used == MPX_NONE - 1 ||
        !MPX_RESERVE(slots->free, slots->room, (size_t)slots->used + 1))
        return MPX_NONE;
    return slots->used++;
}

static void give_slot(struct mpx_slots *slots, uint32_t slot)
{
    slots->free[slots->count++] = slot;
}

bool mpx_parsed_keep(struct mpx_parse_table *t, const char *text, size_t length,
                     struct mpx_span *out)
{
    if (t->text.size + length >= MPX_NONE || !mpx_buf_reserve(&t->text, length + 1)) {
        t->text.failed = false;
        return false;
    }
    *out = (struct mpx_span){(uint32_t)t->text.size, (uint32_t)length};
    mpx_buf_add(&t->text, text, length);
    return true;
}

void mpx_parsed_fini(struct mpx_parse_table *t)
{
    mpx_buf_free(&t->text);
    free(t->series);
    free(t->families);
    free(t->points);
    free(t->series_slots.free);
    free(t->family_slots.free);
    free(t->point_slots.free);
    mpx_index_fini(&t->by_text);
    mpx_index_fini(&t->by_family);
    mpx_index_fini(&t->by_point);
}

// --- families and points -----------------------------------------------------------------

uint32_t mpx_parsed_find_family(const struct mpx_parse_table *t, const char *name,
                                size_t length)
{
    uint32_t hash = mpx_hash_bytes(name, length),
             at = mpx_index_start(&t->by_family, hash);
    for (uint32_t f; mpx_index_next(&t->by_family, hash, &at, &f);)
        if (mpx_parsed_is(t, t->families[f].name, name, length))
            return f;
    return MPX_NONE;
}

uint32_t mpx_parsed_family(struct mpx_parse_table *t, const char *name, size_t length)
{
    uint32_t found = mpx_parsed_find_family(t, name, length);
    if (found != MPX_NONE)
        return found;
    struct mpx_parse_family family = {.meta.kind = MPROXY_FAMILY_UNKNOWN};
    if (!mpx_index_reserve(&t->by_family, t->by_family.used + 1) ||
        !mpx_parsed_keep(t, name, length, &family.name))
        return MPX_NONE;
    uint32_t slot = take_slot(&t->family_slots);
    if (slot == MPX_NONE)
        return MPX_NONE;
    if (!MPX_RESERVE(t->families, t->families_room, (size_t)slot + 1)) {
        give_slot(&t->family_slots, slot);
        return MPX_NONE;
    }
    t->families[slot] = family;
    mpx_index_put(&t->by_family, mpx_hash_bytes(name, length), slot);
    return slot;
}

void mpx_parsed_drop_family(struct mpx_parse_table *t, uint32_t family)
{
    struct mpx_parse_family *f = &t->families[family];
    if (f->name.at == MPX_NONE || f->series > 0 || f->on_last)
        return;
    uint32_t hash = mpx_hash_bytes(mpx_parsed_text(t, f->name), f->name.length);
    mpx_index_remove(&t->by_family, hash, family);
    f->name.at = MPX_NONE;
    give_slot(&t->family_slots, family);
}

static uint32_t hash_point(uint32_t family, const char *key, size_t length)
{
    return mpx_hash_u64((uint64_t)family << 32 | mpx_hash_bytes(key, length));
}

uint32_t mpx_parsed_point(struct mpx_parse_table *t, uint32_t family, const char *key,
                          size_t length)
{
    uint32_t hash = hash_point(family, key, length);
    uint32_t at = mpx_index_start(&t->by_point, hash), slot;
    while (mpx_index_next(&t->by_point, hash, &at, &slot))
        if (t->points[slot].family == family &&
            mpx_parsed_is(t, t->points[slot].key, key, length))
            return slot;
    struct mpx_parse_point point = {.family = family};
    if (!mpx_index_reserve(&t->by_point, t->by_point.used + 1) ||
        !mpx_parsed_keep(t, key, length, &point.key))
        return MPX_NONE;
    slot = take_slot(&t->point_slots);
    if (slot == MPX_NONE)
        return MPX_NONE;
    if (!MPX_RESERVE(t->points, t->points_room, (size_t)slot + 1)) {
        give_slot(&t->point_slots, slot);
        return MPX_NONE;
    }
    t->points[slot] = point;
    mpx_index_put(&t->by_point, hash, slot);
    return slot;
}

static void unref_point(struct mpx_parse_table *t, uint32_t point)
{
    struct mpx_parse_point *p = &t->points[point];
    if (p->series > 0 && --p->series > 0)
        return;
    mpx_index_remove(&t->by_point,
                     hash_point(p->family, mpx_parsed_text(t, p->key), p->key.length),
                     point);
    give_slot(&t->point_slots, point);
}

// --- series ------------------------------------------------------------------------------

// A spelling is found under its text without one blank at its end: under its name, mostly.
static size_t hashed_length(const char *spelling, size_t length)
{
    return length > 0 && spelling[length - 1] == ' ' ? length - 1 : length;
}

uint32_t mpx_parsed_hash(const char *spelling, size_t length)
{
    return mpx_hash_bytes(spelling, hashed_length(spelling, length));
}

static bool is_named_as_spelled(const struct mpx_parse_series *s)
{
    return s->name.at == s->spelling.at;
}

uint32_t mpx_parsed_hashed(const struct mpx_parse_table *t, uint32_t hash,
                           const char *text, size_t length)
{
    uint32_t at = mpx_index_start(&t->by_text, hash);
    for (uint32_t s; mpx_index_next(&t->by_text, hash, &at, &s);)
        if (mpx_parsed_is(t, t->series[s].spelling, text, length))
            return s;
    return MPX_NONE;
}

uint32_t mpx_parsed_named(const struct mpx_parse_table *t, const char *name,
                          size_t length, uint32_t family, uint8_t kind, uint32_t *twin)
{
    uint32_t hash = mpx_hash_bytes(name, length), at = mpx_index_start(&t->by_text, hash);
    uint32_t found = MPX_NONE;
    for (uint32_t i; mpx_index_next(&t->by_text, hash, &at, &i);) {
        struct mpx_parse_series *s = &t->series[i];
        if (!mpx_parsed_is(t, s->name, name, length))
            continue;
        if (s->family == family && s->kind == kind) {
            found = i;
        } else {
            s->has_twin = true;
            if (s->page == t->page)
                *twin = i;
        }
    }
    return found;
}

static void put_cells(struct mpx_parse_table *t, uint32_t series)
{
    const struct mpx_parse_series *s = &t->series[series];
    const char *spelling = mpx_parsed_text(t, s->spelling);
    mpx_index_put(&t->by_text, mpx_parsed_hash(spelling, s->spelling.length), series);
    if (!is_named_as_spelled(s))
        mpx_index_put(&t->by_text,
                      mpx_hash_bytes(mpx_parsed_text(t, s->name), s->name.length),
                      series);
}

static void remove_cells(struct mpx_parse_table *t, uint32_t series)
{
    const struct mpx_parse_series *s = &t->series[series];
    const char *spelling = mpx_parsed_text(t, s->spelling);
    mpx_index_remove(&t->by_text, mpx_parsed_hash(spelling, s->spelling.length), series);
    if (!is_named_as_spelled(s))
        mpx_index_remove(&t->by_text,
                         mpx_hash_bytes(mpx_parsed_text(t, s->name), s->name.length),
                         series);
}

static bool agree(const char *name, size_t name_length, const char *spelling,
                  size_t length)
{
    return length == name_length + 1 && spelling[name_length] == ' ' &&
           memcmp(name, spelling, name_length) == 0;
}

// Texts of a series: one where they agree.
static bool keep_texts(struct mpx_parse_table *t, struct mpx_parse_series *s,
                       const char *name, size_t name_length, const char *spelling,
                       size_t length)
{
    if (!mpx_parsed_keep(t, spelling, length, &s->spelling))
        return false;
    if (!agree(name, name_length, spelling, length))
        return mpx_parsed_keep(t, name, name_length, &s->name);
    s->name = (struct mpx_span){s->spelling.at, (uint32_t)name_length};
    return true;
}

static uint32_t make_room(struct mpx_parse_table *t)
{
    if (!mpx_index_reserve(&t->by_text, t->by_text.used + 2))
        return MPX_NONE;
    uint32_t slot = take_slot(&t->series_slots);
    if (slot == MPX_NONE || MPX_RESERVE(t->series, t->series_room, (size_t)slot + 1))
        return slot;
    give_slot(&t->series_slots, slot);
    return MPX_NONE;
}

uint32_t mpx_parsed_add(struct mpx_parse_table *t, const struct mpx_parse_series *series,
                        const char *name, size_t name_length, const char *spelling,
                        size_t spelling_length)
{
    struct mpx_parse_series new = *series;
    bool kept = keep_texts(t, &new, name, name_length, spelling, spelling_length);
    uint32_t slot = kept ? make_room(t) : MPX_NONE;
    if (slot == MPX_NONE) {
        if (new.point != MPX_NONE && t->points[new.point].series == 0)
            unref_point(t, new.point);
        return MPX_NONE;
    }
    t->series[slot] = new;
    t->families[new.family].series++;
    if (new.point != MPX_NONE)
        t->points[new.point].series++;
    put_cells(t, slot);
    return slot;
}

bool mpx_parsed_respell(struct mpx_parse_table *t, uint32_t series, const char *spelling,
                        size_t length)
{
    struct mpx_parse_series new = t->series[series];
    // The name's bytes may move with the buffer; a copy of its own stays where it is.
    if (!mpx_index_reserve(&t->by_text, t->by_text.used + 1) ||
        !mpx_parsed_keep(t, spelling, length, &new.spelling))
        return false;
    remove_cells(t, series);
    if (agree(mpx_parsed_text(t, new.name), new.name.length, spelling, length))
        new.name.at = new.spelling.at;
    t->series[series] = new;
    put_cells(t, series);
    return true;
}

void mpx_parsed_remove(struct mpx_parse_table *t, uint32_t series)
{
    struct mpx_parse_series *s = &t->series[series];
    uint32_t family = s->family;
    remove_cells(t, series);
    if (s->point != MPX_NONE)
        unref_point(t, s->point);
    s->family = MPX_NONE;
    give_slot(&t->series_slots, series);
    t->families[family].series--;
    mpx_parsed_drop_family(t, family);
}

// --- compaction --------------------------------------------------------------------------

struct move {
    struct mpx_buf to;
    const char *from;
};

static void move_span(struct move *m, struct mpx_span *span)
{
    uint32_t at = (uint32_t)m->to.size;
    mpx_buf_add(&m->to, m->from + span->at, span->length);
    span->at = at;
}

static void move_series(struct move *m, struct mpx_parse_series *s)
{
    bool shared = is_named_as_spelled(s);
    move_span(m, &s->spelling);
    if (shared)
        s->name.at = s->spelling.at;
    else
        move_span(m, &s->name);
}

static void move_meta(struct move *m, struct mpx_parse_meta *meta)
{
    move_span(m, &meta->help);
    move_span(m, &meta->unit);
}

// Series in the order of the last page, `moved` telling which were there before.
static void move_outline(struct mpx_parse_table *t, struct mpx_outline *outline,
                         struct move *m, bool *moved)
{
    for (uint32_t i = 0; i < outline->count; i++) {
        struct mpx_piece *piece = &outline->pieces[i];
        struct mpx_span span = {piece->at, piece->length};
        if (piece->series == MPX_NONE) {
            move_span(m, &span);
            if (piece->ref != MPX_NONE)
                t->families[piece->ref].block = span;
        } else {
            struct mpx_parse_series *s = &t->series[piece->series];
            if (!moved[piece->series])
                move_series(m, s);
            moved[piece->series] = true;
            span = s->spelling;
        }
        piece->at = span.at;
        piece->length = span.length;
    }
}

static void move_all(struct mpx_parse_table *t, struct mpx_outline *outline,
                     struct move *m, bool *moved)
{
    for (uint32_t i = 0; i < t->family_slots.used; i++)
        t->families[i].block = (struct mpx_span){0};
    move_outline(t, outline, m, moved);
    for (uint32_t i = 0; i < t->series_slots.used; i++)
        if (t->series[i].family != MPX_NONE && !moved[i])
            move_series(m, &t->series[i]);
    for (uint32_t i = 0; i < t->family_slots.used; i++) {
        if (t->families[i].name.at == MPX_NONE)
            continue;
        move_span(m, &t->families[i].name);
        move_meta(m, &t->families[i].meta);
    }
    for (uint32_t i = 0; i < t->point_slots.used; i++)
        if (t->points[i].series > 0)
            move_span(m, &t->points[i].key);
}

void mpx_parsed_tidy(struct mpx_parse_table *t, struct mpx_outline *outline)
{
    if (t->text.size <= 2 * t->live + WASTE_ALLOWED)
        return;
    struct move m = {.from = t->text.data};
    bool *moved = calloc((size_t)t->series_slots.used + 1, sizeof *moved);
    // A little more than can be needed, so that nothing fails on the way.
    if (moved && mpx_buf_reserve(&m.to, t->text.size + 1)) {
        move_all(t, outline, &m, moved);
        mpx_buf_free(&t->text);
        t->text = m.to;
        t->live = m.to.size;
        char *fitting = realloc(m.to.data, m.to.size + 1);
        if (fitting) {
            t->text.data = fitting;
            t->text.room = m.to.size + 1;
        }
    }
    free(moved);
}
