#include "tracees.h"

#include <stdlib.h>

#include "own.h"

enum { BUCKETS = 4096 };

static struct tracee *buckets[BUCKETS];
static uint32_t count;

static struct tracee **place_of(pid_t tid)
{
    struct tracee **at = &buckets[(unsigned)tid % BUCKETS];
    while (*at && (*at)->tid != tid)
        at = &(*at)->next;
    return at;
}

struct tracee *tracee_find(pid_t tid)
{
    return *place_of(tid);
}

struct tracee *tracee_find_or_add(pid_t tid)
{
    struct tracee *t = tracee_find(tid);
    if (t)
        return t;
    t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->tid = tid;
    t->call = NO_CALL;
    *place_of(tid) = t;
    count++;
    return t;
}

void tracee_remove(pid_t tid)
{
    struct tracee **at = place_of(tid), *t = *at;
    if (!t)
        return;
    *at = t->next;
    own_forget(t);
    free(t);
    count--;
}

void tracee_rename(pid_t from, pid_t to)
{
    struct tracee **at = place_of(from), *t = *at;
    if (!t || from == to)
        return;
    *at = t->next;
    count--;
    tracee_remove(to);
    at = place_of(to);
    t->tid = to;
    t->next = NULL;
    *at = t;
    count++;
}

uint32_t tracee_count(void)
{
    return count;
}

void tracee_each(void (*visit)(struct tracee *t, void *arg), void *arg)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct tracee *t = buckets[i], *next; t; t = next) {
            next = t->next;
            visit(t, arg);
        }
}
