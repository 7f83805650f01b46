// Protobuf becomes text, and then goes the way of all text: one parser, one set of rules, one
// way to say what is wrong. What a push costs more by that is paid by those who send it.
//
// Fields are read as they come, in any order, unknown ones skipped. Of a metric the labels are
// wanted first, so it is gone through twice. Names are checked here, since a name with a line
// feed would be another line of text; values of labels are escaped.
//
// Lengths are the sender's word: a field reaches no further than the message it lies in, and the
// text is bounded by the caller, as a body in text is. A message that is cut short, or has a
// wire type that there is none of, refuses the whole body.

#include "exposition/protobuf.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include <mproxy/exposition.h>

#include "base/err.h"
#include "metric/escape.h"

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct bytes {
    const unsigned char *at, *end;
};

struct field {
    uint32_t number;
    enum wire wire;
    uint64_t value;     // VARINT, FIXED64
    struct bytes bytes; // BYTES
};

// Of a family, while it is written.
struct family {
    struct bytes name, help;
    uint64_t type;
    struct mpx_buf *out;
    struct mpx_buf labels; // of the metric: `a="b",c="d"`
};

enum type { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM };

// ---- reading

static bool get_varint(struct bytes *b, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && b->at < b->end; shift += 7) {
        unsigned char byte = *b->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take(struct bytes *b, uint64_t length, struct bytes *out)
{
    if (length > (uint64_t)(b->end - b->at))
        return false;
    *out = (struct bytes){b->at, b->at + length};
    b->at += length;
    return true;
}

// The next field. *ok is false behind bytes that are none.
static bool next(struct bytes *b, struct field *f, bool *ok)
{
    uint64_t tag, length;
    if (b->at == b->end || !*ok)
        return false;
    *f = (struct field){0};
    *ok = get_varint(b, &tag) && tag >> 3 > 0 && tag >> 3 < UINT32_MAX;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (enum wire)(tag & 7);
    switch (f->wire) {
    case VARINT:
        *ok = *ok && get_varint(b, &f->value);
        break;
    case FIXED64:
        *ok = *ok && take(b, 8, &f->bytes);
        if (*ok)
            memcpy(&f->value, f->bytes.at, 8);
        break;
    case BYTES:
        *ok = *ok && get_varint(b, &length) && take(b, length, &f->bytes);
        break;
    case FIXED32:
        *ok = *ok && take(b, 4, &f->bytes);
        break;
    default:
        *ok = false;
    }
    return *ok;
}

static double double_of(const struct field *f)
{
    double value = 0;
    if (f->wire == FIXED64)
        memcpy(&value, &f->value, sizeof value);
    return value;
}

// A field of a message by number; the last one counts. False: there is none.
static bool find(struct bytes message, uint32_t number, struct field *out, bool *ok)
{
    struct field f;
    bool found = false;
    while (next(&message, &f, ok))
        if (f.number == number) {
            *out = f;
            found = true;
        }
    return found;
}

static double number_in(struct bytes message, uint32_t number, bool *ok)
{
    struct field f;
    if (!find(message, number, &f, ok))
        return 0;
    return f.wire == VARINT ? (double)f.value : double_of(&f);
}

// ---- writing

static bool is_name(struct bytes name, bool is_label)
{
    for (const unsigned char *at = name.at; at < name.end; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                         *at == '_' || (*at == ':' && !is_label);
        if (!is_letter && (!is_digit || at == name.at))
            return false;
    }
    return name.at < name.end;
}

static void put_bytes(struct mpx_buf *out, struct bytes bytes)
{
    mpx_buf_add(out, bytes.at, (size_t)(bytes.end - bytes.at));
}

static void put_number(struct mpx_buf *out, double value)
{
    char text[MPROXY_NUMBER_MAX];
    if (isfinite(value))
        mpx_buf_add(out, text, mproxy_format_number(value, text));
    else
        mpx_buf_add_text(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

// A line; `name` and `bound` are those of a label of its own, NULL: none.
static void put_sample(struct family *f, const char *suffix, const char *name,
                       double bound, double value, const struct field *time)
{
    put_bytes(f->out, f->name);
    mpx_buf_add_text(f->out, suffix);
    if (f->labels.size > 0 || name) {
        mpx_buf_add_text(f->out, "{");
        mpx_buf_add(f->out, f->labels.data, f->labels.size);
        if (name) {
            mpx_buf_addf(f->out, "%s%s=\"", f->labels.size > 0 ? "," : "", name);
            put_number(f->out, bound);
            mpx_buf_add_text(f->out, "\"");
        }
        mpx_buf_add_text(f->out, "}");
    }
    mpx_buf_add_text(f->out, " ");
    put_number(f->out, value);
    if (time)
        mpx_buf_addf(f->out, " %" PRId64, (int64_t)time->value);
    mpx_buf_add_text(f->out, "\n");
}

static mproxy_status take_labels(struct family *f, struct bytes metric, bool *ok,
                                 mproxy_error *err)
{
    struct field label, name, value;
    mpx_buf_clear(&f->labels);
    while (next(&metric, &label, ok)) {
        if (label.number != 1 || label.wire != BYTES)
            continue;
        if (!find(label.bytes, 1, &name, ok) || !is_name(name.bytes, true))
            return mpx_fail(
                err, MPROXY_E_INVALID,
                "metric '%.*s': the name of a label was expected, of letters, "
                "digits and '_'",
                (int)(f->name.end - f->name.at), (const char *)f->name.at);
        if (f->labels.size > 0)
            mpx_buf_add_text(&f->labels, ",");
        put_bytes(&f->labels, name.bytes);
        mpx_buf_add_text(&f->labels, "=\"");
        if (find(label.bytes, 2, &value, ok) && value.wire == BYTES)
            mpx_escape_label(&f->labels, (const char *)value.bytes.at,
                             (size_t)(value.bytes.end - value.bytes.at));
        mpx_buf_add_text(&f->labels, "\"");
    }
    return MPROXY_OK;
}

static void put_histogram(struct family *f, struct bytes histogram, bool *ok,
                          const struct field *time)
{
    struct field bucket;
    bool has_last = false;
    double count = number_in(histogram, 1, ok);
    for (struct bytes at = histogram; next(&at, &bucket, ok);) {
        if (bucket.number != 3 || bucket.wire != BYTES)
            continue;
        double bound = number_in(bucket.bytes, 2, ok);
        has_last |= isinf(bound) && bound > 0;
        put_sample(f, "_bucket", "le", bound, number_in(bucket.bytes, 1, ok), time);
    }
    if (!has_last)
        put_sample(f, "_bucket", "le", INFINITY, count, time);
    put_sample(f, "_sum", NULL, 0, number_in(histogram, 2, ok), time);
    put_sample(f, "_count", NULL, 0, count, time);
}

static void put_summary(struct family *f, struct bytes summary, bool *ok,
                        const struct field *time)
{
    struct field quantile;
    for (struct bytes at = summary; next(&at, &quantile, ok);)
        if (quantile.number == 3 && quantile.wire == BYTES)
            put_sample(f, "", "quantile", number_in(quantile.bytes, 1, ok),
                       number_in(quantile.bytes, 2, ok), time);
    put_sample(f, "_sum", NULL, 0, number_in(summary, 2, ok), time);
    put_sample(f, "_count", NULL, 0, number_in(summary, 1, ok), time);
}

// Fields of a metric that hold its value, and the TYPE in text, by type.
static const struct {
    uint32_t number;
    const char *word;
} types[] = {[COUNTER] = {3, "counter"},     [GAUGE] = {2, "gauge"},
             [SUMMARY] = {4, "summary"},     [UNTYPED] = {5, "untyped"},
             [HISTOGRAM] = {7, "histogram"}, [GAUGE_HISTOGRAM] = {7, "histogram"}};

static mproxy_status put_metric(struct family *f, struct bytes metric, bool *ok,
                                mproxy_error *err)
{
    struct field value, at;
    mproxy_status status = take_labels(f, metric, ok, err);
    const struct field *time = find(metric, 6, &at, ok) ? &at : NULL;
    if (status != MPROXY_OK)
        return status;
    if (!find(metric, types[f->type].number, &value, ok) || value.wire != BYTES)
        return mpx_fail(err, MPROXY_E_INVALID, "metric '%.*s': a %s was expected",
                        (int)(f->name.end - f->name.at), (const char *)f->name.at,
                        types[f->type].word);
    if (f->type == HISTOGRAM)
        put_histogram(f, value.bytes, ok, time);
    else if (f->type == SUMMARY)
        put_summary(f, value.bytes, ok, time);
    else
        put_sample(f, "", NULL, 0, number_in(value.bytes, 1, ok), time);
    return MPROXY_OK;
}

static mproxy_status put_head(struct family *f, struct bytes message, bool *ok,
                              mproxy_error *err)
{
    struct field name, help, type;
    f->type = find(message, 3, &type, ok) ? type.value : COUNTER;
    if (!find(message, 1, &name, ok) || !is_name(name.bytes, false))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "the name of a metric was expected, of letters, digits, '_' and "
                        "':'");
    f->name = name.bytes;
    if (f->type >= GAUGE_HISTOGRAM)
        return mpx_fail(
            err, MPROXY_E_INVALID, "metric '%.*s': type %" PRIu64 " is not read",
            (int)(f->name.end - f->name.at), (const char *)f->name.at, f->type);
    if (find(message, 2, &help, ok) && help.wire == BYTES) {
        mpx_buf_add_text(f->out, "# HELP ");
        put_bytes(f->out, f->name);
        mpx_buf_add_text(f->out, " ");
        mpx_escape_help(f->out, (const char *)help.bytes.at,
                        (size_t)(help.bytes.end - help.bytes.at));
        mpx_buf_add_text(f->out, "\n");
    }
    mpx_buf_add_text(f->out, "# TYPE ");
    put_bytes(f->out, f->name);
    mpx_buf_addf(f->out, " %s\n", types[f->type].word);
    return MPROXY_OK;
}

static mproxy_status put_family(struct family *f, struct bytes message, size_t max,
                                bool *ok, mproxy_error *err)
{
    struct field metric;
    mproxy_status status = put_head(f, message, ok, err);
    while (status == MPROXY_OK && next(&message, &metric, ok)) {
        if (metric.number == 4 && metric.wire == BYTES)
            status = put_metric(f, metric.bytes, ok, err);
        if (status == MPROXY_OK && f->out->size > max)
            status = mpx_fail(err, MPROXY_E_LIMIT,
                              "the body, as text, is over the limit of %zu bytes", max);
        if (f->out->failed || f->labels.failed)
            status = mpx_fail(err, MPROXY_E_NOMEM, "no memory for the body");
    }
    return status;
}

bool mpx_protobuf_is(const char *content_type)
{
    static const char type[] = "application/vnd.google.protobuf";
    return content_type && strncasecmp(content_type, type, sizeof type - 1) == 0 &&
           strcasestr(content_type, "io.prometheus.client.MetricFamily") &&
           strcasestr(content_type, "delimited");
}

mproxy_status mpx_protobuf_text(const char *bytes, size_t length, size_t max,
                                struct mpx_buf *out, mproxy_error *err)
{
    struct bytes page = {(const unsigned char *)bytes,
                         (const unsigned char *)bytes + length};
    struct family f = {.out = out};
    mproxy_status status = MPROXY_OK;
    bool ok = true;
    while (status == MPROXY_OK && ok && page.at < page.end) {
        struct bytes message;
        uint64_t size;
        ok = get_varint(&page, &size) && take(&page, size, &message);
        if (ok)
            status = put_family(&f, message, max, &ok, err);
    }
    mpx_buf_free(&f.labels);
    if (!ok) // whatever was made of it
        return mpx_fail(
            err, MPROXY_E_INVALID,
            "the body is no protobuf of MetricFamily, each behind its length");
    return status;
}
