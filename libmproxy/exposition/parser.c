// The parser as an object: its bounds, what it tells of a series, and forgetting one.

#include "exposition/parse_private.h"

#include <stdlib.h>

#include "base/options.h"

#define LINE_BYTES ((size_t)1 << 20)
#define LINE_BYTES_MOST ((size_t)16 << 20)
#define LABELS 64
#define LABELS_MOST 4096
#define SERIES 1000000

static mproxy_status take_options(mproxy_parser_options *o,
                                  const mproxy_parser_options *options, mproxy_error *err)
{
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_parser_options, max_series, o, options, err);
    if (status)
        return status;
    if (o->max_line_bytes > LINE_BYTES_MOST)
        return mpx_fail(err, MPROXY_E_INVALID, "max_line_bytes %zu: at most %zu",
                        o->max_line_bytes, LINE_BYTES_MOST);
    if (o->max_labels > LABELS_MOST)
        return mpx_fail(err, MPROXY_E_INVALID, "max_labels %zu: at most %d",
                        o->max_labels, LABELS_MOST);
    o->max_line_bytes = o->max_line_bytes ? o->max_line_bytes : LINE_BYTES;
    o->max_labels = o->max_labels ? o->max_labels : LABELS;
    o->max_series = o->max_series ? o->max_series : SERIES;
    return MPROXY_OK;
}

mproxy_status mproxy_parser_new(const mproxy_parser_options *options, mproxy_parser **out,
                                mproxy_error *err)
{
    MPX_REQUIRE(out, err);
    mproxy_parser_options o;
    mproxy_status status = take_options(&o, options, err);
    if (status)
        return status;
    mproxy_parser *p = calloc(1, sizeof *p);
    if (p)
        p->labels = calloc(o.max_labels, sizeof *p->labels);
    if (!p || !p->labels) {
        mproxy_parser_free(p);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a parser");
    }
    p->o = o;
    *out = p;
    return MPROXY_OK;
}

static void free_outline(struct mpx_outline *outline)
{
    free(outline->pieces);
    free(outline->series);
    free(outline->families);
}

void mproxy_parser_free(mproxy_parser *parser)
{
    if (!parser)
        return;
    mpx_parsed_fini(&parser->table);
    free_outline(&parser->last);
    free_outline(&parser->next);
    free(parser->values);
    free(parser->times);
    free(parser->fresh);
    free(parser->gone);
    free(parser->labels);
    free(parser->claims);
    free(parser->points);
    mpx_buf_free(&parser->name);
    mpx_buf_free(&parser->point);
    mpx_buf_free(&parser->told);
    mpx_index_fini(&parser->by_claim);
    free(parser);
}

static mproxy_status check_known(const mproxy_parser *p, uint32_t series,
                                 mproxy_error *err)
{
    const struct mpx_parse_table *t = &p->table;
    if (series < t->series_slots.used && t->series[series].family != MPX_NONE)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_NOTFOUND, "series %u: not known", (unsigned)series);
}

static mproxy_type type_of(const struct mpx_parse_series *x)
{
    bool counts = x->kind == MPROXY_FAMILY_COUNTER ||
                  x->kind == MPROXY_FAMILY_HISTOGRAM || x->kind == MPROXY_FAMILY_SUMMARY;
    return counts && x->role != MPX_ROLE_CREATED && x->role != MPX_ROLE_QUANTILE
               ? MPROXY_COUNTER
               : MPROXY_GAUGE;
}

// Where in `told` a text with a NUL behind it begins.
static size_t tell(mproxy_parser *p, struct mpx_span span)
{
    size_t at = p->told.size;
    mpx_buf_add(&p->told, mpx_parsed_text(&p->table, span), span.length);
    mpx_buf_add(&p->told, "", 1);
    return at;
}

static size_t tell_help(mproxy_parser *p, struct mpx_span span)
{
    const char *at = mpx_parsed_text(&p->table, span), *end = at + span.length;
    size_t begin = p->told.size;
    for (; at < end; at++) {
        char c = *at;
        if (c == '\\' && at + 1 < end && (at[1] == '\\' || at[1] == 'n' || at[1] == '"'))
            c = *++at == 'n' ? '\n' : *at;
        mpx_buf_add(&p->told, &c, 1);
    }
    mpx_buf_add(&p->told, "", 1);
    return begin;
}

mproxy_status mproxy_parser_series(mproxy_parser *parser, uint32_t series,
                                   mproxy_series *out, mproxy_error *err)
{
    MPX_REQUIRE(parser && out, err);
    mproxy_status status = MPX_STRUCT_CHECK(mproxy_series, unit, out, err);
    if (!status)
        status = check_known(parser, series, err);
    if (status)
        return status;
    const struct mpx_parse_series *x = &parser->table.series[series];
    const struct mpx_parse_family *f = &parser->table.families[x->family];
    mpx_buf_clear(&parser->told);
    size_t name = tell(parser, x->name), family = tell(parser, f->name);
    size_t unit = tell(parser, f->meta.unit), help = tell_help(parser, f->meta.help);
    if (parser->told.failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory to describe a series");
    const char *texts = parser->told.data;
    mproxy_series told = {.name = texts + name,
                          .name_length = x->name.length,
                          .fits = x->fits,
                          .type = type_of(x),
                          .kind = (mproxy_family_kind)x->kind,
                          .family = texts + family,
                          .help = texts + help,
                          .unit = texts + unit};
    return MPX_STRUCT_GIVE(mproxy_series, unit, out, &told, err);
}

static bool is_in(const struct mpx_parse_table *t, const struct mpx_outline *outline,
                  uint32_t series)
{
    uint32_t sample = t->series[series].sample;
    return sample < outline->samples && outline->series[sample] == series;
}

mproxy_status mproxy_parser_forget(mproxy_parser *parser, uint32_t series,
                                   mproxy_error *err)
{
    MPX_REQUIRE(parser, err);
    mproxy_status status = check_known(parser, series, err);
    if (status)
        return status;
    if (is_in(&parser->table, &parser->last, series))
        return mpx_fail(err, MPROXY_E_BUSY, "series %u: on the last page",
                        (unsigned)series);
    mpx_parsed_remove(&parser->table, series);
    mpx_parsed_tidy(&parser->table, &parser->last);
    return MPROXY_OK;
}
