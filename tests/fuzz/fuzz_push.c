// Pushes: the first byte tells what the rest is. 'p': a path; 's': a selector; 'f': a file of
// groups as it is; 'r': payloads of its records, a byte of length before each, which get whole
// frames, so that what is behind the checksum is reached; 'b': protobuf.

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include <mproxy/push.h>

#include "exposition/protobuf.h"
#include "push/labels.h"
#include "push/match.h"
#include "push/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static void read_path(const uint8_t *data, size_t size)
{
    struct mpx_push_labels labels, filled, again;
    char *path = text_of(data, size);
    if (mpx_push_labels_of_path(path, &labels, NULL) == MPROXY_OK) {
        if (!mpx_push_labels_filled(&labels, &filled) ||
            mpx_push_labels_of_texts(filled.texts.data, filled.texts.size, &again,
                                     NULL) != MPROXY_OK ||
            again.count != filled.count)
            abort();
        mpx_push_labels_fini(&labels);
        mpx_push_labels_fini(&filled);
        mpx_push_labels_fini(&again);
    }
    free(path);
}

static void read_selector(const uint8_t *data, size_t size)
{
    struct mpx_push_selector *selector;
    struct mpx_push_labels labels;
    char *text = text_of(data, size);
    if (mpx_push_labels_of_path("job/a/instance/h1", &labels, NULL) != MPROXY_OK)
        abort();
    if (mpx_push_selector_new(text, &selector, NULL) == MPROXY_OK) {
        (void)mpx_push_selector_fits(selector, &labels);
        mpx_push_selector_free(selector);
    }
    mpx_push_labels_fini(&labels);
    free(text);
}

// What it becomes is a page or is refused, and never more than it may be.
static void read_protobuf(const uint8_t *data, size_t size)
{
    struct mpx_buf text = MPX_BUF_INIT;
    mproxy_parser *parser = NULL;
    mproxy_page page = {.struct_size = sizeof page};
    if (mproxy_parser_new(NULL, &parser, NULL) != MPROXY_OK)
        abort();
    if (mpx_protobuf_text((const char *)data, size, 4096, &text, NULL) == MPROXY_OK &&
        text.size > 0)
        (void)mproxy_parser_read(parser, text.data, text.size, MPROXY_FORMAT_PROMETHEUS,
                                 &page, NULL);
    mproxy_parser_free(parser);
    mpx_buf_free(&text);
}

static void add_frame(struct mpx_buf *out, const uint8_t *payload, uint32_t length)
{
    static const char zeroes[8];
    uint32_t head[3] = {UINT32_C(0x5348504d), length, 0};
    uLong sum = crc32(0, (const unsigned char *)&length, sizeof length);
    head[2] = (uint32_t)crc32(sum, payload, length);
    mpx_buf_add(out, head, sizeof head);
    mpx_buf_add(out, payload, length);
    mpx_buf_add(out, zeroes, (8 - (sizeof head + length) % 8) % 8);
}

static void make_frames(const uint8_t *data, size_t size, struct mpx_buf *out)
{
    const struct mpx_push_record head = {
        .kind = MPX_PUSH_HEAD, .version = MPX_PUSH_VERSION, .generation = 1};
    mpx_push_record_put(out, &head);
    while (size > 0) {
        size_t length = *data++;
        size--;
        length = length < size ? length : size;
        add_frame(out, data, (uint32_t)length);
        data += length;
        size -= length;
    }
}

// What was taken up is there the next time, too.
static uint64_t open_and_push(int fd, mproxy_store *store, mproxy_ledger *ledger,
                              bool pushes)
{
    const mproxy_push_options options = {
        .struct_size = sizeof options, .store = store, .ledger = ledger, .state_fd = fd};
    const mproxy_pushed pushed = {.struct_size = sizeof pushed,
                                  .path = "job/fuzz",
                                  .verb = MPROXY_PUSH_ADD,
                                  .format = MPROXY_FORMAT_PROMETHEUS,
                                  .text = "fuzz_x 1\n",
                                  .length = 9};
    mproxy_push_stats stats = {.struct_size = sizeof stats};
    mproxy_push *push = NULL;
    if (mproxy_push_open(&options, &push, NULL) != MPROXY_OK ||
        (pushes && mproxy_push_take(push, &pushed, NULL) == MPROXY_E_NOMEM) ||
        mproxy_push_get_stats(push, &stats) != MPROXY_OK)
        abort();
    mproxy_push_close(push);
    return stats.groups;
}

static void read_file(const char *bytes, size_t size)
{
    char path[] = "/tmp/mproxy-fuzz-push-XXXXXX";
    mproxy_store *store = NULL;
    mproxy_ledger *ledger = NULL;
    int dir = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY) : -1;
    int fd = openat(dir, "push-1", O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
        mproxy_store_open(NULL, &store, NULL) != MPROXY_OK ||
        mproxy_ledger_open(dir, store, NULL, &ledger, NULL) != MPROXY_OK)
        abort();
    close(fd);
    uint64_t before = open_and_push(dir, store, ledger, true);
    if (open_and_push(dir, store, ledger, false) > before)
        abort();
    mproxy_ledger_close(ledger);
    mproxy_store_close(store);
    static const char *const names[] = {"push-1", "push-1.damaged", "push-2",
                                        "push-3", "ledger",         "spare"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(dir, names[i], 0);
    close(dir);
    rmdir(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mpx_buf frames = MPX_BUF_INIT;
    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'p':
        read_path(data + 1, size - 1);
        break;
    case 's':
        read_selector(data + 1, size - 1);
        break;
    case 'f':
        read_file((const char *)data + 1, size - 1);
        break;
    case 'b':
        read_protobuf(data + 1, size - 1);
        break;
    case 'r':
        make_frames(data + 1, size - 1, &frames);
        read_file(frames.data, frames.size);
        mpx_buf_free(&frames);
        break;
    default:
        break;
    }
    return 0;
}
