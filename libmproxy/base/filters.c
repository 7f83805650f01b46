#include "base/filters.h"

#include <stdlib.h>
#include <string.h>

#include "base/environment.h"
#include "base/sys.h"

// The number behind a word at the beginning of a line; -1: no such line is there whole.
static long number_of_line(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    if (!at || !strchr(at + 1, '\n')) // the word begins with the end of the line before
        return -1;
    at += strlen(word);
    while (*at == ' ' || *at == '\t')
        at++;
    long value = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (*at - '0');
    return value;
}

// Linux before 5.9 says only that there are filters ("Seccomp: 2").
static long filters_in(const char *text)
{
    long count = number_of_line(text, "\nSeccomp_filters:");
    if (count < 0 && number_of_line(text, "\nSeccomp:") == 2 &&
        strstr(text, "\nSpeculation"))
        count = 1;
    return count;
}

unsigned mpx_filters_count(void)
{
    enum { KEPT = 128 }; // of the block before, for lines that lie in both
    char text[KEPT + 512 + 1];
    size_t held = 0;
    long count = -1;
    int fd = mpx_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    while (count < 0) {
        ssize_t got = mpx_read(fd, text + held, sizeof text - 1 - held);
        if (got <= 0)
            break;
        held += (size_t)got;
        text[held] = '\0';
        count = filters_in(text);
        size_t kept = held < KEPT ? held : KEPT;
        memmove(text, text + held - kept, kept);
        held = kept;
    }
    mpx_close(fd);
    return count > 0 ? (unsigned)count : 0;
}

bool mpx_filters_are_more(void)
{
    const char *launchers = mpx_variable(MPX_FILTERS_VARIABLE);
    return launchers && mpx_filters_count() > strtoul(launchers, NULL, 10);
}
