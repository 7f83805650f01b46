// CPUs: their number, load and clock frequency, and context switches.
//
// All comes from two files, /proc/stat and /proc/cpuinfo, whatever the number of CPUs.
// Where cpuinfo has no frequency (Arm) it is asked of each cpufreq policy.
//
// A load is the busy part of the ticks between two samples, so a CPU has none in its
// first sample; in an interval in which its clock did not tick it keeps the one before.
// Vendor and model are labels of a CPU's metrics, once /proc/cpuinfo has told them.
//
// CPUs may come and go while the proxy runs. Their numbers are places in an array that
// only grows, up to a bound, as /proc is another machine's in tests and may say
// anything.

#include "system/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/decimal.h"

enum {
    CPUS_MAX = 8192,
    POLICIES_MAX = 256,
    TEXT_MAX = 128, // of a vendor or model
};

struct cpu {
    const mproxy_metric *usage, *frequency;
    bool described; // vendor and model are in the metrics' labels
    bool sampled;   // `busy` and `all` hold the previous sample
    uint64_t busy, all;
    double percent; // of the last interval in which the clock ticked; NaN before
    double mhz;     // of this sample; NaN if not known
};

struct cpu_state {
    struct mpx_system_file stat, cpuinfo;
    struct cpu *cpus;
    size_t count, room;
    const mproxy_metric *total, *load, *switches;
    struct mpx_cumulative switched;
};

// One block of /proc/cpuinfo.
struct block {
    uint64_t number;
    bool has_number;
    double mhz;
    char vendor[TEXT_MAX], model[TEXT_MAX];
};

static struct cpu *cpu_at(struct cpu_state *state, uint64_t number)
{
    if (number >= CPUS_MAX)
        return NULL;
    if (number >= state->count) {
        if (!MPX_RESERVE(state->cpus, state->room, (size_t)number + 1))
            return NULL;
        while (state->count <= number)
            state->cpus[state->count++] = (struct cpu){.percent = NAN, .mhz = NAN};
    }
    return &state->cpus[number];
}

static void describe(struct mproxy_system *s, struct cpu *cpu, uint64_t number,
                     const char *vendor, const char *model)
{
    struct mpx_buf labels = MPX_BUF_INIT;
    char name[32];
    snprintf(name, sizeof name, "cpu%u", (unsigned)number);
    mpx_system_label(&labels, "name", name);
    mpx_system_label(&labels, "vendor", vendor);
    mpx_system_label(&labels, "model", model);
    const char *text = mpx_buf_text(&labels);
    if (text) {
        cpu->usage = mpx_system_metric(s, NULL, MPX_NODE_CPU_USAGE, text);
        cpu->frequency = mpx_system_metric(s, NULL, MPX_NODE_CPU_FREQUENCY, text);
    }
    cpu->described = true;
    mpx_buf_free(&labels);
}

static void end_block(struct mproxy_system *s, struct cpu_state *state, struct block *b)
{
    struct cpu *cpu = b->has_number ? cpu_at(state, b->number) : NULL;
    if (cpu) {
        cpu->mhz = b->mhz;
        if (!cpu->described)
            describe(s, cpu, b->number, b->vendor, b->model);
    }
    *b = (struct block){.mhz = NAN};
}

static void copy_text(char out[TEXT_MAX], const char *value)
{
    snprintf(out, TEXT_MAX, "%.*s", TEXT_MAX - 1, value);
}

static double read_mhz(const char *value)
{
    char *end;
    double mhz = mpx_decimal_read(value, &end);
    return end != value && mhz > 0 ? mhz : NAN;
}

static void read_field(struct block *b, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return;
    char *end = colon;
    while (end > line && (end[-1] == '\t' || end[-1] == ' '))
        end--;
    *end = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (strcmp(line, "processor") == 0)
        b->has_number = mpx_system_u64(&value, &b->number);
    else if (strcmp(line, "vendor_id") == 0 || strcmp(line, "CPU implementer") == 0)
        copy_text(b->vendor, value);
    else if (strcmp(line, "model name") == 0 || strcmp(line, "cpu") == 0)
        copy_text(b->model, value);
    else if (strcmp(line, "cpu MHz") == 0 || strcmp(line, "clock") == 0)
        b->mhz = read_mhz(value);
}

static void read_cpuinfo(struct mproxy_system *s, struct cpu_state *state)
{
    struct block block = {.mhz = NAN};
    char *line, *at = mpx_system_read(s, &state->cpuinfo, mpx_system_proc(s), "cpuinfo");
    while (at && (line = mpx_system_line(&at))) {
        if (*line == '\0' || (strncmp(line, "processor", 9) == 0 && block.has_number))
            end_block(s, state, &block);
        read_field(&block, line);
    }
    end_block(s, state, &block);
}

// The CPUs of a policy share one clock, so that one file answers for all of them.
static void read_policy(struct mproxy_system *s, struct cpu_state *state,
                        const char *policy)
{
    char path[320];
    double khz;
    snprintf(path, sizeof path, "devices/system/cpu/cpufreq/%s/scaling_cur_freq", policy);
    if (!mpx_system_read_number(s, mpx_system_sys(s), path, &khz) || khz <= 0)
        return;
    snprintf(path, sizeof path, "devices/system/cpu/cpufreq/%s/affected_cpus", policy);
    const char *text = mpx_system_read(s, NULL, mpx_system_sys(s), path);
    uint64_t number;
    while (text && mpx_system_u64(&text, &number))
        if (number < state->count)
            state->cpus[number].mhz = khz / 1000;
}

static void read_cpufreq(struct mproxy_system *s, struct cpu_state *state)
{
    char **policies = mpx_system_list(mpx_system_sys(s), "devices/system/cpu/cpufreq",
                                      "policy", POLICIES_MAX);
    for (char **p = policies; p && *p; p++)
        read_policy(s, state, *p);
    mpx_system_list_free(policies);
}

// user nice system idle iowait irq softirq steal; guest time is part of user's.
static bool read_times(const char *at, uint64_t *busy, uint64_t *all)
{
    uint64_t field[8] = {0};
    size_t count = 0;
    while (count < 8 && mpx_system_u64(&at, &field[count]))
        count++;
    if (count < 4)
        return false;
    *all = 0;
    for (size_t i = 0; i < count; i++)
        *all += field[i];
    *busy = *all - field[3] - field[4];
    return true;
}

// The kernel's idle time may step back a little: such an interval counts as idle.
static void read_load(struct cpu *cpu, uint64_t busy, uint64_t all)
{
    if (cpu->sampled && all > cpu->all) {
        double share = busy > cpu->busy ? (double)(busy - cpu->busy) : 0;
        double percent = 100 * share / (double)(all - cpu->all);
        cpu->percent = percent < 100 ? percent : 100;
    }
    cpu->sampled = true;
    cpu->busy = busy;
    cpu->all = all;
}

static void put_cpu(struct mproxy_system *s, struct cpu *cpu, uint64_t number)
{
    if (!cpu->described)
        describe(s, cpu, number, "", "");
    mpx_system_put(s, cpu->usage, cpu->percent);
    mpx_system_put(s, cpu->frequency, cpu->mhz / 1000);
}

struct sums {
    unsigned cpus, loads;
    double load;
};

static void read_cpu_line(struct mproxy_system *s, struct cpu_state *state,
                          const char *at, struct sums *sums)
{
    uint64_t number, busy, all;
    if (!mpx_system_u64(&at, &number) || !read_times(at, &busy, &all))
        return;
    struct cpu *cpu = cpu_at(state, number);
    if (!cpu)
        return;
    read_load(cpu, busy, all);
    put_cpu(s, cpu, number);
    sums->cpus++;
    if (isnan(cpu->percent))
        return;
    sums->loads++;
    sums->load += cpu->percent;
}

static void read_stat(struct mproxy_system *s, struct cpu_state *state)
{
    struct sums sums = {0};
    uint64_t switches;
    char *line, *at = mpx_system_read(s, &state->stat, mpx_system_proc(s), "stat");
    while (at && (line = mpx_system_line(&at))) {
        const char *rest = line + 5;
        if (strncmp(line, "cpu", 3) == 0 && line[3] >= '0' && line[3] <= '9')
            read_cpu_line(s, state, line + 3, &sums);
        else if (strncmp(line, "ctxt ", 5) == 0 && mpx_system_u64(&rest, &switches))
            mpx_system_put(s, state->switches,
                           (double)mpx_cumulative_add(&state->switched, switches, 0));
    }
    if (sums.cpus > 0)
        mpx_system_put(s, state->total, sums.cpus);
    if (sums.loads > 0)
        mpx_system_put(s, state->load, sums.load / sums.loads);
}

static void sample(struct mproxy_system *s, void *arg)
{
    struct cpu_state *state = arg;
    if (!state->total) {
        state->total = mpx_system_metric(s, NULL, MPX_NODE_CPU_TOTAL, NULL);
        state->load = mpx_system_metric(s, NULL, MPX_NODE_CPU_LOAD, NULL);
        state->switches = mpx_system_metric(s, NULL, MPX_NODE_CONTEXT_SWITCHES, NULL);
    }
    for (size_t i = 0; i < state->count; i++)
        state->cpus[i].mhz = NAN;
    read_cpuinfo(s, state);
    if (state->count > 0 && isnan(state->cpus[0].mhz))
        read_cpufreq(s, state);
    read_stat(s, state);
}

static void fini(void *arg)
{
    struct cpu_state *state = arg;
    mpx_system_file_fini(&state->stat);
    mpx_system_file_fini(&state->cpuinfo);
    free(state->cpus);
}

const struct mpx_sampler mpx_sampler_cpu = {sizeof(struct cpu_state), sample, fini};
