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
