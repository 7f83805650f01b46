// A mark is a close() of a number that is no descriptor: it can't do harm, whatever filters
// a program has put over itself, and needs no stop but its own. Marks nest. A program that
// jumps out of a signal handler, past the second of a pair, would seem to be ours for ever;
// so a pair covers at most PAIR_CALLS calls.
//
// The loader opens the preloaded libraries one after the other: open, read, fstat, mmap in
// pieces, close, and mprotect at the end. So there is one descriptor of ours at a time, and
// a range of addresses for each library. Libraries that the user preloads come before ours,
// those that the program needs after; a program that can't be preloaded opens none of ours,
// and is looked at no longer than its first OPENS files.
#include "own.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <mproxy/client.h>

enum { PAIR_CALLS = 64, OPENS = 16, LIBRARIES = 8, PATH_SIZE = 512 };

struct loading {
    uint64_t from[LIBRARIES], to[LIBRARIES]; // where they are mapped
    unsigned libraries, opens;
    int fd; // of the library being mapped; -1: none
    bool opens_ours, maps_first;
    uint64_t size; // of the first mapping
};

static const char *preloads = "";

void own_set_preloads(const char *list)
{
    preloads = list;
}

uint64_t own_close(uint64_t argument)
{
    return (uint32_t)argument == (uint32_t)MPROXY_OWN_BEGIN ? OWN_BEGIN
           : (uint32_t)argument == (uint32_t)MPROXY_OWN_END ? OWN_END
                                                            : SYS_close;
}

static void end_loading(struct tracee *t)
{
    free(t->loading);
    t->loading = NULL;
}

void own_forget(struct tracee *t)
{
    end_loading(t);
}

void own_exec(struct tracee *t)
{
    t->own_depth = 0;
    t->wants_result = false;
    end_loading(t);
    if (!*preloads)
        return;
    t->loading = calloc(1, sizeof *t->loading); // without, the loader's calls are counted
    if (t->loading)
        t->loading->fd = -1;
}

// ---- files of ours

static bool is_library_of_ours(const char *item, size_t length)
{
    static const char *const names[] = {"/libmproxy_client.so",
                                        "/libmetricproxy-exporter-"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memmem(item, length, names[i], strlen(names[i])))
            return true;
    return false;
}

static bool is_preloaded(const char *path)
{
    size_t size = strlen(path), length;
    for (const char *at = preloads; *at; at += length) {
        at += strspn(at, ": ");
        length = strcspn(at, ": ");
        if (length && length == size && memcmp(at, path, size) == 0)
            return is_library_of_ours(at, length);
    }
    return false;
}

// Up to the end of its page and then the next, which may not be there.
static bool read_path(pid_t tid, uint64_t address, char path[PATH_SIZE])
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = page - address % page;
    first = first < PATH_SIZE - 1 ? first : PATH_SIZE - 1;
    struct iovec local = {path, PATH_SIZE - 1};
    struct iovec remote[] = {
        {(void *)(uintptr_t)address, first},
        {(void *)(uintptr_t)(address + first), PATH_SIZE - 1 - first}};
    ssize_t got = process_vm_readv(tid, &local, 1, remote, 2, 0);
    path[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static bool takes_open(struct tracee *t, uint64_t address)
{
    struct loading *l = t->loading;
    char path[PATH_SIZE];
    l->opens_ours = read_path(t->tid, address, path) && is_preloaded(path);
    if (!l->opens_ours && ++l->opens == OPENS) {
        end_loading(t);
        return false;
    }
    t->wants_result = l->opens_ours;
    return l->opens_ours;
}

// ---- where they are mapped

static bool is_within(const struct loading *l, uint64_t address)
{
    for (unsigned i = 0; i < l->libraries; i++)
        if (address >= l->from[i] && address < l->to[i])
            return true;
    return false;
}

static bool takes_mmap(struct tracee *t, const uint64_t *arguments)
{
    struct loading *l = t->loading;
    if (is_within(l, arguments[0]))
        return true;
    if (l->fd < 0 || (int)arguments[4] != l->fd)
        return false;
    l->maps_first = t->wants_result = l->libraries < LIBRARIES;
    l->size = arguments[1];
    return true;
}

static bool takes_loading(struct tracee *t, uint64_t number, const uint64_t *arguments)
{
    struct loading *l = t->loading;
    bool on_ours = l->fd >= 0 && (int)arguments[0] == l->fd;
    switch (number) {
    case SYS_openat:
        return takes_open(t, arguments[1]);
#ifdef SYS_open
    case SYS_open:
        return takes_open(t, arguments[0]);
#endif
    case SYS_mmap:
        return takes_mmap(t, arguments);
    case SYS_mprotect:
        return is_within(l, arguments[0]);
    case SYS_close:
        l->fd = on_ours ? -1 : l->fd;
        return on_ours;
    case SYS_read:
    case SYS_pread64:
    case SYS_fstat:
    case SYS_newfstatat:
        return on_ours;
    default:
        return false;
    }
}

void own_result(struct tracee *t, int64_t result)
{
    struct loading *l = t->loading;
    t->wants_result = false;
    if (!l)
        return;
    if (l->opens_ours)
        l->fd = result >= 0 ? (int)result : -1;
    if (l->maps_first && result > 0) {
        l->from[l->libraries] = (uint64_t)result;
        l->to[l->libraries++] = (uint64_t)result + l->size;
    }
    l->opens_ours = l->maps_first = false;
}

// ---- all

static bool takes_mark(struct tracee *t, uint64_t number)
{
    end_loading(t);
    t->own_left = PAIR_CALLS;
    if (number == OWN_BEGIN)
        t->own_depth++;
    else if (t->own_depth > 0)
        t->own_depth--;
    return true;
}

bool own_takes(struct tracee *t, uint64_t number)
{
    struct __ptrace_syscall_info info = {0};
    if (number == OWN_BEGIN || number == OWN_END)
        return takes_mark(t, number);
    if (t->own_depth > 0) {
        if (t->own_left-- > 0)
            return true;
        t->own_depth = 0;
    }
    if (!t->loading || ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) <= 0)
        return false;
    uint64_t arguments[6];
    memcpy(arguments,
           info.op == PTRACE_SYSCALL_INFO_SECCOMP ? info.seccomp.args : info.entry.args,
           sizeof arguments);
    return takes_loading(t, number, arguments);
}
