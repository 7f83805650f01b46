// Programs whose other threads write to a standard stream that is closed, or close descriptors
// that are not theirs, while many threads count: descriptors writing, descriptors closing FILE.
// Exits 1 when a message landed anywhere, or a file of the program's holds what it never wrote.
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mproxy/client.h>

enum { NAMES = 4000, STEP = 100, THREADS = 60 };

static volatile bool stop;
static long landed, changed;

static void *write_messages(void *arg)
{
    static const char message[] =
        "a library's message, for a stream that it takes for stderr";
    while (!stop)
        landed += write(STDERR_FILENO, message, sizeof message) > 0;
    return arg;
}

static void check_file(int fd)
{
    char text[8];
    struct stat st;
    if (write(fd, "data", 4) != 4)
        return; // closed already
    for (volatile int i = 0; i < 3000; i++)
        continue;
    if (fstat(fd, &st) == 0 && (st.st_size != 4 || pread(fd, text, sizeof text, 0) != 4 ||
                                memcmp(text, "data", 4)))
        changed++;
}

static void *close_others(void *path)
{
    while (!stop) {
        syscall(SYS_close_range, 3U, ~0U, 0U);
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        check_file(fd);
        close(fd);
    }
    return NULL;
}

static pthread_barrier_t all_there;
static mproxy_counter *newest;

// Each thread has a row of its own, which is to grow whenever the names have.
static void *count_newest(void *arg)
{
    for (int i = 0; i < NAMES / STEP; i++) {
        pthread_barrier_wait(&all_there);
        mproxy_counter_add(newest, 1);
        pthread_barrier_wait(&all_there);
    }
    return arg;
}

static void count_names(void)
{
    char name[32];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n_%d_total", i);
        newest = mproxy_counter_get(name, "One of many.", NULL);
        mproxy_counter_add(newest, 1);
        if (i % STEP != STEP - 1)
            continue;
        pthread_barrier_wait(&all_there);
        pthread_barrier_wait(&all_there);
    }
}

static void count_in_threads(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&all_there, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, count_newest, NULL);
    count_names();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    pthread_t other;
    bool is_closing = strcmp(argv[1], "closing") == 0;
    if (!is_closing)
        close(STDERR_FILENO);
    mproxy_counter *counter = mproxy_counter_get("c_total", NULL, NULL);
    mproxy_counter_add(counter, 1000);
    pthread_create(&other, NULL, is_closing ? close_others : write_messages,
                   argc > 2 ? argv[2] : NULL);
    count_in_threads();
    stop = true;
    pthread_join(other, NULL);
    if (landed || changed)
        printf("%ld messages landed, %ld times another file\n", landed, changed);
    return landed || changed;
}
