// Where a page is read, what is wrong with it, and the words of one line.
#ifndef MPX_EXPOSITION_PARSE_LINE_H
#define MPX_EXPOSITION_PARSE_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

// The line that is read. `end` is its newline.
struct mpx_line {
    const char *at;
    const char *end;
    int number;
    bool is_open; // of OpenMetrics
    mproxy_error *err;
};

// Refuse the page for what is at `where`.
#define mpx_line_fault(line, where, ...)                                                 \
    mpx_fail_at((line)->err, MPROXY_E_INVALID, (line)->number,                           \
                (int)((where) - (line)->at) + 1, __VA_ARGS__)

// The last word of what begins at `at` and ends at `end`, blanks behind it left out.
static inline const char *mpx_line_last_word(const char *at, const char *end)
{
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    while (end > at && end[-1] != ' ' && end[-1] != '\t')
        end--;
    return end;
}

// For texts of faults: at most 60 bytes of what stands at `at`, up to a blank or newline.
int mpx_line_shown(const struct mpx_line *line, const char *at);

// A label, or, as the first one, a name in quotes; the texts as they are written.
struct mpx_key_label {
    const char *name;
    size_t name_length;
    const char *value; // between the quotes, escapes included
    size_t value_length;
    bool is_quoted; // the name
};

// The part of a sample before its value.
struct mpx_key {
    const char *base;
    size_t base_length;
    bool is_quoted; // the base: with escapes
    struct mpx_key_label *labels;
    size_t label_room;
    size_t label_count;
    const char *end; // behind it and the blanks that follow
};

static inline const char *mpx_line_skip(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

// Behind the characters of metrics' names at `at`, digits first or not.
const char *mpx_line_unit(const char *at);
// Whether there is a word, printable and without a carriage return behind it; else the fault.
mproxy_status mpx_line_word(const struct mpx_line *line, const char *at,
                            const char *expected);
// Whether text is UTF-8, up to the line's end.
mproxy_status mpx_line_utf8(const struct mpx_line *line, const char *at);

// A metric's name, in quotes or not. Its texts are set.
mproxy_status mpx_line_name(const struct mpx_line *line, const char *at,
                            struct mpx_key *key);
// Labels, from the brace at `at` on. *end is behind the closing one.
mproxy_status mpx_line_labels(const struct mpx_line *line, const char *at,
                              struct mpx_key *key, const char **end);
// A sample up to its value.
mproxy_status mpx_line_key(const struct mpx_line *line, struct mpx_key *key);

// Put the labels in the order of names in the store, those without a value away.
void mpx_key_order(struct mpx_key *key, bool is_reserved);
const struct mpx_key_label *mpx_key_find(const struct mpx_key *key, const char *name,
                                         size_t length);
// Write base, labels but `left_out` (NULL: all), or both.
void mpx_key_put_base(const struct mpx_key *key, struct mpx_buf *out);
void mpx_key_put_labels(const struct mpx_key *key, const struct mpx_key_label *left_out,
                        struct mpx_buf *out);

#endif
