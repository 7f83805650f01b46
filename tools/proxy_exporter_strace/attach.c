#include "attach.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "trace.h"

// What mproxy_job_from_environment() reads, and where the proxy is.
static bool tells_job(const char *variable)
{
    static const char *const prefixes[] = {
        "PROXY_JOB_ID=",       "SLURM_",         "PMI", "OMPI_COMM_WORLD_",
        "MPROXY_LAUNCHER_ID=", "MPROXY_COMMAND="};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void take_variable(char *text, bool keep_job, bool keep_socket)
{
    char *value = strchr(text, '=');
    bool taken = (tells_job(text) && !keep_job) ||
                 (strncmp(text, "PROXY_PATH=", 11) == 0 && !keep_socket);
    if (!value || !taken)
        return;
    *value = '\0';
    setenv(text, value + 1, 1);
}

void attach_environment(pid_t pid, bool keep_job, bool keep_socket)
{
    char path[64], *text = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (getdelim(&text, &room, '\0', file) > 0)
        take_variable(text, keep_job, keep_socket);
    free(text);
    fclose(file);
}

// True when it is traced now and was not before.
static bool attach_thread(pid_t tid)
{
    if (tracee_find(tid) ||
        ptrace(PTRACE_SEIZE, tid, 0, (void *)trace_options(false)) != 0)
        return false;
    if (!tracee_find_or_add(tid)) {
        errno = ENOMEM;
        return false;
    }
    ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    return true;
}

// One pass over the threads; how many are new.
static int attach_threads(pid_t pid)
{
    char path[64];
    int added = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        added += entry->d_name[0] != '.' && attach_thread((pid_t)atoi(entry->d_name));
    closedir(dir);
    return added;
}

bool attach_process(pid_t pid, char *why, size_t room)
{
    if (!attach_thread(pid)) {
        snprintf(why, room, "%s", tracee_find(pid) ? "given twice" : strerror(errno));
        return false;
    }
    // Threads that a thread makes after it was seized are traced from the start.
    while (attach_threads(pid) > 0)
        ;
    return true;
}
