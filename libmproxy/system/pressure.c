// Pressure stall information, from /proc/pressure.
#include "system/sampler.h"

enum { RESOURCES = 3, KINDS = 2 };

static const struct {
    const char *path;
    enum mpx_node_metric id;
} resources[RESOURCES] = {
    {"pressure/cpu", MPX_NODE_PRESSURE_CPU},
    {"pressure/memory", MPX_NODE_PRESSURE_MEMORY},
    {"pressure/io", MPX_NODE_PRESSURE_IO},
};
static const char *const kinds[KINDS] = {"some", "full"};

struct pressure_state {
    struct mpx_system_file files[RESOURCES];
    const mproxy_metric *metrics[RESOURCES][KINDS];
    struct mpx_cumulative totals[RESOURCES][KINDS];
};

static const mproxy_metric *resolve(struct mproxy_system *s, size_t resource, size_t kind)
{
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "kind", kinds[kind]);
    const char *text = mpx_buf_text(&labels);
    const mproxy_metric *metric =
        text ? mpx_system_metric(s, NULL, resources[resource].id, text) : NULL;
    mpx_buf_free(&labels);
    return metric;
}

// A line reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS".
static void read_line(struct mproxy_system *s, struct pressure_state *state,
                      size_t resource, const char *line)
{
    const char *total = strstr(line, " total=");
    uint64_t us;
    if (!total)
        return;
    total += strlen(" total=");
    if (!mpx_system_u64(&total, &us))
        return;
    for (size_t k = 0; k < KINDS; k++) {
        if (strncmp(line, kinds[k], strlen(kinds[k])) != 0)
            continue;
        if (!state->metrics[resource][k])
            state->metrics[resource][k] = resolve(s, resource, k);
        us = mpx_cumulative_add(&state->totals[resource][k], us, 0);
        mpx_system_put(s, state->metrics[resource][k], (double)us / 1e6);
    }
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct pressure_state *state = arg;
    for (size_t r = 0; r < RESOURCES; r++) {
        char *line, *at = mpx_system_read(s, &state->files[r], mpx_system_proc(s),
                                          resources[r].path);
        while (at && (line = mpx_system_line(&at)))
            read_line(s, state, r, line);
    }
}

static void fini(void *arg)
{
    struct pressure_state *state = arg;
    for (size_t r = 0; r < RESOURCES; r++)
        mpx_system_file_fini(&state->files[r]);
}

const struct mpx_sampler mpx_sampler_pressure = {sizeof(struct pressure_state), sample,
                                                 fini};
