// The inside of the text renderer, shared by its parts: text.c (the walk over families) calls
// text_histogram.c, and both write with text_pieces.c.
#ifndef MPX_EXPOSITION_TEXT_PRIVATE_H
#define MPX_EXPOSITION_TEXT_PRIVATE_H

#include "exposition/select.h"
#include "exposition/text.h"
#include "store/names.h"

// A set of family ids.
struct mpx_ids {
    uint64_t *words;
    size_t room; // of words
};

// Where the rendering stands in one view.
struct mpx_text_cursor {
    const mproxy_view *view;
    struct mpx_range rest;   // from the family now rendered on
    struct mpx_range family; // its entries; empty if the view has none
    char *label;             // job_id="…", escaped; NULL: none
    size_t label_length;
};

struct mpx_text {
    struct mpx_sink *sink;
    mproxy_render_options o;
    bool is_openmetrics;
    struct mpx_text_cursor *cursors;
    size_t count;
    unsigned types;            // of the current family: mproxy_type, or both
    struct mpx_ids claimed;    // names that are taken in this exposition
    struct mpx_ids histograms; // stems that were shown as one
    struct mpx_buf name;       // scratch
    struct mpx_buf renamed;    // the family's own job_id; empty: not asked for yet
};

// text_pieces.c

bool mpx_ids_has(const struct mpx_ids *ids, uint32_t id);
void mpx_ids_add(struct mpx_text *t, struct mpx_ids *ids, uint32_t id);

// `# HELP` with the first doc that an entry of the current family has, and `# TYPE`.
void mpx_text_header(struct mpx_text *t, const struct mpx_family *name, const char *type);
// All labels of a sample: those of `own` ("" or from its brace on, its le left out), then
// le if it is not NULL, then the cursor's job_id.
void mpx_text_labels(struct mpx_text *t, const struct mpx_text_cursor *c, const char *own,
                     const char *le);
void mpx_text_value(struct mpx_text *t, double value); // with the space and the newline

// text_histogram.c

// Show the current family, of buckets, together with its sums and counts as one histogram.
// False, and nothing written, when they don't make one.
bool mpx_text_histogram(struct mpx_text *t, const struct mpx_family *buckets);

#endif
