// Bytes of a segment's file -> reader -> names of metrics -> values.
//
// The owner is put right and the size rounded up to pages, so that the input gets past the
// first two checks; tests/unit/test_reader_hostile.c looks at those.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "processes/users.h"
#include "processes/vectors.h"
#include "reader/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/dev/shm/mproxy-fuzz-XXXXXX";
static int dir = -1;

static void clean_up(void)
{
    unlinkat(dir, "a.seg", 0);
    rmdir(folder);
}

static void make_folder(void)
{
    if (dir >= 0)
        return;
    if (!mkdtemp(folder) || (dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0) {
        perror(folder);
        exit(2);
    }
    atexit(clean_up);
}

static int write_file(const uint8_t *data, size_t size)
{
    int fd = openat(dir, "a.seg", O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint32_t uid = getuid();
    size_t pages = (size + MPX_SEG_PAGE - 1) / MPX_SEG_PAGE * MPX_SEG_PAGE;
    if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size ||
        ftruncate(fd, (off_t)pages) != 0)
        exit(2);
    if (pages > 0 &&
        pwrite(fd, &uid, sizeof uid, offsetof(struct mpx_seg_header, uid)) != sizeof uid)
        exit(2);
    return fd;
}

static void compute(struct mpx_vectors *vectors, struct mpx_reader *r)
{
    static struct mpx_user user = {.max_names = SIZE_MAX, .max_entries = SIZE_MAX};
    const mproxy_layout *layout;
    struct mpx_def_table *table = mpx_reader_table(r);
    if (mpx_vectors_of(vectors, &user, table, &layout, NULL, NULL) != MPROXY_OK ||
        !layout)
        return;
    double *values = calloc(layout->count, sizeof *values);
    if (values)
        mpx_vectors_compute(vectors, table, mpx_reader_columns(r), values);
    free(values);
}

// The file is read as it is, with its second half complemented, and cut to one page.
static void read_three_times(struct mpx_vectors *vectors, struct mpx_reader *r, int fd,
                             const uint8_t *data, size_t size)
{
    bool changed;
    if (mpx_reader_sample(r, &changed, NULL) == MPROXY_OK)
        compute(vectors, r);
    for (size_t at = size / 2; at < size; at += 97) {
        uint8_t byte = (uint8_t)~data[at];
        if (pwrite(fd, &byte, 1, (off_t)at) != 1)
            exit(2);
    }
    if (mpx_reader_sample(r, &changed, NULL) == MPROXY_OK)
        compute(vectors, r);
    if (ftruncate(fd, MPX_SEG_PAGE) != 0)
        exit(2);
    mpx_reader_sample(r, &changed, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_folder();
    mproxy_store *store;
    struct mpx_readers *readers;
    struct mpx_readers_options options = {.free_user = mpx_vector_map_free};
    if (mproxy_store_open(NULL, &store, NULL) != MPROXY_OK ||
        mpx_readers_open(&options, &readers, NULL) != MPROXY_OK)
        exit(2);
    struct mpx_vectors *vectors = mpx_vectors_new(store);
    struct mpx_reader *r;
    int fd = write_file(data, size);
    if (mpx_reader_open(readers, dir, "a.seg", &r, NULL) == MPROXY_OK) {
        read_three_times(vectors, r, fd, data, size);
        mpx_reader_close(r);
    }
    close(fd);
    mpx_readers_close(readers);
    mpx_vectors_free(vectors);
    mproxy_store_close(store);
    return 0;
}
