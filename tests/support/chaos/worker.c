// A program that counts, and writes down what it counts where no kill can lose it.
//
//     CHAOS_TRUTH=FILE CHAOS_PROGRAM='count 1000; fork 2 500; exec' worker
//
// FILE is shared by all processes of a job. Each thread of each process takes a row of it,
// and raises `before` ahead of each addition to a metric and `after` behind it: whenever it
// is killed, what the metric holds lies between the two, and mostly they are equal.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mproxy/client.h>

enum { ROWS = 4096, THREADS_MAX = 16, PROGRAM_MAX = 1024, OFF = 88 };

struct pair {
    _Atomic uint64_t before, after;
};

// driver.py reads this.
struct row {
    uint64_t pid;
    struct pair total, gauge, observed, observed_sum;
    uint64_t unused[7];
};

struct truth {
    _Atomic uint64_t rows;    // taken
    _Atomic uint64_t started; // processes that may have started
    _Atomic uint64_t reached; // of these, the ones that came as far as main
    _Atomic uint64_t ending;  // that were about to end by themselves
    _Atomic uint64_t ended;   // that somebody saw end by themselves
    uint64_t unused[11];
    struct row row[ROWS];
};

static struct truth *truth;
static struct row *mine; // of the main thread
static struct row *handler_row;
static mproxy_counter *total;
static mproxy_gauge *gauge;
static mproxy_histogram *histogram;
static char *self;

static void die(const char *what)
{
    fprintf(stderr, "worker: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static struct row *take_row(void)
{
    uint64_t n = atomic_fetch_add(&truth->rows, 1);
    if (n >= ROWS)
        die("too many rows");
    truth->row[n].pid = (uint64_t)syscall(SYS_getpid); // a raw clone has no other way
    return &truth->row[n];
}

static void map_truth(void)
{
    const char *path = getenv("CHAOS_TRUTH");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        die("CHAOS_TRUTH");
    truth = mmap(NULL, sizeof *truth, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (truth == MAP_FAILED)
        die("mmap");
    close(fd);
}

static void add(struct row *row, uint64_t value)
{
    atomic_fetch_add(&row->total.before, value);
    mproxy_counter_add(total, value);
    atomic_fetch_add(&row->total.after, value);
}

static void count(struct row *row, long n)
{
    for (long i = 0; i < n; i++)
        add(row, 1 + (uint64_t)i % 3);
}

static void set_gauge(uint64_t value)
{
    atomic_store(&mine->gauge.before, value);
    mproxy_gauge_set(gauge, (double)value);
    atomic_store(&mine->gauge.after, value);
}

static void observe(long n)
{
    for (long i = 0; i < n; i++) {
        uint64_t value = 1 + (uint64_t)i % 100;
        atomic_fetch_add(&mine->observed.before, 1);
        atomic_fetch_add(&mine->observed_sum.before, value);
        mproxy_histogram_observe(histogram, (double)value);
        atomic_fetch_add(&mine->observed_sum.after, value);
        atomic_fetch_add(&mine->observed.after, 1);
    }
}

static void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

_Noreturn static void end(long by_exit)
{
    atomic_fetch_add(&truth->ending, 1);
    if (by_exit)
        exit(0);
    _exit(0);
}

static void wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        atomic_fetch_add(&truth->ended, 1);
    else if (WIFEXITED(status) && WEXITSTATUS(status) != OFF)
        exit(WEXITSTATUS(status));
}

// ---- threads; each counts once more when its destructors run

static pthread_key_t last_words;

static void say_last_words(void *row)
{
    count(row, 7);
}

static void *thread_main(void *arg)
{
    struct row *row = take_row();
    pthread_setspecific(last_words, row);
    count(row, (long)(intptr_t)arg);
    return NULL;
}

static void threads(long n, long each)
{
    pthread_t ids[THREADS_MAX];
    for (long i = 0; i < n; i++)
        if (pthread_create(&ids[i], NULL, thread_main, (void *)(intptr_t)each) != 0)
            die("thread");
    for (long i = 0; i < n; i++)
        pthread_join(ids[i], NULL);
}

// ---- processes

static void become_another(void)
{
    mine = take_row();
    handler_row = NULL;
    atomic_fetch_add(&truth->reached, 1);
}

// The children end in each of the two ways.
static void forks(long n, long each)
{
    pid_t pids[THREADS_MAX];
    for (long i = 0; i < n; i++) {
        atomic_fetch_add(&truth->started, 1);
        pids[i] = fork();
        if (pids[i] < 0)
            die("fork");
        if (pids[i] == 0) {
            become_another();
            count(mine, each);
            end(i % 2);
        }
    }
    count(mine, each);
    for (long i = 0; i < n; i++)
        wait_for(pids[i]);
}

// Nothing of the C library runs in the child. Whether it is counted as a start and an end
// is left open.
static void clones(long each)
{
    atomic_fetch_add(&truth->started, 1);
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        struct row *row = take_row();
        count(row, each);
        atomic_fetch_add(&truth->ending, 1);
        syscall(SYS_exit_group, OFF);
    }
    count(mine, each);
    wait_for((pid_t)pid);
}

static pid_t start_image(const char *program)
{
    char variable[64];
    snprintf(variable, sizeof variable, "CHAOS_PROGRAM=%s", program);
    char *variables[1024] = {variable};
    size_t n = 1, room = sizeof variables / sizeof variables[0];
    for (char **e = environ; *e && n < room - 1; e++)
        if (strncmp(*e, "CHAOS_PROGRAM=", 14) != 0)
            variables[n++] = *e;
    atomic_fetch_add(&truth->started, 1);
    pid_t pid = vfork();
    if (pid == 0) {
        execle(self, "worker", NULL, variables);
        _exit(98);
    }
    return pid;
}

static void vforks(long each)
{
    char program[32];
    snprintf(program, sizeof program, "count %ld", each);
    pid_t pid = start_image(program);
    count(mine, each);
    wait_for(pid);
}

// Short processes, some at a time, each an image of its own.
static void swarm(long n, long at_a_time)
{
    for (long i = 0; i < n; i++) {
        if (i >= at_a_time)
            wait_for(-1);
        start_image("count 10;sleep 5");
    }
    for (long i = 0; i < n && i < at_a_time; i++)
        wait_for(-1);
}

// It goes on with the rest of the program, as another image.
static void become_image(const char *rest)
{
    setenv("CHAOS_PROGRAM", rest, 1);
    setenv("CHAOS_IMAGE", "1", 1);
    execl(self, "worker", NULL);
    die("exec");
}

// ---- a handler that counts while the main code does

static void on_alarm(int signal)
{
    (void)signal;
    add(handler_row, 1);
}

static void with_signals(long period_us, long n)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    if (!handler_row)
        handler_row = take_row();
    sigaction(SIGALRM, &action, NULL);
    struct itimerval fast = {{0, period_us}, {0, period_us}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &fast, NULL);
    count(mine, n);
    setitimer(ITIMER_REAL, &never, NULL);
}

// ---- the program

static void step(char *text, const char *rest)
{
    char verb[16] = "";
    long a = 0, b = 0;
    sscanf(text, "%15s %ld %ld", verb, &a, &b);
    if (!strcmp(verb, "count"))
        count(mine, a);
    else if (!strcmp(verb, "threads"))
        threads(a, b);
    else if (!strcmp(verb, "fork"))
        forks(a, b);
    else if (!strcmp(verb, "clone"))
        clones(a);
    else if (!strcmp(verb, "vfork"))
        vforks(a);
    else if (!strcmp(verb, "swarm"))
        swarm(a, b);
    else if (!strcmp(verb, "exec"))
        become_image(rest);
    else if (!strcmp(verb, "signals"))
        with_signals(a, b);
    else if (!strcmp(verb, "gauge"))
        set_gauge((uint64_t)a);
    else if (!strcmp(verb, "observe"))
        observe(a);
    else if (!strcmp(verb, "sleep"))
        nap(a);
    else if (!strcmp(verb, "kill"))
        raise(SIGKILL);
    else if (!strcmp(verb, "exit"))
        end(a);
    else
        die(text);
}

static void run(char *program)
{
    for (char *rest; program && *program; program = rest) {
        rest = strchr(program, ';');
        if (rest)
            *rest++ = '\0';
        step(program, rest ? rest : "");
    }
}

int main(void)
{
    static char program[PROGRAM_MAX];
    char path[256];
    snprintf(program, sizeof program, "%s", getenv("CHAOS_PROGRAM"));
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    self = path;
    map_truth();
    mine = take_row();
    if (!getenv("CHAOS_IMAGE"))
        atomic_fetch_add(&truth->reached, 1);
    unsetenv("CHAOS_IMAGE");
    pthread_key_create(&last_words, say_last_words);
    total = mproxy_counter_get("chaos_total", "Counted by chaos", NULL);
    gauge = mproxy_gauge_get("chaos_gauge", "Set by chaos", NULL);
    histogram = mproxy_histogram_get("chaos_sizes", "Observed by chaos",
                                     (const double[]){10, 50}, 2, NULL);
    if (mproxy_client_status(NULL) != MPROXY_OK)
        die("not counted");
    run(program);
    end(1);
}
