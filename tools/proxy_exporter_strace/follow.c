#include "follow.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum {
    WINDOW_STOPS = 32,
    WINDOW_NS = 5000000,
    KEEP_NS = 250000000,
    TICK_US = 10000,
    // Of a window's stops, or of those since the last tick, at most one in so many may be
    // another thread's.
    ALONE = 4,
};

static struct {
    pid_t tid; // 0: none is kept
    uint64_t until_ns;
    uint32_t stops, strangers;  // stops of it and of others since the last tick
    cpu_set_t cpu, own, others; // kept on; the tracer's before; the thread's before
} kept;

static uint64_t all_stops;
static volatile sig_atomic_t ticked;

static void on_alarm(int signal)
{
    (void)signal;
    ticked = 1;
}

static void set_timer(int us)
{
    struct itimerval timer = {{0, us}, {0, us}};
    struct sigaction action = {.sa_handler = on_alarm};
    if (us)
        sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

// Field 39 of its stat; -1 when that can't be had.
static int last_cpu_of(pid_t tid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 39; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? atoi(at) : -1;
}

static void keep(struct tracee *t, uint64_t now_ns)
{
    int cpu = last_cpu_of(t->tid);
    if (cpu < 0 || cpu >= CPU_SETSIZE ||
        sched_getaffinity(0, sizeof kept.own, &kept.own) != 0 ||
        sched_getaffinity(t->tid, sizeof kept.others, &kept.others) != 0 ||
        !CPU_ISSET(cpu, &kept.others))
        return;
    CPU_ZERO(&kept.cpu);
    CPU_SET(cpu, &kept.cpu);
    if (sched_setaffinity(0, sizeof kept.cpu, &kept.cpu) != 0)
        return;
    // A thread that is bound already stays as it is.
    if (CPU_COUNT(&kept.others) > 1)
        sched_setaffinity(t->tid, sizeof kept.cpu, &kept.cpu);
    kept.tid = t->tid;
    kept.until_ns = now_ns + KEEP_NS;
    kept.stops = kept.strangers = 0;
    set_timer(TICK_US);
}

void follow_release(void)
{
    cpu_set_t now;
    if (!kept.tid)
        return;
    // Somebody else may have bound it meanwhile.
    if (CPU_COUNT(&kept.others) > 1 &&
        sched_getaffinity(kept.tid, sizeof now, &now) == 0 && CPU_EQUAL(&now, &kept.cpu))
        sched_setaffinity(kept.tid, sizeof kept.others, &kept.others);
    sched_setaffinity(0, sizeof kept.own, &kept.own);
    kept.tid = 0;
    set_timer(0);
}

void follow_forget(pid_t tid)
{
    if (tid == kept.tid)
        follow_release();
}

void follow_tick(void)
{
    if (!ticked)
        return;
    ticked = 0;
    if (kept.stops == 0)
        follow_release();
    kept.stops = kept.strangers = 0;
}

void follow_exec(struct tracee *t, uint64_t now_ns)
{
    if (!kept.tid && tracee_count() == 1)
        keep(t, now_ns);
}

// Others stop, too: they need the tracer as much, and the other CPUs.
static void see_other(void)
{
    if (kept.tid && ++kept.strangers > WINDOW_STOPS &&
        kept.strangers > kept.stops / ALONE)
        follow_release();
}

void follow_stop(struct tracee *t, uint64_t now_ns)
{
    all_stops++;
    if (t->tid == kept.tid) {
        kept.stops++;
        if (now_ns > kept.until_ns)
            follow_release();
        return;
    }
    see_other();
    if (++t->stops < WINDOW_STOPS)
        return;
    bool alone = all_stops - t->all_then <= WINDOW_STOPS + WINDOW_STOPS / ALONE;
    if (alone && now_ns - t->window_ns < WINDOW_NS && !kept.tid)
        keep(t, now_ns);
    t->stops = 0;
    t->window_ns = now_ns;
    t->all_then = all_stops;
}
