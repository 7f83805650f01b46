#include "ledger/columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/metric.h"

static void columns_free(struct mpx_columns *columns)
{
    if (!columns)
        return;
    free(columns->gauges);
    free(columns->sums);
    free(columns->rows);
    free(columns);
}

static struct mpx_columns *columns_new(const mproxy_layout *key)
{
    struct mpx_columns *columns = calloc(1, sizeof *columns);
    if (!columns)
        return NULL;
    columns->key = key;
    columns->gauges = calloc(key->count + 1, sizeof *columns->gauges);
    columns->sums = calloc(key->count + 1, sizeof *columns->sums);
    if (!columns->gauges || !columns->sums) {
        columns_free(columns);
        return NULL;
    }
    for (size_t i = 0; i < key->count; i++)
        if (key->metrics[i]->type == MPROXY_GAUGE)
            columns->gauges[columns->gauge_count++] = (uint32_t)i;
    return columns;
}

static uint32_t hash_of(const mproxy_layout *key)
{
    return mpx_hash_u64((uintptr_t)key);
}

static bool reserve(struct mpx_columns_set *ls)
{
    return (ls->forgotten > 0 || MPX_RESERVE(ls->items, ls->room, ls->count + 1u)) &&
           mpx_index_reserve(&ls->index, ls->index.used + 1);
}

struct mpx_columns *mpx_columns_find(const struct mpx_columns_set *ls,
                                     const mproxy_layout *key)
{
    uint32_t hash = hash_of(key);
    for (uint32_t at = mpx_index_start(&ls->index, hash), i;
         mpx_index_next(&ls->index, hash, &at, &i);)
        if (ls->items[i]->key == key)
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
    struct mpx_columns *columns = mpx_columns_find(ls, key);
    if (columns)
        return columns;
    columns = reserve(ls) ? columns_new(key) : NULL;
    if (!columns)
        return NULL;
    columns->id = take_id(ls);
    mpx_index_put(&ls->index, hash_of(key), columns->id);
    ls->items[columns->id] = columns;
    return columns;
}

void mpx_columns_forget(struct mpx_columns_set *ls, struct mpx_columns *columns)
{
    mpx_index_remove(&ls->index, hash_of(columns->key), columns->id);
    ls->items[columns->id] = NULL;
    ls->forgotten++;
    columns_free(columns);
}

bool mpx_columns_expect(struct mpx_columns *columns)
{
    if (!MPX_RESERVE(columns->rows, columns->row_room, columns->parts + 1u))
        return false;
    columns->parts++;
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

static double finite_sum(const struct mpx_columns *columns, size_t column)
{
    double sum = 0;
    for (uint32_t r = 0; r < columns->row_count; r++)
        if (isfinite(columns->rows[r][column]))
            sum += columns->rows[r][column];
    return sum;
}

void mpx_columns_sum(struct mpx_columns *columns)
{
    size_t count = columns->key->count;
    memset(columns->sums, 0, count * sizeof *columns->sums);
    uint32_t r = 0;
    for (; r + 4 <= columns->row_count; r += 4)
        add_four_rows(columns->sums, columns->rows + r, count);
    for (; r < columns->row_count; r++)
        add_row(columns->sums, columns->rows[r], count);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(columns->sums[i]))
            columns->sums[i] = finite_sum(columns, i);
}

void mpx_columns_fini(struct mpx_columns_set *ls)
{
    for (uint32_t i = 0; i < ls->count; i++)
        columns_free(ls->items[i]);
    free(ls->items);
    mpx_index_fini(&ls->index);
    *ls = (struct mpx_columns_set){0};
}
