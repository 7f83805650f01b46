// Text in JSON, whoever wrote it: bytes that are not UTF-8 become U+FFFD. Replies of a few keys
// are put together in a buffer; what may be large goes through exposition/json.h.
#ifndef MPX_BASE_JSON_H
#define MPX_BASE_JSON_H

#include "base/buf.h"

void mpx_json_escape(struct mpx_buf *out, const char *text, size_t length); // no quotes
void mpx_json_string(struct mpx_buf *out, const char *text); // with its quotes

#endif
