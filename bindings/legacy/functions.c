// Instrumented functions for the older API: the same counters as the finstrument exporter's.
#include "metric_proxy_client.h"

#include <mproxy/client.h>

#include "finstrument/functions.h"

MPROXY_API struct MetricProxyValue *
metric_proxy_get_func(struct MetricProxyClient *client, size_t function, size_t call_site)
{
    (void)call_site;
    if (!client || mproxy_client_status(NULL) != MPROXY_OK)
        return NULL;
    return (struct MetricProxyValue *)mpx_function_counter((void *)function);
}
