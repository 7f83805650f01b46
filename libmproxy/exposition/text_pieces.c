// The pieces that samples of all kinds are written with.

#include "exposition/text_private.h"

#include "base/array.h"
#include "exposition/number.h"
#include "metric/escape.h"
#include "metric/label.h"

bool mpx_ids_has(const struct mpx_ids *ids, uint32_t id)
{
    return id / 64 < ids->room && (ids->words[id / 64] >> id % 64 & 1);
}

void mpx_ids_add(struct mpx_text *t, struct mpx_ids *ids, uint32_t id)
{
    if (MPX_RESERVE_ZEROED(ids->words, ids->room, (size_t)id / 64 + 1))
        ids->words[id / 64] |= UINT64_C(1) << id % 64;
    else
        t->sink->status = MPROXY_E_NOMEM;
}

static const struct mpx_doc *family_doc(const struct mpx_text *t)
{
    const struct mpx_doc *doc = NULL;
    for (size_t i = 0; i < t->count; i++) {
        struct mpx_range r = t->cursors[i].family;
        for (; r.at < r.end; r.at++) {
            doc = mpx_metric_doc_of(mpx_metric_of(mpx_view_metric(r.view, r.at)));
            if (doc->help_length > 0)
                return doc;
        }
    }
    return doc;
}

void mpx_text_header(struct mpx_text *t, const struct mpx_family *name, const char *type)
{
    struct mpx_sink *s = t->sink;
    const struct mpx_doc *doc = family_doc(t);
    mpx_sink_text(s, "# HELP ");
    mpx_sink_add(s, name->base, name->length);
    mpx_sink_add(s, " ", 1);
    if (t->is_openmetrics) { // escapes quotes too
        mpx_escape_label(&s->out, doc->text, strlen(doc->text));
    } else {
        mpx_sink_add(s, doc->help, doc->help_length);
    }
    mpx_sink_text(s, "\n# TYPE ");
    mpx_sink_add(s, name->base, name->length);
    mpx_sink_add(s, " ", 1);
    mpx_sink_text(s, type);
    mpx_sink_add(s, "\n", 1);
}

// What stands before a label changes with the first.
static void add_label(struct mpx_sink *s, const char **before, const char *name,
                      size_t name_length, const char *value, size_t value_length)
{
    mpx_sink_add(s, *before, 1);
    mpx_sink_add(s, name, name_length);
    mpx_sink_add(s, "=\"", 2);
    mpx_sink_add(s, value, value_length);
    mpx_sink_add(s, "\"", 1);
    *before = ",";
}

static bool family_has_label(const struct mpx_text *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++) {
        struct mpx_range r = t->cursors[i].family;
        for (; r.at < r.end; r.at++) {
            const mproxy_metric *metric = mpx_view_metric(r.view, r.at);
            const char *own = metric->name + metric->base_length;
            struct mpx_label label;
            while (strstr(own, name) && mpx_label_next(&own, &label))
                if (mpx_label_is(&label, name))
                    return true;
        }
    }
    return false;
}

// What a metric's own label job_id is called beside the one that is added: as Prometheus does
// with labels that it sets itself, it gets as many `exported_` as it takes. The name is chosen
// for the whole family, so that no sample has a label twice and no two become one.
static const char *renamed_job_id(struct mpx_text *t)
{
    static const char ours[] = "job_id";
    struct mpx_buf *b = &t->renamed;
    while (b->size == 0 || (!b->failed && family_has_label(t, b->data))) {
        b->size -= b->size ? sizeof ours - 1 : 0;
        mpx_buf_add_text(b, "exported_");
        mpx_buf_add_text(b, ours);
        if (!mpx_buf_text(b)) {
            t->sink->status = MPROXY_E_NOMEM;
            return "";
        }
    }
    return b->data;
}

void mpx_text_labels(struct mpx_text *t, const struct mpx_text_cursor *c, const char *own,
                     const char *le)
{
    struct mpx_sink *s = t->sink;
    const char *before = "{";
    struct mpx_label label;
    while (mpx_label_next(&own, &label)) {
        if (le && mpx_label_is(&label, "le"))
            continue;
        if (c->label && mpx_label_is(&label, "job_id")) {
            const char *name = renamed_job_id(t);
            add_label(s, &before, name, strlen(name), label.value, label.value_length);
        } else {
            add_label(s, &before, label.name, label.name_length, label.value,
                      label.value_length);
        }
    }
    if (le)
        add_label(s, &before, "le", 2, le, strlen(le));
    if (c->label) {
        mpx_sink_add(s, before, 1);
        mpx_sink_add(s, c->label, c->label_length);
    }
    if (c->label || *before == ',')
        mpx_sink_add(s, "}", 1);
}

void mpx_text_value(struct mpx_text *t, double value)
{
    char *at = mpx_sink_room(t->sink, MPROXY_NUMBER_MAX + 2);
    *at++ = ' ';
    at = mpx_write_number(at, value);
    *at++ = '\n';
    mpx_sink_wrote(t->sink, at);
}
