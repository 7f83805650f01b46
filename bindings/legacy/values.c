// The older API: its values are handles of mproxy/client.h, told apart by their lowest
// bit. So a name asked for again gives the same value, and there is no table to search.
#include "metric_proxy_client.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include <mproxy/client.h>

struct MetricProxyClient {
    char unused;
};

static struct MetricProxyClient the_client;

enum { GAUGE_BIT = 1 };

static bool is_on(const struct MetricProxyClient *client)
{
    return client && mproxy_client_status(NULL) == MPROXY_OK;
}

static bool is_gauge(const struct MetricProxyValue *value)
{
    return (uintptr_t)value & GAUGE_BIT;
}

MPROXY_API struct MetricProxyClient *metric_proxy_init(void)
{
    return &the_client;
}

MPROXY_API int metric_proxy_release(struct MetricProxyClient *client)
{
    return client != &the_client;
}

MPROXY_API struct MetricProxyValue *
metric_proxy_counter_new(struct MetricProxyClient *client, const char *name,
                         const char *doc)
{
    mproxy_error err = {0};
    if (!is_on(client) || !name)
        return NULL;
    mproxy_fcounter *counter = mproxy_fcounter_get(name, doc, &err);
    return err.status ? NULL : (struct MetricProxyValue *)counter;
}

MPROXY_API int metric_proxy_counter_inc(struct MetricProxyValue *counter, double value)
{
    if (!counter || is_gauge(counter))
        return 1;
    mproxy_fcounter_add((mproxy_fcounter *)counter,
                        value); // one that it refuses is marked
    return !(value >= 0) || isinf(value);
}

MPROXY_API struct MetricProxyValue *
metric_proxy_gauge_new(struct MetricProxyClient *client, const char *name,
                       const char *doc)
{
    mproxy_error err = {0};
    if (!is_on(client) || !name)
        return NULL;
    uintptr_t gauge = (uintptr_t)mproxy_gauge_get(name, doc, &err);
    return err.status ? NULL : (struct MetricProxyValue *)(gauge | GAUGE_BIT);
}

MPROXY_API int metric_proxy_gauge_set(struct MetricProxyValue *gauge, double value)
{
    if (!gauge || !is_gauge(gauge))
        return 1;
    mproxy_gauge_set((mproxy_gauge *)((uintptr_t)gauge & ~(uintptr_t)GAUGE_BIT), value);
    return !isfinite(value);
}
