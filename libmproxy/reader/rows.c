// Words by the vector, spelled out, because -O2 of some compilers leaves such loops scalar
// and these are most of what a round costs.
//
// The rows are written by other processes meanwhile. Each aligned word is read in one piece
// by the vectors of x86-64 and arm64, and no word depends on another. memcpy() promises no
// such thing: some copy by instructions that move bytes.

#include "reader/rows.h"

#include <string.h>

typedef uint64_t words __attribute__((vector_size(16), aligned(8), may_alias));
typedef double reals __attribute__((vector_size(16), aligned(8), may_alias));

static void add_words(uint64_t *sum, const uint64_t *row, uint32_t count)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        *(words *)(sum + i) += *(const words *)(row + i);
        *(words *)(sum + i + 2) += *(const words *)(row + i + 2);
        *(words *)(sum + i + 4) += *(const words *)(row + i + 4);
        *(words *)(sum + i + 6) += *(const words *)(row + i + 6);
    }
    for (; i < count; i++)
        sum[i] += row[i];
}

static void copy_words(uint64_t *to, const uint64_t *row, uint32_t count)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        *(words *)(to + i) = *(const words *)(row + i);
        *(words *)(to + i + 2) = *(const words *)(row + i + 2);
        *(words *)(to + i + 4) = *(const words *)(row + i + 4);
        *(words *)(to + i + 6) = *(const words *)(row + i + 6);
    }
    for (; i < count; i++)
        to[i] = row[i];
}

static const uint64_t *words_of(const struct mpx_extent *e, const unsigned char *base)
{
    return (const uint64_t *)(const void *)(base + e->offset);
}

static uint32_t bounded(const struct mpx_extent *e, uint32_t slot_end)
{
    uint32_t left = slot_end - e->first;
    return e->count < left ? e->count : left;
}

// The sums begin as row 0, which covers every slot that a good writer has defined.
static void copy_row0(const struct mpx_records *log, const unsigned char *base,
                      uint32_t slot_end, uint64_t *sum)
{
    for (uint32_t i = 0; i < log->extent_count; i++) {
        const struct mpx_extent *e = &log->extents[i];
        if (e->row == 0 && e->first < slot_end)
            copy_words(sum + e->first, words_of(e, base), bounded(e, slot_end));
    }
}

static uint32_t first_from(const uint32_t *slots, uint32_t count, uint32_t slot)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (slots[middle] < slot)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static void add_reals(const struct mpx_extent *e, const unsigned char *base,
                      const uint32_t *doubles, uint32_t double_count, uint64_t *sum)
{
    uint32_t i = first_from(doubles, double_count, e->first);
    for (; i < double_count && doubles[i] - e->first < e->count; i++) {
        double value, before;
        uint64_t word = __atomic_load_n(words_of(e, base) + (doubles[i] - e->first),
                                        __ATOMIC_RELAXED);
        memcpy(&value, &word, sizeof value);
        memcpy(&before, &sum[doubles[i]], sizeof before);
        value += before;
        memcpy(&sum[doubles[i]], &value, sizeof value);
    }
}

void mpx_rows_sum(const struct mpx_records *log, const unsigned char *base,
                  uint32_t slot_end, const uint32_t *doubles, uint32_t double_count,
                  uint64_t *sum)
{
    uint32_t covered = log->row_end[0] < slot_end ? log->row_end[0] : slot_end;
    memset(sum + covered, 0, (slot_end - covered) * sizeof *sum);
    copy_row0(log, base, slot_end, sum);
    for (uint32_t i = 0; i < log->extent_count; i++) {
        const struct mpx_extent *e = &log->extents[i];
        if (e->row != 0 && e->first < slot_end)
            add_words(sum + e->first, words_of(e, base), bounded(e, slot_end));
    }
    // The columns of doubles were added up as if they were integers: once more, rightly.
    for (uint32_t i = 0; i < double_count; i++)
        sum[doubles[i]] = 0;
    for (uint32_t i = 0; i < log->extent_count && double_count > 0; i++)
        add_reals(&log->extents[i], base, doubles, double_count, sum);
}

// An integer's halves are put into the low bits of 2^52 and of 2^84; taking those away again
// is exact, and the last addition rounds as a plain conversion does.
static void convert(const uint64_t *from, double *to)
{
    const words low_mask = {0xffffffff, 0xffffffff};
    const words two52 = {UINT64_C(0x4330000000000000), UINT64_C(0x4330000000000000)};
    const words two84 = {UINT64_C(0x4530000000000000), UINT64_C(0x4530000000000000)};
    const reals both = {0x1p84 + 0x1p52, 0x1p84 + 0x1p52};
    words w = *(const words *)from;
    reals high = (reals)((w >> 32) | two84) - both;
    *(reals *)to = high + (reals)((w & low_mask) | two52);
}

void mpx_sum_to_doubles(const uint64_t *sum, uint32_t slot_end, const uint32_t *doubles,
                        uint32_t double_count, double *out)
{
    uint32_t i = 0;
    for (; i + 2 <= slot_end; i += 2)
        convert(sum + i, out + i);
    for (; i < slot_end; i++)
        out[i] = (double)sum[i];
    for (uint32_t d = 0; d < double_count; d++)
        memcpy(&out[doubles[d]], &sum[doubles[d]], sizeof *out);
}
