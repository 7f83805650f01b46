// strace_caller WAY: calls the kernel in one of many ways.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/asleep.h"

enum { THREADS = 4, ROUNDS = 500 };

static char buffer[100];

// Each round: one open, a read of 100 bytes, a write of 60, a close, and 3 of no interest.
static void call(int rounds)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < rounds; i++) {
        int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        if (read(zero, buffer, 100) != 100 || write(null, buffer, 60) != 60)
            abort();
        close(zero);
        for (int j = 0; j < 3; j++)
            syscall(SYS_getppid);
    }
    close(null);
}

static void *call_in_thread(void *arg)
{
    (void)arg;
    call(ROUNDS);
    return NULL;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, call_in_thread, NULL) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

static void forks(void)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            call(ROUNDS / 10);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
}

static void vforks(char *self)
{
    for (int i = 0; i < 3; i++)
        if (vfork() == 0) {
            execl(self, self, "calls", NULL);
            _exit(127);
        }
    while (wait(NULL) > 0)
        ;
}

static void chain(char *self, int left)
{
    char text[16];
    snprintf(text, sizeof text, "%d", left - 1);
    call(10);
    if (left > 0)
        execl(self, self, "chain", text, NULL);
}

static char *own_path;

static void *exec_in_thread(void *arg)
{
    (void)arg;
    if (!wait_until_asleep(getpid())) // the leader
        exit(4);
    call(10);
    execl(own_path, own_path, "calls", NULL);
    return NULL;
}

static void thread_execs(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, exec_in_thread, NULL);
    for (;;)
        pause();
}

static volatile sig_atomic_t caught;

static void on_signal(int signal)
{
    (void)signal;
    caught++;
}

// Signals that end calls, and one that restarts them.
static void signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    if (nanosleep(&(struct timespec){10, 0}, NULL) != -1 || errno != EINTR || caught != 1)
        exit(3);
    for (int i = 0; i < 100; i++)
        kill(getpid(), SIGALRM);
    exit(caught == 101 ? 0 : 4);
}

// Writes a line each 20 ms until told to end by SIGTERM.
static void beat(void)
{
    signal(SIGTERM, on_signal);
    for (int i = 0; !caught; i++) {
        printf("%d\n", i);
        fflush(stdout);
        usleep(20000);
    }
    puts("ended");
    exit(5);
}

// Calls that fail with something they never fail with are told.
static void persist(void)
{
    int fd = open("/dev/null", O_WRONLY);
    signal(SIGTERM, on_signal);
    puts("here");
    fflush(stdout);
    while (!caught)
        if (write(fd, buffer, 1) != 1)
            exit(6);
    exit(0);
}

static long storm_calls;

static void *storm_on(void *arg)
{
    for (long i = 0; i < storm_calls; i++) {
        syscall(SYS_getppid);
        if (i % 1000 == 999)
            usleep(5000); // a pace that lets the tracer follow
        if (arg && i == storm_calls / 2 && fork() == 0) {
            storm_on(NULL);
            _exit(0);
        }
    }
    return NULL;
}

// THREADS threads, and the children that they make, ask for their parent: each CALLS times.
static void storm(int threads, long calls)
{
    pthread_t thread[64];
    storm_calls = calls;
    for (int i = 0; i < threads && i < 64; i++)
        if (pthread_create(&thread[i], NULL, storm_on, &thread[i]) != 0)
            abort();
    for (int i = 0; i < threads && i < 64; i++)
        pthread_join(thread[i], NULL);
    while (wait(NULL) > 0)
        ;
}

static _Atomic bool busy_ends;

static void *be_busy(void *arg)
{
    long *calls = arg;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    while (!busy_ends && write(null, buffer, 1) == 1)
        ++*calls;
    close(null);
    return NULL;
}

// THREADS threads call as often as they can for so long; prints the least and the mean.
static void busy(int threads, int ms)
{
    pthread_t thread[64];
    long calls[64] = {0}, sum = 0, least = -1;
    threads = threads < 64 ? threads : 64;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, be_busy, &calls[i]) != 0)
            abort();
    usleep((useconds_t)ms * 1000); // what is measured, not waited for
    busy_ends = true;
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        sum += calls[i];
        least = least < 0 || calls[i] < least ? calls[i] : least;
    }
    printf("%ld %ld\n", least, sum / threads);
}

// A thread executes another program while all others are busy.
static void busy_execs(void)
{
    pthread_t thread;
    static long calls[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&thread, NULL, be_busy, &calls[i]);
    thread_execs();
}

// For each line of input one more answer, and CALLS times the question for the parent.
static void answer(long calls)
{
    char line[100];
    storm_calls = calls;
    while (fgets(line, sizeof line, stdin)) {
        storm_on(NULL);
        puts("done");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    own_path = argv[0];
    if (!strcmp(way, "calls"))
        call(ROUNDS);
    else if (!strcmp(way, "threads"))
        threads();
    else if (!strcmp(way, "forks"))
        forks();
    else if (!strcmp(way, "vforks"))
        vforks(argv[0]);
    else if (!strcmp(way, "chain"))
        chain(argv[0], argc > 2 ? atoi(argv[2]) : 5);
    else if (!strcmp(way, "thread-execs"))
        thread_execs();
    else if (!strcmp(way, "signals"))
        signals();
    else if (!strcmp(way, "beat"))
        beat();
    else if (!strcmp(way, "persist"))
        persist();
    else if (!strcmp(way, "storm") && argc > 3)
        storm(atoi(argv[2]), atol(argv[3]));
    else if (!strcmp(way, "busy") && argc > 3)
        busy(atoi(argv[2]), atoi(argv[3]));
    else if (!strcmp(way, "busy-execs"))
        busy_execs();
    else if (!strcmp(way, "answer") && argc > 2)
        answer(atol(argv[2]));
    return 0;
}
