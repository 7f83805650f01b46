#include "processes/derived.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static const struct rule {
    const char *prefix, *target, *doc;
} rules[] = {
#define MPX_DERIVED(prefix, target, doc) {prefix, target, doc},
#include "tables/derived.def"
#undef MPX_DERIVED
};

static bool add_term(struct mpx_derived *d, uint32_t from, uint32_t to)
{
    if (!MPX_RESERVE(d->terms, d->term_room, d->term_count + 1u))
        return false;
    d->terms[d->term_count++] = (struct mpx_derived_term){from, to};
    return true;
}

// The name of a rule's target for a counter with this rest; false when it is too long.
static bool target_name(const struct rule *rule, const char *rest, char *out, size_t room)
{
    size_t length = strlen(rule->target);
    bool open = length > 3 && strcmp(rule->target + length - 3, "___") == 0;
    int n = snprintf(out, room, "%s%s", rule->target, open ? rest : "");
    return n > 0 && (size_t)n < room;
}

bool mpx_derived_add(struct mpx_derived *d, const char *name, uint32_t from,
                     mpx_derived_place_fn place, void *arg)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        char target[1100];
        size_t length = strlen(rules[i].prefix);
        if (strncmp(name, rules[i].prefix, length) != 0 ||
            !target_name(&rules[i], name + length, target, sizeof target))
            continue;
        int64_t to = place(arg, target, rules[i].doc);
        if (to >= 0 && !add_term(d, from, (uint32_t)to))
            return false;
    }
    return true;
}

void mpx_derived_compute(const struct mpx_derived *d, double *values)
{
    for (uint32_t i = d->first; i < d->end; i++)
        values[i] = 0;
    for (uint32_t i = 0; i < d->term_count; i++)
        values[d->terms[i].to] += values[d->terms[i].from];
}

void mpx_derived_free(struct mpx_derived *d)
{
    free(d->terms);
    *d = (struct mpx_derived){0};
}
