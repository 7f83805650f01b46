// Node metrics on fixture trees, and on the real /proc against independent readings.
#include <mproxy/system.h>

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../support/suite.h"
#include "base/clock.h"
#include "store/exempt.h"

#define NVME "{component=\"nvme Composite\"}"

struct node {
    mproxy_store *store;
    struct mproxy_system *system;
    char root[64]; // of a copy of the fixture
};

static struct node node;

static void open_roots(const char *proc, const char *sys)
{
    mproxy_system_options options = {.struct_size = sizeof options,
                                     .proc_root = proc,
                                     .sys_root = sys,
                                     .host = "node\"7"};
    mproxy_error err;
    ck_assert_int_eq(mproxy_store_open(NULL, &node.store, &err), MPROXY_OK);
    options.store = node.store;
    ck_assert_int_eq(mproxy_system_open(&options, &node.system, &err), MPROXY_OK);
}

static void open_copy(const char *fixture)
{
    char command[512], proc[128], sys[128];
    strcpy(node.root, "/tmp/mproxy-test-system-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(node.root));
    snprintf(command, sizeof command, "cp -r %s/system/%s/. %s", TEST_DATA, fixture,
             node.root);
    ck_assert_int_eq(system(command), 0);
    snprintf(proc, sizeof proc, "%s/proc", node.root);
    snprintf(sys, sizeof sys, "%s/sys", node.root);
    open_roots(proc, sys);
}

static void teardown(void)
{
    mproxy_system_close(node.system);
    mproxy_store_close(node.store);
    if (node.root[0]) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", node.root);
        ck_assert_int_eq(system(command), 0);
    }
    memset(&node, 0, sizeof node);
}

static void rewrite(const char *path, const char *text)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", node.root, path);
    FILE *file = fopen(full, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void sample(int64_t boot_ms)
{
    ck_assert_int_eq(
        mproxy_system_sample(node.system, boot_ms, 1000u * (uint64_t)boot_ms), MPROXY_OK);
}

static const mproxy_value *find(const char *name)
{
    const mproxy_layout *layout = mproxy_system_layout(node.system);
    for (size_t i = 0; i < layout->count; i++)
        if (strcmp(mproxy_metric_name(layout->metrics[i]), name) == 0)
            return &mproxy_system_values(node.system)[i];
    return NULL;
}

static double value(const char *name)
{
    const mproxy_value *v = find(name);
    ck_assert_msg(v != NULL, "%s is absent", name);
    return v->total;
}

static size_t count_base(const char *base)
{
    const mproxy_layout *layout = mproxy_system_layout(node.system);
    size_t count = 0;
    for (size_t i = 0; i < layout->count; i++)
        count +=
            strncmp(mproxy_metric_name(layout->metrics[i]), base, strlen(base)) == 0 &&
            mproxy_metric_base_length(mproxy_metric_name(layout->metrics[i])) ==
                strlen(base);
    return count;
}

#define XEON "vendor=\"GenuineIntel\",model=\"Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\"}"
#define SDA1 "{kind=\"HDD\",device=\"/dev/sda1\",fs=\"ext4\",mountpoint=\"/\"}"

START_TEST(first_sample_has_what_the_files_say)
{
    static const struct {
        const char *name;
        double value;
    } expected[] = {
        {"proxy_cpu_total", 2},
        {"proxy_cpu_frequency_ghz{name=\"cpu1\"," XEON, 2.5005},
        {"proxy_context_switches_total", 123456},
        {"proxy_memory_total_bytes", 1024000000},
        {"proxy_memory_used_bytes", 768000000},
        {"proxy_memory_used_percent", 75},
        {"proxy_swap_total_bytes", 409600000},
        {"proxy_swap_used_bytes", 102400000},
        {"proxy_memory_swap_used_percent", 25},
        {"proxy_load1", 1.25},
        {"proxy_uptime_seconds", 5000.75},
        {"proxy_disk_read_bytes_total{device=\"sda\"}", 1024000},
        {"proxy_disk_written_bytes_total{device=\"nvme0n1\"}", 81920},
        {"proxy_disk_io_seconds_total{device=\"sda\"}", 1.5},
        {"proxy_network_receive_bytes_total{interface=\"ib0\"}", 5000000},
        {"proxy_network_receive_packets_total{interface=\"lo\"}", 10},
        {"proxy_network_receive_packets_error_total{interface=\"ib0\"}", 3},
        {"proxy_network_transmit_bytes_total{interface=\"ib0\"}", 6000000},
        {"proxy_network_transmit_packets_total{interface=\"ib0\"}", 5000},
        {"proxy_network_transmit_packets_error_total{interface=\"ib0\"}", 2},
        {"proxy_pressure_cpu_seconds_total{kind=\"some\"}", 1.5},
        {"proxy_pressure_memory_seconds_total{kind=\"full\"}", 1.25},
        {"proxy_pressure_io_seconds_total{kind=\"some\"}", 3.5},
        {"proxy_component_temperature_celcius{component=\"coretemp Package id 0\"}", 45},
        {"proxy_component_temperature_celcius{component=\"coretemp Package id 0 "
         "(hwmon1)\"}",
         95},
        {"proxy_component_temperature_celcius{component=\"coretemp temp2\"}", -5.5},
        {"proxy_component_critical_temperature_celcius{component=\"coretemp Package id "
         "0\"}",
         95},
        {"proxy_component_critical_temperature{component=\"coretemp Package id 0\"}", 0},
        {"proxy_component_critical_temperature{component=\"coretemp Package id 0 "
         "(hwmon1)\"}",
         1},
        {"proxy_energy_joules_total{domain=\"package-0\"}", 999},
        {"proxy_energy_joules_total{domain=\"package-0/dram\"}", 5},
        {"proxy_infiniband_transmit_bytes_total{device=\"mlx5_0\",port=\"1\"}", 4000},
        {"proxy_infiniband_receive_packets_total{device=\"mlx5_0\",port=\"1\"}", 40},
        {"proxy_infiniband_link_downed_total{device=\"mlx5_0\",port=\"1\"}", 2},
    };

    open_copy("node");
    sample(1000);

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_msg(fabs(value(expected[i].name) - expected[i].value) < 1e-6,
                      "%s: %.17g instead of %.17g", expected[i].name,
                      value(expected[i].name), expected[i].value);
}
END_TEST

START_TEST(rates_are_absent_in_the_first_sample)
{
    open_copy("node");
    sample(1000);

    ck_assert_uint_eq(count_base("proxy_cpu_usage_percent"), 0);
    ck_assert_uint_eq(count_base("proxy_cpu_load_average_percent"), 0);
    ck_assert_uint_eq(count_base("proxy_network_receive_bandwidth_bytes"), 0);
    ck_assert_uint_eq(count_base("proxy_network_transmit_packet_rate"), 0);
}
END_TEST

START_TEST(second_sample_has_rates_over_the_time_passed)
{
    open_copy("node");
    sample(1000);
    rewrite("proc/stat", "cpu  0 0 0 0\ncpu0 1050 0 1000 7550 250 0 250 0 0 0\n"
                         "cpu1 1000 0 1000 7560 290 0 250 0 0 0\nctxt 123457\n");
    rewrite("proc/net/dev", "ib0: 5001000 4020 3 0 0 0 0 0 6004000 5002 2 0 0 0 0 0\n");
    sample(3000);

    ck_assert_double_eq(value("proxy_cpu_usage_percent{name=\"cpu0\"," XEON), 50);
    ck_assert_double_eq(value("proxy_cpu_usage_percent{name=\"cpu1\"," XEON), 0);
    ck_assert_double_eq(value("proxy_cpu_load_average_percent"), 25);
    ck_assert_double_eq(value("proxy_network_receive_bandwidth_bytes{interface=\"ib0\"}"),
                        500);
    ck_assert_double_eq(value("proxy_network_receive_packet_rate{interface=\"ib0\"}"),
                        10);
    ck_assert_double_eq(
        value("proxy_network_transmit_bandwidth_bytes{interface=\"ib0\"}"), 2000);
    ck_assert_double_eq(value("proxy_network_transmit_packet_rate{interface=\"ib0\"}"),
                        1);
}
END_TEST

START_TEST(only_real_local_devices_are_shown_each_once)
{
    struct statvfs st;

    open_copy("node");
    sample(1000);

    ck_assert_int_eq(statvfs("/", &st), 0);
    double size = (double)st.f_blocks * (double)st.f_frsize;
    ck_assert_uint_eq(count_base("proxy_disk_size_bytes"), 1);
    ck_assert_double_eq(value("proxy_disk_size_bytes" SDA1), size);
    ck_assert_double_eq_tol(value("proxy_disk_free_size_bytes" SDA1) +
                                value("proxy_disk_used_size_bytes" SDA1),
                            size, 1);
    ck_assert_double_eq_tol(value("proxy_disk_usage_percent" SDA1),
                            100 * value("proxy_disk_used_size_bytes" SDA1) / size, 1e-9);
    ck_assert_uint_eq(count_base("proxy_disk_read_bytes_total"), 2);
}
END_TEST

// Of three mounts on places of this machine only the second is what one finds there.
START_TEST(mount_that_is_covered_is_not_shown)
{
    open_copy("node");
    rewrite("proc/self/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                                   "21 20 8:17 / /usr rw - ext4 /dev/sdb1 rw\n"
                                   "22 21 8:33 / /usr rw - ext4 /dev/sdc1 rw\n"
                                   "23 20 8:49 / /var/lib rw - ext4 /dev/sdd1 rw\n"
                                   "24 20 0:77 / /var rw - tmpfs none rw\n"
                                   "25 21 8:65 / /usr/share rw - ext4 /dev/sde1 rw\n");
    sample(1000);

    ck_assert_uint_eq(count_base("proxy_disk_size_bytes"), 2);
    ck_assert_ptr_nonnull(find("proxy_disk_size_bytes" SDA1));
    ck_assert_ptr_nonnull(
        find("proxy_disk_size_bytes{kind=\"Unknown\",device=\"/dev/sdc1\","
             "fs=\"ext4\",mountpoint=\"/usr\"}"));
}
END_TEST

static void swap(const char *folder, const char *one, const char *other)
{
    char command[300];
    snprintf(command, sizeof command, "cd %s/%s && mv %s x && mv %s %s && mv x %s",
             node.root, folder, one, other, one, other);
    ck_assert_int_eq(system(command), 0);
}

// As after a driver was loaded again: the numbers of two chips are each other's.
START_TEST(temperature_stays_with_its_chip_when_numbers_change)
{
    open_copy("node");
    rewrite("sys/class/hwmon/hwmon1/name", "nvme\n");
    rewrite("sys/class/hwmon/hwmon1/temp1_label", "Composite\n");
    rewrite("sys/class/hwmon/hwmon1/temp1_input", "33000\n");
    sample(1000);
    double before = value("proxy_component_temperature_celcius" NVME);
    swap("sys/class/hwmon", "hwmon0", "hwmon1");
    sample(2000);

    ck_assert_double_eq(before, 33);
    ck_assert_double_eq(value("proxy_component_temperature_celcius" NVME), 33);
}
END_TEST

START_TEST(each_sensor_is_shown_whatever_its_label)
{
    open_copy("node");
    size_t before = count_base("proxy_component_temperature_celcius");
    for (int i = 7; i < 10; i++) {
        char path[64];
        snprintf(path, sizeof path, "sys/class/hwmon/hwmon0/temp%d_label", i);
        rewrite(path, "Core 0\n");
        snprintf(path, sizeof path, "sys/class/hwmon/hwmon0/temp%d_input", i);
        rewrite(path, "50000\n");
    }
    sample(1000);

    ck_assert_uint_eq(before, 0);
    ck_assert_uint_eq(count_base("proxy_component_temperature_celcius"), 6);
}
END_TEST

START_TEST(energy_does_not_jump_when_a_zone_is_made_anew)
{
    open_copy("node");
    sample(1000);
    double before = value("proxy_energy_joules_total{domain=\"package-0\"}");
    char command[300];
    snprintf(command, sizeof command,
             "cd %s/sys/class/powercap && mv intel-rapl:0 x && cp -r x intel-rapl:0",
             node.root);
    ck_assert_int_eq(system(command), 0);
    rewrite("sys/class/powercap/intel-rapl:0/energy_uj", "2000000\n");
    sample(2000);

    ck_assert_double_eq(value("proxy_energy_joules_total{domain=\"package-0\"}"),
                        before + 2);
}
END_TEST

START_TEST(names_that_are_no_utf8_are_shown_with_a_replacement)
{
    open_copy("node");
    rewrite("proc/net/dev", "caf\xe9: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n");
    sample(1000);

    ck_assert_double_eq(
        value("proxy_network_receive_bytes_total{interface=\"caf\xef\xbf\xbd\"}"), 1000);
}
END_TEST

START_TEST(energy_goes_on_over_the_wrap_of_its_counter)
{
    open_copy("node");
    sample(1000);
    rewrite("sys/class/powercap/intel-rapl:0/energy_uj", "2000000\n");
    sample(2000);

    ck_assert_double_eq(value("proxy_energy_joules_total{domain=\"package-0\"}"), 1002);
}
END_TEST

START_TEST(interface_made_anew_keeps_its_counters_growing)
{
    open_copy("node");
    sample(1000);
    rewrite("proc/net/dev", "lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n");
    sample(2000);
    ck_assert_ptr_null(find("proxy_network_receive_bytes_total{interface=\"ib0\"}"));
    rewrite("proc/net/dev", "ib0: 100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n");
    sample(3000);

    ck_assert_double_eq(value("proxy_network_receive_bytes_total{interface=\"ib0\"}"),
                        5000100);
    ck_assert_ptr_null(find("proxy_network_receive_bandwidth_bytes{interface=\"ib0\"}"));
}
END_TEST

START_TEST(device_that_was_away_for_long_starts_anew)
{
    open_copy("node");
    sample(1000);
    rewrite("proc/net/dev", "lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n");
    for (int i = 2; i < 64; i++)
        sample(1000 * i);
    rewrite("proc/net/dev", "ib0: 100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n");
    sample(64000);

    ck_assert_double_eq(value("proxy_network_receive_bytes_total{interface=\"ib0\"}"),
                        100);
}
END_TEST

// As in a round of a proxy.
static void sample_round(mproxy_ledger *ledger, int64_t boot_ms)
{
    const mproxy_input *input = mproxy_system_input(node.system);
    mproxy_round round = {.ledger = ledger, .boot_ms = boot_ms, .wall_us = 1};
    if (ledger)
        mproxy_ledger_round_begin(ledger, boot_ms, 1);
    ck_assert_int_eq(input->before_round(input->self, &round, NULL), MPROXY_OK);
    round.written = ledger && mproxy_ledger_round_end(ledger, NULL) == MPROXY_OK;
    if (input->after_round)
        input->after_round(input->self, &round, NULL);
    mproxy_store_sweep(node.store);
}

// Each job of a node may have interfaces of its own, for years.
START_TEST(devices_that_come_and_go_are_all_shown_and_leave_nothing)
{
    char text[128], name[80];
    mproxy_ledger *ledger;
    open_copy("node");
    int fd = open(node.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mproxy_ledger_open(fd, node.store, NULL, &ledger, NULL), MPROXY_OK);
    sample_round(ledger, 1000);
    uint32_t names = mpx_store_metric_bound(node.store);

    for (int i = 1; i <= 2500; i++) {
        snprintf(text, sizeof text, "veth%d: %d 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n", i, i);
        rewrite("proc/net/dev", text);
        sample_round(ledger, 1000 + i);
        snprintf(name, sizeof name,
                 "proxy_network_receive_bytes_total{interface=\"veth%d\"}", i);
        ck_assert_msg(find(name) != NULL, "%s is not shown", name);
        ck_assert_double_eq(value(name), i);
    }

    ck_assert_uint_lt(mpx_store_metric_bound(node.store), names + 1000);
    mproxy_ledger_close(ledger);
    close(fd);
}
END_TEST

START_TEST(layout_stays_until_the_set_of_metrics_changes)
{
    open_copy("node");
    ck_assert_uint_eq(mproxy_system_layout(node.system)->count, 0);
    sample(1000);
    sample(2000);
    const mproxy_layout *with = mproxy_system_layout(node.system);
    size_t count = with->count;
    sample(3000);
    ck_assert_ptr_eq(mproxy_system_layout(node.system), with);

    rewrite("proc/loadavg", "");
    sample(4000);
    const mproxy_layout *without = mproxy_system_layout(node.system);
    ck_assert_ptr_ne(without, with);
    ck_assert_uint_eq(without->count, count - 1);
    ck_assert_uint_eq(with->count, count);

    rewrite("proc/loadavg", "2.00 0 0 1/1 1\n");
    sample(5000);
    ck_assert_ptr_eq(mproxy_system_layout(node.system), with);
}
END_TEST

START_TEST(counter_keeps_the_time_of_its_last_change)
{
    open_copy("node");
    sample(1000);
    sample(2000);
    sample(3000);

    ck_assert_uint_eq(find("proxy_context_switches_total")->ts_us, 2000000);
    rewrite("proc/stat", "cpu0 1 1 1 1\ncpu1 1 1 1 1\nctxt 123500\n");
    sample(4000);
    ck_assert_uint_eq(find("proxy_context_switches_total")->ts_us, 4000000);
    ck_assert_double_eq(find("proxy_memory_total_bytes")->hits, 1);
}
END_TEST

START_TEST(samples_are_counted_with_the_system_in_labels)
{
    open_copy("node");
    sample(1000);
    sample(2000);

    const mproxy_layout *layout = mproxy_system_layout(node.system);
    const char *name = NULL;
    for (size_t i = 0; i < layout->count; i++)
        if (strncmp(mproxy_metric_name(layout->metrics[i]), "proxy_scrape_total{", 19) ==
            0)
            name = mproxy_metric_name(layout->metrics[i]);
    ck_assert_ptr_nonnull(name);
    ck_assert_ptr_nonnull(strstr(name, "{os=\""));
    ck_assert(strstr(name, "os=\"unknown\"") == NULL || access("/etc/os-release", R_OK));
    ck_assert_ptr_nonnull(
        strstr(name, "kernel=\"5.14.0-70.el9.x86_64\",hostname=\"node\\\"7\"}"));
    ck_assert_double_eq(value(name), 2);
}
END_TEST

START_TEST(many_cpus_take_their_clock_from_cpufreq_policies)
{
    open_copy("many-cpus");
    sample(1000);
    rewrite("proc/loadavg", "1.00 1 1 1/1 1\n");
    sample(2000);

    ck_assert_double_eq(value("proxy_cpu_total"), 128);
    ck_assert_uint_eq(count_base("proxy_cpu_frequency_ghz"), 128);
    ck_assert_double_eq(
        value("proxy_cpu_frequency_ghz{name=\"cpu127\",vendor=\"0x46\",model=\"\"}"),
        2.3);
    ck_assert_uint_eq(count_base("proxy_memory_total_bytes"), 0);
}
END_TEST

static void only_the_scrape_counter(const char *fixture)
{
    open_copy(fixture);
    sample(1000);
    sample(2000);

    const mproxy_layout *layout = mproxy_system_layout(node.system);
    for (size_t i = 0; i < layout->count; i++)
        ck_assert_msg(strncmp(mproxy_metric_name(layout->metrics[i]),
                              "proxy_scrape_total{", 19) == 0,
                      "%s is there", mproxy_metric_name(layout->metrics[i]));
    ck_assert_uint_eq(layout->count, 1);
}

START_TEST(absent_files_mean_absent_metrics)
{
    only_the_scrape_counter("empty");
}
END_TEST

START_TEST(malformed_files_mean_absent_metrics)
{
    only_the_scrape_counter("malformed");
}
END_TEST

START_TEST(missing_root_is_an_error_that_names_it)
{
    mproxy_system_options options = {.struct_size = sizeof options,
                                     .proc_root = "/no/such/proc"};
    struct mproxy_system *out = NULL;
    mproxy_error err;
    ck_assert_int_eq(mproxy_store_open(NULL, &options.store, &err), MPROXY_OK);

    ck_assert_int_eq(mproxy_system_open(&options, &out, &err), MPROXY_E_SYSTEM);

    ck_assert_ptr_null(out);
    ck_assert_ptr_nonnull(strstr(err.text, "/no/such/proc"));
    options.proc_root = NULL;
    options.struct_size = 0;
    ck_assert_int_eq(mproxy_system_open(&options, &out, &err), MPROXY_E_INVALID);
    mproxy_store_close(options.store);
}
END_TEST

static double read_command(const char *command)
{
    double number = NAN;
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fscanf(pipe, "%lf", &number), 1);
    pclose(pipe);
    return number;
}

START_TEST(real_node_agrees_with_independent_readings)
{
    open_roots(NULL, NULL);
    sample(mpx_boot_ms());
    // Loads are there once the clock of each CPU has ticked between two samples.
    size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    for (int tries = 0; tries < 500 && count_base("proxy_cpu_usage_percent") < cpus;
         tries++) {
        usleep(20000);
        sample(mpx_boot_ms());
    }

    ck_assert_double_eq(value("proxy_cpu_total"), (double)cpus);
    ck_assert_double_eq(value("proxy_memory_total_bytes"),
                        (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
    ck_assert_double_eq_tol(value("proxy_uptime_seconds"),
                            read_command("cut -d' ' -f1 /proc/uptime"), 5);
    ck_assert_double_ge(value("proxy_cpu_load_average_percent"), 0);
    ck_assert_double_le(value("proxy_cpu_load_average_percent"), 100);
    ck_assert_uint_eq(count_base("proxy_cpu_usage_percent"),
                      (size_t)value("proxy_cpu_total"));
    double rx = value("proxy_network_receive_bytes_total{interface=\"lo\"}");
    ck_assert_double_le(
        rx, read_command("sed -n 's/^ *lo: *\\([0-9]*\\) .*/\\1/p' /proc/net/dev"));
    ck_assert_double_ge(value("proxy_network_receive_packet_rate{interface=\"lo\"}"), 0);
}
END_TEST

// Counted in this process: a child of popen() sees its pipe come and go.
static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *list = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

START_TEST(sampling_keeps_no_more_descriptors_than_files)
{
    open_roots(NULL, NULL);
    sample(mpx_boot_ms());
    size_t before = open_descriptors();
    for (int i = 0; i < 100; i++)
        sample(mpx_boot_ms());

    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("system");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, first_sample_has_what_the_files_say);
    tcase_add_test(c, rates_are_absent_in_the_first_sample);
    tcase_add_test(c, second_sample_has_rates_over_the_time_passed);
    tcase_add_test(c, only_real_local_devices_are_shown_each_once);
    tcase_add_test(c, mount_that_is_covered_is_not_shown);
    tcase_add_test(c, temperature_stays_with_its_chip_when_numbers_change);
    tcase_add_test(c, each_sensor_is_shown_whatever_its_label);
    tcase_add_test(c, energy_does_not_jump_when_a_zone_is_made_anew);
    tcase_add_test(c, names_that_are_no_utf8_are_shown_with_a_replacement);
    tcase_add_test(c, energy_goes_on_over_the_wrap_of_its_counter);
    tcase_add_test(c, interface_made_anew_keeps_its_counters_growing);
    tcase_add_test(c, device_that_was_away_for_long_starts_anew);
    tcase_add_test(c, devices_that_come_and_go_are_all_shown_and_leave_nothing);
    tcase_add_test(c, layout_stays_until_the_set_of_metrics_changes);
    tcase_add_test(c, counter_keeps_the_time_of_its_last_change);
    tcase_add_test(c, samples_are_counted_with_the_system_in_labels);
    tcase_add_test(c, many_cpus_take_their_clock_from_cpufreq_policies);
    tcase_add_test(c, absent_files_mean_absent_metrics);
    tcase_add_test(c, malformed_files_mean_absent_metrics);
    tcase_add_test(c, missing_root_is_an_error_that_names_it);
    tcase_add_test(c, real_node_agrees_with_independent_readings);
    tcase_add_test(c, sampling_keeps_no_more_descriptors_than_files);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
