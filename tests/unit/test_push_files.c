// Files of pushed groups that are torn, damaged, of another version or none of ours.
#include "push/record.h"

#include "../support/push_fixture.h"
#include "../support/suite.h"

static struct node node;

static void setup(void)
{
    node_init(&node);
}

static void teardown(void)
{
    node_fini(&node);
}

// The one file of groups there is; its name is kept in `name`.
static off_t find_file(char name[64])
{
    struct stat st = {0};
    DIR *dir = opendir(node.path);
    name[0] = '\0';
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, "push-", 5) == 0 && !strchr(e->d_name, '.'))
            snprintf(name, 64, "%.60s", e->d_name);
    closedir(dir);
    ck_assert_int_eq(fstatat(node.fd, name, &st, 0), 0);
    return st.st_size;
}

static void write_byte(const char *name, off_t at, char byte)
{
    int fd = openat(node.fd, name, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static bool has_damaged(void)
{
    bool found = false;
    DIR *dir = opendir(node.path);
    for (struct dirent *e; (e = readdir(dir));)
        found |= strstr(e->d_name, ".damaged") != NULL;
    closedir(dir);
    return found;
}

START_TEST(torn_end_is_no_damage)
{
    char name[64];
    push(&node, "job/a", "x 1\n");
    push(&node, "job/b", "x 1\n");
    off_t size = find_file(name);
    node_stop(&node);
    int fd = openat(node.fd, name, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, size - 9), 0);
    close(fd);

    node_start(&node);

    ck_assert(!has_damaged());
    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert_uint_eq(stats_of(&node).groups, 1);
}
END_TEST

START_TEST(damage_is_told_and_costs_one_record)
{
    char name[64], whole[128];
    push(&node, "job/a", "x 1\n");
    off_t before = find_file(name);
    push(&node, "job/b", "x 1\n");
    push(&node, "job/c", "x 1\n");
    node_stop(&node);
    write_byte(name, before + 14, '\x7f');

    node_start(&node);

    snprintf(whole, sizeof whole, "%s is damaged from byte %lld", name,
             (long long)before);
    ck_assert_msg(strstr(node.said, whole) != NULL, "%s", node.said);
    ck_assert_double_eq(shown(&node, "x{job=\"a\"}"), 1);
    ck_assert(has_damaged()); // once a round has copied what is whole
    ck_assert_double_eq(shown(&node, "x{job=\"b\"}"), -1);
    ck_assert_double_eq(shown(&node, "x{job=\"c\"}"), 1);
    node_restart(&node);
    ck_assert_uint_eq(stats_of(&node).groups, 2);
}
END_TEST

// Whatever byte is another one: it opens, says so, and goes on taking pushes.
START_TEST(any_damaged_byte_is_survived)
{
    char name[64];
    push(&node, "job/a", "x 1\ny{k=\"v\"} 2\n");
    push(&node, "job/a", "x 2\ny{k=\"v\"} 2\n");
    off_t size = find_file(name);
    node_stop(&node);
    char *bytes = malloc((size_t)size);
    int fd = openat(node.fd, name, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, bytes, (size_t)size), size);
    close(fd);

    for (off_t at = 0; at < size; at++) {
        node_clear(&node);
        fd = openat(node.fd, "push-1", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ck_assert_int_eq(write(fd, bytes, (size_t)size), size);
        close(fd);
        write_byte("push-1", at, (char)(bytes[at] ^ 0x55));

        node_start(&node);

        double x = shown(&node, "x{job=\"a\"}");
        ck_assert_msg(x == 1 || x == 2 || x == -1, "byte %lld: %g", (long long)at, x);
        push(&node, "job/b", "z 3\n");
        ck_assert_double_eq(shown(&node, "z{job=\"b\"}"), 3);
        node_stop(&node);
    }
    free(bytes);
    node_start(&node);
}
END_TEST

START_TEST(newer_version_is_kept_and_told)
{
    char name[64];
    push(&node, "job/a", "x 1\n");
    (void)find_file(name);
    node_stop(&node);
    node_clear(&node);
    // A head as record.c writes it, of version 2.
    struct mpx_buf head = MPX_BUF_INIT;
    const struct mpx_push_record record = {
        .kind = MPX_PUSH_HEAD, .version = MPX_PUSH_VERSION + 1, .generation = 7};
    mpx_push_record_put(&head, &record);
    int fd = openat(node.fd, "push-7", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, head.data, head.size), (ssize_t)head.size);
    close(fd);
    mpx_buf_free(&head);

    node_start(&node);

    ck_assert_ptr_nonnull(strstr(node.said, "push-7 was written by a newer version"));
    ck_assert(has_damaged());
    push(&node, "job/a", "x 1\n");
}
END_TEST

START_TEST(link_in_place_of_a_file_is_not_followed)
{
    node_stop(&node);
    node_clear(&node);
    ck_assert_int_eq(symlinkat("/dev/zero", node.fd, "push-3"), 0);

    node_start(&node);

    ck_assert(has_damaged() || strstr(node.said, "push-3"));
    push(&node, "job/a", "x 1\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("files of pushed groups");
    TCase *tc = tcase_create("files");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, torn_end_is_no_damage);
    tcase_add_test(tc, damage_is_told_and_costs_one_record);
    tcase_add_test(tc, any_damaged_byte_is_survived);
    tcase_add_test(tc, newer_version_is_kept_and_told);
    tcase_add_test(tc, link_in_place_of_a_file_is_not_followed);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
