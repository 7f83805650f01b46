// stack: what each call of the client library takes of a thread's stack, in bytes, when it is
// made for the first time. All calls are made in processes of their own.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/client.h>

enum { ROOM = 256 << 10, SPARED = 256, PAINT = 0x5a };
static char *stack;
static void (*call)(void);
static mproxy_error err;
static mproxy_counter *counter;
static size_t used;
static int is_child;

static void first_counter(void)
{
    counter = mproxy_counter_get("c_total", "Counted by a test", &err);
}

static void add(void)
{
    mproxy_counter_add(counter, 1);
}

static void another(void)
{
    mproxy_counter_add(mproxy_counter_get("d_total", NULL, &err), 1);
}

static void other_type(void)
{
    mproxy_gauge_set(mproxy_gauge_get("c_total", NULL, &err), 1);
}

static void bad_name(void)
{
    mproxy_gauge_set(mproxy_gauge_get("1{", NULL, &err), 1);
}

static void histogram(void)
{
    mproxy_histogram_observe(mproxy_histogram_get("h", NULL, NULL, 0, &err), 3);
}

static void status(void)
{
    mproxy_client_status(&err);
}

static void many(void)
{
    char name[40] = "many_aaaaa_total";
    for (int i = 0; i < 3000; i++) {
        for (int digit = 0, rest = i; digit < 5; digit++, rest /= 10)
            name[5 + digit] = (char)('a' + rest % 10);
        mproxy_counter_add(mproxy_counter_get(name, NULL, &err), 1);
    }
}

// Its handlers, not what the C library takes for it.
static void in_child(void)
{
    pid_t pid = _Fork();
    int ended = 0;
    if (pid > 0)
        waitpid(pid, &ended, 0);
    if (ended)
        exit(97);
    is_child = pid == 0;
    add();
}

// The depth of what is painted over; the last bytes, which are this function's own, count in
// full.
static void *measure(void *unused)
{
    char *volatile here = __builtin_frame_address(0);
    memset(stack, PAINT, (size_t)(here - stack) - SPARED);
    (void)unused;
    call();
    const char *low = stack;
    while (low < here - SPARED && *low == PAINT)
        low++;
    used = (size_t)(here - low);
    return NULL;
}

static size_t depth_of(void (*run)(void))
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, stack, ROOM);
    call = run;
    pthread_create(&thread, &attr, measure, NULL);
    pthread_join(thread, NULL);
    return used;
}

static void *use_all(void *unused)
{
    first_counter();
    add();
    histogram();
    many();
    return unused;
}

// A thread of the smallest size does all of it.
static void in_smallest(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    if (pthread_create(&thread, &attr, use_all, NULL) != 0)
        exit(98);
    pthread_join(thread, NULL);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } calls[] = {{"first_counter", first_counter},
                 {"add", add},
                 {"another", another},
                 {"other_type", other_type},
                 {"bad_name", bad_name},
                 {"histogram", histogram},
                 {"status", status},
                 {"many", many},
                 {"started", mproxy_process_started},
                 {"in_child", in_child},
                 {"finished", mproxy_process_finished}};
    stack = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(malloc(1)); // the C library's own first time
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        size_t depth = depth_of(calls[i].run);
        if (is_child)
            _exit(depth > 2048);
        printf("%s %zu\n", calls[i].name, depth);
        fflush(stdout);
    }
    if (fork() == 0) {
        in_smallest();
        _exit(0);
    }
    int ended = -1;
    wait(&ended);
    printf("smallest %d\n", ended);
    return 0;
}
