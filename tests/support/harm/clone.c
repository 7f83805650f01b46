// clone WORD: processes that share memory with the one that made them; for tests of harm.
//
// zeroed     clone() with CLONE_VM, CLONE_VFORK and CLONE_SETTLS, the thread area being zero, as
//            browsers' sandboxes do; the child writes, closes, unlinks, enters a sandbox, ends
// beside     clone() with CLONE_VM alone, and the same by syscall() of clone and of clone3: parent
//            and child count at once
// first      pid 1 of a PID namespace clones a child with CLONE_VM and CLONE_VFORK that is pid 1
//            of another one, counts and ends; then pid 1 is killed
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mproxy/client.h>

static char stack[65536] __attribute__((aligned(4096)));
static char area[16384] __attribute__((aligned(64)));

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "clone: %s: errno %d\n", what, errno);
    exit(99);
}

// What a child does that has no errno to write: nothing that fails.
static int without_storage(void *unused)
{
    (void)unused;
    ssize_t put = write(1, "child\n", 6);
    close(open("/dev/null", O_RDONLY));
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    _exit(put == 6 ? 42 : 1);
}

static void zeroed(void)
{
    int status = 0, flags = CLONE_VM | CLONE_VFORK | CLONE_SETTLS | SIGCHLD;
    // Below it there must be nothing that a thread's variables could be taken for.
    memset(area, 0, sizeof area);
    int pid =
        clone(without_storage, stack + sizeof stack, flags, NULL, NULL, area + 8192);
    check(pid > 0, "clone");
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    printf("status %x\n", (unsigned)status);
    fflush(stdout);
}

enum { ADDITIONS = 10000000 };

static int count(void *unused)
{
    (void)unused;
    mproxy_counter *c = mproxy_counter_get("c_total", "Counted by a test", NULL);
    for (int i = 0; i < ADDITIONS; i++)
        mproxy_counter_add(c, 1);
    return 0;
}

static int count_and_end(void *unused)
{
    count(unused);
    syscall(SYS_exit, 0);
    return 0;
}

static int clone_by_library(void)
{
    return clone(count_and_end, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
}

// The child begins where its stack says, which the system call leaves to us.
static int clone_by_syscall(void)
{
#ifdef __x86_64__
    long (*const call)(long, ...) = syscall;
    void **top = (void **)(void *)(stack + sizeof stack) - 2;
    top[0] = (void *)(void (*)(void))count_and_end;
    long pid = 0;
    // It returns twice: the second time to what lies on the child's stack.
    __asm__ volatile("call *%[call]"
                     : "+a"(pid)
                     : [call] "b"(call), "D"((long)SYS_clone),
                       "S"((long)(CLONE_VM | SIGCHLD)), "d"((long)top), "c"(0L)
                     : "r8", "r9", "r10", "r11", "memory", "cc");
    return (int)pid;
#else
    return clone_by_library();
#endif
}

// The same with clone3, which is told of the whole stack.
static int clone3_by_syscall(void)
{
#ifdef __x86_64__
    static unsigned long long arguments[8]; // flags first; signal, stack, size are 4 to 6
    long (*const call)(long, ...) = syscall;
    void **top = (void **)(void *)(stack + sizeof stack) - 2;
    top[0] = (void *)(void (*)(void))count_and_end;
    arguments[0] = CLONE_VM;
    arguments[4] = SIGCHLD;
    arguments[5] = (unsigned long)stack;
    arguments[6] = (unsigned long)((char *)top - stack);
    long pid = 0;
    __asm__ volatile("call *%[call]"
                     : "+a"(pid)
                     : [call] "b"(call), "D"((long)SYS_clone3), "S"((long)arguments),
                       "d"((long)sizeof arguments)
                     : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return (int)pid;
#else
    return clone_by_library();
#endif
}

static void beside(int (*make)(void))
{
    count(NULL); // it has a row of its own by now
    for (int i = 0; i < 3; i++) {
        int pid = make();
        check(pid > 0, "clone");
        count(NULL);
        check(waitpid(pid, NULL, 0) == pid, "waitpid");
    }
    printf("c_total %d\n", 7 * ADDITIONS);
    fflush(stdout);
}

static int count_once(void *unused)
{
    (void)unused;
    mproxy_counter_add(mproxy_counter_get("c_total", "Counted by a test", NULL), 1);
    _exit(0);
}

static void first(void)
{
    int status = 0, flags = CLONE_VM | CLONE_VFORK | CLONE_NEWPID | SIGCHLD, done[2];
    char byte;
    check(pipe(done) == 0 && unshare(CLONE_NEWPID) == 0, "unshare");
    int pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        int child = clone(count_once, stack + sizeof stack, flags, NULL);
        check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
        check(write(done[1], "x", 1) == 1, "write");
        for (;;)
            pause();
    }
    check(read(done[0], &byte, 1) == 1 && kill(pid, SIGKILL) == 0, "kill");
    check(waitpid(pid, &status, 0) == pid, "waitpid");
    printf("status %x\n", (unsigned)status);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    check(argc == 2, "a word");
    if (strcmp(argv[1], "zeroed") == 0)
        zeroed();
    else if (strcmp(argv[1], "first") == 0)
        first();
    else if (strcmp(argv[1], "beside") == 0)
        beside(clone_by_library);
    else if (strcmp(argv[1], "beside-syscall") == 0)
        beside(clone_by_syscall);
    else if (strcmp(argv[1], "beside-clone3") == 0)
        beside(clone3_by_syscall);
    else
        check(0, argv[1]);
    return 5;
}
