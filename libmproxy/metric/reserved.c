#include "metric/reserved.h"

#include <stddef.h>
#include <string.h>

bool mpx_name_is_reserved(const char *name)
{
    static const char *const whole[] = {"has_started", "has_finished", "has_left",
                                        "walltime"};
    static const char *const prefixes[] = {"proxy_", "mproxy_", "job_process_"};
    size_t length = strcspn(name, "{");
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strlen(whole[i]) == length && memcmp(name, whole[i], length) == 0)
            return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

// As text formats show it: what Prometheus does not take is `_` there.
static bool begins(const char *name, const char *prefix)
{
    for (; *prefix; name++, prefix++) {
        bool is_plain = (*name >= 'a' && *name <= 'z') ||
                        (*name >= 'A' && *name <= 'Z') ||
                        (*name >= '0' && *name <= '9') || *name == ':';
        if (*name == '\0' || *name == '{' || (is_plain ? *name : '_') != *prefix)
            return false;
    }
    return true;
}

bool mpx_name_is_ours(const char *name)
{
    static const char *const prefixes[] = {"proxy_",   "mproxy_",   "job_process_",
                                           "mpi___",   "strace___", "posix___",
                                           "total___", "has_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (begins(name, prefixes[i]))
            return true;
    return mpx_name_is_reserved(name);
}
