/**
 * @file metric_proxy_client.h
 * The older client API of metric proxies, over mproxy/client.h: programs written for it
 * are rebuilt or relinked without change (pkg-config proxyclient). New programs should
 * use mproxy/client.h, which has integers, histograms and errors in words.
 *
 * Threads: any thread may call any function.
 * Memory:  values live as long as the process; there is nothing to free.
 */
#ifndef METRIC_PROXY_CLIENT_H
#define METRIC_PROXY_CLIENT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct MetricProxyClient; /**< the process's side of a proxy */
struct MetricProxyValue;  /**< a counter or a gauge */

/** Begin. Never returns NULL; every call in a process returns the same client. */
struct MetricProxyClient *metric_proxy_init(void);

/**
 * End. Values stay usable and what they counted stays counted.
 *
 * @return 0, or 1 when `client` is not what metric_proxy_init() returned
 */
int metric_proxy_release(struct MetricProxyClient *client);

/**
 * Find or make the counter of a name.
 *
 * @return NULL without a proxy, or when the name can't be one or is a gauge's
 */
struct MetricProxyValue *metric_proxy_counter_new(struct MetricProxyClient *client,
                                                  const char *name, const char *doc);

/**
 * Raise a counter.
 *
 * @return 0, or 1 when nothing was done: `counter` is NULL or a gauge, `value` negative
 *         or not finite
 */
int metric_proxy_counter_inc(struct MetricProxyValue *counter, double value);

/** As metric_proxy_counter_new(), for a gauge. */
struct MetricProxyValue *metric_proxy_gauge_new(struct MetricProxyClient *client,
                                                const char *name, const char *doc);

/**
 * Set a gauge.
 *
 * @return 0, or 1 when nothing was done: `gauge` is NULL or a counter, `value` not finite
 */
int metric_proxy_gauge_set(struct MetricProxyValue *gauge, double value);

/**
 * The counter `func__SYMBOL_DSO` of the function at address `function`. What
 * -finstrument-functions calls raises it by one at each call of a function.
 *
 * @param call_site  not looked at
 * @return NULL without a proxy
 */
struct MetricProxyValue *metric_proxy_get_func(struct MetricProxyClient *client,
                                               size_t function, size_t call_site);

#ifdef __cplusplus
}
#endif
#endif
