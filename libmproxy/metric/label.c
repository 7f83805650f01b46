#include "metric/label.h"

#include <string.h>

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
