/**
 * @file mproxy/round.h
 * Rounds: what a proxy does once a period, from asking its inputs to what readers see.
 *
 * An *input* is where values come from. Those of the library offer themselves: programs
 * (mproxy_processes_input()), older clients (mproxy_gateway_input()), the node's own metrics
 * (mproxy_system_input()), the proxy's own (mproxy_self_input()). A program's own input fills
 * in a mproxy_input.
 *
 * A round calls, for all inputs in the order in which they were added:
 *     before_round   what there is to be counted is brought to where this round reads it: into
 *                    segments, and, by the inputs behind those that write segments, into the
 *                    ledger;
 *     (the ledger's round ends: what was read is in its state file)
 *     show           sources that are in no ledger are put into the reduction;
 *     (the ledger's sources are put, too, and the sums are published)
 *     after_round    what is not needed any more goes, what is missing is made again;
 *     (metrics that nothing shows or refers to are given back: mproxy_store_sweep())
 *
 * Nothing is shown or unlinked before the ledger has it on disk. What one input can't do
 * stops no other one; the first reason is the round's trouble.
 *
 * Threads: one thread at a time, the writer of the store; with mproxy_rounds_start() the
 *          loop's.
 */
#ifndef MPROXY_ROUND_H
#define MPROXY_ROUND_H

#include <mproxy/ledger.h>
#include <mproxy/loop.h>
#include <mproxy/reduction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A round as its inputs see it; made by the library only, and may grow. */
typedef struct mproxy_round {
    int64_t boot_ms;             /**< when it began, on CLOCK_BOOTTIME */
    uint64_t wall_us;            /**< the same as UNIX time */
    int64_t begin_ns;            /**< the same on CLOCK_MONOTONIC */
    unsigned period_ms;          /**< until the next one; 0: not known */
    mproxy_ledger *ledger;       /**< NULL: this proxy keeps none */
    mproxy_reduction *reduction; /**< sums of all sources */
    /* known when it is over, and in after_round */
    int written; /**< the ledger's state file holds what was read; true without a ledger */
    int shown;   /**< readers see it */
} mproxy_round;

/** Where values come from. Functions may be NULL; `self` is given to each. */
typedef struct mproxy_input {
    size_t struct_size; /**< sizeof(mproxy_input) */
    const char *name;   /**< for people, before what went wrong: "NAME: why" */
    void *self;
    /**
     * MPROXY_E_BUSY: what it reads is another proxy's now. The round is given up and nothing
     * is written any more. Any other failure has brought what it could.
     */
    mproxy_status (*before_round)(void *self, const mproxy_round *round,
                                  mproxy_error *err);
    mproxy_status (*show)(void *self, const mproxy_round *round, mproxy_error *err);
    mproxy_status (*after_round)(void *self, const mproxy_round *round,
                                 mproxy_error *err);
} mproxy_input;

typedef struct mproxy_rounds mproxy_rounds;

typedef struct mproxy_rounds_options {
    size_t struct_size;          /**< sizeof(mproxy_rounds_options) */
    mproxy_store *store;         /**< where sums are published; outlives the rounds */
    mproxy_reduction *reduction; /**< of this store; NULL: one of the rounds' own */
    mproxy_ledger *ledger; /**< as mproxy_processes_ledger(); NULL: none. As above */
    /**
     * 0: a job that is over leaves the list in the next round, its counters stay in `main`.
     * Nonzero: it stays until an input says that it is stored: mproxy_reduction_stored() and
     * mproxy_ledger_release().
     */
    int keep_sealed;
    unsigned period_ms; /**< told to inputs, and that of mproxy_rounds_start(); 0: 1000 */
    mproxy_log_fn log;  /**< called by a round when its trouble changes; NULL: silence */
    void *log_arg;
} mproxy_rounds_options;

/**
 * @param out  set on success; release with mproxy_rounds_free()
 * @return MPROXY_OK, MPROXY_E_INVALID (options) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_rounds_new(const mproxy_rounds_options *options,
                                           mproxy_rounds **out, mproxy_error *err);
/** Before its inputs are closed. Accepts NULL. */
MPROXY_API void mproxy_rounds_free(mproxy_rounds *rounds);
/**
 * Ask this input, too, from the next round on, after those added before. Inputs that write
 * segments (the gateway) come before the one that reads them (mproxy_processes_input()).
 * An input may call this, and mproxy_rounds_remove(), while it is asked.
 *
 * @param input  copied; its name and self must stay
 * @return MPROXY_OK, MPROXY_E_INVALID (struct_size), MPROXY_E_EXISTS (an input of this name,
 *         self and functions was added: it would count twice) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_rounds_add(mproxy_rounds *rounds,
                                           const mproxy_input *input, mproxy_error *err);
/**
 * Ask this input, the one with this name, self and functions, no more: before it is closed
 * while rounds go on, so that a last round folds what it leaves. No effect when it was not
 * added. Within a round it is not asked any further, and the others are asked as usual.
 */
MPROXY_API void mproxy_rounds_remove(mproxy_rounds *rounds, const mproxy_input *input);
/**
 * One round, now. Not from within a round.
 *
 * @return MPROXY_OK; MPROXY_E_BUSY: another proxy has taken what an input reads, and the
 *         only thing left to do is to end; MPROXY_E_SYSTEM: not all was read, written and
 *         shown, and the next round makes up for it
 */
MPROXY_API mproxy_status mproxy_rounds_run(mproxy_rounds *rounds, mproxy_error *err);
/**
 * A round now, and one each period as a guest of the loop. Failures are told to `log`, and
 * are no reason to end, be they of the first round or of a later one
 * (mproxy_rounds_trouble()), but for MPROXY_E_BUSY: the first round's is returned, that of a
 * later one stops the loop. Once per rounds, unless it failed.
 *
 * @return MPROXY_OK, MPROXY_E_NOMEM or MPROXY_E_BUSY
 */
MPROXY_API mproxy_status mproxy_rounds_start(mproxy_rounds *rounds, mproxy_loop *loop,
                                             mproxy_error *err);
/** The last round; zeroes before the first. */
MPROXY_API const mproxy_round *mproxy_rounds_last(const mproxy_rounds *rounds);
/** What was wrong in the last round, in one line; "": nothing. Valid until the next. */
MPROXY_API const char *mproxy_rounds_trouble(const mproxy_rounds *rounds);

#ifdef __cplusplus
}
#endif
#endif
