// Memory and swap, from /proc/meminfo.
#include "system/sampler.h"

enum { TOTAL, FREE, AVAILABLE, BUFFERS, CACHED, SWAP_TOTAL, SWAP_FREE, FIELDS };

static const char *const names[FIELDS] = {
    "MemTotal:", "MemFree:",   "MemAvailable:", "Buffers:",
    "Cached:",   "SwapTotal:", "SwapFree:"};

static const enum mpx_node_metric ids[] = {
    MPX_NODE_MEMORY_TOTAL, MPX_NODE_MEMORY_USED, MPX_NODE_MEMORY_USED_PERCENT,
    MPX_NODE_SWAP_TOTAL,   MPX_NODE_SWAP_USED,   MPX_NODE_SWAP_USED_PERCENT,
};
enum { METRICS = sizeof ids / sizeof *ids };

struct memory_state {
    struct mpx_system_file meminfo;
    const mproxy_metric *metrics[METRICS];
};

struct field {
    bool there;
    double bytes;
};

static void read_field(struct field fields[FIELDS], const char *line)
{
    for (size_t i = 0; i < FIELDS; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(line, names[i], length) != 0)
            continue;
        const char *at = line + length;
        uint64_t kilobytes;
        fields[i].there = mpx_system_u64(&at, &kilobytes);
        fields[i].bytes = fields[i].there ? (double)kilobytes * 1024 : 0;
    }
}

// Total, used and used percent, as three metrics.
static void put(struct mproxy_system *s, const mproxy_metric *const *metrics,
                double total, double left)
{
    double used = left < total ? total - left : 0;
    mpx_system_put(s, metrics[0], total);
    mpx_system_put(s, metrics[1], used);
    mpx_system_put(s, metrics[2], total > 0 ? 100 * used / total : 0);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct memory_state *state = arg;
    for (size_t i = 0; i < METRICS && !state->metrics[i]; i++)
        state->metrics[i] = mpx_system_metric(s, NULL, ids[i], NULL);
    struct field f[FIELDS] = {0};
    char *line, *at = mpx_system_read(s, &state->meminfo, mpx_system_proc(s), "meminfo");
    while (at && (line = mpx_system_line(&at)))
        read_field(f, line);
    if (!f[AVAILABLE].there && f[FREE].there) { // kernels before 3.14
        f[AVAILABLE].there = true;
        f[AVAILABLE].bytes = f[FREE].bytes + f[BUFFERS].bytes + f[CACHED].bytes;
    }
    if (f[TOTAL].there && f[AVAILABLE].there)
        put(s, state->metrics, f[TOTAL].bytes, f[AVAILABLE].bytes);
    if (f[SWAP_TOTAL].there && f[SWAP_FREE].there)
        put(s, state->metrics + 3, f[SWAP_TOTAL].bytes, f[SWAP_FREE].bytes);
}

static void fini(void *arg)
{
    struct memory_state *state = arg;
    mpx_system_file_fini(&state->meminfo);
}

const struct mpx_sampler mpx_sampler_memory = {sizeof(struct memory_state), sample, fini};
