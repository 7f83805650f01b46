// The remarks of `promtool check metrics` (Prometheus 2.42), in its words. It reads the text
// format 0.0.4 alone; families of OpenMetrics are judged by the names that they have there: a
// counter `a` as `a_total`, an info `a` as the gauge `a_info`.
//
// A remark on a label is made once for its family, where promtool repeats it for each series.
// Without help text are those whose HELP is empty, too. Of several units in a name the first
// is the one remarked on; promtool takes any.
//
// The page's samples stand by family, so that one walk is enough: a family begins where the
// name changes, and remarks are put in order, and made one of each kind, at the end.

#include "lint.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A family, its name as in the text format 0.0.4.
struct family {
    const char *name;
    mproxy_family_kind kind;
    struct remarks *out;
};

static const struct {
    const char *unit;
    const char *base;
} units[] = {
    {"amperes", "amperes"},    {"bytes", "bytes"},     {"celsius", "celsius"},
    {"grams", "grams"},        {"joules", "joules"},   {"kelvin", "kelvin"},
    {"meters", "meters"},      {"metres", "metres"},   {"seconds", "seconds"},
    {"volts", "volts"},        {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},       {"weeks", "seconds"},   {"kelvins", "kelvin"},
    {"fahrenheit", "celsius"}, {"rankine", "celsius"}, {"inches", "meters"},
    {"yards", "meters"},       {"miles", "meters"},    {"bits", "bytes"},
    {"calories", "joules"},    {"pounds", "grams"},    {"ounces", "grams"},
};

static const char *const prefixes[] = {
    "",     "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo",
    "kibi", "mega", "mibi", "giga",  "gibi",  "tera",  "tebi", "peta", "pebi"};

static const char *const abbreviations[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                            "mb", "gb", "tb", "pb", "m",   "h", "d"};

static const char *const type_names[] = {"counter", "gauge", "summary", "histogram",
                                         "gauge_histogram"};

#define COUNT(array) (sizeof array / sizeof *array)

static void remark(const struct family *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void remark(const struct family *f, const char *format, ...)
{
    struct remarks *r = f->out;
    struct remark item = {.metric = strdup(f->name)};
    va_list args;
    va_start(args, format);
    if (vasprintf(&item.text, format, args) < 0)
        item.text = NULL;
    va_end(args);
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        struct remark *items = realloc(r->items, room * sizeof *items);
        if (items) {
            r->items = items;
            r->room = room;
        }
    }
    if (!item.metric || !item.text || r->count == r->room) {
        free(item.metric);
        free(item.text);
        r->failed = true;
        return;
    }
    r->items[r->count++] = item;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), ending = strlen(suffix);
    return length >= ending && strcmp(name + length - ending, suffix) == 0;
}

// Whether the name has the word behind an underscore, and at its end or before another one.
static bool has_word(const char *name, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = name; (at = strchr(at, '_')); at++)
        if (strncasecmp(at + 1, word, length) == 0 &&
            (at[length + 1] == '_' || at[length + 1] == '\0'))
            return true;
    return false;
}

static bool is_camel_case(const char *name, size_t length)
{
    for (size_t i = 0; i + 1 < length; i++)
        if (islower((unsigned char)name[i]) && isupper((unsigned char)name[i + 1]))
            return true;
    return false;
}

static const char *base_unit(const char *word, size_t length)
{
    for (size_t p = 0; p < COUNT(prefixes); p++) {
        size_t prefix = strlen(prefixes[p]);
        if (length < prefix || memcmp(word, prefixes[p], prefix) != 0)
            continue;
        for (size_t u = 0; u < COUNT(units); u++)
            if (strlen(units[u].unit) == length - prefix &&
                memcmp(word + prefix, units[u].unit, length - prefix) == 0)
                return units[u].base;
    }
    return NULL;
}

static void lint_units(const struct family *f)
{
    for (const char *word = f->name; *word; word += strspn(word, "_")) {
        size_t length = strcspn(word, "_");
        const char *base = base_unit(word, length);
        if (base && (strlen(base) != length || memcmp(word, base, length) != 0))
            remark(f, "use base unit \"%s\" instead of \"%.*s\"", base, (int)length,
                   word);
        if (base)
            break;
        word += length;
    }
    for (size_t i = 0; i < COUNT(abbreviations); i++)
        if (has_word(f->name, abbreviations[i]))
            remark(f, "metric names should not contain abbreviated units");
}

static bool is_histogram(const struct family *f)
{
    return f->kind == MPROXY_FAMILY_HISTOGRAM || f->kind == MPROXY_FAMILY_GAUGE_HISTOGRAM;
}

static void lint_suffix(const struct family *f)
{
    bool is_summary = f->kind == MPROXY_FAMILY_SUMMARY;
    bool is_total = ends_in(f->name, "_total");
    if (f->kind == MPROXY_FAMILY_UNKNOWN)
        return;
    if (f->kind == MPROXY_FAMILY_COUNTER && !is_total)
        remark(f, "counter metrics should have \"_total\" suffix");
    if (f->kind != MPROXY_FAMILY_COUNTER && is_total)
        remark(f, "non-counter metrics should not have \"_total\" suffix");
    if (!is_histogram(f) && ends_in(f->name, "_bucket"))
        remark(f, "non-histogram metrics should not have \"_bucket\" suffix");
    if (!is_histogram(f) && !is_summary && ends_in(f->name, "_count"))
        remark(f,
               "non-histogram and non-summary metrics should not have \"_count\" suffix");
    if (!is_histogram(f) && !is_summary && ends_in(f->name, "_sum"))
        remark(f,
               "non-histogram and non-summary metrics should not have \"_sum\" suffix");
}

static void lint_name(const struct family *f)
{
    for (size_t i = 0; i < COUNT(type_names); i++)
        if (has_word(f->name, type_names[i]))
            remark(f, "metric name should not include type '%s'", type_names[i]);
    if (strchr(f->name, ':'))
        remark(f, "metric names should not contain ':'");
    if (is_camel_case(f->name, strlen(f->name)))
        remark(f, "metric names should be written in 'snake_case' not 'camelCase'");
}

static void lint_label(const struct family *f, const char *name, size_t length)
{
    bool is_typed = f->kind != MPROXY_FAMILY_UNKNOWN;
    if (is_camel_case(name, length))
        remark(f, "label names should be written in 'snake_case' not 'camelCase'");
    if (is_typed && !is_histogram(f) && length == 2 && memcmp(name, "le", 2) == 0)
        remark(f, "non-histogram metrics should not have \"le\" label");
    if (is_typed && f->kind != MPROXY_FAMILY_SUMMARY && length == 8 &&
        memcmp(name, "quantile", 8) == 0)
        remark(f, "non-summary metrics should not have \"quantile\" label");
}

// The labels of a series, which stand in braces behind its base: name="value", ...
static void lint_labels(const struct family *f, const mproxy_series *series)
{
    const char *at = series->name + strlen(series->family);
    at += strcspn(at, "{");
    while (*at == '{' || *at == ',') {
        const char *name = ++at;
        at += strcspn(at, "=");
        lint_label(f, name, (size_t)(at - name));
        for (at += at[0] && at[1] ? 2 : 0; *at && *at != '"'; at++)
            if (*at == '\\' && at[1])
                at++;
        at += *at == '"';
    }
}

static const char *name_of(const mproxy_series *series)
{
    return series->kind == MPROXY_FAMILY_COUNTER && !ends_in(series->family, "_total") &&
                   series->name[strlen(series->family)] == '_'
               ? "_total"
           : series->kind == MPROXY_FAMILY_INFO ? "_info"
                                                : "";
}

static int compare(const void *a, const void *b)
{
    const struct remark *x = a, *y = b;
    int order = strcmp(x->metric, y->metric);
    return order ? order : strcmp(x->text, y->text);
}

static void sort(struct remarks *r)
{
    size_t used = 0;
    if (r->count > 1)
        qsort(r->items, r->count, sizeof *r->items, compare);
    for (size_t i = 0; i < r->count; i++)
        if (used > 0 && compare(&r->items[used - 1], &r->items[i]) == 0) {
            free(r->items[i].metric);
            free(r->items[i].text);
        } else {
            r->items[used++] = r->items[i];
        }
    r->count = used;
}

// Samples stand by family, so that one is begun where the name changes.
void lint_page(mproxy_parser *parser, const mproxy_page *page, struct remarks *out)
{
    mproxy_series series = {.struct_size = sizeof series};
    struct family family = {.out = out};
    char *name = NULL;
    for (size_t i = 0; i < page->count && !out->failed; i++) {
        if (mproxy_parser_series(parser, page->series[i], &series, NULL) != MPROXY_OK)
            break;
        char *text = NULL;
        if (asprintf(&text, "%s%s", series.family, name_of(&series)) < 0) {
            out->failed = true;
            break;
        }
        bool begins = !name || strcmp(name, text) != 0;
        free(name);
        name = text;
        family.name = name;
        family.kind = series.kind;
        if (begins) {
            if (series.help[0] == '\0')
                remark(&family, "no help text");
            lint_units(&family);
            lint_suffix(&family);
            lint_name(&family);
        }
        lint_labels(&family, &series);
    }
    free(name);
    sort(out);
}

void remarks_free(struct remarks *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->items[i].metric);
        free(r->items[i].text);
    }
    free(r->items);
    *r = (struct remarks){0};
}
