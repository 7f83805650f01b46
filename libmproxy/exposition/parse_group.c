// The families of a page: which line belongs to which, and that each is one group of lines.
//
// One family is current. A comment line that names another, or a sample that cannot belong to
// the current one, ends it; then it is closed for the rest of the page. So a family in two
// groups, a TYPE behind a sample and a second HELP are all found by looking at one record.
//
// Which samples belong to a family, its kind tells: a histogram `x` has `x_bucket`, `x_sum`
// and `x_count`. OpenMetrics wants a suffix of most kinds, and wants no name to be one that
// two families of the page might have: each family *claims* its names, and a second claim of
// a name is a fault. The text format 0.0.4 has suffixes for histograms and summaries alone.

#include "exposition/parse_private.h"

#include <stdio.h>

#include "base/array.h"
#include "base/text.h"

struct suffix {
    const char *text;
    enum mpx_role role;
};

#define SUFFIXES 5
#define LAST                                                                             \
    {                                                                                    \
        NULL, MPX_ROLE_NONE                                                              \
    }

// The first of each is the one to name.
static const struct suffix prometheus[][SUFFIXES] = {
    [MPROXY_FAMILY_UNKNOWN] = {{"", MPX_ROLE_VALUE}, LAST},
    [MPROXY_FAMILY_COUNTER] = {{"", MPX_ROLE_VALUE}, LAST},
    [MPROXY_FAMILY_GAUGE] = {{"", MPX_ROLE_VALUE}, LAST},
    [MPROXY_FAMILY_HISTOGRAM] = {{"_bucket", MPX_ROLE_BUCKET},
                                 {"_sum", MPX_ROLE_SUM},
                                 {"_count", MPX_ROLE_COUNT},
                                 LAST},
    [MPROXY_FAMILY_SUMMARY] = {{"", MPX_ROLE_QUANTILE},
                               {"_sum", MPX_ROLE_SUM},
                               {"_count", MPX_ROLE_COUNT},
                               LAST},
};

static const struct suffix openmetrics[][SUFFIXES] = {
    [MPROXY_FAMILY_UNKNOWN] = {{"", MPX_ROLE_VALUE}, LAST},
    [MPROXY_FAMILY_COUNTER] = {{"_total", MPX_ROLE_TOTAL},
                               {"_created", MPX_ROLE_CREATED},
                               LAST},
    [MPROXY_FAMILY_GAUGE] = {{"", MPX_ROLE_VALUE}, LAST},
    [MPROXY_FAMILY_HISTOGRAM] = {{"_bucket", MPX_ROLE_BUCKET},
                                 {"_count", MPX_ROLE_COUNT},
                                 {"_sum", MPX_ROLE_SUM},
                                 {"_created", MPX_ROLE_CREATED},
                                 LAST},
    [MPROXY_FAMILY_GAUGE_HISTOGRAM] = {{"_bucket", MPX_ROLE_BUCKET},
                                       {"_gcount", MPX_ROLE_COUNT},
                                       {"_gsum", MPX_ROLE_SUM},
                                       LAST},
    [MPROXY_FAMILY_SUMMARY] = {{"", MPX_ROLE_QUANTILE},
                               {"_count", MPX_ROLE_COUNT},
                               {"_sum", MPX_ROLE_SUM},
                               {"_created", MPX_ROLE_CREATED},
                               LAST},
    [MPROXY_FAMILY_INFO] = {{"_info", MPX_ROLE_INFO}, LAST},
    [MPROXY_FAMILY_STATE_SET] = {{"", MPX_ROLE_STATE}, LAST},
};

static const struct suffix *suffixes_of(const struct mpx_scan *s, uint8_t kind)
{
    return s->line.is_open ? openmetrics[kind] : prometheus[kind];
}

static struct mpx_parse_family *current(const struct mpx_scan *s)
{
    return &s->t->families[s->family];
}

static int shown(size_t length)
{
    return length < 80 ? (int)length : 80;
}

static enum mpx_role role_in(const struct mpx_scan *s, uint32_t family, const char *base,
                             size_t length)
{
    const struct mpx_parse_family *f = &s->t->families[family];
    if (length < f->name.length ||
        memcmp(base, mpx_parsed_text(s->t, f->name), f->name.length) != 0)
        return MPX_ROLE_NONE;
    base += f->name.length;
    length -= f->name.length;
    for (const struct suffix *x = suffixes_of(s, f->next.kind); x->text; x++)
        if (strlen(x->text) == length && memcmp(x->text, base, length) == 0)
            return x->role;
    return MPX_ROLE_NONE;
}

// --- claims ------------------------------------------------------------------------------

// A claim's name, whole.
static uint32_t hash_claim(struct mpx_scan *s, const struct mpx_claim *claim)
{
    const struct mpx_parse_family *f = &s->t->families[claim->family];
    struct mpx_buf *b = &s->p->point;
    mpx_buf_clear(b);
    mpx_buf_add(b, mpx_parsed_text(s->t, f->name), f->name.length);
    mpx_buf_add_text(b, claim->suffix);
    return mpx_hash_bytes(b->data, b->size);
}

static bool is_claim(const struct mpx_scan *s, const struct mpx_claim *claim,
                     const char *text, size_t length)
{
    const struct mpx_parse_family *f = &s->t->families[claim->family];
    return f->name.length + strlen(claim->suffix) == length &&
           memcmp(text, mpx_parsed_text(s->t, f->name), f->name.length) == 0 &&
           memcmp(text + f->name.length, claim->suffix, length - f->name.length) == 0;
}

static mproxy_status add_claim(struct mpx_scan *s, struct mpx_claim claim,
                               const char *where)
{
    mproxy_parser *p = s->p;
    uint32_t hash = hash_claim(s, &claim), at = mpx_index_start(&p->by_claim, hash), i;
    if (p->point.failed)
        return mpx_no_memory(s);
    while (mpx_index_next(&p->by_claim, hash, &at, &i))
        if (is_claim(s, &p->claims[i], p->point.data, p->point.size)) {
            const struct mpx_parse_family *f = &s->t->families[p->claims[i].family];
            return mpx_line_fault(
                &s->line, where, "name '%.*s' belongs to %s '%.*s' of line %d",
                shown(p->point.size), p->point.data, mpx_kind_word(f->next.kind),
                shown(f->name.length), mpx_parsed_text(s->t, f->name), f->next.line);
        }
    if (!MPX_RESERVE(p->claims, p->claims_room, (size_t)p->claim_count + 1) ||
        !mpx_index_reserve(&p->by_claim, p->claim_count + 1))
        return mpx_no_memory(s);
    p->claims[p->claim_count] = claim;
    mpx_index_put(&p->by_claim, hash, p->claim_count++);
    return MPROXY_OK;
}

// The names that the current family may have.
static mproxy_status claim_names(struct mpx_scan *s, const char *where)
{
    mproxy_status status = MPROXY_OK;
    if (!s->line.is_open)
        return status;
    for (const struct suffix *x = suffixes_of(s, current(s)->next.kind);
         x->text && !status; x++)
        status = add_claim(s, (struct mpx_claim){s->family, x->text}, where);
    return status;
}

// --- groups ------------------------------------------------------------------------------

static bool enter(struct mpx_scan *s, uint32_t family)
{
    struct mpx_outline *outline = &s->p->next;
    if (!MPX_RESERVE(outline->families, outline->families_room,
                     (size_t)outline->family_count + 1))
        return false;
    outline->families[outline->family_count++] = family;
    struct mpx_parse_family *f = &s->t->families[family];
    f->page = s->t->page;
    f->has_samples = false;
    f->next =
        (struct mpx_parse_meta){.line = s->line.number, .kind = MPROXY_FAMILY_UNKNOWN};
    s->family = family;
    return true;
}

bool mpx_group_mark(struct mpx_scan *s, uint32_t family)
{
    if (s->t->families[family].page == s->t->page)
        return true;
    if (!enter(s, family))
        return false;
    current(s)->next = current(s)->meta;
    current(s)->has_samples = true;
    return claim_names(s, s->line.at) == MPROXY_OK;
}

mproxy_status mpx_group_end(struct mpx_scan *s)
{
    mproxy_status status = mpx_points_end(s);
    if (s->family == MPX_NONE || status)
        return status;
    if (!current(s)->has_samples) {
        s->p->next.has_bare = true;
        if (!current(s)->next.has_type)
            status = claim_names(s, s->line.at);
    }
    s->family = MPX_NONE;
    return status;
}

// End the current family, and begin this one.
static mproxy_status begin(struct mpx_scan *s, const char *name, size_t length,
                           const char *where)
{
    mproxy_status status = mpx_group_end(s);
    if (status)
        return status;
    uint32_t family = mpx_parsed_family(s->t, name, length);
    if (family == MPX_NONE)
        return mpx_no_memory(s);
    const struct mpx_parse_family *f = &s->t->families[family];
    if (f->page == s->t->page)
        return mpx_line_fault(
            &s->line, where,
            "%s '%.*s' of line %d goes on: all its lines together expected",
            mpx_kind_word(f->next.kind), shown(length), name, f->next.line);
    if (enter(s, family))
        return MPROXY_OK;
    mpx_parsed_drop_family(s->t, family);
    return mpx_no_memory(s);
}

mproxy_status mpx_group_meta(struct mpx_scan *s, const char *name, size_t length,
                             enum mpx_meta_word word, const char *where)
{
    static const char *const words[] = {"HELP", "TYPE", "UNIT"};
    if (s->family == MPX_NONE || !mpx_parsed_is(s->t, current(s)->name, name, length)) {
        mproxy_status status = begin(s, name, length, where);
        if (status)
            return status;
    }
    const struct mpx_parse_meta *meta = &current(s)->next;
    if (current(s)->has_samples)
        return mpx_line_fault(&s->line, where, "%s of '%.*s' behind its first sample",
                              words[word], shown(length), name);
    if (word == MPX_META_HELP   ? meta->has_help
        : word == MPX_META_TYPE ? meta->has_type
                                : meta->has_unit)
        return mpx_line_fault(&s->line, where, "second %s of '%.*s'", words[word],
                              shown(length), name);
    return MPROXY_OK;
}

static mproxy_status check_unit(const struct mpx_scan *s, const char *where)
{
    const struct mpx_parse_family *f = current(s);
    uint8_t kind = f->next.kind;
    if (f->next.unit.length > 0 &&
        (kind == MPROXY_FAMILY_INFO || kind == MPROXY_FAMILY_STATE_SET))
        return mpx_line_fault(&s->line, where, "%s '%.*s' with a unit: none expected",
                              mpx_kind_word(kind), shown(f->name.length),
                              mpx_parsed_text(s->t, f->name));
    return MPROXY_OK;
}

mproxy_status mpx_group_set_kind(struct mpx_scan *s, uint8_t kind, const char *where)
{
    current(s)->next.kind = kind;
    current(s)->next.has_type = true;
    mproxy_status status = check_unit(s, where);
    return status ? status : claim_names(s, where);
}

// Keep a text, or that of the page before where it is the same.
static mproxy_status keep(struct mpx_scan *s, const char *text, size_t length,
                          struct mpx_span before, struct mpx_span *out)
{
    *out = before;
    return mpx_parsed_is(s->t, before, text, length) ||
                   mpx_parsed_keep(s->t, text, length, out)
               ? MPROXY_OK
               : mpx_no_memory(s);
}

mproxy_status mpx_group_set_unit(struct mpx_scan *s, const char *unit, size_t length)
{
    struct mpx_parse_family *f = current(s);
    const char *name = mpx_parsed_text(s->t, f->name);
    size_t rest = f->name.length - length;
    if (length > 0 && (f->name.length <= length || name[rest - 1] != '_' ||
                       memcmp(name + rest, unit, length) != 0))
        return mpx_line_fault(&s->line, unit,
                              "unit '%.*s': the end of the name '%.*s' expected",
                              shown(length), unit, shown(f->name.length), name);
    f->next.has_unit = true;
    mproxy_status status = keep(s, unit, length, f->meta.unit, &f->next.unit);
    return status ? status : check_unit(s, unit);
}

mproxy_status mpx_group_set_help(struct mpx_scan *s, const char *help, size_t length)
{
    struct mpx_parse_family *f = current(s);
    f->next.has_help = true;
    return keep(s, help, length, f->meta.help, &f->next.help);
}

// --- samples -----------------------------------------------------------------------------

// `a_total or a_created`, for texts of faults.
static void list_names(const struct mpx_scan *s, const struct mpx_parse_family *f,
                       char out[200])
{
    size_t used = 0;
    for (const struct suffix *x = suffixes_of(s, f->next.kind); x->text; x++) {
        int put = mpx_format(out + used, 200 - used, "%s%.*s%s", used ? ", " : "",
                             f->name.length < 60 ? (int)f->name.length : 60,
                             mpx_parsed_text(s->t, f->name), x->text);
        if (put < 0 || used + (size_t)put >= 200)
            break;
        used += (size_t)put;
    }
}

static mproxy_status wrong_name(const struct mpx_scan *s,
                                const struct mpx_parse_family *f, const char *base,
                                size_t length, const char *where)
{
    char expected[200] = "";
    list_names(s, f, expected);
    return mpx_line_fault(&s->line, where, "sample '%.*s' of %s '%.*s': %s expected",
                          shown(length), base, mpx_kind_word(f->next.kind),
                          shown(f->name.length), mpx_parsed_text(s->t, f->name),
                          expected);
}

// In the text format 0.0.4 a sample may be one of a family that has ended.
static mproxy_status check_stems(const struct mpx_scan *s, const char *base,
                                 size_t length, const char *where)
{
    static const char *const endings[] = {"_bucket", "_count", "_sum"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (length <= ending || memcmp(base + length - ending, endings[i], ending) != 0)
            continue;
        uint32_t family = mpx_parsed_find_family(s->t, base, length - ending);
        if (family == MPX_NONE || s->t->families[family].page != s->t->page ||
            role_in(s, family, base, length) == MPX_ROLE_NONE)
            continue;
        const struct mpx_parse_family *f = &s->t->families[family];
        return mpx_line_fault(
            &s->line, where,
            "%s '%.*s' of line %d goes on: all its lines together expected",
            mpx_kind_word(f->next.kind), shown(f->name.length),
            mpx_parsed_text(s->t, f->name), f->next.line);
    }
    return MPROXY_OK;
}

mproxy_status mpx_group_sample(struct mpx_scan *s, const char *base, size_t length,
                               enum mpx_role *role, const char *where)
{
    *role = s->family != MPX_NONE ? role_in(s, s->family, base, length) : MPX_ROLE_NONE;
    mproxy_status status = MPROXY_OK;
    if (*role == MPX_ROLE_NONE) {
        if (s->family != MPX_NONE && mpx_parsed_is(s->t, current(s)->name, base, length))
            return wrong_name(s, current(s), base, length, where);
        if (!s->line.is_open)
            status = check_stems(s, base, length, where);
        if (!status)
            status = begin(s, base, length, where);
        if (status)
            return status;
        *role = MPX_ROLE_VALUE;
    }
    if (!current(s)->has_samples && !current(s)->next.has_type)
        status = claim_names(s, where);
    current(s)->has_samples = true;
    return status;
}
