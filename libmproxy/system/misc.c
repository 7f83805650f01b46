// Load average, uptime, and the count of samples that says what the node runs.
#include "system/sampler.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/decimal.h"

enum { TEXT_MAX = 128 };

struct misc_state {
    struct mpx_system_file loadavg, uptime;
    const mproxy_metric *load1, *up, *scrape;
    uint64_t samples;
};

// The value of KEY in the text of os-release, without its quotes.
static void os_field(const char *text, const char *key, char out[TEXT_MAX])
{
    size_t length = strlen(key);
    strcpy(out, "unknown");
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (strncmp(at, key, length) != 0 || at[length] != '=')
            continue;
        at += length + 1;
        size_t quote = *at == '"' || *at == '\'';
        size_t size = strcspn(at + quote, quote ? "\"'\n" : "\n");
        if (size == 0 || size >= TEXT_MAX)
            return;
        memcpy(out, at + quote, size);
        out[size] = '\0';
        return;
    }
}

static const mproxy_metric *resolve_scrape(struct mproxy_system *s)
{
    char os[TEXT_MAX] = "unknown", version[TEXT_MAX] = "unknown", kernel[TEXT_MAX];
    const char *text = mpx_system_read(s, NULL, AT_FDCWD, "/etc/os-release");
    if (text) {
        os_field(text, "NAME", os);
        os_field(text, "VERSION_ID", version);
    }
    if (!mpx_system_read_line(s, mpx_system_proc(s), "sys/kernel/osrelease", kernel,
                              sizeof kernel))
        strcpy(kernel, "unknown");
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "os", os);
    mpx_system_label(&labels, "osversion", version);
    mpx_system_label(&labels, "kernel", kernel);
    mpx_system_label(&labels, "hostname", mpx_system_host(s));
    const char *all = mpx_buf_text(&labels);
    const mproxy_metric *metric =
        all ? mpx_system_metric(s, NULL, MPX_NODE_SCRAPE, all) : NULL;
    mpx_buf_free(&labels);
    return metric;
}

static void put_first_number(struct mproxy_system *s, struct mpx_system_file *file,
                             const char *path, const mproxy_metric *metric)
{
    const char *text = mpx_system_read(s, file, mpx_system_proc(s), path);
    char *end = NULL;
    double value = text ? mpx_decimal_read(text, &end) : 0;
    if (text && end != text && *end == ' ')
        mpx_system_put(s, metric, value);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct misc_state *state = arg;
    if (!state->scrape) {
        state->scrape = resolve_scrape(s);
        state->load1 = mpx_system_metric(s, NULL, MPX_NODE_LOAD1, NULL);
        state->up = mpx_system_metric(s, NULL, MPX_NODE_UPTIME, NULL);
    }
    mpx_system_put(s, state->scrape, (double)++state->samples);
    put_first_number(s, &state->loadavg, "loadavg", state->load1);
    put_first_number(s, &state->uptime, "uptime", state->up);
}

static void fini(void *arg)
{
    struct misc_state *state = arg;
    mpx_system_file_fini(&state->loadavg);
    mpx_system_file_fini(&state->uptime);
}

const struct mpx_sampler mpx_sampler_misc = {sizeof(struct misc_state), sample, fini};
