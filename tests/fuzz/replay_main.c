// Replays a fuzzer's corpus where there is no libFuzzer:
//
//     fuzz_FORMAT FOLDER [MUTATIONS [SEED]]
//
// Every file of the folder is given to LLVMFuzzerTestOneInput() as it is and in MUTATIONS
// (200) random mutations, always the same ones for the same SEED (1). Of what kills the
// process, file and number are told, so that `fuzz_FORMAT FILE N SEED` shows it again.
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 20 };

static char current[512]; // what is running, for the handler

static void on_death(int number)
{
    ssize_t put = write(STDERR_FILENO, current, strlen(current));
    (void)put;
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x * UINT64_C(2685821657736338717) >> 11;
}

static void put_number(uint8_t *bytes, size_t size, uint64_t *x)
{
    static const uint64_t numbers[] = {
        0,    1,    7,     8,     127,       128,        255,       256,
        4095, 4096, 65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t value = numbers[next_random(x) % (sizeof numbers / sizeof numbers[0])];
    size_t width = (size_t)1 << next_random(x) % 4;
    if (size < width)
        return;
    size_t at = next_random(x) % (size - width + 1);
    memcpy(bytes + at, &value, width);
}

static void copy_piece(uint8_t *bytes, size_t size, uint64_t *x)
{
    size_t length = next_random(x) % (size < 64 ? size : 64) + 1;
    size_t from = next_random(x) % (size - length + 1);
    size_t to = next_random(x) % (size - length + 1);
    memmove(bytes + to, bytes + from, length);
}

static size_t resize(uint8_t *bytes, size_t size, uint64_t *x)
{
    if (next_random(x) % 2)
        return next_random(x) % (size + 1);
    size_t more = next_random(x) % 300;
    if (more > ROOM - size)
        more = ROOM - size;
    for (size_t i = 0; i < more; i++)
        bytes[size + i] = (uint8_t)next_random(x);
    return size + more;
}

static size_t mutate(uint8_t *bytes, size_t size, uint64_t *x)
{
    for (uint64_t n = next_random(x) % 6 + 1; n > 0 && size > 0; n--) {
        switch (next_random(x) % 8) {
        case 0:
            size = resize(bytes, size, x);
            break;
        case 1:
            copy_piece(bytes, size, x);
            break;
        case 2:
            bytes[next_random(x) % size] = (uint8_t)next_random(x);
            break;
        case 3:
        case 4:
            bytes[next_random(x) % size] ^= (uint8_t)(1u << next_random(x) % 8);
            break;
        default:
            put_number(bytes, size, x);
        }
    }
    return size;
}

static size_t read_input(const char *path, uint8_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    size_t size = fread(bytes, 1, ROOM, f);
    fclose(f);
    return size;
}

// An exact allocation each time, so that a sanitizer sees a read past the end.
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(2);
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void replay(const char *path, unsigned long mutations, uint64_t seed)
{
    static uint8_t original[ROOM], changed[ROOM];
    size_t size = read_input(path, original);
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    for (unsigned long i = 0; i <= mutations; i++) {
        snprintf(current, sizeof current, "replay: %s, mutation %lu, seed %llu\n", path,
                 i, (unsigned long long)seed);
        memcpy(changed, original, size);
        run(changed, i == 0 ? size : mutate(changed, size, &x));
    }
}

static unsigned replay_folder(const char *folder, unsigned long mutations, uint64_t seed)
{
    struct dirent **names;
    unsigned done = 0;
    int count = scandir(folder, &names, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            replay(path, mutations, seed);
            done++;
        }
        free(names[i]);
    }
    free(names);
    return done;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s FOLDER|FILE [MUTATIONS [SEED]]\n", argv[0]);
        return 2;
    }
    const int deaths[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGALRM};
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++)
        signal(deaths[i], on_death);
    unsigned long mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    struct stat st;
    unsigned files = 1;
    if (stat(argv[1], &st) == 0 && !S_ISDIR(st.st_mode))
        replay(argv[1], mutations, seed);
    else
        files = replay_folder(argv[1], mutations, seed);
    printf("%u files, %lu mutations each, seed %llu\n", files, mutations,
           (unsigned long long)seed);
    return files == 0; // a corpus that is not there is a mistake
}
