// Parse and apply a page of 100,000 series: node_exporter's real output, repeated with a label
// that tells the copies apart, as a scrape does it: past the door (ingest/), its values put into
// an array of slots. Beside it, in the same
// run, what one would write without this library: strtok_r() by lines, a hash of the name,
// strtod(). One line of JSON a figure; the pages of a figure alternate, with other values.
//
// same order:  each page has the lines of the one before
// families:    the families of each page are in another order, as a hash table's walk gives
// lines:       the same, and the series of a family in another order too
// first page:  nothing is known
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/index.h"
#include "ingest/ingest.h"

#define FIXTURE TEST_DATA "/exposition/captured/node_exporter.prom"
#define SERIES 100000
#define PAGES 4
#define RUNS 21

struct family {
    const char *comments;
    size_t comments_length;
    const char *samples;
    size_t samples_length;
    bool is_plain; // its lines may be in any order
};

struct pages {
    struct mpx_buf page[PAGES];
    size_t series;
};

static struct family *families;
static size_t family_count;
static double *slots;

static void die(const char *what)
{
    fprintf(stderr, "bench_parse: %s\n", what);
    exit(EXIT_FAILURE);
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 8;
}

static struct mpx_buf load_fixture(void)
{
    struct mpx_buf text = MPX_BUF_INIT;
    FILE *in = fopen(FIXTURE, "r");
    char bytes[4096];
    if (!in)
        die("no " FIXTURE);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
        mpx_buf_add(&text, bytes, got);
    fclose(in);
    if (!mpx_buf_text(&text))
        die("no memory");
    return text;
}

// Stretches of comments, each with the samples behind it.
static size_t split_families(char *text)
{
    size_t samples = 0;
    for (char *at = text; *at;) {
        struct family f = {.comments = at};
        while (*at == '#')
            at = strchr(at, '\n') + 1;
        f.comments_length = (size_t)(at - f.comments);
        for (f.samples = at; *at && *at != '#'; samples++)
            at = strchr(at, '\n') + 1;
        f.samples_length = (size_t)(at - f.samples);
        f.is_plain = !memmem(f.comments, f.comments_length, " summary\n", 9) &&
                     !memmem(f.comments, f.comments_length, " histogram\n", 11);
        families = realloc(families, (family_count + 1) * sizeof *families);
        if (!families)
            die("no memory");
        families[family_count++] = f;
    }
    return samples;
}

// A value of the same kind as the fixture's: of as many digits, but for the last one.
static void add_value(struct mpx_buf *out, const char *value, size_t length)
{
    size_t from = out->size;
    mpx_buf_add(out, value, length);
    for (size_t i = length; i-- > 0;) {
        char *c = &out->data[from + i];
        if (*c < '1' || *c > '9' || memchr(value, 'e', length) || length < 3)
            continue;
        *c = (char)('1' + next_random() % 9);
        break;
    }
}

static void add_sample(struct mpx_buf *out, const char *line, size_t length, size_t copy)
{
    const char *value = memrchr(line, ' ', length);
    const char *brace = memchr(line, '{', (size_t)(value - line));
    const char *end = brace ? brace + 1 : value;
    mpx_buf_add(out, line, (size_t)(end - line));
    mpx_buf_addf(out, "%scopy=\"%zu\"%s", brace ? "" : "{", copy, brace ? "," : "}");
    mpx_buf_add(out, end, (size_t)(value + 1 - end));
    add_value(out, value + 1, length - (size_t)(value + 1 - line));
    mpx_buf_add(out, "\n", 1);
}

static void shuffle(size_t *order, size_t count, bool really)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; really && i > 1; i--) {
        size_t other = next_random() % i, kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static void add_family(struct mpx_buf *out, const struct family *f, size_t copies,
                       bool shuffled)
{
    size_t *order = malloc(copies * sizeof *order);
    if (!order)
        die("no memory");
    shuffle(order, copies, shuffled);
    mpx_buf_add(out, f->comments, f->comments_length);
    for (size_t i = 0; i < copies; i++)
        for (const char *at = f->samples, *end = at + f->samples_length; at < end;) {
            const char *newline = strchr(at, '\n');
            add_sample(out, at, (size_t)(newline - at), order[i]);
            at = newline + 1;
        }
    free(order);
}

static void make_pages(struct pages *pages, size_t copies, bool families_shuffled,
                       bool lines_shuffled)
{
    size_t *order = malloc(family_count * sizeof *order);
    for (size_t i = 0; i < PAGES; i++) {
        struct mpx_buf *page = &pages->page[i];
        if (!order)
            die("no memory");
        mpx_buf_clear(page);
        shuffle(order, family_count, families_shuffled);
        for (size_t f = 0; f < family_count; f++)
            add_family(page, &families[order[f]], copies, lines_shuffled);
        if (!mpx_buf_text(page))
            die("no memory");
    }
    free(order);
}

// --- the two readers ---------------------------------------------------------------------

static mproxy_store *store;
static struct mpx_ingest *in;

static void open_door(void)
{
    if (mproxy_store_open(NULL, &store, NULL) != MPROXY_OK ||
        mpx_ingest_open(&(struct mpx_ingest_options){.store = store}, &in, NULL) !=
            MPROXY_OK)
        die("no memory");
}

static void close_door(void)
{
    mpx_ingest_close(in);
    mproxy_store_close(store);
}

static size_t read_ours(const struct mpx_buf *text)
{
    struct mpx_ingest_page page;
    mproxy_error err = {0};
    if (mpx_ingest_parse(in, text->data, text->size, MPROXY_FORMAT_PROMETHEUS, &err) !=
            MPROXY_OK ||
        mpx_ingest_apply(in, &page, &err) != MPROXY_OK)
        die(err.text);
    for (size_t i = 0; i < page.count; i++)
        slots[page.series[i]] = page.values[i];
    return page.samples;
}

static size_t read_ours_first(const struct mpx_buf *text)
{
    close_door();
    open_door();
    return read_ours(text);
}

static struct {
    char **names;
    size_t count;
    struct mpx_index index;
} known;

static uint32_t find_name(const char *name)
{
    uint32_t hash = mpx_hash_text(name), at = mpx_index_start(&known.index, hash), found;
    while (mpx_index_next(&known.index, hash, &at, &found))
        if (strcmp(known.names[found], name) == 0)
            return found;
    known.names[known.count] = strdup(name);
    if (!known.names[known.count] ||
        !mpx_index_reserve(&known.index, (uint32_t)known.count + 1))
        die("no memory");
    mpx_index_put(&known.index, hash, (uint32_t)known.count);
    return (uint32_t)known.count++;
}

// It wants a copy of the page, which it takes apart.
static size_t read_reference(const struct mpx_buf *text)
{
    size_t count = 0;
    char *copy = malloc(text->size + 1), *state = NULL;
    if (!copy)
        die("no memory");
    memcpy(copy, text->data, text->size + 1);
    for (char *line = strtok_r(copy, "\n", &state); line;
         line = strtok_r(NULL, "\n", &state)) {
        char *value = strrchr(line, ' ');
        if (*line == '#' || !value)
            continue;
        *value = '\0';
        slots[find_name(line)] = strtod(value + 1, NULL);
        count++;
    }
    free(copy);
    return count;
}

// --- figures -----------------------------------------------------------------------------

// The best of some runs, in MB/s.
static double measure(size_t (*reader)(const struct mpx_buf *), const struct pages *pages,
                      int runs)
{
    double best = 0;
    for (int i = 0; i < runs; i++) {
        const struct mpx_buf *page = &pages->page[i % PAGES];
        int64_t start = mpx_clock_ns(CLOCK_MONOTONIC);
        size_t count = reader(page);
        int64_t took = mpx_clock_ns(CLOCK_MONOTONIC) - start;
        if (count != pages->series)
            die("a sample was lost");
        double speed = (double)page->size / 1e6 / ((double)took / 1e9);
        if (speed > best && (i > 0 || reader == read_ours_first))
            best = speed;
    }
    return best;
}

static void report(const char *name, const struct pages *pages, double ours,
                   double theirs, double aim)
{
    printf(
        "{\"bench\":\"parse.%s\",\"unit\":\"MB/s\",\"value\":%.0f,\"reference\":"
        "\"strtok_r, hash, strtod\",\"reference_value\":%.0f,\"ratio\":%.1f,\"aim\":%g,"
        "\"series\":%zu,\"ns_per_series\":%.1f}\n",
        name, ours, theirs, ours / theirs, aim, pages->series,
        (double)pages->page[0].size / ours * 1e3 / (double)pages->series);
}

static const char *only; // the figure asked for; NULL: all

static void compare(const char *name, struct pages *pages, size_t copies,
                    bool families_shuffled, bool lines_shuffled, double aim)
{
    if (only && strcmp(only, name) != 0)
        return;
    make_pages(pages, copies, families_shuffled, lines_shuffled);
    double theirs = measure(read_reference, pages, 9);
    report(name, pages, measure(read_ours, pages, RUNS), theirs, aim);
}

// bench_parse [NAME]: that figure alone.
int main(int argc, char **argv)
{
    only = argc > 1 ? argv[1] : NULL;
    struct mpx_buf fixture = load_fixture();
    size_t samples = split_families(fixture.data), copies = SERIES / samples + 1;
    struct pages pages = {.series = samples * copies};
    slots = calloc(pages.series, sizeof *slots);
    known.names = calloc(pages.series, sizeof *known.names);
    if (!slots || !known.names)
        die("no memory");
    open_door();

    compare("same_order", &pages, copies, false, false, 2000);
    compare("families_shuffled", &pages, copies, true, false, 700);
    compare("lines_shuffled", &pages, copies, true, true, 700);
    if (!only || strcmp(only, "first_page") == 0) {
        make_pages(&pages, copies, false, false);
        report("first_page", &pages, measure(read_ours_first, &pages, 5),
               measure(read_reference, &pages, 5), 0);
    }

    for (size_t i = 0; i < PAGES; i++)
        mpx_buf_free(&pages.page[i]);
    for (size_t i = 0; i < known.count; i++)
        free(known.names[i]);
    free(known.names);
    mpx_index_fini(&known.index);
    close_door();
    mpx_buf_free(&fixture);
    free(families);
    free(slots);
    return EXIT_SUCCESS;
}
