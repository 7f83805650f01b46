#include <mproxy/metric.h>

mproxy_value mproxy_value_gauge(double value, uint64_t ts_us)
{
    return (mproxy_value){
        .total = value, .min = value, .max = value, .hits = 1, .ts_us = ts_us};
}

mproxy_value mproxy_value_counter(double value, uint64_t ts_us)
{
    return (mproxy_value){.total = value, .ts_us = ts_us};
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void merge_gauge(mproxy_value *value, const mproxy_value *other)
{
    if (other->hits <= 0)
        return;
    if (value->hits <= 0) {
        *value = *other;
        return;
    }
    value->total += other->total;
    value->hits += other->hits;
    if (other->min < value->min)
        value->min = other->min;
    if (other->max > value->max)
        value->max = other->max;
    value->ts_us = later(value->ts_us, other->ts_us);
}

void mproxy_value_merge(mproxy_type type, mproxy_value *value, const mproxy_value *other)
{
    if (type == MPROXY_GAUGE) {
        merge_gauge(value, other);
        return;
    }
    value->total += other->total;
    value->ts_us = later(value->ts_us, other->ts_us);
}

// Equal values go to the lowest rank, so that the order of merging does not matter.
static void take_min(mproxy_ranks *ranks, double value, uint32_t rank)
{
    if (value < ranks->min || (value == ranks->min && rank < ranks->min_rank)) {
        ranks->min = value;
        ranks->min_rank = rank;
    }
}

static void take_max(mproxy_ranks *ranks, double value, uint32_t rank)
{
    if (value > ranks->max || (value == ranks->max && rank < ranks->max_rank)) {
        ranks->max = value;
        ranks->max_rank = rank;
    }
}

void mproxy_ranks_merge(mproxy_ranks *ranks, const mproxy_ranks *other)
{
    if (other->n == 0)
        return;
    if (ranks->n == 0) {
        *ranks = *other;
        return;
    }
    ranks->n += other->n;
    ranks->sum += other->sum;
    take_min(ranks, other->min, other->min_rank);
    take_max(ranks, other->max, other->max_rank);
}

void mproxy_ranks_add(mproxy_ranks *ranks, uint32_t rank, double value)
{
    mproxy_ranks one = {.n = 1,
                        .sum = value,
                        .min = value,
                        .max = value,
                        .min_rank = rank,
                        .max_rank = rank};
    mproxy_ranks_merge(ranks, &one);
}
