// Block devices, from /proc/diskstats.
#include "system/sampler.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct disk {
    struct mpx_system_device device;
    bool resolved, ignored;
    const mproxy_metric *read, *written, *seconds;
    struct mpx_cumulative sectors_read, sectors_written, milliseconds;
};

struct disk_state {
    struct mpx_system_file diskstats;
    struct mpx_system_devices disks;
};

// What is backed by memory or by a file, or is part of a device that is listed itself.
static bool is_ignored(const struct mproxy_system *s, const char *name)
{
    static const char *const kinds[] = {"loop", "ram", "zram", "fd", "sr"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i]);
        if (strncmp(name, kinds[i], length) == 0 && name[length] >= '0' &&
            name[length] <= '9')
            return true;
    }
    char path[128];
    snprintf(path, sizeof path, "class/block/%s/partition", name);
    return mpx_system_sys(s) >= 0 && faccessat(mpx_system_sys(s), path, F_OK, 0) == 0;
}

static void resolve(struct mproxy_system *s, struct disk *d)
{
    d->resolved = true;
    d->ignored = is_ignored(s, d->device.name);
    if (d->ignored)
        return;
    struct mpx_buf labels = MPX_BUF_INIT;
    mpx_system_label(&labels, "device", d->device.name);
    const char *text = mpx_buf_text(&labels);
    if (text) {
        d->read = mpx_system_metric(s, &d->device, MPX_NODE_DISK_READ, text);
        d->written = mpx_system_metric(s, &d->device, MPX_NODE_DISK_WRITTEN, text);
        d->seconds = mpx_system_metric(s, &d->device, MPX_NODE_DISK_IO_SECONDS, text);
    }
    mpx_buf_free(&labels);
}

// After the name: reads merged sectors ms writes merged sectors ms running io-ms weighted-ms.
// Older kernels keep 32 bits of the milliseconds.
static void put(struct mproxy_system *s, struct disk *d, const uint64_t field[10])
{
    double read = (double)mpx_cumulative_add(&d->sectors_read, field[2], 0);
    double written = (double)mpx_cumulative_add(&d->sectors_written, field[6], 0);
    double ms = (double)mpx_cumulative_add(&d->milliseconds, field[9], 0);
    mpx_system_put(s, d->read, 512 * read);
    mpx_system_put(s, d->written, 512 * written);
    mpx_system_put(s, d->seconds, ms / 1000);
}

static void read_disk(struct mproxy_system *s, struct disk_state *state, const char *at)
{
    uint64_t field[10];
    if (!mpx_system_u64(&at, &field[0]) || !mpx_system_u64(&at, &field[1]))
        return;
    at += strspn(at, " ");
    size_t length = strcspn(at, " ");
    char name[64];
    if (length == 0 || length >= sizeof name)
        return;
    memcpy(name, at, length);
    name[length] = '\0';
    at += length;
    for (size_t i = 0; i < 10; i++)
        if (!mpx_system_u64(&at, &field[i]))
            return;
    struct disk *d = mpx_system_device(&state->disks, name, sizeof *d);
    // A name that comes back may be another disk's.
    if (d && (!d->resolved || !d->device.was_present))
        resolve(s, d);
    if (d && !d->ignored)
        put(s, d, field);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct disk_state *state = arg;
    mpx_system_devices_begin(&state->disks, NULL);
    char *line,
        *at = mpx_system_read(s, &state->diskstats, mpx_system_proc(s), "diskstats");
    while (at && (line = mpx_system_line(&at)))
        read_disk(s, state, line);
}

static void fini(void *arg)
{
    struct disk_state *state = arg;
    mpx_system_file_fini(&state->diskstats);
    mpx_system_devices_fini(&state->disks);
}

const struct mpx_sampler mpx_sampler_disk = {sizeof(struct disk_state), sample, fini};
