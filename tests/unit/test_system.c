// Node metrics on fixture trees, and on the real /proc against independent readings.
#include <dirent.h>
#include <math.h>
#include <unistd.h>

#include "../support/system_fixture.h"
#include "base/clock.h"

#define XEON "vendor=\"GenuineIntel\",model=\"Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\"}"

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
