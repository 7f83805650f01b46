// The older client API: a counter and a gauge.
//
//   cc -o legacy_client legacy_client.c $(pkg-config --cflags --libs proxyclient)
//   proxy_run -j legacy -- ./legacy_client
#include <metric_proxy_client.h>

#include <stdio.h>

int main(void)
{
    struct MetricProxyClient *client = metric_proxy_init();
    struct MetricProxyValue *calls =
        metric_proxy_counter_new(client, "legacy_calls", "Calls of the loop's body");
    struct MetricProxyValue *level =
        metric_proxy_gauge_new(client, "legacy_level", "Last turn of the loop");
    if (!calls || !level)
        fprintf(stderr, "no proxy: the loop runs without being counted\n");
    for (int turn = 1; turn <= 1000; turn++) {
        metric_proxy_counter_inc(calls, 1);
        metric_proxy_gauge_set(level, turn);
    }
    return metric_proxy_release(client);
}
