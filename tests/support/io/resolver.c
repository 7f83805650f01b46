// An indirect function whose resolver is instrumented and calls an instrumented function: as
// a program; as a library with -DLIBRARY, which with -DUSED also calls it itself.
__attribute__((noinline)) static int has_feature(void)
{
    __asm__ volatile("");
    return 1;
}

static int real_work(int n)
{
    return n;
}

static int (*pick(void))(int)
{
    return has_feature() ? real_work : 0;
}

int plugin_work(int n) __attribute__((ifunc("pick")));

#ifndef LIBRARY
int main(void)
{
    for (int i = 0; i < 4; i++)
        has_feature();
    return plugin_work(7) != 7;
}
#elif defined USED
int uses(int n);
int uses(int n)
{
    return plugin_work(n);
}
#endif
