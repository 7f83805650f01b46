#include "count.h"

#include <stdbool.h>
#include <stdio.h>

#include <mproxy/client.h>

#include "calls.h"

enum metric { HITS, TIME, SIZE, TOTAL };
static const struct {
    const char *name, *doc;
} metrics[] = {
#define MPX_SYSCALL_METRIC(id, name, doc) [id] = {name, doc},
#include "../../libmproxy/tables/syscall_metrics.def"
#undef MPX_SYSCALL_METRIC
};

static struct {
    mproxy_counter *hits, *time, *size;
} counters[CALLS_MAX];
static mproxy_counter *totals[3]; // by enum call_moves
static uint64_t counted;

static mproxy_counter *declare(enum metric what, const char *name)
{
    char metric[128], doc[128];
    snprintf(metric, sizeof metric, metrics[what].name, name);
    snprintf(doc, sizeof doc, metrics[what].doc, name);
    return mproxy_counter_get_scaled(metric, doc, what == TIME ? 1e-9 : 1, NULL);
}

static void declare_call(int number)
{
    const char *name = call_name(number);
    counters[number].hits = declare(HITS, name);
    counters[number].time = declare(TIME, name);
}

static void declare_size(int number)
{
    static const char *const ways[] = {"", "read", "write"};
    enum call_moves moves = call_moves(number);
    counters[number].size = declare(SIZE, call_name(number));
    if (!totals[moves])
        totals[moves] = declare(TOTAL, ways[moves]);
}

void count_hit(int number)
{
    if (!counters[number].hits)
        declare_call(number);
    mproxy_counter_add(counters[number].hits, 1);
    counted++;
}

void count_time(int number, uint64_t ns, int64_t result)
{
    enum call_moves moves = call_moves(number);
    bool moved = moves != MOVES_NOTHING && result > 0;
    if (!counters[number].hits)
        declare_call(number);
    if (moved && !counters[number].size)
        declare_size(number);
    mproxy_counter *const which[] = {counters[number].time, counters[number].size,
                                     totals[moves]};
    uint64_t size = (uint64_t)result;
    mproxy_counter_add_many(which, (const uint64_t[]){ns, size, size}, moved ? 3 : 1);
}

uint64_t count_total(void)
{
    return counted;
}
