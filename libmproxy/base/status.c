// Exported once, by libmproxy_client.
#include <mproxy/base.h>

const char *mproxy_status_text(mproxy_status status)
{
    switch ((int)status) {
#define MPX_STATUS(name, number, text)                                                   \
    case number:                                                                         \
        return text;
#include "tables/status.def"
#undef MPX_STATUS
    }
    return "unknown status";
}

const char *mproxy_version(void)
{
    return MPROXY_VERSION;
}
