// What tests of random histories share: dice that fall alike for a seed, and how many worlds are
// played. MPROXY_RANDOM_SEED and MPROXY_RANDOM_WORLDS choose others.
#ifndef TESTS_SUPPORT_DICE_H
#define TESTS_SUPPORT_DICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static unsigned seed; // of the world that is played
static uint64_t dice;

static inline uint32_t roll(uint32_t sides)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 33) % sides;
}

static inline bool chance(uint32_t percent)
{
    return roll(100) < percent;
}

static inline void play_worlds(unsigned worlds, void (*play)(void))
{
    const char *from = getenv("MPROXY_RANDOM_SEED"),
               *count = getenv("MPROXY_RANDOM_WORLDS");
    unsigned first = from ? (unsigned)atoi(from) : 1;
    worlds = count ? (unsigned)atoi(count) : worlds;
    for (seed = first; seed < first + worlds; seed++) {
        dice = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        play();
    }
}

#endif
