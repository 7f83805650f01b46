// Pieces of the JSON of the HTTP API, for replies and profiles alike.
#ifndef MPX_EXPOSITION_JSON_H
#define MPX_EXPOSITION_JSON_H

#include <stdbool.h>

#include <mproxy/exposition.h>

#include "exposition/sink.h"

void mpx_json_text(struct mpx_sink *s, const char *text); // quoted and escaped
void mpx_json_number(struct mpx_sink *s, double value);   // finite
void mpx_json_u64(struct mpx_sink *s, uint64_t value);
// The object of nine keys.
void mpx_json_desc(struct mpx_sink *s, const mproxy_job *job);
// Whether a value can be shown: all its numbers are finite.
bool mpx_json_is_shown(mproxy_type type, const mproxy_value *value);
// One counter entry, of a value that is shown; ranks where some are known.
void mpx_json_entry(struct mpx_sink *s, const mproxy_entry *entry, bool with_ranks);

#endif
