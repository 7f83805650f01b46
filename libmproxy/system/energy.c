// Energy by RAPL domain, from /sys/class/powercap (readable by root only).
#include "system/sampler.h"

#include <stdio.h>
#include <stdlib.h>

enum { DOMAINS_MAX = 256, RESCAN_SAMPLES = 60, TEXT_MAX = 64 };

struct domain {
    struct mpx_system_device device; // "intel-rapl:0:1"
    bool resolved;
    uint64_t zone; // identity of its directory: another one may take its number
    const mproxy_metric *joules;
    uint64_t range_uj;
    struct mpx_system_file file;
    struct mpx_cumulative energy_uj;
};

struct energy_state {
    struct mpx_system_devices domains;
    unsigned samples;
};

static bool read_name(struct mproxy_system *s, const char *zone, int length,
                      char out[TEXT_MAX])
{
    char path[192];
    snprintf(path, sizeof path, "class/powercap/%.*s/name", length, zone);
    return mpx_system_read_line(s, mpx_system_sys(s), path, out, TEXT_MAX);
}

// "package-0", and for a part of it "package-0/dram".
static void resolve(struct mproxy_system *s, struct domain *d)
{
    char path[192], own[TEXT_MAX], whole[TEXT_MAX], name[2 * TEXT_MAX];
    const char *zone = d->device.name, *part = strrchr(zone, ':');
    double range;
    d->resolved = true;
    if (!read_name(s, zone, (int)strlen(zone), own))
        return;
    snprintf(name, sizeof name, "%s", own);
    if (part != strchr(zone, ':') && read_name(s, zone, (int)(part - zone), whole))
        snprintf(name, sizeof name, "%s/%s", whole, own);
    snprintf(path, sizeof path, "class/powercap/%.64s/max_energy_range_uj", zone);
    if (mpx_system_read_number(s, mpx_system_sys(s), path, &range) && range > 0)
        d->range_uj = (uint64_t)range;
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "domain", name);
    const char *text = mpx_buf_text(&labels);
    if (text)
        d->joules = mpx_system_metric(s, &d->device, MPX_NODE_ENERGY, text);
    mpx_buf_free(&labels);
}

static void fini_domain(void *device)
{
    struct domain *d = device;
    mpx_system_file_fini(&d->file);
}

static void scan(struct mproxy_system *s, struct energy_state *state)
{
    mpx_system_devices_begin(&state->domains, fini_domain);
    char **zones =
        mpx_system_list(mpx_system_sys(s), "class/powercap", "intel-rapl:", DOMAINS_MAX);
    for (char **z = zones; z && *z; z++)
        if (strlen(*z) <= 64)
            mpx_system_device(&state->domains, *z, sizeof(struct domain));
    mpx_system_list_free(zones);
}

static void sample_domain(struct mproxy_system *s, struct domain *d)
{
    char path[192];
    uint64_t raw;
    snprintf(path, sizeof path, "class/powercap/%.64s/energy_uj", d->device.name);
    const char *text = mpx_system_read(s, &d->file, mpx_system_sys(s), path);
    if (!text || !mpx_system_u64(&text, &raw))
        return;
    uint64_t total = mpx_cumulative_add(&d->energy_uj, raw, d->range_uj);
    mpx_system_put(s, d->joules, (double)total / 1e6);
}

// What was measured so far stays with the domain's name; a counter of another directory has
// nothing to do with the last value.
static void look_at_zone(struct mproxy_system *s, struct domain *d)
{
    char path[192];
    snprintf(path, sizeof path, "class/powercap/%.64s", d->device.name);
    uint64_t zone = mpx_system_identity(s, path);
    if (d->resolved && zone != d->zone) {
        const mproxy_metric *before = d->joules;
        mpx_system_file_fini(&d->file);
        d->joules = NULL;
        d->range_uj = 0;
        resolve(s, d);
        if (d->joules == before)
            d->energy_uj.last = 0;
        else
            d->energy_uj = (struct mpx_cumulative){0};
    }
    d->zone = zone;
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct energy_state *state = arg;
    if (state->samples++ % RESCAN_SAMPLES == 0)
        scan(s, state);
    for (size_t i = 0; i < state->domains.count; i++) {
        struct domain *d = (struct domain *)state->domains.items[i];
        if (!d->device.present)
            continue;
        look_at_zone(s, d);
        if (!d->resolved)
            resolve(s, d);
        sample_domain(s, d);
    }
}

static void fini(void *arg)
{
    struct energy_state *state = arg;
    mpx_system_devices_fini(&state->domains);
}

const struct mpx_sampler mpx_sampler_energy = {sizeof(struct energy_state), sample, fini};
