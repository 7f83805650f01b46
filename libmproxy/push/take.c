// A page is taken into a group.
//
// One parser reads all pages. The series of the last page, in their order, cost little more
// than their numbers to read again, whichever group they are pushed to; so what many programs
// of one kind push is read at once, and `known` says by the parser's index what a series is
// here. A series that no group has is forgotten by the parser, too.
//
// The door: a push that holds a name of ours, a time, a negative counter, or what is no name
// once it has the labels of the group, is refused whole, with the reason. What is not finite
// is dropped and counted, as everywhere.
//
// Order of a push: read, look up, plan, prepare what the plan needs, write, take. Nothing
// before the write changes what is shown, nothing behind it can fail.

#include "push/private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mproxy/client.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"
#include "ingest/name.h"
#include "metric/order.h"
#include "metric/reserved.h"

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for what is pushed");
}

// ---- series

static bool has_base(const char *name, const char *base)
{
    size_t length = strlen(base);
    return strncmp(name, base, length) == 0 &&
           (name[length] == '\0' || name[length] == '{');
}

static mproxy_status check_name(const mproxy_series *s, mproxy_error *err)
{
    if (!s->fits)
        return mproxy_metric_check_name(s->name, s->name_length, err);
    if (mpx_name_is_ours(s->name))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.200s' is a name of the proxy's own: another name was "
                        "expected",
                        s->name);
    if (has_base(s->name, "push_time_seconds") ||
        has_base(s->name, "push_failure_time_seconds"))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.200s' is told by the proxy for each group: another "
                        "name was expected",
                        s->name);
    return MPROXY_OK;
}

// The parts of a histogram or summary are one family; all else is one by its own name, so that
// OpenMetrics' `x` with `x_total` is what the text format calls `x_total`.
static bool is_of_parts(mproxy_family_kind kind)
{
    return kind == MPROXY_FAMILY_HISTOGRAM || kind == MPROXY_FAMILY_GAUGE_HISTOGRAM ||
           kind == MPROXY_FAMILY_SUMMARY;
}

// The series' name without the labels that the path has without a value.
static mproxy_status join(struct mproxy_push *p, const mproxy_series *s, uint32_t *series)
{
    char help[MPROXY_DOC_MAX + 1], family[MPX_NAME_ROOM];
    const char *name =
        mpx_ingest_name(&p->frames, s->name, s->kind, p->off, p->off_count);
    if (!name)
        return MPROXY_E_NOMEM;
    size_t length = mproxy_metric_base_length(name);
    bool is_part = is_of_parts(s->kind) && strlen(s->family) < sizeof family;
    snprintf(family, sizeof family, "%.*s",
             is_part ? (int)strlen(s->family) : (int)length, is_part ? s->family : name);
    snprintf(help, sizeof help, "%s", s->help);
    help[mpx_utf8_cut(help, strlen(help), MPROXY_DOC_MAX)] = '\0';
    return mpx_push_series_join(&p->table, name, family, help, s->type, s->kind, series);
}

static void pin(struct mproxy_push *p, uint32_t series)
{
    p->table.series[series].is_pinned = true;
    p->made[p->made_count++] = series;
}

// Another index of the parser's may have been the same series, its bound written otherwise.
static mproxy_status know(struct mproxy_push *p, uint32_t series, uint32_t index,
                          mproxy_error *err)
{
    struct mpx_push_series *s = &p->table.series[series];
    if (s->parsed > 0) {
        if (mproxy_parser_forget(p->parser, s->parsed - 1, NULL) == MPROXY_E_BUSY)
            return mpx_fail(err, MPROXY_E_INVALID, "metric '%.200s' is given twice",
                            s->name);
        p->known[s->parsed - 1] = 0;
    }
    s->parsed = index + 1;
    p->known[index] = series + 1;
    return MPROXY_OK;
}

static mproxy_status meet(struct mproxy_push *p, uint32_t index, uint32_t *out,
                          mproxy_error *err)
{
    mproxy_series s = {.struct_size = sizeof s};
    uint32_t series;
    if (!MPX_RESERVE_ZEROED(p->known, p->known_room, (size_t)index + 1) ||
        !MPX_RESERVE(p->made, p->made_room, p->made_count + 1))
        return no_memory(err);
    mproxy_status status = mproxy_parser_series(p->parser, index, &s, err);
    if (status == MPROXY_OK)
        status = check_name(&s, err);
    if (status != MPROXY_OK)
        return status;
    if (join(p, &s, &series) != MPROXY_OK)
        return no_memory(err);
    pin(p, series);
    // Without some of its labels it is not what the parser's index means elsewhere.
    status = p->off_count > 0 ? MPROXY_OK : know(p, series, index, err);
    if (status == MPROXY_OK)
        *out = series;
    return status;
}

// ---- the page

// What nobody has any more is forgotten as soon as it is not on the last page.
static void forget_stale(struct mproxy_push *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->stale_count; i++) {
        uint32_t index = p->stale[i];
        bool is_known = index < p->known_room && p->known[index] > 0;
        if (!is_known && mproxy_parser_forget(p->parser, index, NULL) == MPROXY_E_BUSY)
            p->stale[kept++] = index;
    }
    p->stale_count = kept;
}

static void let_go(struct mproxy_push *p, const mproxy_page *page)
{
    for (size_t i = 0; i < p->made_count; i++)
        p->table.series[p->made[i]].is_pinned = false;
    for (size_t i = 0; i < p->made_count; i++)
        mpx_push_release(p, p->made[i]);
    p->made_count = 0;
    for (size_t i = 0; i < page->fresh_count; i++) {
        uint32_t index = page->fresh[i];
        bool is_known = index < p->known_room && p->known[index] > 0;
        if (!is_known && MPX_RESERVE(p->stale, p->stale_room, p->stale_count + 1))
            p->stale[p->stale_count++] = index;
    }
}

static mproxy_status check_times(const mproxy_page *page, mproxy_error *err)
{
    for (size_t i = 0; page->times_us && i < page->count; i++)
        if (page->times_us[i] != INT64_MIN)
            return mpx_fail(err, MPROXY_E_INVALID,
                            "a sample has a time: none was expected, for it is that of "
                            "the push");
    return MPROXY_OK;
}

static mproxy_status carry_one(struct mproxy_push *p, uint32_t index, double value,
                               mproxy_error *err)
{
    struct mpx_push_carried *c = &p->carried;
    uint32_t series = index < p->known_room ? p->known[index] : 0;
    mproxy_status status = MPROXY_OK;
    if (series > 0 && p->off_count == 0)
        series--;
    else
        status = meet(p, index, &series, err);
    if (status != MPROXY_OK)
        return status;
    const struct mpx_push_series *s = &p->table.series[series];
    if (!isfinite(value)) {
        p->stats.dropped_values++;
        return MPROXY_OK;
    }
    if (s->type == MPROXY_COUNTER && value < 0)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "metric '%.200s': %g: a counter is never below 0", s->name,
                        value);
    c->keys[c->count] = mpx_push_key(&p->table, series);
    c->values[c->count++] = value;
    return MPROXY_OK;
}

struct pair {
    uint64_t key;
    double value;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

// A page is in order as a rule: series got their places in the order in which they came.
static bool sort(struct mpx_push_carried *c)
{
    size_t ordered = 1;
    while (ordered < c->count && c->keys[ordered - 1] < c->keys[ordered])
        ordered++;
    if (ordered >= c->count)
        return true;
    struct pair *pairs = malloc(c->count * sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t i = 0; i < c->count; i++)
        pairs[i] = (struct pair){c->keys[i], c->values[i]};
    qsort(pairs, c->count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < c->count; i++) {
        c->keys[i] = pairs[i].key;
        c->values[i] = pairs[i].value;
    }
    free(pairs);
    return true;
}

static mproxy_status check_twice(const struct mproxy_push *p, mproxy_error *err)
{
    const struct mpx_push_carried *c = &p->carried;
    for (size_t i = 1; i < c->count; i++)
        if (c->keys[i - 1] == c->keys[i])
            return mpx_fail(
                err, MPROXY_E_INVALID,
                "metric '%.200s' is given twice once it has the labels of the group",
                p->table.series[mpx_push_series_of(c->keys[i])].name);
    return MPROXY_OK;
}

static mproxy_status carry(struct mproxy_push *p, const mproxy_page *page,
                           mproxy_error *err)
{
    struct mpx_push_carried *c = &p->carried;
    c->count = 0;
    mproxy_status status = check_times(page, err);
    if (status == MPROXY_OK && (!MPX_RESERVE(c->keys, c->key_room, page->count + 1) ||
                                !MPX_RESERVE(c->values, c->value_room, page->count + 1)))
        status = no_memory(err);
    for (size_t i = 0; i < page->count && status == MPROXY_OK; i++)
        status = carry_one(p, page->series[i], page->values[i], err);
    if (status == MPROXY_OK && !sort(c))
        status = no_memory(err);
    return status == MPROXY_OK && p->off_count > 0 ? check_twice(p, err) : status;
}

// ---- the group

static void take_values(struct mpx_push_group *g, const struct mpx_push_plan *plan,
                        uint64_t now_us)
{
    for (size_t i = 0; i < plan->count; i++) {
        g->slots->values[plan->slots[i]] = plan->values[i];
        g->slots->changed_us[plan->slots[i]] = now_us;
    }
}

static void take_slots(struct mproxy_push *p, struct mpx_push_group *g,
                       struct mpx_push_slots *slots)
{
    struct mpx_push_slots *before = mpx_push_slots_take(&p->table, g, slots);
    for (size_t i = 0; before && i < before->count; i++)
        mpx_push_release(p, mpx_push_series_of(before->keys[i]));
    free(before);
}

// The group, if it is new, and names of series that are, are in the table already.
static mproxy_status check_room(const struct mproxy_push *p,
                                const struct mpx_push_group *g, size_t count,
                                mproxy_error *err)
{
    size_t own = g->slots ? g->slots->count : 0, others = p->table.slot_count - own;
    if (others + count > p->o.max_series)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "%zu series are held for others, and with %zu more it would be "
                        "more than %zu",
                        others, count, p->o.max_series);
    if (p->table.live_bytes + count * MPX_PUSH_SLOT_BYTES >
        p->o.max_bytes + own * MPX_PUSH_SLOT_BYTES)
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "all groups would take more than %zu bytes on file",
                        p->o.max_bytes);
    return MPROXY_OK;
}

// Only where no shorter file could be begun for long.
static bool has_room_on_file(const struct mproxy_push *p)
{
    return mpx_push_journal_bytes(p->journal) <= mpx_push_journal_most(p->o.max_bytes);
}

static mproxy_status apply(struct mproxy_push *p, struct mpx_push_group *g,
                           const struct mpx_push_times *times, mproxy_error *err)
{
    const struct mpx_push_plan *plan = &p->plan;
    struct mpx_push_slots *slots = NULL;
    mproxy_status status = MPROXY_OK;
    if (!has_room_on_file(p))
        return mpx_fail(
            err, MPROXY_E_LIMIT,
            "files of pushed groups take %zu bytes, and can't be made shorter",
            mpx_push_journal_bytes(p->journal));
    if (!plan->is_same) {
        const struct mpx_push_state state = {plan->count, plan->keys, plan->values,
                                             plan->changed_us};
        status = check_room(p, g, plan->count, err);
        if (status == MPROXY_OK)
            status = mpx_push_slots_prepare(&p->table, g, &state, &slots, err);
    }
    if (status == MPROXY_OK)
        status = mpx_push_write(p, g, slots, times, plan->is_same ? plan : NULL, err);
    if (status != MPROXY_OK) {
        mpx_push_slots_drop(&p->table, g, slots);
        return status;
    }
    g->times = *times;
    if (plan->is_same)
        take_values(g, plan, times->pushed_us);
    else
        take_slots(p, g, slots);
    return MPROXY_OK;
}

// The group, found or, if it is to be, made. *out NULL: there is none.
static mproxy_status find_group(struct mproxy_push *p,
                                const struct mpx_push_labels *labels, bool makes,
                                struct mpx_push_group **out, mproxy_error *err)
{
    struct mpx_push_labels filled;
    if (!mpx_push_reserve(p, 1) || !mpx_push_labels_filled(labels, &filled))
        return no_memory(err);
    mproxy_status status = MPROXY_OK;
    *out = mpx_push_group_find(&p->table, &filled);
    if (!*out && makes && p->table.group_count >= p->o.max_groups)
        status = mpx_fail(err, MPROXY_E_LIMIT, "there are %zu groups already",
                          p->table.group_count);
    else if (!*out && makes) {
        status = mpx_push_group_add(&p->table, &filled, 0, out, err);
        p->to_copy += status == MPROXY_OK;
    }
    mpx_push_labels_fini(&filled);
    return status;
}

// A group that could not be changed tells when that was, as the Pushgateway's do, if the fault
// was the push's.
static void note_failure(struct mproxy_push *p, struct mpx_push_group *g, uint64_t now_us,
                         mproxy_status status)
{
    struct mpx_push_times times = g->times;
    bool is_told = status == MPROXY_E_INVALID || status == MPROXY_E_TYPE ||
                   status == MPROXY_E_EXISTS;
    times.failed_us = now_us;
    p->plan.count = 0;
    if (is_told && has_room_on_file(p) &&
        mpx_push_write(p, g, NULL, &times, &p->plan, NULL) == MPROXY_OK) {
        g->times = times;
        mpx_push_touch(p, g);
    } else if (g->written == 0) {
        mpx_push_remove(p, g); // it was made for this push
    }
}

static mproxy_status read_text(struct mproxy_push *p, const mproxy_pushed *pushed,
                               mproxy_page *page, mproxy_error *err)
{
    mproxy_error why;
    mproxy_status status = mproxy_parser_read(p->parser, pushed->text ? pushed->text : "",
                                              pushed->length, pushed->format, page, &why);
    if (status == MPROXY_OK)
        return MPROXY_OK;
    if (why.line > 0) // a limit of the text's is its fault, too
        return mpx_fail_at(err, MPROXY_E_INVALID, why.line, why.column,
                           "line %d, column %d: %s", why.line, why.column, why.text);
    return mpx_fail(err, status, "%s", why.text);
}

static void watch_expiry(struct mproxy_push *p, const struct mpx_push_times *times)
{
    if (times->expires_ms > 0 && times->expires_ms < p->expires_ms)
        p->expires_ms = times->expires_ms;
}

static mproxy_status take_page(struct mproxy_push *p, struct mpx_push_group *g,
                               const mproxy_pushed *pushed, const mproxy_page *page,
                               uint64_t now_us, mproxy_error *err)
{
    struct mpx_push_times times = {
        .pushed_us = now_us,
        .failed_us = g->times.failed_us,
        .expires_ms = pushed->ttl_ms > 0 ? mpx_boot_ms() + pushed->ttl_ms : 0};
    mproxy_status status = carry(p, page, err);
    if (status == MPROXY_OK)
        status = mpx_push_plan_make(&p->plan, &p->table, g, &p->carried, pushed->verb,
                                    now_us, err);
    if (status == MPROXY_OK)
        status = apply(p, g, &times, err);
    if (status == MPROXY_OK)
        watch_expiry(p, &times);
    return status;
}

static void take_labels_off(struct mproxy_push *p, const struct mpx_push_labels *labels)
{
    p->off_count = 0;
    const char *name, *value;
    for (size_t at = 0; mpx_push_label_next(labels, &at, &name, &value);)
        if (!value[0])
            p->off[p->off_count++] = (struct mpx_ingest_label){name, value};
}

static mproxy_status take_text(struct mproxy_push *p,
                               const struct mpx_push_labels *labels,
                               const mproxy_pushed *pushed, mproxy_error *err)
{
    mproxy_page page = {.struct_size = sizeof page};
    struct mpx_push_group *g = NULL;
    uint64_t now_us = mpx_wall_us();
    mproxy_status read = read_text(p, pushed, &page, err);
    forget_stale(p);
    mproxy_status status =
        find_group(p, labels, read == MPROXY_OK, &g, read == MPROXY_OK ? err : NULL);
    if (read != MPROXY_OK)
        status = read;
    else if (status == MPROXY_OK)
        status = take_page(p, g, pushed, &page, now_us, err);
    let_go(p, &page);
    if (status == MPROXY_OK)
        mpx_push_touch(p, g);
    else if (g)
        note_failure(p, g, now_us, status);
    return status;
}

mproxy_status mpx_push_page(struct mproxy_push *p, const struct mpx_push_labels *labels,
                            const mproxy_pushed *pushed, mproxy_error *err)
{
    mpx_buf_clear(&p->frames);
    take_labels_off(p, labels);
    mproxy_status status = take_text(p, labels, pushed, err);
    mpx_push_copy(p, p->frames.size);
    return status;
}
