// What a push does to a group.
//
// Most pushes bring the series that the group has, and other values: then the plan is a list of
// slots, found by walking both lists, and what is not carried is not looked at. Only when
// series come or go all of the group is put together anew.
//
// A push that replaces families takes out of the group what is of a family that it names and
// is not on it. A sum takes nothing out: it adds to counters (buckets, sums and counts of
// histograms among them, whose bounds must be the same), replaces gauges, and brings what is
// new.

#include "push/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/err.h"
#include "metric/label.h"

static mproxy_status no_memory(mproxy_error *err)
{
    return mpx_fail(err, MPROXY_E_NOMEM, "no memory for what is pushed");
}

static bool reserve(struct mpx_push_plan *plan, size_t count)
{
    return MPX_RESERVE(plan->slots, plan->slot_room, count + 1) &&
           MPX_RESERVE(plan->keys, plan->key_room, count + 1) &&
           MPX_RESERVE(plan->values, plan->value_room, count + 1) &&
           MPX_RESERVE(plan->changed_us, plan->time_room, count + 1);
}

// ---- a group that keeps its series

static size_t slot_of(const struct mpx_push_slots *slots, uint64_t key, size_t guess)
{
    size_t count = slots ? slots->count : 0;
    if (guess < count && slots->keys[guess] == key)
        return guess;
    size_t at = mpx_push_slot_from(slots, key);
    return at < count && slots->keys[at] == key ? at : SIZE_MAX;
}

static bool is_counter(const struct mpx_push_table *t, uint64_t key)
{
    return t->series[mpx_push_series_of(key)].type == MPROXY_COUNTER;
}

static double value_of(const struct mpx_push_table *t, const struct mpx_push_slots *slots,
                       size_t slot, uint64_t key, double value, mproxy_push_verb verb)
{
    if (verb != MPROXY_PUSH_SUM || !is_counter(t, key))
        return value;
    return slots->values[slot] + value;
}

// Whether each family that is carried is carried whole.
static bool covers(const struct mpx_push_slots *slots, const struct mpx_push_carried *c)
{
    for (size_t i = 0, length; i < c->count; i += length) {
        uint32_t family = mpx_push_family_of(c->keys[i]);
        for (length = 1;
             i + length < c->count && mpx_push_family_of(c->keys[i + length]) == family;)
            length++;
        size_t from = slot_of(slots, c->keys[i], 0);
        bool starts = from == 0 || mpx_push_family_of(slots->keys[from - 1]) != family;
        size_t end = from + length;
        bool ends =
            end == slots->count ||
            (end < slots->count && mpx_push_family_of(slots->keys[end]) != family);
        if (!starts || !ends)
            return false;
    }
    return true;
}

// False: series come or go.
static bool plan_same(struct mpx_push_plan *plan, const struct mpx_push_table *t,
                      const struct mpx_push_group *g, const struct mpx_push_carried *c,
                      mproxy_push_verb verb)
{
    const struct mpx_push_slots *slots = g->slots;
    size_t count = slots ? slots->count : 0, next = 0;
    plan->count = 0;
    if (verb == MPROXY_PUSH_REPLACE && c->count != count)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        size_t slot = slot_of(slots, c->keys[i], next);
        if (slot == SIZE_MAX)
            return false;
        next = slot + 1;
        double value = value_of(t, slots, slot, c->keys[i], c->values[i], verb);
        if (value == slots->values[slot])
            continue;
        plan->slots[plan->count] = (uint32_t)slot;
        plan->values[plan->count++] = value;
    }
    return verb != MPROXY_PUSH_ADD || c->count == count || c->count == 0 ||
           covers(slots, c);
}

// ---- a group that does not

static void put(struct mpx_push_plan *plan, uint64_t key, double value,
                uint64_t changed_us)
{
    plan->keys[plan->count] = key;
    plan->values[plan->count] = value;
    plan->changed_us[plan->count++] = changed_us;
}

static bool carries_family(const struct mpx_push_carried *c, size_t next, uint64_t key)
{
    uint32_t family = mpx_push_family_of(key);
    return (next < c->count && mpx_push_family_of(c->keys[next]) == family) ||
           (next > 0 && mpx_push_family_of(c->keys[next - 1]) == family);
}

// Both lists are in the order of keys.
static void plan_anew(struct mpx_push_plan *plan, const struct mpx_push_table *t,
                      const struct mpx_push_group *g, const struct mpx_push_carried *c,
                      mproxy_push_verb verb, uint64_t now_us)
{
    const struct mpx_push_slots *slots = g->slots;
    size_t count = slots ? slots->count : 0, slot = 0, next = 0;
    plan->count = 0;
    while (slot < count || next < c->count) {
        uint64_t held = slot < count ? slots->keys[slot] : UINT64_MAX;
        uint64_t told = next < c->count ? c->keys[next] : UINT64_MAX;
        if (held < told) {
            bool stays = verb == MPROXY_PUSH_SUM ||
                         (verb == MPROXY_PUSH_ADD && !carries_family(c, next, held));
            if (stays)
                put(plan, held, slots->values[slot], slots->changed_us[slot]);
            slot++;
            continue;
        }
        if (told < held) {
            put(plan, told, c->values[next++], now_us);
            continue;
        }
        double value = value_of(t, slots, slot, told, c->values[next], verb);
        put(plan, told, value,
            value == slots->values[slot] ? slots->changed_us[slot] : now_us);
        slot++;
        next++;
    }
}

// ---- sums

static bool has_key(const uint64_t *keys, size_t count, uint64_t key)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && keys[low] == key;
}

// The name of the count of the histogram that a bucket is of. False: it is no bucket.
static bool name_count(const char *bucket, struct mpx_buf *out)
{
    static const char suffix[] = "_bucket";
    size_t base = mproxy_metric_base_length(bucket), length = strlen(suffix);
    struct mpx_label label;
    if (base <= length || memcmp(bucket + base - length, suffix, length) != 0)
        return false;
    mpx_buf_clear(out);
    mpx_buf_add(out, bucket, base - length);
    mpx_buf_add_text(out, "_count");
    bool has_any = false;
    for (const char *at = bucket + base; mpx_label_next(&at, &label); has_any = true) {
        if (mpx_label_is(&label, "le"))
            break;
        mpx_buf_addf(out, "%s%.*s=\"", has_any ? "," : "{", (int)label.name_length,
                     label.name);
        mpx_buf_add(out, label.value, label.value_length);
        mpx_buf_add_text(out, "\"");
    }
    if (has_any)
        mpx_buf_add_text(out, "}");
    return mpx_buf_text(out) != NULL;
}

// A bucket that only one of the two lists has, of a histogram that both have.
static bool has_other_bounds(const struct mpx_push_table *t, const uint64_t *of,
                             size_t of_count, const uint64_t *other, size_t other_count,
                             uint64_t *which)
{
    struct mpx_buf name = MPX_BUF_INIT;
    bool found = false;
    for (size_t i = 0; i < of_count && !found; i++) {
        const struct mpx_push_series *s = &t->series[mpx_push_series_of(of[i])];
        if (s->kind != MPROXY_FAMILY_HISTOGRAM || has_key(other, other_count, of[i]) ||
            !name_count(s->name, &name))
            continue;
        uint32_t count = mpx_push_series_find(t, name.data, s->family, MPROXY_COUNTER,
                                              MPROXY_FAMILY_HISTOGRAM);
        found =
            count != UINT32_MAX && has_key(other, other_count, mpx_push_key(t, count));
        *which = of[i];
    }
    mpx_buf_free(&name);
    return found;
}

static mproxy_status check_sum(const struct mpx_push_plan *plan,
                               const struct mpx_push_table *t,
                               const struct mpx_push_group *g,
                               const struct mpx_push_carried *c, mproxy_error *err)
{
    uint64_t which;
    for (size_t i = 0; i < plan->count; i++)
        if (!isfinite(plan->values[i]))
            return mpx_fail(err, MPROXY_E_INVALID,
                            "the sum of a counter would not be finite");
    if (!g->slots || (plan->is_same && c->count == g->slots->count))
        return MPROXY_OK;
    if (has_other_bounds(t, c->keys, c->count, g->slots->keys, g->slots->count, &which) ||
        has_other_bounds(t, g->slots->keys, g->slots->count, c->keys, c->count, &which))
        return mpx_fail(
            err, MPROXY_E_TYPE,
            "metric '%.200s': a histogram is summed with the same bounds only",
            t->series[mpx_push_series_of(which)].name);
    return MPROXY_OK;
}

mproxy_status
mpx_push_plan_make(struct mpx_push_plan *plan, const struct mpx_push_table *t,
                   const struct mpx_push_group *g, const struct mpx_push_carried *carried,
                   mproxy_push_verb verb, uint64_t now_us, mproxy_error *err)
{
    if (!reserve(plan, carried->count))
        return no_memory(err);
    plan->is_same = plan_same(plan, t, g, carried, verb);
    if (!plan->is_same) {
        if (!reserve(plan, carried->count + (g->slots ? g->slots->count : 0)))
            return no_memory(err);
        plan_anew(plan, t, g, carried, verb, now_us);
    }
    return verb == MPROXY_PUSH_SUM ? check_sum(plan, t, g, carried, err) : MPROXY_OK;
}

void mpx_push_plan_fini(struct mpx_push_plan *plan)
{
    free(plan->slots);
    free(plan->keys);
    free(plan->values);
    free(plan->changed_us);
}
