// State files: what is read is refused with a text, or makes a ledger that goes on: a round
// is held on it, and the state that this writes reads back with the same shares.
//
// Input that starts with the magic is a whole file, other input a body, for which the header
// is made: a checksum is no trust line, but it would stop every search.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <mproxy/ledger.h>

#include "ledger/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/mproxy-fuzz-XXXXXX";

static void clean(void)
{
    char name[64];
    snprintf(name, sizeof name, "%s/ledger", path);
    unlink(name);
    snprintf(name, sizeof name, "%s/spare", path);
    unlink(name);
    rmdir(path);
}

static int directory(void)
{
    static int fd = -1;
    if (fd >= 0)
        return fd;
    if (!mkdtemp(path))
        abort();
    atexit(clean);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

static void put(const uint8_t *data, size_t size)
{
    int fd = openat(directory(), "ledger", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        abort();
    if (size < 8 || memcmp(data, MPX_STATE_MAGIC, 8) != 0) {
        unsigned char head[MPX_STATE_HEAD] = MPX_STATE_MAGIC;
        uint32_t version = MPX_STATE_VERSION;
        uint32_t crc = (uint32_t)crc32_z(0, data, size);
        uint64_t length = size;
        memcpy(head + 8, &version, sizeof version);
        memcpy(head + 12, &crc, sizeof crc);
        memcpy(head + 16, &length, sizeof length);
        if (write(fd, head, sizeof head) != sizeof head)
            abort();
    }
    if (write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

struct life {
    mproxy_store *store;
    mproxy_ledger *ledger;
};

static mproxy_status begin(struct life *l)
{
    const mproxy_ledger_options options = {.struct_size = sizeof options, .host = "h"};
    mproxy_error err = {.status = MPROXY_OK};
    if (mproxy_store_open(NULL, &l->store, NULL) != MPROXY_OK)
        abort();
    mproxy_status status =
        mproxy_ledger_open(directory(), l->store, &options, &l->ledger, &err);
    if (status != MPROXY_OK && (err.status != status || err.text[0] == '\0'))
        abort();
    return status;
}

static void end(struct life *l)
{
    mproxy_ledger_close(l->ledger);
    mproxy_store_close(l->store);
}

static size_t hold_round(struct life *l, const mproxy_source *const **sources)
{
    mproxy_ledger_round_begin(l->ledger, 1000, 1000000);
    if (mproxy_ledger_round_end(l->ledger, NULL) != MPROXY_OK)
        abort();
    return mproxy_ledger_sources(l->ledger, sources);
}

static void release_all(struct life *l)
{
    const mproxy_source *const *sources;
    size_t count = mproxy_ledger_sources(l->ledger, &sources);
    for (size_t i = 0; i < count; i++)
        if (sources[i]->sealed)
            (void)mproxy_ledger_release(l->ledger, sources[i]->number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct life first = {0}, second = {0};
    const mproxy_source *const *sources, *const *again;
    put(data, size);
    if (begin(&first) == MPROXY_OK) {
        size_t count = hold_round(&first, &sources);
        if (begin(&second) != MPROXY_OK || hold_round(&second, &again) != count)
            abort();
        for (size_t i = 0; i < count; i++)
            if (sources[i]->number != again[i]->number ||
                sources[i]->count != again[i]->count)
                abort();
        release_all(&second);
        (void)hold_round(&second, &again);
        end(&second);
    }
    end(&first);
    return 0;
}
