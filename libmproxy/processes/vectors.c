// From a definition table to a vector of metrics, and from columns to their values.
//
// A segment defines slots; the ledger wants metrics. Both change only when a program
// defines something, so the way from one to the other is worked out once per table, as a
// list of operations, and applied each round: a stretch of counters is one
// multiplication per value, a histogram a running sum, a gauge or a real counter one
// check. Tables are shared by programs that define the same, and so is the list.
//
// What comes from a program is not trusted. A name that is none, that the program has with the
// other type, or that is too many for its user is left out of the vector, alone; it is
// counted by reason and the first one told. Values are judged each round: a counter that
// is not finite, falls below zero or has passed 2^64 keeps the value it had, a gauge counts as
// never set.
// The proxy's own segments may hold differences below zero, where somebody set a counter
// to less than others had counted.
//
// Counters that are sums of others of the same process (tables/derived.def) stand behind
// what is counted. A name that the program counts itself is its own: nothing is derived
// for it.
//
// Layouts outlive the tables that they were made from while values follow them;
// mpx_layout_use() and _leave() count that, and what is idle is freed at the begin of a
// round, after the ledger was told to forget it.

#include "processes/vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/decimal.h"
#include "base/err.h"
#include "metric/reserved.h"
#include "processes/derived.h"
#include "processes/layouts.h"
#include "processes/procfs.h"
#include "processes/users.h"
#include "store/exempt.h"
#include "store/metric.h"

// What to do for a stretch of values. COUNTER: `count` values from as many columns.
struct op {
    enum mpx_def_kind kind;
    uint32_t slot, out, count;
    const double *scales; // COUNTER: count of them
    double scale;
};

struct mpx_vector_map {
    const mproxy_layout *layout;
    uint32_t op_count;
    struct op *ops;
    double *scales; // per value
    struct mpx_derived derived;
    uint32_t uncounted; // why definitions were refused
    uint64_t forgotten; // names that the store had given back when it was made
};

// ---- process metrics

struct process_metric {
    const char *name;
    mproxy_type type;
    double scale;
    const char *doc;
};

static const struct process_metric process_metrics[] = {
#define MPX_PROCESS(id, index, name, kind, scale, doc)                                   \
    [index] = {name, MPROXY_##kind, scale, doc},
#include "tables/process.def"
#undef MPX_PROCESS
};

enum { PROCESS_METRICS = sizeof process_metrics / sizeof process_metrics[0] };
_Static_assert(PROCESS_METRICS <= (int)MPX_SEG_FINAL_MAX,
               "header.final[] holds them all");

static mproxy_status add_process(struct mpx_vectors *vs, const struct process_metric *m,
                                 mproxy_error *err)
{
    mproxy_status status = mpx_store_metric_exempt(vs->store, m->name, m->type, m->doc,
                                                   &vs->metrics[vs->count], err);
    vs->count += status == MPROXY_OK;
    return status;
}

mproxy_status mpx_vectors_process(struct mpx_vectors *vs, const mproxy_layout **out,
                                  mproxy_error *err)
{
    static const struct process_metric flags[] = {
        [MPX_VALUE_STARTED] = {"has_started", MPROXY_COUNTER, 1,
                               "Processes of the job that started"},
        [MPX_VALUE_FINISHED] = {"has_finished", MPROXY_COUNTER, 1,
                                "Processes of the job that ended in order"},
        [MPX_VALUE_LEFT] = {"has_left", MPROXY_COUNTER, 1,
                            "Processes of the job that went where nothing counts"},
    };
    vs->user = NULL;
    if (!mpx_layout_begin(vs, MPX_VALUE_PROCESS + PROCESS_METRICS))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for process metrics");
    mproxy_status status = MPROXY_OK;
    for (int i = 0; i < MPX_VALUE_PROCESS && status == MPROXY_OK; i++)
        status = add_process(vs, &flags[i], err);
    for (int i = 0; i < PROCESS_METRICS && status == MPROXY_OK; i++)
        status = add_process(vs, &process_metrics[i], err);
    if (status == MPROXY_OK)
        status = mpx_layout_intern(vs, out, err);
    if (status == MPROXY_OK)
        mpx_layout_use(*out); // to the end
    return status;
}

void mpx_vectors_fill_process(const struct mpx_process_values *from,
                              const struct mpx_process_end *end, double *values)
{
    values[MPX_VALUE_STARTED] = end->started;
    values[MPX_VALUE_FINISHED] = end->finished;
    values[MPX_VALUE_LEFT] = end->left;
    for (int i = 0; i < PROCESS_METRICS; i++) {
        const struct process_metric *m = &process_metrics[i];
        bool is_set = from->set & (UINT64_C(1) << i);
        double none = m->type == MPROXY_GAUGE ? NAN : 0;
        values[MPX_VALUE_PROCESS + i] = is_set ? (double)from->value[i] * m->scale : none;
    }
}

// ---- from a table to its vector

void mpx_vector_map_free(void *user)
{
    struct mpx_vector_map *map = user;
    if (!map)
        return;
    mpx_layout_leave(map->layout);
    free(map->ops);
    free(map->scales);
    mpx_derived_free(&map->derived);
    free(map);
}

// Interns a name for the user; a new one is refused once he has max_names.
static mproxy_status intern(struct mpx_vectors *vs, const char *name, mproxy_type type,
                            const char *doc, const mproxy_metric **out, mproxy_error *err)
{
    struct mpx_user *user = vs->user;
    if (user->names >= user->max_names && !mpx_store_metric_find(vs->store, name, type))
        return mpx_fail(err, MPROXY_E_LIMIT,
                        "metric '%.100s': user %u has brought %zu names, no more are "
                        "taken",
                        name, user->uid, user->names);
    return mpx_store_metric_for(vs->store, name, type, doc, &user->names, out, err);
}

static void count_refusal(struct mpx_vectors *vs, mproxy_status status)
{
    if (status == MPROXY_E_TYPE)
        vs->stats.refused_types++;
    else if (status == MPROXY_E_LIMIT)
        vs->stats.refused_limits++;
    else
        vs->stats.refused_names++;
    vs->uncounted |= status == MPROXY_E_LIMIT ? MPX_OFF_NAMES : MPX_OFF_REFUSED;
}

// Counted, and the first of them told. @return false
static bool refuse(struct mpx_vectors *vs, mproxy_status status, const mproxy_error *why,
                   mproxy_error *refusal)
{
    count_refusal(vs, status);
    if (refusal && refusal->status == MPROXY_OK)
        *refusal = *why;
    return false;
}

static bool take_metric(struct mpx_vectors *vs, const char *name, mproxy_type type,
                        const char *doc, mproxy_error *refusal)
{
    const mproxy_metric *metric = NULL;
    mproxy_error why;
    mproxy_status status = intern(vs, name, type, doc, &metric, &why);
    vs->starved |= status == MPROXY_E_NOMEM;
    if (status == MPROXY_OK && mpx_layout_has_twin(vs, metric))
        status = mpx_fail(&why, MPROXY_E_TYPE,
                          "metric '%.100s': is a counter and a gauge", name);
    if (status == MPROXY_OK && !mpx_layout_is_first(vs, metric))
        status = mpx_fail(&why, MPROXY_E_EXISTS, "metric '%.100s': defined twice", name);
    if (status == MPROXY_OK) {
        vs->metrics[vs->count++] = metric;
        return true;
    }
    if (vs->starved)
        return false;
    return refuse(vs, status, &why, refusal);
}

// NAME{labels} -> NAME<suffix>{labels,le="bound"}; bound NULL: without `le`.
static bool derive_name(char *out, size_t room, const char *name, const char *suffix,
                        const char *bound)
{
    size_t base = mproxy_metric_base_length(name);
    const char *labels = name[base] == '{' ? name + base + 1 : "";
    size_t length = strlen(labels);
    if (length > 0)
        length--; // the brace that closes
    bool has_labels = length > 0;
    const char *open = has_labels || bound ? "{" : "", *close = *open ? "}" : "";
    const char *comma = has_labels && bound && labels[length - 1] != ',' ? "," : "";
    int n = snprintf(out, room, "%.*s%s%s%.*s%s%s%s%s%s", (int)base, name, suffix, open,
                     (int)length, labels, comma, bound ? "le=\"" : "", bound ? bound : "",
                     bound ? "\"" : "", close);
    return n >= 0 && (size_t)n < room;
}

// Buckets, sum and count: all or none, so that what is shown is a histogram.
static bool take_histogram(struct mpx_vectors *vs, const struct mpx_def *def,
                           mproxy_error *refusal)
{
    size_t before = vs->count;
    char name[1200], bound[32] = "+Inf";
    mproxy_error why;
    // Also sees that the name can be taken apart.
    mproxy_status status = mproxy_metric_check_name(def->name, strlen(def->name), &why);
    if (status == MPROXY_OK)
        status = mpx_bounds_take(&vs->bounds, vs->store, def->name, def->bounds,
                                 def->bound_count, &why);
    vs->starved |= status == MPROXY_E_NOMEM;
    if (status != MPROXY_OK)
        return !vs->starved && refuse(vs, status, &why, refusal);
    for (uint32_t i = 0; i <= def->bound_count; i++) {
        if (i < def->bound_count)
            mpx_decimal_shortest(bound, sizeof bound, def->bounds[i]);
        else
            strcpy(bound, "+Inf");
        if (!derive_name(name, sizeof name, def->name, "_bucket", bound) ||
            !take_metric(vs, name, MPROXY_COUNTER, def->doc, refusal))
            goto refuse;
    }
    static const char *const suffixes[] = {"_sum", "_count"};
    for (int i = 0; i < 2; i++)
        if (!derive_name(name, sizeof name, def->name, suffixes[i], NULL) ||
            !take_metric(vs, name, MPROXY_COUNTER, def->doc, refusal))
            goto refuse;
    return true;

refuse:
    mpx_layout_take_back(vs, before);
    return false;
}

static bool take_counter(struct mpx_vectors *vs, const struct mpx_def *def,
                         mproxy_error *refusal)
{
    mproxy_error why;
    mproxy_status status =
        mpx_bounds_take_counter(&vs->bounds, vs->store, def->name, &why);
    vs->starved |= status == MPROXY_E_NOMEM;
    if (status != MPROXY_OK)
        return !vs->starved && refuse(vs, status, &why, refusal);
    return take_metric(vs, def->name, MPROXY_COUNTER, def->doc, refusal);
}

static bool take_def(struct mpx_vectors *vs, const struct mpx_def *def,
                     mproxy_error *refusal)
{
    mproxy_error why;
    // A program asks the client library, which refuses these; a segment made by hand did not.
    if (!vs->allow_reserved && mpx_name_is_reserved(def->name))
        return refuse(vs,
                      mpx_fail(&why, MPROXY_E_INVALID,
                               "metric '%.100s': is counted by the proxy", def->name),
                      &why, refusal);
    if (def->kind == MPX_DEF_HISTOGRAM)
        return take_histogram(vs, def, refusal);
    if (def->kind == MPX_DEF_GAUGE)
        return take_metric(vs, def->name, MPROXY_GAUGE, def->doc, refusal);
    return take_counter(vs, def, refusal);
}

// Counters that follow each other in slots and values become one stretch.
static void add_op(struct mpx_vector_map *map, const struct mpx_def *def, uint32_t out,
                   uint32_t values)
{
    struct op *last = map->op_count ? &map->ops[map->op_count - 1] : NULL;
    map->scales[out] = def->scale;
    if (def->kind == MPX_DEF_COUNTER && last && last->kind == MPX_DEF_COUNTER &&
        last->slot + last->count == def->slot && last->out + last->count == out) {
        last->count++;
        return;
    }
    map->ops[map->op_count++] = (struct op){
        .kind = def->kind,
        .slot = def->slot,
        .out = out,
        .count = def->kind == MPX_DEF_HISTOGRAM ? values - 2 : 1,
        .scales = map->scales + out,
        .scale = def->scale,
    };
}

static size_t values_of(const struct mpx_def_table *table)
{
    size_t values = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct mpx_def *def = &table->defs[i];
        values += def->kind == MPX_DEF_HISTOGRAM ? def->bound_count + 3 : 1;
    }
    return values;
}

struct derivation {
    struct mpx_vectors *vs;
    struct mpx_derived *derived;
    bool failed;
};

enum { DERIVED_MAX = 4096 }; // of one vector; a place is found by looking at them in turn

static bool has_room(struct derivation *at)
{
    struct mpx_vectors *vs = at->vs;
    at->failed = !MPX_RESERVE(vs->metrics, vs->room, vs->count + 1);
    return !at->failed;
}

// A name that the program counts itself is its own: nothing is derived for it.
static int64_t place_derived(void *arg, const char *name, const char *doc)
{
    struct derivation *at = arg;
    struct mpx_vectors *vs = at->vs;
    for (size_t i = at->derived->first; i < vs->count; i++)
        if (strcmp(vs->metrics[i]->name, name) == 0)
            return (int64_t)i;
    if (vs->count - at->derived->first >= DERIVED_MAX || !has_room(at) ||
        !take_metric(vs, name, MPROXY_COUNTER, doc, NULL))
        return -1;
    return (int64_t)vs->count - 1;
}

// What is derived stands behind what is counted.
static bool derive(struct mpx_vectors *vs, struct mpx_derived *derived)
{
    struct derivation at = {.vs = vs, .derived = derived};
    derived->first = (uint32_t)vs->count;
    for (uint32_t i = 0; i < derived->first; i++) {
        const mproxy_metric *metric = vs->metrics[i];
        if (metric->type == MPROXY_COUNTER &&
            (!mpx_derived_add(derived, metric->name, i, place_derived, &at) || at.failed))
            return false;
    }
    derived->end = (uint32_t)vs->count;
    return true;
}

static mproxy_status make_map(struct mpx_vectors *vs, const struct mpx_def_table *table,
                              struct mpx_vector_map **out, mproxy_error *refusal,
                              mproxy_error *err)
{
    size_t values = values_of(table);
    struct mpx_vector_map *map = calloc(1, sizeof *map);
    if (map) {
        map->ops = calloc(table->count ? table->count : 1, sizeof *map->ops);
        map->scales = calloc(values ? values : 1, sizeof *map->scales);
    }
    mproxy_status status = MPROXY_E_NOMEM;
    if (!map || !map->ops || !map->scales || !mpx_layout_begin(vs, values ? values : 1)) {
        mpx_fail(err, status, "no memory for %u definitions", table->count);
        goto fail;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        size_t before = vs->count;
        if (take_def(vs, &table->defs[i], refusal))
            add_op(map, &table->defs[i], (uint32_t)before,
                   (uint32_t)(vs->count - before));
    }
    if (!derive(vs, &map->derived) || vs->starved) {
        status = mpx_fail(err, MPROXY_E_NOMEM, "no memory for metrics");
        goto fail;
    }
    status = vs->count > 0 ? mpx_layout_intern(vs, &map->layout, err) : MPROXY_OK;
    if (status != MPROXY_OK)
        goto fail;
    mpx_layout_use(map->layout);
    map->uncounted = vs->uncounted;
    map->forgotten = mpx_store_metric_forgotten(vs->store);
    *out = map;
    return MPROXY_OK;

fail:
    mpx_vector_map_free(map);
    return status;
}

bool mpx_vectors_may_take_more(const struct mpx_vectors *vs,
                               const struct mpx_def_table *table)
{
    const struct mpx_vector_map *map = table ? table->user : NULL;
    return map && map->uncounted & MPX_OFF_NAMES &&
           map->forgotten != mpx_store_metric_forgotten(vs->store);
}

// Names were given back since some of the table's had no room. What is refused again was
// counted and told before. Without memory all stays as it is.
static void take_more(struct mpx_vectors *vs, struct mpx_def_table *table)
{
    struct mpx_vectors_stats stats = vs->stats;
    struct mpx_vector_map *map = NULL;
    mproxy_error err;
    mproxy_status status = make_map(vs, table, &map, NULL, &err);
    stats.layouts = vs->stats.layouts;
    vs->stats = stats;
    if (status != MPROXY_OK)
        return;
    mpx_vector_map_free(table->user);
    table->user = map;
}

mproxy_status mpx_vectors_of(struct mpx_vectors *vs, struct mpx_user *user,
                             struct mpx_def_table *table, const mproxy_layout **layout,
                             mproxy_error *refusal, mproxy_error *err)
{
    vs->user = user;
    if (!table->user) {
        struct mpx_vector_map *map = NULL;
        mproxy_status status = make_map(vs, table, &map, refusal, err);
        if (status != MPROXY_OK)
            return status;
        table->user = map;
    } else if (mpx_vectors_may_take_more(vs, table))
        take_more(vs, table);
    *layout = ((struct mpx_vector_map *)table->user)->layout;
    return MPROXY_OK;
}

uint32_t mpx_vectors_uncounted(const struct mpx_def_table *table)
{
    const struct mpx_vector_map *map = table->user;
    return map ? map->uncounted : 0;
}

// ---- values

// A sum of integers that falls has passed 2^64: what is shown stays. Spelled out in pairs, as in
// reader/rows.c, since all counters that are raised go through here.
static bool compute_counters(struct mpx_vectors *vs, const struct op *op,
                             const double *columns, double *values)
{
    typedef double reals __attribute__((vector_size(16), aligned(8), may_alias));
    typedef int64_t masks __attribute__((vector_size(16)));
    const double *in = columns + op->slot;
    double *out = values + op->out;
    masks fell = {0, 0};
    uint32_t i = 0;
    for (; i + 2 <= op->count; i += 2) {
        reals now = *(const reals *)(in + i) * *(const reals *)(op->scales + i);
        reals before = *(const reals *)(out + i);
        masks falls = now < before;
        fell |= falls;
        *(reals *)(out + i) = (reals)(((masks)before & falls) | ((masks)now & ~falls));
    }
    for (; i < op->count; i++) {
        double now = in[i] * op->scales[i];
        fell[0] |= now < out[i];
        out[i] = now < out[i] ? out[i] : now;
    }
    bool ok = !(fell[0] | fell[1]);
    vs->stats.refused_values += !ok;
    return ok;
}

static bool compute_histogram(struct mpx_vectors *vs, const struct op *op,
                              const double *columns, double *values)
{
    const double *in = columns + op->slot;
    double *out = values + op->out, so_far = 0;
    for (uint32_t i = 0; i < op->count; i++)
        out[i] = so_far += in[i];
    bool ok = isfinite(in[op->count]);
    if (ok)
        out[op->count] = in[op->count];
    else
        vs->stats.refused_values++;
    out[op->count + 1] = so_far;
    return ok;
}

static bool compute_real(struct mpx_vectors *vs, const struct op *op,
                         const double *columns, double *values)
{
    double value = columns[op->slot] * op->scale;
    bool is_gauge = op->kind == MPX_DEF_GAUGE;
    if (is_gauge && columns[op->slot + 1] == 0) {
        values[op->out] = NAN;
        return true;
    }
    if (isfinite(value) && (is_gauge || value >= 0 || vs->allow_negative)) {
        values[op->out] = value;
        return true;
    }
    vs->stats.refused_values++;
    if (is_gauge)
        values[op->out] = NAN;
    return false;
}

bool mpx_vectors_compute(struct mpx_vectors *vs, const struct mpx_def_table *table,
                         const double *columns, double *values)
{
    const struct mpx_vector_map *map = table->user;
    bool ok = true;
    for (uint32_t i = 0; i < map->op_count; i++) {
        const struct op *op = &map->ops[i];
        if (op->kind == MPX_DEF_COUNTER)
            ok &= compute_counters(vs, op, columns, values);
        else if (op->kind == MPX_DEF_HISTOGRAM)
            ok &= compute_histogram(vs, op, columns, values);
        else
            ok &= compute_real(vs, op, columns, values);
    }
    mpx_derived_compute(&map->derived, values);
    return ok;
}

void mpx_vectors_allow_negative(struct mpx_vectors *vs, bool allow)
{
    vs->allow_negative = allow;
}

void mpx_vectors_allow_reserved(struct mpx_vectors *vs, bool allow)
{
    vs->allow_reserved = allow;
}
