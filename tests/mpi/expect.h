// What a test program knows of its own MPI calls: hits and bytes per function, written as
// one JSON file per rank for the test to compare with the job's profile.
#ifndef TESTS_MPI_EXPECT_H
#define TESTS_MPI_EXPECT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expectation {
    char fn[48];
    long hits, out, in;
};

static struct expectation expectations[128];
static int expectation_count;

static void expect(const char *fn, long hits, long out, long in)
{
    int i = 0;
    while (i < expectation_count && strcmp(expectations[i].fn, fn) != 0)
        i++;
    if (i == expectation_count) {
        snprintf(expectations[i].fn, sizeof expectations[i].fn, "%s", fn);
        expectation_count++;
    }
    expectations[i].hits += hits;
    expectations[i].out += out;
    expectations[i].in += in;
}

// Writes $EXPECT_DIR/RANK.json.
static void expect_path(int rank, char *path, size_t size)
{
    const char *dir = getenv("EXPECT_DIR");
    snprintf(path, size, "%s/%d.json", dir ? dir : ".", rank);
}

static void expect_write(int rank)
{
    char path[512];
    expect_path(rank, path, sizeof path);
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    fprintf(f, "{");
    for (int i = 0; i < expectation_count; i++) {
        const struct expectation *e = &expectations[i];
        fprintf(f, "%s\"%s\":[%ld,%ld,%ld]", i ? "," : "", e->fn, e->hits, e->out, e->in);
    }
    fprintf(f, "}\n");
    fclose(f);
}

// Wait until all ranks have written, so that none is still in a call; without calling MPI.
static void expect_all(int ranks)
{
    char path[512];
    for (int rank = 0; rank < ranks; rank++) {
        expect_path(rank, path, sizeof path);
        for (int i = 0; i < 3000 && access(path, F_OK) != 0; i++)
            usleep(10000);
    }
}

#endif
