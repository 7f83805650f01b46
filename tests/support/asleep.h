// Waiting until a thread of this process waits itself, instead of for a time in which it should.
#ifndef TESTS_SUPPORT_ASLEEP_H
#define TESTS_SUPPORT_ASLEEP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

// False when it is still at work after ten seconds.
static inline bool wait_until_asleep(pid_t tid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    for (int i = 0; i < 10000; i++) {
        FILE *file = fopen(path, "re");
        const char *name =
            file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        if (file)
            fclose(file);
        if (name && name[1] == ' ' && name[2] == 'S')
            return true;
        usleep(1000);
    }
    return false;
}

#endif
