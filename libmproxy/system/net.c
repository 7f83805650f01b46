// Network interfaces, from /proc/net/dev.
#include "system/sampler.h"

#include <math.h>

enum { RX_BYTES, RX_PACKETS, RX_ERRORS, TX_BYTES, TX_PACKETS, TX_ERRORS, COUNTS };

static const enum mpx_node_metric total_ids[COUNTS] = {
    MPX_NODE_NET_RX_BYTES, MPX_NODE_NET_RX_PACKETS, MPX_NODE_NET_RX_ERRORS,
    MPX_NODE_NET_TX_BYTES, MPX_NODE_NET_TX_PACKETS, MPX_NODE_NET_TX_ERRORS,
};
// What has no rate of its own is marked by METRICS.
static const enum mpx_node_metric rate_ids[COUNTS] = {
    MPX_NODE_NET_RX_BANDWIDTH, MPX_NODE_NET_RX_RATE, MPX_NODE_METRICS,
    MPX_NODE_NET_TX_BANDWIDTH, MPX_NODE_NET_TX_RATE, MPX_NODE_METRICS,
};

struct interface {
    struct mpx_system_device device;
    bool resolved;
    const mproxy_metric *totals[COUNTS], *rates[COUNTS];
    struct mpx_cumulative counts[COUNTS];
    double speed[COUNTS]; // of the last interval that had a length
    int64_t at_ms;
};

struct net_state {
    struct mpx_system_file dev;
    struct mpx_system_devices interfaces;
};

static void resolve(struct mproxy_system *s, struct interface *i)
{
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "interface", i->device.name);
    const char *text = mpx_buf_text(&labels);
    for (size_t k = 0; k < COUNTS && text; k++) {
        i->totals[k] = mpx_system_metric(s, &i->device, total_ids[k], text);
        if (rate_ids[k] != MPX_NODE_METRICS)
            i->rates[k] = mpx_system_metric(s, &i->device, rate_ids[k], text);
    }
    i->resolved = true;
    mpx_buf_free(&labels);
}

// receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes ...
static bool read_counts(const char *at, uint64_t counts[COUNTS])
{
    uint64_t field[11];
    for (size_t i = 0; i < 11; i++)
        if (!mpx_system_u64(&at, &field[i]))
            return false;
    memcpy(counts, field, 3 * sizeof *counts);
    memcpy(counts + 3, field + 8, 3 * sizeof *counts);
    return true;
}

static void put(struct mproxy_system *s, struct interface *i, const uint64_t raw[COUNTS])
{
    int64_t now_ms = mpx_system_now_ms(s), passed_ms = now_ms - i->at_ms;
    for (size_t k = 0; k < COUNTS; k++) {
        uint64_t before = i->counts[k].total;
        uint64_t total = mpx_cumulative_add(&i->counts[k], raw[k], 0);
        mpx_system_put(s, i->totals[k], (double)total);
        if (!i->device.was_present)
            i->speed[k] = NAN;
        else if (passed_ms > 0)
            i->speed[k] = 1000.0 * (double)(total - before) / (double)passed_ms;
        mpx_system_put(s, i->rates[k], i->speed[k]);
    }
    i->at_ms = now_ms;
}

static void read_interface(struct mproxy_system *s, struct net_state *state, char *line)
{
    // An alias carries a colon in its name ("eth0:1"): the last one ends the name.
    char *colon = strrchr(line, ':');
    uint64_t raw[COUNTS];
    if (!colon || !read_counts(colon + 1, raw))
        return;
    *colon = '\0';
    const char *name = line + strspn(line, " ");
    if (*name == '\0')
        return;
    struct interface *i =
        mpx_system_device(&state->interfaces, name, sizeof(struct interface));
    if (!i)
        return;
    if (!i->resolved)
        resolve(s, i);
    put(s, i, raw);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct net_state *state = arg;
    mpx_system_devices_begin(&state->interfaces, NULL);
    char *line, *at = mpx_system_read(s, &state->dev, mpx_system_proc(s), "net/dev");
    while (at && (line = mpx_system_line(&at)))
        read_interface(s, state, line);
}

static void fini(void *arg)
{
    struct net_state *state = arg;
    mpx_system_file_fini(&state->dev);
    mpx_system_devices_fini(&state->interfaces);
}

const struct mpx_sampler mpx_sampler_net = {sizeof(struct net_state), sample, fini};
