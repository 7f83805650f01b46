// Devices of a node: which are shown, and what becomes of their counters when they come and go or
// change their numbers.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../support/system_fixture.h"
#include "store/exempt.h"

#define NVME "{component=\"nvme Composite\"}"

#define SDA1 "{kind=\"HDD\",device=\"/dev/sda1\",fs=\"ext4\",mountpoint=\"/\"}"

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

int main(void)
{
    Suite *suite = suite_create("system_devices");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, NULL, teardown);
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
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
