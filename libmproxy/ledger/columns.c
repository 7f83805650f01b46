#include "ledger/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void layout_free(struct mpx_columns *layout)
{
    if (!layout)
        return;
    free(layout->gauges);
    free(layout->sums);
    free(layout->rows);
    free(layout);
}

static struct mpx_columns *layout_new(const mproxy_layout *key)
{
    struct mpx_columns *layout = calloc(1, sizeof *layout);
    if (!layout)
        return NULL;
    layout->key = key;
    layout->gauges = calloc(key->count + 1, sizeof *layout->gauges);
    layout->sums = calloc(key->count + 1, sizeof *layout->sums);
    if (!layout->gauges || !layout->sums) {
        layout_free(layout);
        return NULL;
    }
    for (size_t i = 0; i < key->count; i++)
        if (key->metrics[i]->type == MPROXY_GAUGE)
            layout->gauges[layout->gauge_count++] = (uint32_t)i;
    return layout;
}

static uint32_t hash_of(const mproxy_layout *key)
{
    return mpx_hash_u64((uintptr_t)key);
}

// Cells of layouts that were forgotten fill the index: make it anew without them.
static bool reserve_index(struct mpx_columns_set *ls)
{
    if ((ls->index.used + UINT64_C(1)) * 2 <= ls->index.room)
        return true;
    if (!mpx_index_reserve(&ls->index, ls->count + 1))
        return false;
    mpx_index_clear(&ls->index);
    for (uint32_t i = 0; i < ls->count; i++)
        if (ls->items[i])
            mpx_index_put(&ls->index, hash_of(ls->items[i]->key), i);
    return true;
}

static bool reserve(struct mpx_columns_set *ls)
{
    if (ls->count < ls->room || ls->forgotten > 0)
        return reserve_index(ls);
    uint32_t room = ls->room ? ls->room * 2 : 16;
    struct mpx_columns **items = realloc(ls->items, room * sizeof *items);
    if (!items)
        return false;
    ls->items = items;
    ls->room = room;
    return reserve_index(ls);
}

struct mpx_columns *mpx_columns_find(const struct mpx_columns_set *ls,
                                     const mproxy_layout *key)
{
    uint32_t hash = hash_of(key);
    for (uint32_t at = mpx_index_start(&ls->index, hash), i;
         mpx_index_next(&ls->index, hash, &at, &i);)
        if (ls->items[i] && ls->items[i]->key == key)
            return ls->items[i];
    return NULL;
}

static uint32_t take_id(struct mpx_columns_set *ls)
{
    if (ls->forgotten == 0)
        return ls->count++;
    ls->forgotten--;
    uint32_t id = 0;
    while (ls->items[id])
        id++;
    return id;
}

struct mpx_columns *mpx_columns_get(struct mpx_columns_set *ls, const mproxy_layout *key)
{
    struct mpx_columns *layout = mpx_columns_find(ls, key);
    if (layout)
        return layout;
    layout = reserve(ls) ? layout_new(key) : NULL;
    if (!layout)
        return NULL;
    layout->id = take_id(ls);
    mpx_index_put(&ls->index, hash_of(key), layout->id);
    ls->items[layout->id] = layout;
    return layout;
}

void mpx_columns_forget(struct mpx_columns_set *ls, struct mpx_columns *layout)
{
    ls->items[layout->id] = NULL;
    ls->forgotten++;
    layout_free(layout);
}

bool mpx_columns_expect(struct mpx_columns *layout)
{
    if (layout->parts == layout->row_room) {
        uint32_t room = layout->row_room ? layout->row_room * 2 : 8;
        const double **rows = realloc(layout->rows, room * sizeof *rows);
        if (!rows)
            return false;
        layout->rows = rows;
        layout->row_room = room;
    }
    layout->parts++;
    return true;
}

// Four doubles that need no more alignment than one: the compiler splits them as the
// machine's registers ask, at every optimisation level.
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));

static void add_four_rows(double *sums, const double *const *rows, size_t count)
{
    const double *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        *(four *)(sums + i) += (*(const four *)(a + i) + *(const four *)(b + i)) +
                               (*(const four *)(c + i) + *(const four *)(d + i));
    for (; i < count; i++)
        sums[i] += (a[i] + b[i]) + (c[i] + d[i]);
}

static void add_row(double *sums, const double *row, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        *(four *)(sums + i) += *(const four *)(row + i);
    for (; i < count; i++)
        sums[i] += row[i];
}

static double finite_sum(const struct mpx_columns *layout, size_t column)
{
    double sum = 0;
    for (uint32_t r = 0; r < layout->row_count; r++)
        if (isfinite(layout->rows[r][column]))
            sum += layout->rows[r][column];
    return sum;
}

void mpx_columns_sum(struct mpx_columns *layout)
{
    size_t count = layout->key->count;
    memset(layout->sums, 0, count * sizeof *layout->sums);
    uint32_t r = 0;
    for (; r + 4 <= layout->row_count; r += 4)
        add_four_rows(layout->sums, layout->rows + r, count);
    for (; r < layout->row_count; r++)
        add_row(layout->sums, layout->rows[r], count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(layout->sums[i]))
            layout->sums[i] = finite_sum(layout, i);
}

void mpx_columns_fini(struct mpx_columns_set *ls)
{
    for (uint32_t i = 0; i < ls->count; i++)
        layout_free(ls->items[i]);
    free(ls->items);
    mpx_index_fini(&ls->index);
    *ls = (struct mpx_columns_set){0};
}
