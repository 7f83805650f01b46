// Tells before an exec that this image ends by it. Where the next one counts, the process goes
// on there; where it does not (linked statically, of another word size, set-uid, started with
// an empty environment), the process has left our reach, which is no end that nobody saw.
#include <mproxy/client.h>
#include <mproxy/inline.h>

#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/loader.h"
#include "process/leave.h"

typedef int exec_function(const char *path, char *const words[]);
typedef int exec_environment_function(const char *path, char *const words[],
                                      char *const environment[]);
typedef int exec_fd_function(int fd, char *const words[], char *const environment[]);
typedef int exec_at_function(int fd, const char *path, char *const words[],
                             char *const environment[], int flags);

// Found while the process starts: a child of vfork or clone had better not look.
static exec_function *next_execv, *next_execvp;
static exec_environment_function *next_execve, *next_execvpe;
static exec_fd_function *next_fexecve;
static exec_at_function *next_execveat;

__attribute__((constructor)) static void find_next(void)
{
    if (next_execve)
        return;
    next_execv = (exec_function *)mpx_dlsym(RTLD_NEXT, "execv");
    next_execvp = (exec_function *)mpx_dlsym(RTLD_NEXT, "execvp");
    next_execvpe = (exec_environment_function *)mpx_dlsym(RTLD_NEXT, "execvpe");
    next_fexecve = (exec_fd_function *)mpx_dlsym(RTLD_NEXT, "fexecve");
    next_execveat = (exec_at_function *)mpx_dlsym(RTLD_NEXT, "execveat");
    next_execve = (exec_environment_function *)mpx_dlsym(RTLD_NEXT, "execve");
}

void mpx_leave_begin(void)
{
    if (!mproxy_thread_has_storage() || mpx_in_vfork)
        return;
    int saved = errno;
    mproxy_process_leaves(1);
    errno = saved;
}

// A program whose end is unseen anyhow goes on saying so.
void mpx_leave_end(void)
{
    if (!mproxy_thread_has_storage() || mpx_in_vfork)
        return;
    int saved = errno;
    mproxy_process_leaves(mpx_end_is_unseen);
    errno = saved;
}

#define EXEC(name, parameters, arguments)                                                \
    MPROXY_API int name parameters;                                                      \
    MPROXY_API int name parameters                                                       \
    {                                                                                    \
        find_next();                                                                     \
        mpx_leave_begin();                                                               \
        int result = next_##name arguments;                                              \
        mpx_leave_end();                                                                 \
        return result;                                                                   \
    }

EXEC(execv, (const char *path, char *const words[]), (path, words))
EXEC(execvp, (const char *file, char *const words[]), (file, words))
EXEC(execve, (const char *path, char *const words[], char *const environment[]),
     (path, words, environment))
EXEC(execvpe, (const char *file, char *const words[], char *const environment[]),
     (file, words, environment))
EXEC(fexecve, (int fd, char *const words[], char *const environment[]),
     (fd, words, environment))

// glibc 2.34.
MPROXY_API int execveat(int fd, const char *path, char *const words[],
                        char *const environment[], int flags)
{
    mpx_leave_begin();
    long result = next_execveat
                      ? next_execveat(fd, path, words, environment, flags)
                      : syscall(SYS_execveat, fd, path, words, environment, flags);
    mpx_leave_end();
    return (int)result;
}

// The words of a variable list, of which the first is given; on the caller's stack, as the C
// library has them, for a child of vfork must not allocate.
#define COLLECT(list, first, words)                                                      \
    do {                                                                                 \
        size_t count = 1;                                                                \
        va_start(list, first);                                                           \
        while (va_arg(list, char *))                                                     \
            count++;                                                                     \
        va_end(list);                                                                    \
        (words) = alloca((count + 1) * sizeof *(words));                                 \
        va_start(list, first);                                                           \
        (words)[0] = (char *)(uintptr_t)(first);                                         \
        for (size_t i = 1; i <= count; i++)                                              \
            (words)[i] = va_arg(list, char *);                                           \
    } while (0)

// A list may consist of its end alone, though its declaration says that it does not.
static int is_given(const char *first)
{
    const char *volatile word = first;
    return word != NULL;
}

MPROXY_API int execl(const char *path, const char *first, ...)
{
    va_list list;
    char **words, *none[] = {NULL};
    if (!is_given(first))
        return execv(path, none);
    // cppcheck-suppress allocaCalled ; memory from the heap would be lost in a vfork child
    COLLECT(list, first, words);
    va_end(list);
    return execv(path, words);
}

MPROXY_API int execlp(const char *file, const char *first, ...)
{
    va_list list;
    char **words, *none[] = {NULL};
    if (!is_given(first))
        return execvp(file, none);
    // cppcheck-suppress allocaCalled ; memory from the heap would be lost in a vfork child
    COLLECT(list, first, words);
    va_end(list);
    return execvp(file, words);
}

MPROXY_API int execle(const char *path, const char *first, ...)
{
    va_list list;
    char **words, *none[] = {NULL};
    if (is_given(first)) {
        // cppcheck-suppress allocaCalled ; as above
        COLLECT(list, first, words);
    } else {
        words = none;
        // cppcheck-suppress va_start_subsequentCalls ; only one of the two branches runs
        va_start(list, first);
    }
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(path, words, environment);
}
