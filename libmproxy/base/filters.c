#include "base/filters.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/boot.h"
#include "base/environment.h"
#include "base/sys.h"
#include "base/text.h"

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

// How many filters this process has; 0 where that can't be told. Made of calls that the loader
// makes as well: open, read and close.
static unsigned count_filters(void)
{
    enum { KEPT = 128 }; // of the block before, for lines that lie in both
    char text[KEPT + 1024 + 1];
    size_t held = 0;
    long count = -1;
    int fd = mpx_open_plain("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
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

// Launchers hand variables on to other hosts, where a daemon may have filters of its own. Not
// told by a host's name: a sandbox may have another one. Asked last, since it costs a file.
static bool is_of_this_boot(const char *id, size_t length)
{
    char boot[MPX_BOOT_ID_ROOM];
    mpx_boot_id(boot);
    return length == 0 || !boot[0] ||
           (strlen(boot) == length && memcmp(boot, id, length) == 0);
}

bool mpx_filters_are_more(void)
{
    const char *text = mpx_variable(MPX_FILTERS_VARIABLE);
    if (!text)
        return false;
    const char *blank = strchr(text, ' ');
    unsigned long launchers = strtoul(blank ? blank + 1 : text, NULL, 10);
    return count_filters() > launchers &&
           is_of_this_boot(text, blank ? (size_t)(blank - text) : 0);
}

bool mpx_filters_tell(void)
{
    char text[MPX_BOOT_ID_ROOM + 16];
    bool has_none = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0;
    mpx_boot_id(text);
    mpx_format(text + strlen(text), sizeof text - strlen(text), " %u",
               has_none ? 0 : count_filters());
    return setenv(MPX_FILTERS_VARIABLE, text, 1) == 0;
}
