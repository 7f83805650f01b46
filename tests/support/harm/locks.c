// locks WORD DIR: programs in which somebody who counts for the first time is held up, ended or
// jumped away from. Each ends within a minute, or is killed by its alarm. Built twice: with
// -DHANDLERS as a library, whose handlers of fork() were there before ours.
//
// mutex   a library with pthread_atfork(lock, unlock, unlock), and threads that count under
//         its mutex first, beside forks
// join    a prepare handler that joins a thread that has yet to count
// vfork   children of vfork that declare names, killed at any moment
// jump    siglongjmp() out of handlers of signals that come while names are declared
// births  children by fork, _Fork and the bare system call, beside threads that come and go
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mproxy/client.h>

extern pthread_mutex_t handlers_mutex;
extern void (*handlers_prepare)(void);

#ifdef HANDLERS

pthread_mutex_t handlers_mutex = PTHREAD_MUTEX_INITIALIZER;
void (*handlers_prepare)(void);

static void before(void)
{
    if (handlers_prepare)
        handlers_prepare();
    pthread_mutex_lock(&handlers_mutex);
}

static void after(void)
{
    pthread_mutex_unlock(&handlers_mutex);
}

__attribute__((constructor)) static void register_handlers(void)
{
    pthread_atfork(before, after, after);
}

#else

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "locks: %s: errno %d\n", what, errno);
    exit(99);
}

static void *count(void *name)
{
    mproxy_counter_add(mproxy_counter_get(name, "Counted by a test", NULL), 1);
    return NULL;
}

static pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    check(pthread_create(&thread, NULL, run, arg) == 0, "pthread_create");
    return thread;
}

static void count_in_thread(const char *name)
{
    check(pthread_join(start(count, (void *)name), NULL) == 0, "pthread_join");
}

static void await(pid_t pid)
{
    int status = -1;
    check(pid > 0 && waitpid(pid, &status, 0) == pid, "child");
    check(status == 0, "child's status");
}

static void fork_one(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        count("child_total");
        _exit(0);
    }
    await(pid);
}

// ---- mutex

static atomic_int stopped;

static void *count_under_mutex(void *name)
{
    pthread_mutex_lock(&handlers_mutex);
    count(name);
    pthread_mutex_unlock(&handlers_mutex);
    return NULL;
}

static void *count_under_mutex_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        pthread_join(start(count_under_mutex, "thread_total"), NULL);
    stopped = 1;
    return NULL;
}

static void mutex(void)
{
    pthread_t thread = start(count_under_mutex_often, NULL);
    int forks = 0;
    for (; !stopped || forks < 100; forks++)
        fork_one();
    pthread_join(thread, NULL);
    printf("thread_total 1000\nchild_total %d\n", forks);
}

// ---- join

static pthread_t worker;
static atomic_int worker_may_end;

static void *work(void *unused)
{
    (void)unused;
    while (!worker_may_end)
        sched_yield();
    return count("worker_total");
}

static void end_worker(void)
{
    worker_may_end = 1;
    pthread_join(worker, NULL);
}

static void join(void)
{
    handlers_prepare = end_worker;
    for (int i = 0; i < 100; i++) {
        worker_may_end = 0;
        worker = start(work, NULL);
        fork_one();
    }
    printf("worker_total 100\nchild_total 100\n");
}

// ---- vfork

enum { VFORKS = 450, NAMES = 30 };
static atomic_int child_pid, child_run;

static void nap(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

// A child of vfork shares memory, and its parent's thread waits for it.
static void *vfork_often(void *unused)
{
    (void)unused;
    for (int run = 0; run < VFORKS; run++) {
        child_run = run;
        pid_t pid = vfork();
        if (pid == 0) {
            char name[40];
            child_pid = getpid();
            for (int i = 0; i < NAMES; i++) {
                snprintf(name, sizeof name, "run_%d_%d_total", run, i);
                count(name);
            }
            for (;;)
                pause();
        }
        check(waitpid(pid, NULL, 0) == pid, "vfork");
    }
    stopped = 1;
    return NULL;
}

static void kill_children(void)
{
    unsigned random = 1;
    while (!stopped) {
        int pid = atomic_exchange(&child_pid, 0);
        if (!pid)
            continue;
        random = random * 1103515245 + 12345;
        for (volatile unsigned i = 0; i < (random >> 8) % 30000; i++)
            ;
        kill(pid, SIGKILL);
        // While its parent's thread may not have waited for it, and after.
        count_in_thread("thread_total");
    }
}

static void vforks(void)
{
    char name[40];
    pthread_t thread = start(vfork_often, NULL);
    kill_children();
    pthread_join(thread, NULL);
    for (int run = 0; run < VFORKS; run++) {
        snprintf(name, sizeof name, "run_%d_0_total", run);
        count(name);
    }
    count_in_thread("last_total");
    printf("thread_total %d\nlast_total 1\n", VFORKS);
}

// ---- jump

static sigjmp_buf back;
static atomic_int may_jump, jumps;
static pthread_t jumper;

static void jump_away(int signal)
{
    (void)signal;
    if (!atomic_exchange(&may_jump, 0))
        return;
    jumps++;
    siglongjmp(back, 1);
}

static const int faults[] = {SIGSEGV, SIGTRAP, SIGFPE, SIGSYS, SIGBUS, SIGILL};
enum { FAULTS = sizeof faults / sizeof faults[0], JUMPS = 3000 };

static void *send_signals(void *unused)
{
    (void)unused;
    for (unsigned i = 0; jumps < JUMPS; i++) {
        pthread_kill(jumper, faults[i % FAULTS]);
        nap(1000 + i * 7919 % 40000);
    }
    stopped = 1;
    return NULL;
}

static void jump(void)
{
    struct sigaction act = {.sa_handler = jump_away};
    for (int i = 0; i < (int)FAULTS; i++)
        sigaction(faults[i], &act, NULL);
    jumper = pthread_self();
    pthread_t thread = start(send_signals, NULL);
    static volatile int names;
    while (!stopped) {
        char name[40];
        if (sigsetjmp(back, 1) == 0)
            may_jump = 1;
        // No more of them than a segment holds.
        names = (names + 1) % 12000;
        snprintf(name, sizeof name, "name_%d_total", names);
        mproxy_counter_get(name, "Declared by a test", NULL);
    }
    may_jump = 0;
    pthread_join(thread, NULL);
    for (int i = 0; i < 100; i++)
        count_in_thread("thread_total");
    count("last_total");
    fork_one();
    printf("thread_total 100\nlast_total 1\nchild_total 1\n");
}

// ---- births

static void *come_and_go(void *which)
{
    char name[40];
    for (int i = 0; !stopped; i++) {
        if (i < 3000) {
            snprintf(name, sizeof name, "name_%d_%d_total", *(int *)which, i);
            count(name);
        }
        count_in_thread("thread_total");
    }
    return NULL;
}

static pid_t bear(int way)
{
    if (way == 0)
        return fork();
    if (way == 1)
        return _Fork();
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void births(void)
{
    enum { BIRTHS = 1500 };
    static int which[] = {0, 1};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = start(come_and_go, &which[i]);
    for (int i = 0; i < BIRTHS; i++) {
        pid_t pid = bear(i % 3);
        if (pid == 0) {
            count("child_total");
            _exit(0);
        }
        await(pid);
    }
    stopped = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("child_total %d\n", BIRTHS);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *word;
        void (*run)(void);
    } modes[] = {{"mutex", mutex},
                 {"join", join},
                 {"vfork", vforks},
                 {"jump", jump},
                 {"births", births}};
    alarm(100);
    check(argc == 2, "a word");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(argv[1], modes[i].word) == 0) {
            modes[i].run();
            return 0;
        }
    check(0, argv[1]);
}

#endif
