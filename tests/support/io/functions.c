// Functions to be counted, for t82-finstrument.sh: file-local, in a shared object, recursive,
// on many threads, and a malloc that is instrumented itself.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP __attribute__((noinline))

#ifdef SHARED_OBJECT
KEEP static int hidden_in_object(int n)
{
    __asm__ volatile("");
    return n + 1;
}

KEEP int object_function(int n)
{
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += hidden_in_object(n);
    return sum;
}
#else
int object_function(int n);

KEEP static int hidden(int n)
{
    __asm__ volatile("");
    return n;
}

KEEP static int recursive(int n)
{
    __asm__ volatile("");
    return n == 0 ? 0 : 1 + recursive(n - 1);
}

KEEP static int even(int n);

KEEP static int odd(int n)
{
    __asm__ volatile("");
    return n == 0 ? 0 : even(n - 1);
}

KEEP static int even(int n)
{
    __asm__ volatile("");
    return n == 0 ? 1 : odd(n - 1);
}

// Called by whatever the exporter may do that allocates; it must not call itself for ever.
static char arena[1 << 20];
static size_t used;

void *malloc(size_t size)
{
    return arena + __atomic_fetch_add(&used, (size + 31) & ~31ul, __ATOMIC_RELAXED);
}

void free(void *p)
{
    (void)p;
}

KEEP static void leaf(void)
{
    __asm__ volatile("");
}

static void *work(void *p)
{
    for (int i = 0; i < 20000; i++)
        leaf();
    return p;
}

int main(void)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 5; i++)
        object_function(i);
    for (int i = 0; i < 7; i++)
        free(malloc(100));
    hidden(1);
    recursive(99);
    even(10);
    return 0;
}
#endif
