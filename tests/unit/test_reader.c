#include "reader/reader.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../support/segment_image.h"
#include "../support/suite.h"
#include "writer/writer.h"

static char folder[] = "/dev/shm/mproxy-reader-XXXXXX";
static int dir;
static struct mpx_readers *readers;

static void setup_limited(uint64_t bytes, uint32_t descriptors)
{
    strcpy(folder, "/dev/shm/mproxy-reader-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct mpx_readers_options options = {.max_bytes_per_uid = bytes,
                                          .max_descriptors = descriptors};
    ck_assert_int_eq(mpx_readers_open(&options, &readers, NULL), MPROXY_OK);
}

static void setup(void)
{
    setup_limited(0, 0);
}

static void teardown(void)
{
    mpx_readers_close(readers);
    close(dir);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct mpx_reader *open_reader(const char *name)
{
    struct mpx_reader *r = NULL;
    mproxy_error err = {0};
    ck_assert_msg(mpx_reader_open(readers, dir, name, &r, &err) == MPROXY_OK, "%s",
                  err.text);
    return r;
}

static bool sample(struct mpx_reader *r)
{
    bool changed;
    mproxy_error err = {0};
    ck_assert_msg(mpx_reader_sample(r, &changed, &err) == MPROXY_OK, "%s", err.text);
    return changed;
}

static mproxy_status try_open(const char *name, mproxy_error *err)
{
    struct mpx_reader *r = NULL;
    *err = (mproxy_error){0};
    mproxy_status status = mpx_reader_open(readers, dir, name, &r, err);
    mpx_reader_close(r);
    return status;
}

static uint32_t user_of(const char *name)
{
    struct mpx_reader *r = NULL;
    ck_assert_int_eq(mpx_reader_open(readers, dir, name, &r, NULL), MPROXY_OK);
    uint32_t user = mpx_reader_user(r);
    mpx_reader_close(r);
    return user;
}

static void put_double(uint64_t *slot, double value)
{
    memcpy(slot, &value, sizeof value);
}

START_TEST(reader_reads_identity_and_job)
{
    struct image m = image_new(4711, "job-1");
    image_header(&m)->rank = 3;
    close(image_write(&m, dir, "a.seg", m.size));

    struct mpx_reader *r = open_reader("a.seg");

    ck_assert_uint_eq(mpx_reader_header(r)->pid, 4711);
    ck_assert_uint_eq(mpx_reader_header(r)->rank, 3);
    ck_assert_str_eq(mpx_reader_job(r)->jobid, "job-1");
    ck_assert_str_eq(mpx_reader_job(r)->command, "command");
    ck_assert_str_eq(mpx_reader_job(r)->run_dir, "");
    ck_assert_str_eq(mpx_reader_name(r), "a.seg");
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

// A program that registers threads while its segment is opened.
struct growing {
    struct mpx_writer *writer;
    atomic_int turn; // raised for each segment
    atomic_bool stop;
};

static void *grow(void *arg)
{
    struct growing *g = arg;
    for (int seen = 0; !atomic_load(&g->stop);) {
        uint32_t row;
        if (atomic_load(&g->turn) == seen) {
            sched_yield();
            continue;
        }
        seen++;
        for (int i = 0; i < 4; i++)
            mpx_writer_add_row(g->writer, 8, &row, NULL);
        atomic_store(&g->turn, ++seen);
    }
    return NULL;
}

START_TEST(reader_opens_a_segment_that_grows_meanwhile)
{
    mproxy_job job = {.jobid = "j"};
    struct mpx_writer_birth birth = {
        .dir_path = folder, .job = &job, .kind = MPX_SEG_GATEWAY, .is_proxys = true};
    struct growing g = {.writer = NULL};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, grow, &g), 0);
    for (int i = 0; i < 1000; i++) {
        unsigned reasons;
        ck_assert_int_eq(mpx_writer_open(&birth, &g.writer, &reasons, NULL), MPROXY_OK);
        const char *name = strrchr(mpx_writer_path(g.writer), '/') + 1;

        atomic_fetch_add(&g.turn, 1);
        for (volatile int pause = 0; pause < i % 100 * 100; pause++)
            continue;
        struct mpx_reader *r = open_reader(name);

        while (atomic_load(&g.turn) % 2)
            sched_yield();
        sample(r);
        mpx_reader_close(r);
        unlink(mpx_writer_path(g.writer));
        mpx_writer_close(g.writer);
    }
    atomic_store(&g.stop, true);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(reader_sums_rows_of_every_kind)
{
    const double bounds[] = {1, 2.5};
    struct image m = image_new(1, "j");
    image_metric(&m, MPX_DEF_COUNTER, 0, "hits_total", NULL, 0);
    image_metric(&m, MPX_DEF_FCOUNTER, 1, "seconds_total", NULL, 0);
    image_metric(&m, MPX_DEF_GAUGE, 2, "level", NULL, 0);
    image_metric(&m, MPX_DEF_HISTOGRAM, 4, "sizes", bounds, 2);
    image_row0(&m)[0] = 5;
    put_double(&image_row0(&m)[1], 0.25);
    put_double(&image_row0(&m)[2], -7.5);
    image_row0(&m)[3] = 1;
    uint64_t *row = image_extent(&m, 1, 0, 8);
    row[0] = UINT64_C(1) << 60;
    put_double(&row[1], 0.5);
    row[4] = 10;
    row[6] = 30;
    put_double(&row[7], 123.5);
    uint64_t *other = image_extent(&m, 7, 0, 5);
    other[4] = 1;
    close(image_write(&m, dir, "a.seg", m.size));
    struct mpx_reader *r = open_reader("a.seg");

    ck_assert(sample(r));

    const struct mpx_def_table *t = mpx_reader_table(r);
    const double *columns = mpx_reader_columns(r);
    ck_assert_uint_eq(t->count, 4);
    ck_assert_uint_eq(t->slot_end, 8);
    ck_assert_str_eq(t->defs[3].name, "sizes");
    ck_assert_double_eq(t->defs[3].bounds[1], 2.5);
    const double expected[] = {0x1p60 + 5, 0.75, -7.5, 1, 11, 0, 30, 123.5};
    for (int i = 0; i < 8; i++)
        ck_assert_double_eq(columns[i], expected[i]);
    ck_assert(!sample(r));
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_converts_every_integer_as_the_compiler_does)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "c", 67);
    uint64_t *row = image_row0(&m);
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 67; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        row[i] = i == 0 ? UINT64_MAX : x >> (i % 64);
    }
    close(image_write(&m, dir, "a.seg", m.size));
    struct mpx_reader *r = open_reader("a.seg");

    sample(r);

    for (int i = 0; i < 67; i++)
        ck_assert_double_eq(mpx_reader_columns(r)[i], (double)row[i]);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_shares_tables_of_the_same_bytes)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "c", 50);
    close(image_write(&m, dir, "a.seg", m.size));
    image_header(&m)->pid = 2;
    close(image_write(&m, dir, "b.seg", m.size));
    image_metric(&m, MPX_DEF_COUNTER, 50, "one_more", NULL, 0);
    close(image_write(&m, dir, "c.seg", m.size));

    struct mpx_reader *a = open_reader("a.seg"), *b = open_reader("b.seg"),
                      *c = open_reader("c.seg");

    ck_assert_ptr_eq(mpx_reader_table(a), mpx_reader_table(b));
    ck_assert_ptr_ne(mpx_reader_table(a), mpx_reader_table(c));
    mpx_reader_close(a);
    mpx_reader_close(b);
    mpx_reader_close(c);
    image_free(&m);
}
END_TEST

START_TEST(reader_follows_definitions_and_rows_that_are_added)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "first", 5);
    image_row0(&m)[2] = 9;
    int fd = image_write(&m, dir, "a.seg", m.size);
    struct mpx_reader *r = open_reader("a.seg");
    sample(r);
    for (uint32_t i = 5; i < 400; i++) {
        char name[32];
        snprintf(name, sizeof name, "later_%u", i);
        image_metric(&m, MPX_DEF_COUNTER, i, name, NULL, 0);
    }
    image_extent(&m, 0, 128, 512)[399 - 128] = 40;
    image_extent(&m, 1, 0, 512)[399] = 2;
    close(fd);
    close(image_write(&m, dir, "b.seg", m.size));
    fd = openat(dir, "a.seg", O_RDWR);
    ck_assert_int_eq(pwrite(fd, m.bytes, m.size, 0), (ssize_t)m.size);

    ck_assert(sample(r));

    struct mpx_reader *other = open_reader("b.seg");
    ck_assert_ptr_eq(mpx_reader_table(r), mpx_reader_table(other));
    ck_assert_uint_eq(mpx_reader_table(r)->slot_end, 400);
    ck_assert_double_eq(mpx_reader_columns(r)[2], 9);
    ck_assert_double_eq(mpx_reader_columns(r)[399], 42);
    close(fd);
    mpx_reader_close(r);
    mpx_reader_close(other);
    image_free(&m);
}
END_TEST

START_TEST(reader_reports_state_and_change_of_it)
{
    struct image m = image_new(1, "j");
    int fd = image_write(&m, dir, "a.seg", m.size);
    struct mpx_reader *r = open_reader("a.seg");
    sample(r);
    image_header(&m)->started = 1;
    image_header(&m)->final_set = 5;
    image_header(&m)->final[MPX_FINAL_RESIDENT] = 1000;
    image_header(&m)->flags = MPX_OFF_SPACE;
    ck_assert_int_eq(pwrite(fd, m.bytes, m.size, 0), (ssize_t)m.size);

    bool changed = sample(r);

    ck_assert(changed);
    ck_assert_uint_eq(mpx_reader_state(r)->started, 1);
    ck_assert_uint_eq(mpx_reader_state(r)->finished, 0);
    ck_assert_uint_eq(mpx_reader_state(r)->final_set, 5);
    ck_assert_uint_eq(mpx_reader_state(r)->final[MPX_FINAL_RESIDENT], 1000);
    ck_assert_uint_eq(mpx_reader_state(r)->flags, MPX_OFF_SPACE);
    close(fd);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_is_final_exactly_when_the_lock_is_free)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "c", 1);
    int fd = image_write(&m, dir, "a.seg", m.size);
    ck_assert_int_eq(image_lock(fd, F_WRLCK), 0);
    unsigned char *map =
        mmap(NULL, MPX_SEG_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct mpx_reader *r = open_reader("a.seg");
    ck_assert(!mpx_reader_is_final(r));

    close(fd); // the mapping keeps the lock
    ck_assert(!mpx_reader_is_final(r));
    ((uint64_t *)(void *)(map + MPX_SEG_ROW0_OFFSET))[0] = 12;
    munmap(map, MPX_SEG_PAGE);

    ck_assert(mpx_reader_is_final(r));
    ck_assert(sample(r));
    ck_assert_double_eq(mpx_reader_columns(r)[0], 12);
    ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    ck_assert(!sample(r));
    ck_assert_double_eq(mpx_reader_columns(r)[0], 12);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_refuses_what_is_not_a_file_of_its_own)
{
    struct image m = image_new(1, "j");
    close(image_write(&m, dir, "good.seg", m.size));
    close(image_write(&m, dir, "two.seg", m.size));
    ck_assert_int_eq(symlinkat("good.seg", dir, "link.seg"), 0);
    ck_assert_int_eq(linkat(dir, "two.seg", dir, "twin.seg", 0), 0);
    ck_assert_int_eq(mkfifoat(dir, "fifo.seg", 0600), 0);
    ck_assert_int_eq(mkdirat(dir, "folder.seg", 0700), 0);
    mproxy_error err;

    ck_assert_int_eq(try_open("link.seg", &err), MPROXY_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "link.seg"));
    ck_assert_int_eq(try_open("twin.seg", &err), MPROXY_E_CORRUPT);
    ck_assert_int_eq(try_open("fifo.seg", &err), MPROXY_E_CORRUPT);
    ck_assert_int_eq(try_open("folder.seg", &err), MPROXY_E_CORRUPT);
    ck_assert_int_eq(try_open("none.seg", &err), MPROXY_E_NOTFOUND);
    ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    image_free(&m);
}
END_TEST

START_TEST(reader_takes_the_owner_for_the_user)
{
    if (getuid() != 0)
        return; // only root can make files of others
    struct image m = image_new(1, "j");
    image_header(&m)->uid = 4242;
    close(image_write(&m, dir, "roots.seg", m.size));
    int fd = image_write(&m, dir, "own.seg", m.size);
    ck_assert_int_eq(fchown(fd, 4242, 4242), 0);
    close(fd);
    fd = image_write(&m, dir, "foreign.seg", m.size);
    ck_assert_int_eq(fchown(fd, 4243, 4243), 0);
    close(fd);
    image_header(&m)->kind = MPX_SEG_GATEWAY;
    close(image_write(&m, dir, "told.seg", m.size));
    fd = image_write(&m, dir, "untold.seg", m.size);
    ck_assert_int_eq(fchown(fd, 4243, 4243), 0);
    close(fd);

    ck_assert_uint_eq(user_of("own.seg"), 4242);
    ck_assert_uint_eq(user_of("roots.seg"), 0);
    ck_assert_uint_eq(user_of("foreign.seg"), 4243);
    ck_assert_uint_eq(user_of("told.seg"), 4242); // by a proxy of root's, for its client
    ck_assert_uint_eq(user_of("untold.seg"), 4243);
    image_free(&m);
}
END_TEST

START_TEST(reader_tells_another_version_from_damage)
{
    struct image m = image_new(1, "j");
    image_header(&m)->version = 9;
    close(image_write(&m, dir, "a.seg", m.size));
    image_header(&m)->magic++;
    close(image_write(&m, dir, "b.seg", m.size));
    mproxy_error err;

    ck_assert_int_eq(try_open("a.seg", &err), MPROXY_E_VERSION);
    ck_assert_int_eq(try_open("b.seg", &err), MPROXY_E_CORRUPT);
    image_free(&m);
}
END_TEST

// A segment of one page that lives, and then grows by four that nobody has room for.
static struct mpx_reader *open_crowded(struct image *m, int *fd)
{
    *m = image_new(1, "j");
    image_counters(m, "c", 1);
    image_row0(m)[0] = 1;
    *fd = image_write(m, dir, "a.seg", m->size);
    ck_assert_int_eq(image_lock(*fd, F_WRLCK), 0);
    struct mpx_reader *a = open_reader("a.seg");
    sample(a);
    image_extent(m, 1, 0, 4 * 512)[0] = 5;
    image_row0(m)[0] = 2;
    ck_assert_int_eq(pwrite(*fd, m->bytes, m->size, 0), (ssize_t)m->size);
    return a;
}

START_TEST(reader_keeps_a_budget_of_bytes_per_user)
{
    teardown();
    setup_limited(4 * MPX_SEG_PAGE, 0);
    struct image m;
    int fd;
    struct mpx_reader *a = open_crowded(&m, &fd);
    int other = image_write(&m, dir, "b.seg", m.size);
    ck_assert_int_eq(image_lock(other, F_WRLCK), 0);
    mproxy_error err;

    ck_assert(sample(a));
    ck_assert_double_eq(mpx_reader_columns(a)[0], 2); // what is mapped goes on
    ck_assert_uint_eq(mpx_reader_state(a)->flags, 0); // it is late, for now
    for (int i = 0; i < 8; i++)
        sample(a);

    ck_assert_uint_eq(mpx_reader_state(a)->flags, MPX_OFF_LIMIT);
    ck_assert_int_eq(try_open("b.seg", &err), MPROXY_E_LIMIT);
    close(fd);
    close(other);
    mpx_reader_close(a);
    image_free(&m);
}
END_TEST

START_TEST(reader_has_room_for_some_that_are_final_in_each_round)
{
    teardown();
    setup_limited(4 * MPX_SEG_PAGE, 0);
    struct image m;
    int fd;
    bool changed;
    mproxy_error err;
    struct mpx_reader *a = open_crowded(&m, &fd);
    sample(a);
    close(image_write(&m, dir, "b.seg", m.size));
    close(image_write(&m, dir, "c.seg", m.size));
    close(fd);

    mpx_readers_begin(readers);
    struct mpx_reader *b = open_reader("b.seg"); // alone larger than all may be
    ck_assert_int_eq(try_open("c.seg", &err), MPROXY_E_BUSY);
    ck_assert(mpx_reader_is_final(a));
    ck_assert_int_eq(mpx_reader_sample(a, &changed, &err), MPROXY_E_BUSY);
    ck_assert(mpx_reader_is_final(b));
    ck_assert(sample(b));
    ck_assert_double_eq(mpx_reader_columns(b)[0], 7);
    mpx_readers_begin(readers);
    ck_assert(mpx_reader_is_final(a));
    ck_assert(sample(a));

    ck_assert_double_eq(mpx_reader_columns(a)[0], 7);
    ck_assert_uint_eq(mpx_reader_state(a)->flags, 0);
    mpx_readers_begin(readers);
    ck_assert_int_eq(try_open("c.seg", &err), MPROXY_OK);
    mpx_reader_close(a);
    mpx_reader_close(b);
    ck_assert_uint_eq(mpx_readers_bytes(readers), 0);
    image_free(&m);
}
END_TEST

START_TEST(reader_needs_no_kept_descriptor)
{
    teardown();
    setup_limited(0, 1);
    struct image m = image_new(1, "j");
    image_counters(&m, "c", 1);
    struct mpx_reader *r[4];
    int fd[4];
    for (int i = 0; i < 4; i++) {
        char name[] = {(char)('a' + i), '.', 's', 'e', 'g', 0};
        fd[i] = image_write(&m, dir, name, m.size);
        ck_assert_int_eq(image_lock(fd[i], F_WRLCK), 0);
        r[i] = open_reader(name);
    }
    ck_assert_int_eq(unlinkat(dir, "d.seg", 0), 0);

    for (int i = 0; i < 4; i++) {
        uint64_t value = 7;
        ck_assert_int_eq(pwrite(fd[i], &value, 8, MPX_SEG_ROW0_OFFSET), 8);
        ck_assert(!mpx_reader_is_final(r[i]));
        ck_assert(sample(r[i]));
        ck_assert_double_eq(mpx_reader_columns(r[i])[0], 7);
        close(fd[i]);
        ck_assert(mpx_reader_is_final(r[i]));
        mpx_reader_close(r[i]);
    }
    image_free(&m);
}
END_TEST

START_TEST(reader_blanks_names_that_are_no_text)
{
    struct image m = image_new(1, "j");
    image_metric(&m, MPX_DEF_COUNTER, 0, "with\nnewline", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 1, "bad\xff", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 2, "unbalanced{a=\"b\"", NULL, 0);
    image_metric(&m, MPX_DEF_COUNTER, 3, "scaled", NULL, 0)->scale = -1;
    char longest[1100];
    memset(longest, 'a', sizeof longest);
    longest[1025] = '\0';
    image_metric(&m, MPX_DEF_COUNTER, 4, longest, NULL, 0);
    longest[1024] = '\0';
    image_metric(&m, MPX_DEF_COUNTER, 5, longest, NULL, 0);
    close(image_write(&m, dir, "a.seg", m.size));

    struct mpx_reader *r = open_reader("a.seg");

    const struct mpx_def *defs = mpx_reader_table(r)->defs;
    ck_assert_str_eq(defs[0].name, "");
    ck_assert_str_eq(defs[1].name, "");
    ck_assert_str_eq(defs[2].name, "unbalanced{a=\"b\""); // the store's to judge
    ck_assert_str_eq(defs[3].name, "");
    ck_assert_str_eq(defs[4].name, "");
    ck_assert_uint_eq(strlen(defs[5].name), 1024);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

START_TEST(reader_takes_ten_thousand_names)
{
    struct image m = image_new(1, "j");
    image_counters(&m, "name", 10000);
    image_extent(&m, 0, 128, 10000 - 128)[10000 - 129] = 3;
    close(image_write(&m, dir, "a.seg", m.size));
    struct mpx_reader *r = open_reader("a.seg");

    sample(r);

    ck_assert_uint_eq(mpx_reader_table(r)->count, 10000);
    ck_assert_double_eq(mpx_reader_columns(r)[9999], 3);
    mpx_reader_close(r);
    image_free(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reader");
    TCase *tc = tcase_create("reader");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, reader_reads_identity_and_job);
    tcase_add_test(tc, reader_opens_a_segment_that_grows_meanwhile);
    tcase_add_test(tc, reader_sums_rows_of_every_kind);
    tcase_add_test(tc, reader_converts_every_integer_as_the_compiler_does);
    tcase_add_test(tc, reader_shares_tables_of_the_same_bytes);
    tcase_add_test(tc, reader_follows_definitions_and_rows_that_are_added);
    tcase_add_test(tc, reader_reports_state_and_change_of_it);
    tcase_add_test(tc, reader_is_final_exactly_when_the_lock_is_free);
    tcase_add_test(tc, reader_refuses_what_is_not_a_file_of_its_own);
    tcase_add_test(tc, reader_takes_the_owner_for_the_user);
    tcase_add_test(tc, reader_tells_another_version_from_damage);
    tcase_add_test(tc, reader_keeps_a_budget_of_bytes_per_user);
    tcase_add_test(tc, reader_has_room_for_some_that_are_final_in_each_round);
    tcase_add_test(tc, reader_needs_no_kept_descriptor);
    tcase_add_test(tc, reader_blanks_names_that_are_no_text);
    tcase_add_test(tc, reader_takes_ten_thousand_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
