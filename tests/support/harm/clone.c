// clone WORD: processes that share memory with the one that made them; for tests of harm.
//
// zeroed     clone() with CLONE_VM, CLONE_VFORK and CLONE_SETTLS, the thread area being zero, as
//            browsers' sandboxes do; the child writes, closes, unlinks, enters a sandbox, ends
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

int main(int argc, char **argv)
{
    check(argc == 2, "a word");
    if (strcmp(argv[1], "zeroed") == 0)
        zeroed();
    else
        check(0, argv[1]);
    return 5;
}
