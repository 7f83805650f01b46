// Libraries for the posix tests. -DEARLY: one whose constructor does I/O, linked to the
// program, so that it runs before the exporter's own. -DPLUGIN: opened by dlopen().
// -DSTACKED: another tool that is preloaded and wraps write().
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#ifdef STACKED
static long calls;

ssize_t write(int fd, const void *from, size_t n)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (!next)
        next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    calls++;
    return next(fd, from, n);
}

__attribute__((destructor)) static void report(void)
{
    fprintf(stderr, "stacked %ld\n", calls);
}
#else
static int nine_bytes_twice(void)
{
    int fd = open("/dev/null", O_WRONLY);
    int failed = write(fd, "nine byte", 9) != 9 || write(fd, "nine byte", 9) != 9;
    return close(fd) || failed;
}
#endif

#ifdef EARLY
__attribute__((constructor)) static void first(void)
{
    nine_bytes_twice();
}

int early;
#endif

#ifdef PLUGIN
int plugin_writes(void)
{
    return nine_bytes_twice();
}
#endif
