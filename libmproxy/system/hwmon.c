// Temperatures, from /sys/class/hwmon.
//
// A chip's number is given to another chip when drivers are loaded again, so that a sensor is
// named anew whenever its chip's directory is another one than before. Sensors that would
// have one name have that of their directory, and then their own, added.
#include "system/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHIPS_MAX = 64,
    SENSORS_MAX = 256, // per chip
    RESCAN_SAMPLES = 60,
    TEXT_MAX = 80,
};

struct sensor {
    struct mpx_system_device device; // its name is the path up to "_input"
    bool resolved;
    uint64_t chip;   // identity of its chip's directory
    char *component; // its name, while it is resolved
    const mproxy_metric *celsius, *critical, *is_critical;
};

struct hwmon_state {
    struct mpx_system_devices sensors;
    unsigned samples;
};

static bool is_taken(const struct hwmon_state *state, const char *component)
{
    for (size_t i = 0; i < state->sensors.count; i++) {
        const struct sensor *t = (const struct sensor *)state->sensors.items[i];
        if (t->component && strcmp(t->component, component) == 0)
            return true;
    }
    return false;
}

static int chip_length(const char *path)
{
    size_t before = strlen("class/hwmon/");
    return (int)(before + strcspn(path + before, "/"));
}

// "coretemp Core 0", "coretemp Core 0 (hwmon1)", "coretemp Core 0 (hwmon1 temp3)".
static void name_sensor(struct mproxy_system *s, const struct hwmon_state *state,
                        const char *path, char *out, size_t size)
{
    char file[192], chip[TEXT_MAX], label[TEXT_MAX];
    const char *directory = path + strlen("class/hwmon/");
    int length = (int)strcspn(directory, "/");
    const char *own = directory + length + 1;
    snprintf(file, sizeof file, "class/hwmon/%.*s/name", length, directory);
    if (!mpx_system_read_line(s, mpx_system_sys(s), file, chip, sizeof chip))
        snprintf(chip, sizeof chip, "%.*s", length, directory);
    snprintf(file, sizeof file, "%.150s_label", path);
    if (!mpx_system_read_line(s, mpx_system_sys(s), file, label, sizeof label))
        snprintf(label, sizeof label, "%.40s", own);
    snprintf(out, size, "%s %s", chip, label);
    if (is_taken(state, out))
        snprintf(out, size, "%s %s (%.*s)", chip, label, length, directory);
    if (is_taken(state, out))
        snprintf(out, size, "%s %s (%.*s %.40s)", chip, label, length, directory, own);
}

static void forget(struct sensor *t)
{
    free(t->component);
    t->component = NULL;
    t->resolved = false;
    t->celsius = t->critical = t->is_critical = NULL;
}

static void resolve(struct mproxy_system *s, struct hwmon_state *state, struct sensor *t)
{
    char component[256];
    struct mpx_buf labels = MPX_BUF_INIT;
    name_sensor(s, state, t->device.name, component, sizeof component);
    mpx_system_label(&labels, "component", component);
    const char *text = mpx_buf_text(&labels);
    if (text) {
        t->celsius = mpx_system_metric(s, &t->device, MPX_NODE_TEMPERATURE, text);
        t->critical =
            mpx_system_metric(s, &t->device, MPX_NODE_CRITICAL_TEMPERATURE, text);
        t->is_critical = mpx_system_metric(s, &t->device, MPX_NODE_IS_CRITICAL, text);
    }
    t->component = strdup(component);
    t->resolved = true;
    mpx_buf_free(&labels);
}

static void fini_sensor(void *device)
{
    forget(device);
}

static void scan_chip(struct hwmon_state *state, int root, const char *chip)
{
    char path[192];
    snprintf(path, sizeof path, "class/hwmon/%.64s", chip);
    char **names = mpx_system_list(root, path, "temp", 8 * SENSORS_MAX);
    for (char **n = names; n && *n; n++) {
        size_t length = strlen(*n);
        if (length < 11 || length > 40 || strcmp(*n + length - 6, "_input") != 0)
            continue;
        snprintf(path, sizeof path, "class/hwmon/%.64s/%.*s", chip, (int)length - 6, *n);
        mpx_system_device(&state->sensors, path, sizeof(struct sensor));
    }
    mpx_system_list_free(names);
}

static void scan(struct mproxy_system *s, struct hwmon_state *state)
{
    mpx_system_devices_begin(&state->sensors, fini_sensor);
    char **chips = mpx_system_list(mpx_system_sys(s), "class/hwmon", "hwmon", CHIPS_MAX);
    for (char **c = chips; c && *c; c++)
        scan_chip(state, mpx_system_sys(s), *c);
    mpx_system_list_free(chips);
}

// Whether a sensor's chip is another one than it was, or has gone.
static bool look_at_chips(struct mproxy_system *s, struct hwmon_state *state)
{
    char path[192], last[192] = "";
    uint64_t chip = 0;
    bool changed = false;
    for (size_t i = 0; i < state->sensors.count; i++) {
        struct sensor *t = (struct sensor *)state->sensors.items[i];
        snprintf(path, sizeof path, "%.*s", chip_length(t->device.name), t->device.name);
        if (strcmp(path, last) != 0)
            chip = mpx_system_identity(s, path);
        strcpy(last, path);
        if (t->chip != chip || !t->device.present) {
            changed |= t->resolved;
            forget(t);
        }
        t->chip = chip;
    }
    return changed;
}

static void sample_sensor(struct mproxy_system *s, struct sensor *t)
{
    char path[192];
    double celsius, critical;
    snprintf(path, sizeof path, "%.150s_input", t->device.name);
    if (!mpx_system_read_number(s, mpx_system_sys(s), path, &celsius))
        return;
    mpx_system_put(s, t->celsius, celsius / 1000);
    snprintf(path, sizeof path, "%.150s_crit", t->device.name);
    if (!mpx_system_read_number(s, mpx_system_sys(s), path, &critical))
        return;
    mpx_system_put(s, t->critical, critical / 1000);
    mpx_system_put(s, t->is_critical, celsius >= critical);
}

// Chips are looked for once a minute, and when one has changed; their sensors are read in
// every sample.
static void sample(struct mproxy_system *s, void *arg)
{
    struct hwmon_state *state = arg;
    if (state->samples++ % RESCAN_SAMPLES == 0)
        scan(s, state);
    if (look_at_chips(s, state)) {
        scan(s, state);
        look_at_chips(s, state);
    }
    for (size_t i = 0; i < state->sensors.count; i++) {
        struct sensor *t = (struct sensor *)state->sensors.items[i];
        if (!t->device.present)
            continue;
        if (!t->resolved)
            resolve(s, state, t);
        sample_sensor(s, t);
    }
}

static void fini(void *arg)
{
    struct hwmon_state *state = arg;
    mpx_system_devices_fini(&state->sensors);
}

const struct mpx_sampler mpx_sampler_hwmon = {sizeof(struct hwmon_state), sample, fini};
