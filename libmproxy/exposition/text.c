// Text formats: all views are walked side by side, family by family, so that each family
// is written once however many views there are, and nothing is held but the sink's
// buffer.
//
// The entries of a view are in order of display: by family, then by labels. One cursor
// per view stands at its first entry that is not written yet; the next family is the
// least that any cursor stands at. This costs one comparison per view and family, and no
// memory that grows with the number of metrics, which for a million series is what
// matters.
//
// Two names may become one in text, where characters that Prometheus does not take are
// replaced, or where OpenMetrics wants a suffix gone. A name that was written is
// *claimed*, and a family that would take it again is left out: two families of one name
// are an error to every reader.
//
// Metrics lie in memory in the order in which they were first seen, not in this one, so
// memory is asked for some entries ahead.

#include "exposition/text.h"

#include <math.h>
#include <stdlib.h>

#include "exposition/number.h"
#include "exposition/text_private.h"
#include "metric/escape.h"

// How many entries ahead memory is asked for: of metrics, which are walked fast to find the
// end of a family, and of their texts.
#define FAR_AHEAD 24
#define AHEAD 8

static void put_sample(struct mpx_text *t, const struct mpx_text_cursor *c,
                       const struct mpx_metric *m, double value)
{
    struct mpx_sink *s = t->sink;
    if (!c->label) {
        char *at = mpx_sink_room(s, m->text_length + MPROXY_NUMBER_MAX + 2);
        at = mpx_put(at, m->text, m->text_length);
        *at++ = ' ';
        at = mpx_write_number(at, value);
        *at++ = '\n';
        mpx_sink_wrote(s, at);
        return;
    }
    size_t base_length = m->family->text->length;
    bool has_labels = m->text_length > base_length;
    if (m->public.has_job_id) {
        mpx_sink_add(s, m->text, base_length);
        mpx_text_labels(t, c, m->text + base_length, NULL);
    } else {
        mpx_sink_add(s, m->text, m->text_length - (has_labels ? 1 : 0));
        mpx_sink_add(s, has_labels ? "," : "{", 1);
        mpx_sink_add(s, c->label, c->label_length);
        mpx_sink_add(s, "}", 1);
    }
    mpx_text_value(t, value);
}

// What a sample shows; not finite: nothing. Of a counter no more than its total is read.
static double sample_value(const mproxy_view *view, size_t index)
{
    if (mpx_view_metric(view, index)->type != MPROXY_GAUGE)
        return mpx_view_total(view, index);
    mproxy_value value = mpx_view_value(view, index);
    return value.hits > 0 ? value.total / value.hits : (double)NAN;
}

static bool is_received(const mproxy_view *view, size_t index)
{
    mproxy_entry entry = mpx_view_entry(view, index);
    return mpx_is_received(&entry);
}

// The name and type of a family: of one that some jobs count and others set as a gauge none
// is said, and all of it shown. OpenMetrics has counters whose name lacks what it adds
// to their samples, `_total`; another counter's type is not one of its own.
static const struct mpx_family *
name_family(struct mpx_text *t, const struct mpx_family *text, const char **word)
{
    *word = t->types == MPROXY_GAUGE ? "gauge" : "counter";
    if (t->types == (MPROXY_COUNTER | MPROXY_GAUGE)) {
        *word = t->is_openmetrics ? "unknown" : "untyped";
        return text;
    }
    if (!t->is_openmetrics || t->types == MPROXY_GAUGE)
        return text;
    if (text->suffix == MPX_SUFFIX_TOTAL && !mpx_ids_has(&t->claimed, text->stem->id))
        return text->stem;
    *word = "unknown";
    return text;
}

static const mproxy_metric *first_of(const struct mpx_range *range)
{
    return mpx_view_metric(range->view, range->at);
}

struct heading {
    const struct mpx_family *name;
    const char *word;
    bool is_written;
};

static void put_entries(struct mpx_text *t, const struct mpx_text_cursor *c,
                        struct heading *h)
{
    // Fixed here, or every byte that is written would make them be read anew.
    const mproxy_view *view = c->view;
    const mproxy_metric *const *metrics = view->display->metrics;
    const size_t end = c->family.end;
    const bool received_only = t->o.received_only;
    for (size_t i = c->family.at; i < end; i++) {
        const struct mpx_metric *m = mpx_metric_of(metrics[i]);
        double value = sample_value(view, i);
        if (end - i > AHEAD)
            __builtin_prefetch(mpx_metric_of(metrics[i + AHEAD])->text);
        if (!m->text || !isfinite(value))
            continue;
        if (received_only && !is_received(view, i))
            continue;
        if (!h->is_written)
            mpx_text_header(t, h->name, h->word);
        h->is_written = true;
        put_sample(t, c, m, value);
    }
}

static void put_family(struct mpx_text *t, const struct mpx_family *family)
{
    const struct mpx_family *text = family->text;
    if (mpx_is_of_profiles(family->base) || mpx_ids_has(&t->claimed, text->id))
        return;
    if (text == family && family->suffix == MPX_SUFFIX_BUCKET &&
        t->types == MPROXY_COUNTER && mpx_text_histogram(t, family))
        return;
    mpx_ids_add(t, &t->claimed, text->id);
    if ((text->suffix == MPX_SUFFIX_SUM || text->suffix == MPX_SUFFIX_COUNT) &&
        mpx_ids_has(&t->histograms, text->stem->id))
        return;
    struct heading h = {0};
    h.name = name_family(t, text, &h.word);
    for (size_t i = 0; i < t->count; i++)
        put_entries(t, &t->cursors[i], &h);
    if (h.is_written)
        mpx_ids_add(t, &t->claimed, h.name->id);
}

static int compare_families(const struct mpx_family *a, const struct mpx_family *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->base, b->base, shorter);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

// The first family that a view has left, its entries set apart in every cursor.
static const struct mpx_family *next_family(struct mpx_text *t)
{
    const struct mpx_family *next = NULL;
    mpx_buf_clear(&t->renamed);
    t->types = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct mpx_range rest = t->cursors[i].rest;
        if (rest.at == rest.end)
            continue;
        const struct mpx_family *family = mpx_metric_of(first_of(&rest))->family;
        if (!next || (family != next && compare_families(family, next) < 0))
            next = family;
    }
    for (size_t i = 0; next && i < t->count; i++) {
        struct mpx_text_cursor *c = &t->cursors[i];
        c->family = (struct mpx_range){c->view, c->rest.at, c->rest.at};
        while (c->rest.at < c->rest.end &&
               mpx_metric_of(first_of(&c->rest))->family == next) {
            if (c->rest.end - c->rest.at > FAR_AHEAD)
                mpx_metric_prefetch(mpx_view_metric(c->view, c->rest.at + FAR_AHEAD));
            t->types |= first_of(&c->rest)->type;
            c->rest.at++;
        }
        c->family.end = c->rest.at;
    }
    return next;
}

static char *make_label(const char *job_id, size_t *length)
{
    struct mpx_buf b = MPX_BUF_INIT;
    mpx_buf_add_text(&b, "job_id=\"");
    mpx_escape_label(&b, job_id, strlen(job_id));
    mpx_buf_add_text(&b, "\"");
    *length = b.size;
    char *label = mpx_buf_take(&b);
    if (!label)
        mpx_buf_free(&b);
    return label;
}

static bool open_cursors(struct mpx_text *t, const mproxy_view *const *views,
                         bool label_views)
{
    for (size_t i = 0; i < t->count; i++) {
        struct mpx_text_cursor *c = &t->cursors[i];
        const char *label = label_views ? mproxy_view_key(views[i]) : t->o.job_label;
        c->view = views[i];
        c->rest = mpx_select(views[i], t->o.metric);
        c->family = (struct mpx_range){c->view, c->rest.at, c->rest.at};
        if (label && !(c->label = make_label(label, &c->label_length)))
            return false;
    }
    return true;
}

void mpx_text_views(struct mpx_sink *s, const mproxy_view *const *views, size_t count,
                    mproxy_format format, const mproxy_render_options *o,
                    bool label_views)
{
    struct mpx_text t = {.sink = s, .o = *o, .count = count};
    t.is_openmetrics = format == MPROXY_FORMAT_OPENMETRICS;
    t.cursors = calloc(count + 1, sizeof *t.cursors);
    if (!t.cursors || !open_cursors(&t, views, label_views))
        s->status = MPROXY_E_NOMEM;
    const struct mpx_family *family;
    while (!s->status && (family = next_family(&t)))
        put_family(&t, family);
    if (t.is_openmetrics)
        mpx_sink_text(s, "# EOF\n");
    for (size_t i = 0; t.cursors && i < count; i++)
        free(t.cursors[i].label);
    free(t.cursors);
    free(t.claimed.words);
    free(t.histograms.words);
    mpx_buf_free(&t.name);
    mpx_buf_free(&t.renamed);
}
