// What an instrumented function costs over the same one without. Built with
// -finstrument-functions and run under proxy_run by bench_finstrument.sh; PLAIN is what the
// C library's empty hooks cost, in a run without the exporter.
#include <stdio.h>

#include "turns.h"

#define PLAIN_FUNCTION __attribute__((noinline, no_instrument_function))

static int counter;

__attribute__((noinline)) static void instrumented(void)
{
    counter++;
    __asm__ volatile("" ::: "memory");
}

PLAIN_FUNCTION static void plain(void)
{
    counter++;
    __asm__ volatile("" ::: "memory");
}

PLAIN_FUNCTION static void instrumented_calls(int calls)
{
    for (int i = 0; i < calls; i++)
        instrumented();
}

PLAIN_FUNCTION static void plain_calls(int calls)
{
    for (int i = 0; i < calls; i++)
        plain();
}

PLAIN_FUNCTION int main(void)
{
    double ns[2];
    instrumented();
    take_turns((void (*const[2])(int)){instrumented_calls, plain_calls}, 10000, ns);
    printf("%.2f %.2f\n", ns[0], ns[1]);
    return 0;
}
