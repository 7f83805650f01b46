// Adding up the rows of a segment, column by column.
#ifndef MPX_READER_ROWS_H
#define MPX_READER_ROWS_H

#include "reader/records.h"

// sum[i] = the sum of column i over all extents, i < slot_end: integers wrap, the columns in
// `doubles` (rising) hold the bits of a double. `base` may change under us.
void mpx_rows_sum(const struct mpx_records *log, const unsigned char *base,
                  uint32_t slot_end, const uint32_t *doubles, uint32_t double_count,
                  uint64_t *sum);

// The sums as doubles.
void mpx_sum_to_doubles(const uint64_t *sum, uint32_t slot_end, const uint32_t *doubles,
                        uint32_t double_count, double *out);

#endif
