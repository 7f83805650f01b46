#include "calls.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define COUNTS MOVES_NOTHING
#define READS MOVES_IN
#define WRITES MOVES_OUT
static const struct {
    const char *name;
    enum call_moves moves;
} usual[] = {
#define MPX_SYSCALL(name, moves) {#name, moves},
#include "../../libmproxy/tables/syscalls.def"
#undef MPX_SYSCALL
};

#ifdef SYS_fork
#define FORK SYS_fork
#define VFORK SYS_vfork
#else
#define FORK CALLS_MAX
#define VFORK CALLS_MAX
#endif
const int calls_watched[CALLS_WATCHED] = {SYS_clone,
                                          SYS_clone3,
                                          FORK,
                                          VFORK,
                                          SYS_execve,
                                          SYS_sched_getaffinity,
                                          SYS_sched_setaffinity};

static signed char moves_of[CALLS_MAX]; // enum call_moves; filled by calls_choose()

static int number_of(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    return number >= 0 && number < CALLS_MAX ? number : -1;
}

static void add_usual(struct calls *calls)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        int number = number_of(usual[i].name);
        if (number >= 0)
            calls->wanted[number] = true;
    }
}

// A call that libseccomp has no name for goes by its number, as call_name() writes it.
static int number_in(const char *name)
{
    char *end;
    if (strncmp(name, "syscall_", 8) != 0 || name[8] < '0' || name[8] > '9')
        return -1;
    long number = strtol(name + 8, &end, 10);
    return !*end && number < CALLS_MAX ? (int)number : -1;
}

static bool add(struct calls *calls, const char *word, size_t length)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    if (strcmp(name, "all") == 0)
        memset(calls->wanted, true, sizeof calls->wanted);
    else if (strcmp(name, "default") == 0)
        add_usual(calls);
    else {
        int number = number_in(name);
        number = number >= 0 ? number : number_of(name);
        if (number < 0)
            return false;
        calls->wanted[number] = true;
    }
    return true;
}

bool calls_choose(struct calls *calls, const char *text, char *why, size_t room)
{
    size_t length;
    memset(calls, 0, sizeof *calls);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        int number = number_of(usual[i].name);
        if (number >= 0)
            moves_of[number] = (signed char)usual[i].moves;
    }
    for (const char *at = text; *at; at += length) {
        at += strspn(at, ", ");
        length = strcspn(at, ", ");
        if (length && !add(calls, at, length)) {
            snprintf(why, room, "'%.*s' is no system call here",
                     (int)(length < 40 ? length : 40), at);
            return false;
        }
    }
    // They have no end that could be counted.
    calls->wanted[SYS_exit] = calls->wanted[SYS_exit_group] = false;
    return true;
}

uint32_t calls_arch(void)
{
    return seccomp_arch_native();
}

const char *call_name(int number)
{
    static char text[64];
    char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number);
    if (name)
        snprintf(text, sizeof text, "%s", name);
    else
        snprintf(text, sizeof text, "syscall_%d", number);
    free(name);
    return text;
}

enum call_moves call_moves(int number)
{
    return moves_of[number];
}
