// Labels of groups, from paths.
//
// A path is what anybody sends, so all of it is checked here once: names of labels are those
// that Prometheus takes and do not begin with `__`, values are text (UTF-8 without control
// characters other than a newline), no label is given twice, `job` has a value. What comes out
// is put in order by name, so that a group is the same in whatever order its labels were given.
//
// A value is empty where the path has nothing, or the base64 of nothing, between two slashes.
// Such a label tells a group from no other (to Prometheus a label without a value is absent)
// but it takes the label of that name from what is pushed.

#include "push/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

#define BASE64 "@base64"

struct pair {
    const char *name;
    size_t name_length;
    struct mpx_buf value;
};

struct pairs {
    struct pair items[MPX_PUSH_LABELS_MAX];
    size_t count;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(const char *name, size_t length)
{
    if (length == 0 || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_letter(name[i]) && (name[i] < '0' || name[i] > '9'))
            return false;
    return length < 2 || memcmp(name, "__", 2) != 0;
}

static mproxy_status check_name(const char *name, size_t length, mproxy_error *err)
{
    int shown = length < 100 ? (int)length : 100;
    if (!is_name(name, length))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "path: '%.*s': the name of a label was expected, of letters, "
                        "digits and '_', that does not begin with '__'",
                        shown, name);
    if (length == 2 && memcmp(name, "le", 2) == 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "path: label 'le' tells the buckets of histograms: another name "
                        "was expected");
    return MPROXY_OK;
}

static mproxy_status check_value(const struct pair *pair, mproxy_error *err)
{
    const char *text = pair->value.data;
    size_t length = pair->value.size;
    int shown = pair->name_length < 100 ? (int)pair->name_length : 100;
    if (length > MPX_PUSH_VALUE_MAX)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "path: label '%.*s': at most %d bytes were expected", shown,
                        pair->name, MPX_PUSH_VALUE_MAX);
    for (size_t at = 0; at < length;) {
        size_t step = mpx_utf8_char(text + at, length - at);
        if (step == 0 || (text[at] != '\n' && !mpx_utf8_is_printable(text + at, step)))
            return mpx_fail(err, MPROXY_E_INVALID,
                            "path: label '%.*s': UTF-8 without control characters was "
                            "expected",
                            shown, pair->name);
        at += step;
    }
    return MPROXY_OK;
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

// False: it is no base64.
static bool decode(const char *text, size_t length, struct mpx_buf *out)
{
    unsigned bits = 0, held = 0;
    while (length > 0 && text[length - 1] == '=')
        length--;
    if (length % 4 == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        char byte = (char)(bits >> held & 0xff);
        mpx_buf_add(out, &byte, 1);
    }
    return true;
}

static mproxy_status take_value(struct pair *pair, bool is_base64, const char *text,
                                size_t length, mproxy_error *err)
{
    if (is_base64 && !decode(text, length, &pair->value))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "path: label '%.*s': '%.*s': base64 for URLs was expected",
                        pair->name_length < 100 ? (int)pair->name_length : 100,
                        pair->name, length < 100 ? (int)length : 100, text);
    if (!is_base64)
        mpx_buf_add(&pair->value, text, length);
    if (pair->value.failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a path");
    return check_value(pair, err);
}

static bool is_twice(const struct pairs *all, const struct pair *pair)
{
    for (const struct pair *p = all->items; p < pair; p++)
        if (p->name_length == pair->name_length &&
            memcmp(p->name, pair->name, p->name_length) == 0)
            return true;
    return false;
}

static mproxy_status take_pair(struct pairs *all, const char *name, size_t name_length,
                               const char *text, size_t length, mproxy_error *err)
{
    if (all->count == MPX_PUSH_LABELS_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "path: at most %d labels were expected",
                        MPX_PUSH_LABELS_MAX);
    size_t suffix = strlen(BASE64);
    bool is_base64 =
        name_length > suffix && memcmp(name + name_length - suffix, BASE64, suffix) == 0;
    struct pair *pair = &all->items[all->count++];
    *pair = (struct pair){.name = name,
                          .name_length = name_length - (is_base64 ? suffix : 0)};
    mproxy_status status = check_name(pair->name, pair->name_length, err);
    if (status == MPROXY_OK && is_twice(all, pair))
        status =
            mpx_fail(err, MPROXY_E_INVALID, "path: label '%.*s' is given twice",
                     pair->name_length < 100 ? (int)pair->name_length : 100, pair->name);
    return status == MPROXY_OK ? take_value(pair, is_base64, text, length, err) : status;
}

static mproxy_status split(const char *path, struct pairs *all, mproxy_error *err)
{
    size_t length = strlen(path), parts = 1;
    for (size_t i = 0; i < length; i++)
        parts += path[i] == '/';
    if (parts % 2 != 0 && length > 0 && path[length - 1] == '/') {
        length--; // a slash at the end
        parts--;
    }
    if (parts % 2 != 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "path: '%.200s': a value for each label was expected", path);
    mproxy_status status = MPROXY_OK;
    for (const char *at = path, *end = path + length; status == MPROXY_OK && at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *value = slash + 1;
        const char *next = memchr(value, '/', (size_t)(end - value));
        next = next ? next : end;
        status =
            take_pair(all, at, (size_t)(slash - at), value, (size_t)(next - value), err);
        at = next + (next < end);
    }
    return status;
}

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    size_t shorter = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, shorter);
    if (order)
        return order;
    return (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

static mproxy_status put_together(struct pairs *all, struct mpx_push_labels *out,
                                  mproxy_error *err)
{
    const struct pair *job = &all->items[0];
    if (all->count == 0 || job->name_length != 3 || memcmp(job->name, "job", 3) != 0)
        return mpx_fail(err, MPROXY_E_INVALID, "path: /job/NAME was expected first");
    if (job->value.size == 0)
        return mpx_fail(err, MPROXY_E_INVALID, "path: the name of a job was expected");
    qsort(all->items, all->count, sizeof *all->items, compare);
    struct mpx_push_labels labels = {.count = all->count};
    for (size_t i = 0; i < all->count; i++) {
        const struct pair *pair = &all->items[i];
        mpx_buf_add(&labels.texts, pair->name, pair->name_length);
        mpx_buf_add(&labels.texts, "", 1);
        mpx_buf_add(&labels.texts, pair->value.data, pair->value.size);
        mpx_buf_add(&labels.texts, "", 1);
    }
    if (!labels.texts.failed) {
        *out = labels;
        return MPROXY_OK;
    }
    mpx_push_labels_fini(&labels);
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a path");
}

mproxy_status mpx_push_labels_of_path(const char *path, struct mpx_push_labels *out,
                                      mproxy_error *err)
{
    struct pairs all = {.count = 0};
    mproxy_status status = split(path, &all, err);
    if (status == MPROXY_OK)
        status = put_together(&all, out, err);
    for (size_t i = 0; i < all.count; i++)
        mpx_buf_free(&all.items[i].value);
    return status;
}

bool mpx_push_label_next(const struct mpx_push_labels *labels, size_t *at,
                         const char **name, const char **value)
{
    if (*at >= labels->texts.size)
        return false;
    *name = labels->texts.data + *at;
    *value = *name + strlen(*name) + 1;
    *at += strlen(*name) + strlen(*value) + 2;
    return true;
}

// One text up to its NUL. NULL: there is none.
static const char *next_text(const char **at, const char *end)
{
    const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));
    if (!nul)
        return NULL;
    *at = nul + 1;
    return text;
}

mproxy_status mpx_push_labels_of_texts(const void *bytes, size_t length,
                                       struct mpx_push_labels *out, mproxy_error *err)
{
    struct pairs all = {.count = 0};
    const char *at = bytes, *end = at + length;
    const char *before = "";
    bool ok = true, has_job = false;
    while (ok && at < end) {
        const char *name = next_text(&at, end);
        const char *value = name && at < end ? next_text(&at, end) : NULL;
        ok = value && value[0] && strcmp(before, name) < 0 &&
             take_pair(&all, name, strlen(name), value, strlen(value), NULL) == MPROXY_OK;
        if (ok && all.items[all.count - 1].name_length != strlen(name))
            ok = false; // NAME@base64
        has_job |= ok && strcmp(name, "job") == 0;
        before = ok ? name : before;
    }
    for (size_t i = 0; i < all.count; i++)
        mpx_buf_free(&all.items[i].value);
    if (!ok || !has_job)
        return mpx_fail(err, MPROXY_E_CORRUPT, "labels that are no group's");
    struct mpx_push_labels labels = {.count = all.count};
    mpx_buf_add(&labels.texts, bytes, length);
    if (labels.texts.failed)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a group");
    *out = labels;
    return MPROXY_OK;
}

bool mpx_push_labels_filled(const struct mpx_push_labels *labels,
                            struct mpx_push_labels *out)
{
    *out = (struct mpx_push_labels){.count = 0};
    const char *name, *value;
    for (size_t at = 0; mpx_push_label_next(labels, &at, &name, &value);) {
        if (!value[0])
            continue;
        mpx_buf_add(&out->texts, name, strlen(name) + 1);
        mpx_buf_add(&out->texts, value, strlen(value) + 1);
        out->count++;
    }
    if (!out->texts.failed)
        return true;
    mpx_push_labels_fini(out);
    return false;
}

void mpx_push_labels_fini(struct mpx_push_labels *labels)
{
    mpx_buf_free(&labels->texts);
    labels->count = 0;
}
