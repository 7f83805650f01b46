// Messages of the legacy socket: whatever comes in, a message is refused or well formed.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/message_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_job(const mproxy_job *job)
{
    if (strlen(job->jobid) > MPROXY_JOB_ID_MAX ||
        strlen(job->command) > MPROXY_JOB_COMMAND_MAX ||
        strlen(job->run_dir) > MPROXY_JOB_FIELD_MAX || job->start_time < 0)
        abort();
}

static void check_metric(const struct mpx_message *m)
{
    if (!m->name || !m->doc || (m->type != MPROXY_COUNTER && m->type != MPROXY_GAUGE))
        abort();
    if (m->kind == MPX_MESSAGE_VALUE && m->type == MPROXY_COUNTER && !isfinite(m->value))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mpx_message message;
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_status status = mpx_message_parse((const char *)data, size, &message, &err);
    if (status != MPROXY_OK) {
        if (err.status != status || err.text[0] == '\0')
            abort();
        return 0;
    }
    if (message.kind == MPX_MESSAGE_JOB)
        check_job(&message.job);
    else
        check_metric(&message);
    mpx_message_clear(&message);
    return 0;
}
