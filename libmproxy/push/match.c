// Selectors: reading them, and whether a group's labels fit.
//
// A selector is read from left to right, each piece by a function that moves `at` behind it or
// fails with the column where something else was expected. Values are unescaped into memory of
// their own; expressions are compiled once, with ^( and )$ around them, as Prometheus means them.
//
// Selectors come from anybody who may change things, so what could take time or memory that the
// length does not tell is refused before the C library sees it: counted repetitions, back
// references and repetitions of what may be nothing. The number of matchers and the length of
// the text are bounded.
//
// A label that a group lacks has the empty value, as with Prometheus: `a=""` fits groups without
// `a`.

#include "push/match.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { MATCHERS_MAX = 16, TEXT_MAX = 4096, GROUPS_MAX = 32 };

struct matcher {
    char *name, *value;
    bool negates, is_regex, is_compiled;
    regex_t regex;
};

struct mpx_push_selector {
    struct matcher items[MATCHERS_MAX];
    size_t count;
};

struct scan {
    const char *text, *at;
    mproxy_error *err;
};

static mproxy_status fault(const struct scan *s, const char *expected)
{
    int column = (int)(s->at - s->text) + 1;
    return mpx_fail_at(s->err, MPROXY_E_INVALID, 1, column,
                       "selector '%.100s', column %d: %s was expected", s->text, column,
                       expected);
}

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for a selector");
}

static void skip_blanks(struct scan *s)
{
    s->at += strspn(s->at, " \t\n");
}

static mproxy_status scan_name(struct scan *s, struct matcher *m)
{
    size_t length = strspn(s->at, "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (length == 0 || (*s->at >= '0' && *s->at <= '9'))
        return fault(s, "the name of a label");
    m->name = strndup(s->at, length);
    s->at += length;
    return m->name ? MPROXY_OK : no_memory(s->err);
}

static mproxy_status scan_operator(struct scan *s, struct matcher *m)
{
    skip_blanks(s);
    m->negates = s->at[0] == '!';
    m->is_regex = s->at[0] && s->at[1] == '~';
    if (strncmp(s->at, "=~", 2) == 0 || strncmp(s->at, "!=", 2) == 0 ||
        strncmp(s->at, "!~", 2) == 0)
        s->at += 2;
    else if (s->at[0] == '=')
        s->at++;
    else
        return fault(s, "=, !=, =~ or !~");
    skip_blanks(s);
    return MPROXY_OK;
}

// One character of a value, escapes of Prometheus among them. 0: none.
static char scan_char(struct scan *s)
{
    if (*s->at != '\\')
        return *s->at;
    s->at++;
    return *s->at == 'n' ? '\n' : strchr("\\\"'", *s->at) ? *s->at : '\0';
}

static mproxy_status scan_value(struct scan *s, struct matcher *m)
{
    char quote = *s->at;
    if (quote != '"' && quote != '\'')
        return fault(s, "a value in quotes");
    struct mpx_buf value = MPX_BUF_INIT;
    for (s->at++; *s->at && *s->at != quote; s->at++) {
        char c = scan_char(s);
        if (!c) {
            mpx_buf_free(&value);
            return fault(s, "\\\\, \\\", \\' or \\n");
        }
        mpx_buf_add(&value, &c, 1);
    }
    if (!*s->at) {
        mpx_buf_free(&value);
        return fault(s, "a quote behind the value");
    }
    s->at++;
    m->value = mpx_buf_take(&value);
    return m->value ? MPROXY_OK : no_memory(s->err);
}

// Behind the bracket expression that begins at `at`, or at the text's end.
static const char *skip_bracket(const char *at)
{
    at += at[1] == '^' ? 2 : 1;
    at += *at == ']';
    while (*at && *at != ']') {
        char kind = *at == '[' ? at[1] : '\0';
        if (kind == ':' || kind == '.' || kind == '=') {
            const char end[] = {kind, ']', '\0'};
            const char *found = strstr(at + 2, end);
            at = found ? found + 1 : at;
        }
        at++;
    }
    return *at ? at + 1 : at;
}

struct nothing {
    bool is_branch; // what was read of the alternative may be nothing
    bool is_any;    // one before it may
};

// Behind an atom and its repetition. NULL: it may be nothing, and is repeated; or it is
// repeated twice.
static const char *take_atom(struct nothing *group, const char *behind,
                             bool may_be_nothing)
{
    if (!*behind || !strchr("*+?", *behind)) {
        group->is_branch &= may_be_nothing;
        return behind;
    }
    if (may_be_nothing || (behind[1] && strchr("*+?", behind[1])))
        return NULL;
    group->is_branch &= *behind != '+';
    return behind + 1;
}

// What would let an expression take time or memory that its length does not tell: counts, back
// references, and repetitions of what may be nothing, as of `(a*)*` or `a**`, each of which
// doubles what regcomp() does.
static bool is_modest(const char *text)
{
    struct nothing groups[GROUPS_MAX + 1] = {{true, false}}, *group = groups;
    for (const char *at = text; *at;) {
        if (strchr("{*+?", *at) || (*at == '\\' && at[1] >= '0' && at[1] <= '9') ||
            (*at == '(' && group == groups + GROUPS_MAX) ||
            (*at == ')' && group == groups))
            return false;
        if (*at == '(') {
            *++group = (struct nothing){true, false};
            at++;
        } else if (*at == '|') {
            *group = (struct nothing){true, group->is_any || group->is_branch};
            at++;
        } else if (*at == ')') {
            bool may_be_nothing = group->is_any || group->is_branch;
            at = take_atom(--group, at + 1, may_be_nothing);
        } else if (*at == '[') {
            at = take_atom(group, skip_bracket(at), false);
        } else {
            bool is_anchor = *at == '^' || *at == '$';
            at = take_atom(group, at + (*at == '\\' && at[1] ? 2 : 1), is_anchor);
        }
        if (!at)
            return false;
    }
    return true;
}

static mproxy_status compile(struct scan *s, struct matcher *m)
{
    if (!m->is_regex)
        return MPROXY_OK;
    if (!is_modest(m->value))
        return fault(s, "an expression without {, \\1 to \\9, and repetitions of what "
                        "may be nothing");
    struct mpx_buf whole = MPX_BUF_INIT;
    mpx_buf_addf(&whole, "^(%s)$", m->value);
    const char *text = mpx_buf_text(&whole);
    int why = text ? regcomp(&m->regex, text, REG_EXTENDED | REG_NOSUB) : REG_ESPACE;
    mpx_buf_free(&whole);
    if (why == REG_ESPACE)
        return no_memory(s->err);
    m->is_compiled = why == 0;
    return why ? fault(s, "a regular expression") : MPROXY_OK;
}

static mproxy_status scan_matcher(struct scan *s, struct matcher *m)
{
    mproxy_status status = scan_name(s, m);
    if (status == MPROXY_OK)
        status = scan_operator(s, m);
    if (status == MPROXY_OK)
        status = scan_value(s, m);
    return status == MPROXY_OK ? compile(s, m) : status;
}

static bool fits(const struct matcher *m, const char *value)
{
    bool is_it = m->is_regex ? regexec(&m->regex, value, 0, NULL, 0) == 0
                             : strcmp(m->value, value) == 0;
    return is_it != m->negates;
}

static mproxy_status scan_all(struct scan *s, struct mpx_push_selector *selector)
{
    skip_blanks(s);
    if (*s->at != '{')
        return fault(s, "{ of a selector of labels");
    s->at++;
    skip_blanks(s);
    while (*s->at != '}') {
        if (selector->count == MATCHERS_MAX)
            return fault(s, "fewer matchers");
        mproxy_status status = scan_matcher(s, &selector->items[selector->count++]);
        if (status != MPROXY_OK)
            return status;
        skip_blanks(s);
        if (*s->at == ',') {
            s->at++;
            skip_blanks(s);
        } else if (*s->at != '}') {
            return fault(s, ", or }");
        }
    }
    s->at++;
    skip_blanks(s);
    return *s->at ? fault(s, "nothing behind the selector") : MPROXY_OK;
}

static bool selects_all(const struct mpx_push_selector *selector)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!fits(&selector->items[i], ""))
            return false;
    return true;
}

mproxy_status mpx_push_selector_new(const char *text, struct mpx_push_selector **out,
                                    mproxy_error *err)
{
    if (strlen(text) > TEXT_MAX)
        return mpx_fail(err, MPROXY_E_INVALID, "selector: at most %d bytes were expected",
                        TEXT_MAX);
    struct mpx_push_selector *selector = calloc(1, sizeof *selector);
    if (!selector)
        return no_memory(err);
    struct scan s = {.text = text, .at = text, .err = err};
    mproxy_status status = scan_all(&s, selector);
    if (status == MPROXY_OK && selects_all(selector))
        status = mpx_fail(err, MPROXY_E_INVALID,
                          "selector '%.100s': a matcher that does not match the empty "
                          "text was expected",
                          text);
    if (status == MPROXY_OK)
        *out = selector;
    else
        mpx_push_selector_free(selector);
    return status;
}

void mpx_push_selector_free(struct mpx_push_selector *selector)
{
    for (size_t i = 0; selector && i < selector->count; i++) {
        struct matcher *m = &selector->items[i];
        if (m->is_compiled)
            regfree(&m->regex);
        free(m->name);
        free(m->value);
    }
    free(selector);
}

static const char *value_of(const struct mpx_push_labels *labels, const char *wanted)
{
    const char *name, *value;
    for (size_t at = 0; mpx_push_label_next(labels, &at, &name, &value);)
        if (strcmp(name, wanted) == 0)
            return value;
    return "";
}

bool mpx_push_selector_fits(const struct mpx_push_selector *selector,
                            const struct mpx_push_labels *labels)
{
    for (size_t i = 0; i < selector->count; i++)
        if (!fits(&selector->items[i], value_of(labels, selector->items[i].name)))
            return false;
    return true;
}
