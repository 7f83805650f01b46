// Profile files: whatever is read is refused with a text, or is whole: it renders, and what
// was rendered reads back to the same text.

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mproxy_status append(void *arg, const char *bytes, size_t length)
{
    mpx_buf_add(arg, bytes, length);
    return MPROXY_OK;
}

static mproxy_profile *parse(const void *text, size_t length)
{
    mproxy_profile *p = NULL;
    mproxy_error err = {.status = MPROXY_OK};
    mproxy_status status = mproxy_profile_parse(text, length, &p, &err);
    if (status != MPROXY_OK && (p || err.status != status || err.text[0] == '\0'))
        abort();
    return p;
}

static void render(const mproxy_profile *p, struct mpx_buf *text)
{
    if (mproxy_profile_render(p, append, text) != MPROXY_OK)
        abort();
}

// What parses need not be a sum of its shares; once summed it must be stable.
static void check_round_trip(mproxy_profile *p)
{
    struct mpx_buf once = MPX_BUF_INIT, twice = MPX_BUF_INIT;
    if (p->share_count > 0 && mpx_profile_sum(p, NULL) != MPROXY_OK)
        abort();
    render(p, &once);
    mproxy_profile *q = parse(once.data, once.size);
    if (!q)
        abort();
    render(q, &twice);
    if (once.size != twice.size || memcmp(once.data, twice.data, once.size) != 0)
        abort();
    mproxy_profile_free(q);
    mpx_buf_free(&once);
    mpx_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mproxy_profile *p = NULL;
    if (mpx_profile_parse_head((const char *)data, size, &p, NULL) == MPROXY_OK)
        mproxy_profile_free(p);
    p = parse(data, size);
    if (p)
        check_round_trip(p);
    mproxy_profile_free(p);
    return 0;
}
