// Families and docs, each once, however many metrics use them.
//
// Text formats write metrics of one base name together, under one HELP and one TYPE, and have
// to know whether two base names are one once they are sanitised, and whether `x_sum` belongs
// to a histogram `x`. All of that is a matter of the base name, so it is worked out once, when
// the first metric comes into a family. Docs are long and mostly equal for all metrics of a
// family; each text is kept once, with its escaped forms where they differ.
//
// A family is used by the metrics in it, by the families that text formats show under its
// name (`text`), and by those whose name it is without their suffix (`stem`). The last user
// that leaves frees it, and it leaves those that it uses. All of that is the writer's: a
// reader comes by a family or a doc through a metric that something it holds refers to.
//
// An intern that runs out of memory leaves nothing behind.

#include "store/families.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "metric/escape.h"

#define DOC_MAX 4096

const struct mpx_doc mpx_no_doc = {.text = "", .help = "", .json = ""};

static const struct {
    const char *text;
    enum mpx_suffix suffix;
} suffixes[] = {{"_total", MPX_SUFFIX_TOTAL},
                {"_bucket", MPX_SUFFIX_BUCKET},
                {"_sum", MPX_SUFFIX_SUM},
                {"_count", MPX_SUFFIX_COUNT}};

// ---- docs

// A doc of one line's worth: what is not UTF-8 or is a control character is replaced.
static void clean_doc(struct mpx_buf *out, const char *doc)
{
    size_t length = strnlen(doc, DOC_MAX + 4);
    if (length > DOC_MAX)
        length = mpx_utf8_cut(doc, length, DOC_MAX);
    mpx_buf_clear(out);
    for (size_t at = 0; at < length;) {
        unsigned char c = (unsigned char)doc[at];
        size_t step = mpx_utf8_char(doc + at, length - at);
        if (step == 0)
            mpx_buf_add(out, "?", 1);
        else if ((c < 0x20 && c != '\n') || c == 0x7f)
            mpx_buf_add(out, " ", 1);
        else
            mpx_buf_add(out, doc + at, step);
        at += step ? step : 1;
    }
}

static void free_doc(struct mpx_doc *doc)
{
    if (!doc)
        return;
    if (doc->help != doc->text)
        free((void *)(uintptr_t)doc->help);
    if (doc->json != doc->text)
        free((void *)(uintptr_t)doc->json);
    free(doc);
}

// The scratch buffer's content, or `same` if that is the same text.
static const char *keep(const struct mpx_buf *b, const char *same, size_t same_length)
{
    if (b->failed)
        return NULL;
    if (b->size == same_length && memcmp(b->data, same, same_length) == 0)
        return same;
    return strndup(b->data, b->size);
}

// From the text in the scratch buffer.
static struct mpx_doc *doc_new(struct mpx_buf *scratch)
{
    size_t length = scratch->size;
    struct mpx_doc *doc = calloc(1, sizeof *doc + length + 1);
    if (!doc)
        return NULL;
    char *text = (char *)(doc + 1);
    memcpy(text, scratch->data, length);
    doc->text = text;
    mpx_buf_clear(scratch);
    mpx_escape_help(scratch, text, length);
    doc->help = keep(scratch, text, length);
    doc->help_length = (uint32_t)scratch->size;
    mpx_buf_clear(scratch);
    mpx_json_escape(scratch, text, length);
    doc->json = keep(scratch, text, length);
    doc->json_length = (uint32_t)scratch->size;
    if (doc->help && doc->json)
        return doc;
    free_doc(doc);
    return NULL;
}

const struct mpx_doc *mpx_doc_take(struct mpx_families *all, const char *text)
{
    struct mpx_buf *scratch = &all->scratch;
    if (!text || !*text)
        return &mpx_no_doc;
    clean_doc(scratch, text);
    if (scratch->failed)
        return NULL;
    uint32_t hash = mpx_hash_bytes(scratch->data, scratch->size);
    struct mpx_doc *doc = mpx_table_find(&all->docs, hash, scratch->data, scratch->size);
    if (!doc) {
        doc = mpx_table_reserve(&all->docs) ? doc_new(scratch) : NULL;
        if (!doc)
            return NULL;
        doc->place = mpx_table_add(&all->docs, hash, doc);
    }
    doc->users++;
    return doc;
}

void mpx_doc_leave(struct mpx_families *all, const struct mpx_doc *shown)
{
    struct mpx_doc *doc = (struct mpx_doc *)(uintptr_t)shown;
    if (!doc || doc == &mpx_no_doc || --doc->users > 0)
        return;
    mpx_table_remove(&all->docs, mpx_hash_text(doc->text), doc->place);
    free_doc(doc);
}

// ---- families

// By its base, for one user more; with neither text nor stem when it is new.
static struct mpx_family *find_or_add(struct mpx_families *all, const char *base,
                                      size_t length)
{
    uint32_t hash = mpx_hash_bytes(base, length);
    struct mpx_family *family = mpx_table_find(&all->families, hash, base, length);
    if (!family) {
        family = mpx_table_reserve(&all->families)
                     ? calloc(1, sizeof *family + length + 1)
                     : NULL;
        if (!family)
            return NULL;
        char *copy = (char *)(family + 1);
        memcpy(copy, base, length);
        family->base = copy;
        family->length = (uint32_t)length;
        family->id = mpx_table_add(&all->families, hash, family);
    }
    family->users++;
    return family;
}

static bool set_stem(struct mpx_families *all, struct mpx_family *family)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t length = strlen(suffixes[i].text);
        if (family->length <= length ||
            memcmp(family->base + family->length - length, suffixes[i].text, length) != 0)
            continue;
        family->stem = find_or_add(all, family->base, family->length - length);
        if (family->stem)
            family->suffix = suffixes[i].suffix;
        return family->stem != NULL;
    }
    return true;
}

static struct mpx_family *text_of(struct mpx_families *all, struct mpx_family *family)
{
    if (mpx_is_plain_base(family->base, family->length))
        return family;
    mpx_buf_clear(&all->scratch);
    mpx_sanitise_base(&all->scratch, family->base, family->length);
    return all->scratch.failed ? NULL
                               : find_or_add(all, all->scratch.data, all->scratch.size);
}

// A family that metrics are in. A stem alone gets no stem of its own: a hostile
// `a_sum_sum_sum...` makes two families, not hundreds.
static bool complete(struct mpx_families *all, struct mpx_family *family)
{
    struct mpx_family *text = text_of(all, family);
    if (!text)
        return false;
    if (!text->text && !set_stem(all, text)) {
        if (text != family)
            mpx_family_leave(all, text);
        return false;
    }
    text->text = text;
    family->text = text;
    return true;
}

const struct mpx_family *mpx_family_take(struct mpx_families *all, const char *base,
                                         size_t length)
{
    struct mpx_family *family = find_or_add(all, base, length);
    if (!family || family->text || complete(all, family))
        return family;
    mpx_family_leave(all, family);
    return NULL;
}

void mpx_family_leave(struct mpx_families *all, const struct mpx_family *shown)
{
    struct mpx_family *family = (struct mpx_family *)(uintptr_t)shown;
    if (!family || --family->users > 0)
        return;
    mpx_table_remove(&all->families, mpx_hash_bytes(family->base, family->length),
                     family->id);
    mpx_family_leave(all, family->stem); // which may have one, but those are all
    if (family->text != family)
        mpx_family_leave(all, family->text);
    free(family);
}

bool mpx_families_have(const struct mpx_families *all, const char *base, size_t length)
{
    return mpx_table_find(&all->families, mpx_hash_bytes(base, length), base, length) !=
           NULL;
}

void mpx_families_fini(struct mpx_families *all)
{
    for (uint32_t i = 0; i < all->docs.bound; i++)
        free_doc(all->docs.items[i]);
    for (uint32_t i = 0; i < all->families.bound; i++)
        free(all->families.items[i]);
    mpx_table_fini(&all->docs);
    mpx_table_fini(&all->families);
    mpx_buf_free(&all->scratch);
}
