#include "store/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const struct mpx_shape *s, bool many)
{
    size_t gauges = many ? s->room - (s->room == s->count ? s->counter_count : 0) : 0;
    return s->room * (sizeof(double) + sizeof(uint64_t)) +
           gauges * sizeof(struct mpx_many);
}

// All arrays but the ranks stand in one block behind the head.
static struct mpx_numbers *numbers_alloc(struct mpx_shape *shape, bool many, bool ranks)
{
    struct mpx_numbers *n = malloc(sizeof *n + bytes_of(shape, many));
    if (!n)
        return NULL;
    *n = (struct mpx_numbers){.references = 1};
    n->totals = (double *)(n + 1);
    n->times = (uint64_t *)(void *)(n->totals + shape->room);
    if (many)
        n->many = (struct mpx_many *)(n->times + shape->room);
    if (ranks && !(n->ranks = calloc(shape->room + 1u, sizeof *n->ranks))) {
        free(n);
        return NULL;
    }
    n->shape = mpx_shape_ref(shape);
    return n;
}

struct mpx_numbers *mpx_numbers_new(struct mpx_shape *shape, bool many, bool ranks)
{
    struct mpx_numbers *n = numbers_alloc(shape, many, ranks);
    if (!n)
        return NULL;
    memset(n->totals, 0, bytes_of(shape, many));
    for (uint32_t i = shape->counter_count; !many && i < shape->count; i++)
        n->totals[shape->by_type[i]] = NAN;
    return n;
}

struct mpx_numbers *mpx_numbers_copy(const struct mpx_numbers *n)
{
    struct mpx_numbers *copy = numbers_alloc(n->shape, n->many, n->ranks);
    if (!copy)
        return NULL;
    memcpy(copy->totals, n->totals, bytes_of(n->shape, n->many));
    if (n->ranks)
        memcpy(copy->ranks, n->ranks, n->shape->count * sizeof *n->ranks);
    return copy;
}

struct mpx_numbers *mpx_numbers_ref(struct mpx_numbers *n)
{
    __atomic_add_fetch(&n->references, 1, __ATOMIC_RELAXED);
    return n;
}

void mpx_numbers_unref(struct mpx_numbers *n)
{
    if (!n || __atomic_sub_fetch(&n->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mpx_shape_unref(n->shape);
    free(n->ranks);
    free(n);
}

void mpx_numbers_set(struct mpx_numbers *n, uint32_t slot, const mproxy_value *v)
{
    uint32_t gauge = n->shape->gauge_at[slot];
    n->totals[slot] = v->total;
    n->times[slot] = v->ts_us;
    if (gauge == MPX_NO_GAUGE)
        return;
    if (n->many)
        n->many[gauge] = (struct mpx_many){v->min, v->max, v->hits};
    else if (v->hits == 0)
        n->totals[slot] = NAN;
}
