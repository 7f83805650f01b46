// InfiniBand ports, from /sys/class/infiniband.
#include "system/sampler.h"

#include <stdio.h>
#include <stdlib.h>

enum { ADAPTERS_MAX = 64, PORTS_MAX = 16, RESCAN_SAMPLES = 60 };

static const struct {
    const char *file;
    enum mpx_node_metric id;
    unsigned unit; // data is counted in words of 4 bytes
} counters[] = {
    {"port_xmit_data", MPX_NODE_IB_TX_BYTES, 4},
    {"port_rcv_data", MPX_NODE_IB_RX_BYTES, 4},
    {"port_xmit_packets", MPX_NODE_IB_TX_PACKETS, 1},
    {"port_rcv_packets", MPX_NODE_IB_RX_PACKETS, 1},
    {"port_rcv_errors", MPX_NODE_IB_ERRORS, 1},
    {"link_downed", MPX_NODE_IB_LINK_DOWNED, 1},
};
enum { COUNTERS = sizeof counters / sizeof *counters };

struct port {
    struct mpx_system_device device; // "mlx5_0/ports/1"
    bool resolved;
    const mproxy_metric *metrics[COUNTERS];
    struct mpx_system_file files[COUNTERS];
    struct mpx_cumulative totals[COUNTERS];
};

struct infiniband_state {
    struct mpx_system_devices ports;
    unsigned samples;
};

static void resolve(struct mproxy_system *s, struct port *p)
{
    char adapter[80];
    struct mpx_buf labels = MPX_BUF_INIT;
    snprintf(adapter, sizeof adapter, "%.*s", (int)strcspn(p->device.name, "/"),
             p->device.name);
    mpx_system_label(&labels, "device", adapter);
    mpx_system_label(&labels, "port", strrchr(p->device.name, '/') + 1);
    const char *text = mpx_buf_text(&labels);
    for (size_t i = 0; i < COUNTERS && text; i++)
        p->metrics[i] = mpx_system_metric(s, &p->device, counters[i].id, text);
    p->resolved = true;
    mpx_buf_free(&labels);
}

static void fini_port(void *device)
{
    struct port *p = device;
    for (size_t i = 0; i < COUNTERS; i++)
        mpx_system_file_fini(&p->files[i]);
}

static void scan_adapter(struct infiniband_state *state, int root, const char *adapter)
{
    char path[192];
    snprintf(path, sizeof path, "class/infiniband/%.64s/ports", adapter);
    char **ports = mpx_system_list(root, path, "", PORTS_MAX);
    for (char **p = ports; p && *p; p++) {
        snprintf(path, sizeof path, "%.64s/ports/%.8s", adapter, *p);
        mpx_system_device(&state->ports, path, sizeof(struct port));
    }
    mpx_system_list_free(ports);
}

static void scan(struct mproxy_system *s, struct infiniband_state *state)
{
    mpx_system_devices_begin(&state->ports, fini_port);
    char **adapters =
        mpx_system_list(mpx_system_sys(s), "class/infiniband", "", ADAPTERS_MAX);
    for (char **a = adapters; a && *a; a++)
        scan_adapter(state, mpx_system_sys(s), *a);
    mpx_system_list_free(adapters);
}

static void sample_port(struct mproxy_system *s, struct port *p)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        char path[192];
        uint64_t raw;
        snprintf(path, sizeof path, "class/infiniband/%.80s/counters/%s", p->device.name,
                 counters[i].file);
        const char *text = mpx_system_read(s, &p->files[i], mpx_system_sys(s), path);
        if (!text || !mpx_system_u64(&text, &raw))
            continue;
        uint64_t total = mpx_cumulative_add(&p->totals[i], raw, 0);
        mpx_system_put(s, p->metrics[i], (double)total * counters[i].unit);
    }
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct infiniband_state *state = arg;
    if (state->samples++ % RESCAN_SAMPLES == 0)
        scan(s, state);
    for (size_t i = 0; i < state->ports.count; i++) {
        struct port *p = (struct port *)state->ports.items[i];
        if (!p->device.present)
            continue;
        if (!p->resolved)
            resolve(s, p);
        sample_port(s, p);
    }
}

static void fini(void *arg)
{
    struct infiniband_state *state = arg;
    mpx_system_devices_fini(&state->ports);
}

const struct mpx_sampler mpx_sampler_infiniband = {sizeof(struct infiniband_state),
                                                   sample, fini};
