// Bodies of /push, /accumulate and /set: whatever comes in is refused or well formed.

#include <stdlib.h>
#include <string.h>

#include "daemon/counters_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mpx_counter_body body = {.key = NULL};
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_status status = mpx_counter_body_parse((const char *)data, size, &body, &err);
    if (status != MPROXY_OK) {
        if (err.status != status || err.text[0] == '\0')
            abort();
        return 0;
    }
    if (strlen(body.value) >= sizeof body.value)
        abort();
    mpx_counter_body_clear(&body);
    return 0;
}
