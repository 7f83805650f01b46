#include "ingest/name.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"
#include "exposition/parse_number.h"
#include "metric/escape.h"
#include "metric/label.h"
#include "metric/order.h"

struct labels {
    const struct mpx_ingest_label *items;
    size_t count;
};

static bool is_own(const struct labels *own, const struct mpx_label *label)
{
    for (size_t i = 0; i < own->count; i++)
        if (mpx_label_is(label, own->items[i].name))
            return true;
    return false;
}

static void add_label(struct mpx_buf *out, const char *name, size_t length)
{
    mpx_buf_add(out, memchr(out->data, '{', out->size) ? "," : "{", 1);
    mpx_buf_add(out, name, length);
    mpx_buf_add_text(out, "=\"");
}

static void add_bound(struct mpx_buf *out, const struct mpx_label *label)
{
    double bound;
    char text[64];
    if (!mpx_number_is(label->value, label->value_length, true, &bound)) {
        mpx_buf_add(out, label->value, label->value_length);
        return;
    }
    mpx_decimal_shortest(text, sizeof text, bound);
    mpx_buf_add_text(out, isinf(bound) ? (bound > 0 ? "+Inf" : "-Inf") : text);
}

// The series' own labels but for those that are told.
static void add_rest(struct mpx_buf *out, const char *at, bool has_bound,
                     const struct labels *own)
{
    struct mpx_label label;
    while (!out->failed && mpx_label_next(&at, &label)) {
        if (is_own(own, &label))
            continue;
        add_label(out, label.name, label.name_length);
        if (has_bound && mpx_label_is(&label, "le"))
            add_bound(out, &label);
        else
            mpx_buf_add(out, label.value, label.value_length);
        mpx_buf_add_text(out, "\"");
    }
}

static void add_own(struct mpx_buf *out, const struct labels *own)
{
    for (size_t i = 0; !out->failed && i < own->count; i++) {
        if (!*own->items[i].value)
            continue;
        add_label(out, own->items[i].name, strlen(own->items[i].name));
        mpx_escape_label(out, own->items[i].value, strlen(own->items[i].value));
        mpx_buf_add_text(out, "\"");
    }
}

const char *mpx_ingest_name(struct mpx_buf *scratch, const char *name,
                            mproxy_family_kind kind,
                            const struct mpx_ingest_label *labels, size_t label_count)
{
    bool has_bound = kind == MPROXY_FAMILY_HISTOGRAM;
    const struct labels own = {labels, label_count};
    size_t base = mproxy_metric_base_length(name);
    if (label_count == 0 && !has_bound)
        return name;
    mpx_buf_clear(scratch);
    mpx_buf_add(scratch, name, base);
    add_rest(scratch, name + base, has_bound, &own);
    add_own(scratch, &own);
    if (!scratch->failed && memchr(scratch->data, '{', scratch->size))
        mpx_buf_add_text(scratch, "}");
    char *made = mpx_buf_text(scratch);
    if (made && mproxy_metric_check_name(made, scratch->size, NULL) == MPROXY_OK)
        mpx_name_order(made);
    return made;
}
