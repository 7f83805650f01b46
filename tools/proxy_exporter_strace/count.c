#include "count.h"

#include <stdbool.h>
#include <stdio.h>

#include <mproxy/client.h>

#include "calls.h"

static struct {
    mproxy_counter *hits, *time, *size;
} counters[CALLS_MAX];
static mproxy_counter *totals[3]; // by enum call_moves
static uint64_t counted;

static mproxy_counter *declare(const char *form, const char *name, const char *doc,
                               double scale)
{
    char metric[128];
    snprintf(metric, sizeof metric, form, name);
    return mproxy_counter_get_scaled(metric, doc, scale, NULL);
}

static void declare_call(int number)
{
    const char *name = call_name(number);
    counters[number].hits = declare("strace___hits___%s", name, "Calls", 1);
    counters[number].time =
        declare("strace___time___%s", name, "Time in the call, in seconds", 1e-9);
}

static void declare_size(int number)
{
    static const char *const ways[] = {"", "read", "write"};
    enum call_moves moves = call_moves(number);
    counters[number].size =
        declare("strace___size___%s", call_name(number), "Bytes moved by the call", 1);
    if (!totals[moves])
        totals[moves] = declare("total___strace___size___%s", ways[moves],
                                "Bytes moved by all such system calls", 1);
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
