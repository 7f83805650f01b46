#include "daemon/counters_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <mproxy/exposition.h>

#include "base/err.h"

static mproxy_status take_text(json_t *tree, const char *field, const char **out,
                               mproxy_error *err)
{
    json_t *item = json_object_get(tree, field);
    if (item && !json_is_string(item))
        return mpx_fail(err, MPROXY_E_INVALID, "field '%s': a string was expected",
                        field);
    *out = json_string_value(item);
    return MPROXY_OK;
}

static mproxy_status take_value(json_t *tree, char out[64], mproxy_error *err)
{
    json_t *item = json_object_get(tree, "value");
    out[0] = '\0';
    if (!item)
        return MPROXY_OK;
    if (json_is_number(item))
        mproxy_format_number(json_number_value(item), out);
    else if (json_is_string(item) && json_string_length(item) < 64)
        snprintf(out, 64, "%s", json_string_value(item));
    else
        return mpx_fail(err, MPROXY_E_INVALID,
                        "field 'value': a number, or a string that is one, was expected");
    return MPROXY_OK;
}

mproxy_status mpx_counter_body_parse(const char *text, size_t length,
                                     struct mpx_counter_body *out, mproxy_error *err)
{
    json_error_t why;
    json_t *tree = json_loadb(text, length, 0, &why);
    struct mpx_counter_body body = {.tree = tree};
    if (!tree)
        return mpx_fail_at(err, MPROXY_E_INVALID, why.line, why.column,
                           "the body is not JSON: line %d, column %d: %.100s", why.line,
                           why.column, why.text);
    mproxy_status status = MPROXY_OK;
    if (!json_is_object(tree))
        status = mpx_fail(err, MPROXY_E_INVALID, "the body: an object was expected");
    if (status == MPROXY_OK)
        status = take_text(tree, "key", &body.key, err);
    if (status == MPROXY_OK)
        status = take_text(tree, "doc", &body.doc, err);
    if (status == MPROXY_OK)
        status = take_text(tree, "job", &body.job, err);
    if (status == MPROXY_OK)
        status = take_value(tree, body.value, err);
    if (status == MPROXY_OK)
        *out = body;
    else
        json_decref(tree);
    return status;
}

void mpx_counter_body_clear(struct mpx_counter_body *body)
{
    json_decref(body->tree);
    body->tree = NULL;
}
