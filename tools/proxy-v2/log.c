#include "log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const words[] = {"error", "warning", "info", "debug"};
static mproxy_log_level highest = MPROXY_LOG_INFO;

// Before the announcement only the main thread is there.
static bool announced;
static FILE *early;
static char *early_text;
static size_t early_size;

void log_set_level(mproxy_log_level level)
{
    highest = level;
}

void log_line(void *arg, mproxy_log_level level, const char *line)
{
    (void)arg;
    if (level > highest)
        return;
    if (!announced && !early)
        early = open_memstream(&early_text, &early_size);
    char when[32];
    struct tm now;
    time_t seconds = time(NULL);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &now));
    // One call, so that lines of several threads do not mix.
    fprintf(early ? early : stderr, "%s %s: %s\n", when, words[level], line);
}

void log_announce(const char *url)
{
    if (url)
        fprintf(stderr, "Proxy webserver listening on %s\n", url);
    announced = true;
    if (!early)
        return;
    fclose(early);
    early = NULL;
    fputs(early_text, stderr);
    free(early_text);
    early_text = NULL;
}
