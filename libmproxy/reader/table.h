// Definition tables of segments, one per user and distinct sequence of definition records:
// what is refused to one user must not be missing in another's.
#ifndef MPX_READER_TABLE_H
#define MPX_READER_TABLE_H

#include "base/buf.h"
#include "reader/reader.h"

struct mpx_def_tables;

struct mpx_def_tables *mpx_def_tables_new(void (*free_user)(void *user)); // NULL: memory
void mpx_def_tables_free(struct mpx_def_tables *cache); // accepts NULL; tables first

// The user's table of `old`'s definition records (NULL: none) followed by `added`, which holds
// whole METRIC records. References: one for the caller, none taken from `old`.
// @return MPROXY_OK, MPROXY_E_CORRUPT (text without the file's name), MPROXY_E_NOMEM
mproxy_status mpx_def_table_extend(struct mpx_def_tables *cache, uint32_t uid,
                                   const struct mpx_def_table *old,
                                   const struct mpx_buf *added,
                                   struct mpx_def_table **out, mproxy_error *err);
void mpx_def_table_unref(struct mpx_def_tables *cache,
                         struct mpx_def_table *table); // accepts NULL

// The slots that hold doubles, rising; all others hold integers.
uint32_t mpx_def_table_doubles(const struct mpx_def_table *table, const uint32_t **slots);

#endif
