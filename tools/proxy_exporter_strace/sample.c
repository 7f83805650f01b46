#include "sample.h"

#include "calls.h"

enum {
    FIRST = 32,     // of a kind are all timed
    GAP = 16,       // untimed calls between two that are timed: below this, at random
    SLOW_TIMES = 4, // as long as the shortest call there was: worth a stop
    WEIGHT = 8,     // of the last call in the mean is one in so many
};

static struct {
    uint64_t mean_ns;
    uint32_t timed;
    uint32_t left;    // not to be timed before the next
    uint32_t skipped; // since the last that was
} kinds[CALLS_MAX];

static uint64_t shortest_ns = UINT64_MAX;

// Programs repeat themselves; a fixed gap might fall into step with one.
static uint32_t next_gap(void)
{
    static uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % GAP;
}

bool sample_wants(int number)
{
    if (call_moves(number) != MOVES_NOTHING || kinds[number].timed < FIRST ||
        kinds[number].mean_ns > SLOW_TIMES * shortest_ns)
        return true;
    if (kinds[number].left == 0)
        return true;
    kinds[number].left--;
    kinds[number].skipped++;
    return false;
}

uint64_t sample_took(int number, uint64_t ns)
{
    uint64_t stands_for = 1 + kinds[number].skipped;
    uint64_t mean = kinds[number].mean_ns;
    shortest_ns = ns < shortest_ns ? ns : shortest_ns;
    kinds[number].mean_ns = mean ? mean - mean / WEIGHT + ns / WEIGHT : ns;
    kinds[number].timed++;
    kinds[number].skipped = 0;
    kinds[number].left = next_gap();
    return stands_for;
}
