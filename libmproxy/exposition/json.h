// Pieces of the JSON of the HTTP API, for replies and profiles alike, beside what base/json.h
// writes.
#ifndef MPX_EXPOSITION_JSON_H
#define MPX_EXPOSITION_JSON_H

#include <mproxy/exposition.h>

#include "base/json.h"

void mpx_json_put_number(struct mpx_json *j, double value); // finite
void mpx_json_member_number(struct mpx_json *j, const char *key, double value);
// The object of nine keys.
void mpx_json_put_desc(struct mpx_json *j, const mproxy_job *job);
// The same without its braces.
void mpx_json_desc_members(struct mpx_json *j, const mproxy_job *job);
// Whether a value can be shown: all its numbers are finite.
bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value);
// {"Counter":…} or {"Gauge":…} of a value that is shown.
void mpx_json_put_value(struct mpx_json *j, mproxy_type type, const mproxy_value *value);
// One counter entry, of a value that is shown; ranks where some are known.
void mpx_json_put_entry(struct mpx_json *j, const mproxy_entry *entry, bool with_ranks);

#endif
