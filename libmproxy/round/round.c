// Rounds.
//
// The order matters: inputs are read first and the node's state file written before anything
// of it is shown or unlinked, and what is to be released is told to the ledger inside the
// same round. Releasing sealed shares stands between the inputs and the end of the ledger's
// round, so that an input sees the ledger as the last round left it.
//
// A round never ends early but for one reason: another proxy has taken the directory that an
// input reads. Then the state file is the other's, and a round that ended would write over it.
//
// An input may add and remove inputs, itself among them, from inside a round. One that is
// added takes part from the next round on; one that is removed is marked, asked no more, and
// leaves the list when the round is over, so that no other is skipped.
//
// Trouble is the first reason of a round. A line is told when it begins, changes or ends, so
// that a full disk does not fill the log as well.

#include <mproxy/round.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/index.h"
#include "base/log.h"
#include "base/options.h"

enum { PERIOD_MS = 1000 };

struct listed {
    mproxy_input input;
    bool removed;
};

struct mproxy_rounds {
    mproxy_rounds_options options;
    mproxy_reduction *own; // if it is not the caller's
    struct mpx_logger logger;
    struct listed *inputs;
    size_t count, room;
    size_t asked;      // of them, the first take part in the round that runs
    bool is_asking;    // a round runs
    mproxy_loop *loop; // set by start
    mproxy_timer *timer;
    mproxy_round round; // the last
    char trouble[512];
    uint32_t *left_out; // hashes of the names that main leaves out, in order
    size_t left_out_count;
    uint64_t *numbers; // of shares: sealed ones to be released, then those to be retained
    size_t number_room, sealed_count;
};

// Keep the first reason of a round.
static void note(mproxy_rounds *r, const char *what, const mproxy_error *why)
{
    if (r->trouble[0] == '\0')
        snprintf(r->trouble, sizeof r->trouble, "%s: %s", what, why->text);
}

// ---- inputs

// A copy, for the list may move while an input is asked. False: it was removed.
static bool take_part(const mproxy_rounds *r, size_t i, mproxy_input *input)
{
    *input = r->inputs[i].input;
    return !r->inputs[i].removed;
}

static void begin_asking(mproxy_rounds *r)
{
    r->asked = r->count;
    r->is_asking = true;
}

static void end_asking(mproxy_rounds *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (!r->inputs[i].removed)
            r->inputs[kept++] = r->inputs[i];
    r->count = kept;
    r->is_asking = false;
}

// False: what some input reads is another proxy's.
static bool ask_all(mproxy_rounds *r, const mproxy_round *round, mproxy_error *err)
{
    mproxy_input input;
    for (size_t i = 0; i < r->asked; i++) {
        if (!take_part(r, i, &input) || !input.before_round)
            continue;
        mproxy_error why = {.text = "no reason"};
        mproxy_status status = input.before_round(input.self, round, &why);
        if (status == MPROXY_E_BUSY) {
            mpx_fail(err, MPROXY_E_BUSY, "%s", why.text);
            return false;
        }
        if (status != MPROXY_OK)
            note(r, input.name, &why);
    }
    return true;
}

static mproxy_status show_all(mproxy_rounds *r, const mproxy_round *round,
                              mproxy_error *err)
{
    mproxy_status status = MPROXY_OK;
    mproxy_input input;
    for (size_t i = 0; i < r->asked && status == MPROXY_OK; i++)
        if (take_part(r, i, &input) && input.show)
            status = input.show(input.self, round, err);
    return status;
}

static void settle_all(mproxy_rounds *r, const mproxy_round *round)
{
    mproxy_input input;
    for (size_t i = 0; i < r->asked; i++) {
        mproxy_error why = {.text = "no reason"};
        if (take_part(r, i, &input) && input.after_round &&
            input.after_round(input.self, round, &why) != MPROXY_OK)
            note(r, input.name, &why);
    }
}

// ---- the ledger

static void release_sealed(mproxy_rounds *r)
{
    mproxy_ledger *ledger = r->options.ledger;
    for (size_t i = 0; i < r->sealed_count; i++) {
        mproxy_reduction_stored(r->options.reduction, mproxy_ledger_directory(ledger),
                                r->numbers[i]);
        mproxy_ledger_release(ledger, r->numbers[i]);
    }
    r->sealed_count = 0;
}

static bool end_ledger(mproxy_rounds *r)
{
    mproxy_error err;
    if (!r->options.ledger)
        return true;
    release_sealed(r);
    if (mproxy_ledger_round_end(r->options.ledger, &err) == MPROXY_OK)
        return true;
    note(r, "the node's state can't be written", &err);
    return false;
}

// Shares that the ledger has no more leave the sums.
static void retain(mproxy_rounds *r, const mproxy_source *const *sources, size_t count)
{
    size_t held = 0;
    for (size_t i = 0; i < count; i++)
        if (sources[i]->kind == MPROXY_SOURCE_SHARE)
            r->numbers[held++] = sources[i]->number;
    mproxy_reduction_retain(r->options.reduction,
                            mproxy_ledger_directory(r->options.ledger),
                            MPROXY_SOURCE_SHARE, r->numbers, held);
}

// Without profiles nothing is waited for: what is sealed now is released in the next round.
static void note_sealed(mproxy_rounds *r, const mproxy_source *const *sources,
                        size_t count)
{
    for (size_t i = 0; i < count && !r->options.keep_sealed; i++)
        if (sources[i]->sealed)
            r->numbers[r->sealed_count++] = sources[i]->number;
}

static mproxy_status put_ledger(mproxy_rounds *r, mproxy_error *err)
{
    const mproxy_source *const *sources;
    size_t count =
        r->options.ledger ? mproxy_ledger_sources(r->options.ledger, &sources) : 0;
    if (count == 0)
        return MPROXY_OK;
    if (!MPX_RESERVE(r->numbers, r->number_room, count))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for %zu shares", count);
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < count && status == MPROXY_OK; i++)
        status = mproxy_reduction_put(r->options.reduction, sources[i], err);
    if (status != MPROXY_OK)
        return status;
    retain(r, sources, count);
    note_sealed(r, sources, count);
    return MPROXY_OK;
}

// ---- a round

static bool publish(mproxy_rounds *r, const mproxy_round *round)
{
    mproxy_error err;
    mproxy_reduction_set_time(r->options.reduction, round->boot_ms);
    mproxy_status status = put_ledger(r, &err);
    if (status == MPROXY_OK)
        status = show_all(r, round, &err);
    if (status == MPROXY_OK)
        status = mproxy_reduction_publish(r->options.reduction, &err);
    if (status != MPROXY_OK)
        note(r, "the sums can't be shown", &err);
    return status == MPROXY_OK;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool was_left_out(const mproxy_rounds *r, const mproxy_metric *metric)
{
    uint32_t hash = mpx_hash_text(mproxy_metric_name(metric));
    return r->left_out_count > 0 && bsearch(&hash, r->left_out, r->left_out_count,
                                            sizeof hash, compare_hashes) != NULL;
}

static void say_left_out(mproxy_rounds *r, const mproxy_metric *const *metrics,
                         size_t count)
{
    const mproxy_metric *first = NULL;
    size_t fresh = 0;
    for (size_t i = 0; i < count; i++) {
        if (was_left_out(r, metrics[i]))
            continue;
        first = first ? first : metrics[i];
        fresh++;
    }
    if (first)
        mpx_say(&r->logger, MPROXY_LOG_WARNING,
                "metric '%.200s': some jobs count it and others set it as a gauge: sums "
                "over them leave it out%s",
                mproxy_metric_name(first), fresh > 1 ? ", and others" : "");
}

// One line when a name comes that jobs disagree about. Without memory it is told again.
static void tell_left_out(mproxy_rounds *r)
{
    const mproxy_metric *const *metrics = NULL;
    mproxy_snapshot *snapshot = mproxy_store_snapshot(r->options.store);
    const mproxy_view *view = mproxy_snapshot_find(snapshot, "main");
    size_t count = view ? mproxy_view_left_out(view, &metrics) : 0;
    say_left_out(r, metrics, count);
    uint32_t *hashes = count ? malloc(count * sizeof *hashes) : NULL;
    for (size_t i = 0; hashes && i < count; i++)
        hashes[i] = mpx_hash_text(mproxy_metric_name(metrics[i]));
    if (hashes)
        qsort(hashes, count, sizeof *hashes, compare_hashes);
    free(r->left_out);
    r->left_out = hashes;
    r->left_out_count = hashes ? count : 0;
    mproxy_snapshot_unref(snapshot);
}

// One line when something goes wrong, otherwise wrong, or right again.
static void tell_trouble(mproxy_rounds *r, const char *before)
{
    if (strcmp(before, r->trouble) == 0)
        return;
    if (r->trouble[0])
        mpx_say(&r->logger, MPROXY_LOG_ERROR, "%s", r->trouble);
    else
        mpx_say(&r->logger, MPROXY_LOG_INFO, "all is well again");
}

static mproxy_status run(mproxy_rounds *r, mproxy_error *err)
{
    mproxy_round *round = &r->round;
    *round = (mproxy_round){.boot_ms = mpx_boot_ms(),
                            .wall_us = mpx_wall_us(),
                            .begin_ns = mpx_clock_ns(CLOCK_MONOTONIC),
                            .period_ms = r->options.period_ms,
                            .ledger = r->options.ledger,
                            .reduction = r->options.reduction};
    char before[sizeof r->trouble];
    memcpy(before, r->trouble, sizeof before);
    r->trouble[0] = '\0';
    if (round->ledger)
        mproxy_ledger_round_begin(round->ledger, round->boot_ms, round->wall_us);
    if (!ask_all(r, round, err))
        return MPROXY_E_BUSY;
    round->written = end_ledger(r);
    round->shown = publish(r, round);
    MPX_CRASH_POINT("round.published");
    settle_all(r, round);
    tell_left_out(r);
    mproxy_store_sweep(r->options.store);
    tell_trouble(r, before);
    if (r->trouble[0] == '\0')
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_SYSTEM, "%.240s", r->trouble);
}

mproxy_status mproxy_rounds_run(mproxy_rounds *rounds, mproxy_error *err)
{
    MPX_REQUIRE(rounds && !rounds->is_asking, err);
    begin_asking(rounds);
    mproxy_status status = run(rounds, err);
    end_asking(rounds);
    return status;
}

const mproxy_round *mproxy_rounds_last(const mproxy_rounds *rounds)
{
    return &rounds->round;
}

const char *mproxy_rounds_trouble(const mproxy_rounds *rounds)
{
    return rounds->trouble;
}

// ---- life

mproxy_status mproxy_rounds_new(const mproxy_rounds_options *options, mproxy_rounds **out,
                                mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_rounds_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_rounds_options, log_arg, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.store, err);
    mproxy_rounds *r = calloc(1, sizeof *r);
    if (!r)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for rounds");
    if (!o.reduction)
        status = mproxy_reduction_new(o.store, &r->own, err);
    if (status != MPROXY_OK) {
        free(r);
        return status;
    }
    o.reduction = o.reduction ? o.reduction : r->own;
    o.period_ms = o.period_ms ? o.period_ms : PERIOD_MS;
    r->options = o;
    r->logger = (struct mpx_logger){o.log, o.log_arg};
    *out = r;
    return MPROXY_OK;
}

void mproxy_rounds_free(mproxy_rounds *rounds)
{
    if (!rounds)
        return;
    mproxy_timer_free(rounds->timer);
    mproxy_reduction_free(rounds->own);
    free(rounds->inputs);
    free(rounds->left_out);
    free(rounds->numbers);
    free(rounds);
}

static bool is_same(const mproxy_input *a, const mproxy_input *b)
{
    return a->self == b->self && a->before_round == b->before_round &&
           a->show == b->show && a->after_round == b->after_round && a->name && b->name &&
           strcmp(a->name, b->name) == 0;
}

static struct listed *find(const mproxy_rounds *r, const mproxy_input *input)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->inputs[i].removed && is_same(&r->inputs[i].input, input))
            return &r->inputs[i];
    return NULL;
}

mproxy_status mproxy_rounds_add(mproxy_rounds *rounds, const mproxy_input *input,
                                mproxy_error *err)
{
    MPX_REQUIRE(rounds && input, err);
    mproxy_input added;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_input, after_round, &added, input, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(added.name, err);
    if (find(rounds, &added))
        return mpx_fail(err, MPROXY_E_EXISTS, "input '%.200s' was added before",
                        added.name);
    if (!MPX_RESERVE(rounds->inputs, rounds->room, rounds->count + 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for input '%s'", added.name);
    rounds->inputs[rounds->count++] = (struct listed){.input = added};
    return MPROXY_OK;
}

void mproxy_rounds_remove(mproxy_rounds *rounds, const mproxy_input *input)
{
    mproxy_input given;
    bool is_input =
        MPX_OPTIONS_TAKE(mproxy_input, after_round, &given, input, NULL) == MPROXY_OK;
    struct listed *listed = is_input ? find(rounds, &given) : NULL;
    if (!listed)
        return;
    listed->removed = true;
    if (!rounds->is_asking)
        end_asking(rounds);
}

static void on_period(void *arg)
{
    mproxy_rounds *r = arg;
    mproxy_error err;
    if (mproxy_rounds_run(r, &err) != MPROXY_E_BUSY)
        return;
    mpx_say(&r->logger, MPROXY_LOG_ERROR, "%s: this one ends", err.text);
    mproxy_timer_stop(r->timer);
    mproxy_loop_stop(r->loop);
}

mproxy_status mproxy_rounds_start(mproxy_rounds *rounds, mproxy_loop *loop,
                                  mproxy_error *err)
{
    MPX_REQUIRE(rounds && loop && !rounds->timer, err);
    mproxy_status status = mproxy_timer_new(loop, on_period, rounds, &rounds->timer, err);
    if (status != MPROXY_OK)
        return status;
    rounds->loop = loop;
    mproxy_timer_repeat(rounds->timer, rounds->options.period_ms);
    if (mproxy_rounds_run(rounds, err) != MPROXY_E_BUSY)
        return MPROXY_OK; // what went wrong was told, and the next round makes up for it
    mproxy_timer_free(rounds->timer);
    rounds->timer = NULL;
    return MPROXY_E_BUSY;
}
