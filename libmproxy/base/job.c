#include <mproxy/job.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

void mproxy_job_clear(mproxy_job *job)
{
    if (!job)
        return;
    free(job->jobid);
    free(job->command);
    free(job->nodelist);
    free(job->partition);
    free(job->cluster);
    free(job->run_dir);
    *job = (mproxy_job){0};
}

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

mproxy_status mproxy_job_copy(const mproxy_job *job, mproxy_job *out)
{
    MPX_REQUIRE(job && out, NULL);
    mproxy_job copy = *job;
    copy.jobid = copy_text(job->jobid);
    copy.command = copy_text(job->command);
    copy.nodelist = copy_text(job->nodelist);
    copy.partition = copy_text(job->partition);
    copy.cluster = copy_text(job->cluster);
    copy.run_dir = copy_text(job->run_dir);
    if (!copy.jobid || !copy.command || !copy.nodelist || !copy.partition ||
        !copy.cluster || !copy.run_dir) {
        mproxy_job_clear(&copy);
        return MPROXY_E_NOMEM;
    }
    *out = copy;
    return MPROXY_OK;
}

mproxy_status mproxy_job_check_id(const char *jobid, mproxy_error *err)
{
    // One byte more than allowed is enough to see; the id may be of any length.
    size_t length = jobid ? strnlen(jobid, MPROXY_JOB_ID_MAX + 1) : 0;
    if (length == 0)
        return mpx_fail(err, MPROXY_E_INVALID, "job id is empty");
    if (length > MPROXY_JOB_ID_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "job id '%.40s...': longer than %d bytes",
                        jobid, MPROXY_JOB_ID_MAX);
    if (!mpx_utf8_is_printable(jobid, length))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "job id '%.80s': not UTF-8, or with control characters", jobid);
    if (strcmp(jobid, "main") == 0)
        return mpx_fail(err, MPROXY_E_INVALID, "job id 'main': stands for all jobs");
    if (strncmp(jobid, "Node: ", strlen("Node: ")) == 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "job id '%.80s': 'Node: ' stands for what runs on a host", jobid);
    return MPROXY_OK;
}
