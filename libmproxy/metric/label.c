#include "metric/label.h"

#include <math.h>
#include <string.h>

#include "base/decimal.h"

bool mpx_label_next(const char **at, struct mpx_label *out)
{
    const char *p = *at;
    if (*p != '{' && *p != ',')
        return false;
    out->name = ++p;
    p = strchr(p, '=');
    out->name_length = (size_t)(p - out->name);
    out->value = p += 2;
    while (*p != '"')
        p += *p == '\\' ? 2 : 1;
    out->value_length = (size_t)(p - out->value);
    *at = p + 1;
    return true;
}

bool mpx_label_is(const struct mpx_label *label, const char *name)
{
    return strlen(name) == label->name_length &&
           memcmp(label->name, name, label->name_length) == 0;
}

bool mpx_label_bound(const struct mpx_label *le, double *bound)
{
    char *end;
    *bound = mpx_decimal_read(le->value, &end); // the quote ends it
    return le->value_length > 0 && end == le->value + le->value_length && !isnan(*bound);
}

void mpx_labels_but_le(struct mpx_buf *out, const char *labels, struct mpx_label *le)
{
    struct mpx_label label;
    const char *before = "{";
    *le = (struct mpx_label){.name = NULL};
    while (mpx_label_next(&labels, &label)) {
        if (mpx_label_is(&label, "le")) {
            *le = label;
            continue;
        }
        mpx_buf_add(out, before, 1);
        mpx_buf_add(out, label.name,
                    (size_t)(label.value + label.value_length + 1 - label.name));
        before = ",";
    }
    mpx_buf_add_text(out, *before == ',' ? "}" : "");
}
