// What metrics share: families, which are metrics of one base name, and docs.
//
// Counted by their users, which are metrics and other families, and freed with the last of
// them. The writer alone takes and leaves them; a reader has them through a metric.
#ifndef MPX_STORE_FAMILIES_H
#define MPX_STORE_FAMILIES_H

#include "base/buf.h"
#include "store/table.h"

// A text for people, as each format writes it. The three are one where nothing is escaped.
struct mpx_doc {
    const char *text;
    const char *help; // Prometheus: `\` and newline escaped
    const char *json; // without the quotes around it
    uint32_t help_length;
    uint32_t json_length;
    uint32_t place, users;
};

enum mpx_suffix {
    MPX_SUFFIX_NONE = 0,
    MPX_SUFFIX_TOTAL = 1,
    MPX_SUFFIX_BUCKET = 2,
    MPX_SUFFIX_SUM = 3,
    MPX_SUFFIX_COUNT = 4
};

struct mpx_family {
    const char *base;
    uint32_t length; // of `base`
    uint32_t id;     // from 0; that of a family which is gone is given again
    enum mpx_suffix suffix;
    // The family of the name that text formats show: itself, unless it must be sanitised.
    const struct mpx_family *text;
    // The family of the name without its suffix; NULL where there is none.
    const struct mpx_family *stem;
    uint32_t users;
};

struct mpx_families {
    struct mpx_table families, docs;
    struct mpx_buf scratch;
};

extern const struct mpx_doc mpx_no_doc;

// Found or made, for one user more. NULL: no memory.
const struct mpx_family *mpx_family_take(struct mpx_families *all, const char *base,
                                         size_t length);
const struct mpx_doc *mpx_doc_take(struct mpx_families *all, const char *text);
// Both accept NULL.
void mpx_family_leave(struct mpx_families *all, const struct mpx_family *family);
void mpx_doc_leave(struct mpx_families *all, const struct mpx_doc *doc);
// Whether there is a family of this base name.
bool mpx_families_have(const struct mpx_families *all, const char *base, size_t length);
void mpx_families_fini(struct mpx_families *all); // with all that is in it

#endif
