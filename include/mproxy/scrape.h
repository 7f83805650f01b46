/**
 * @file mproxy/scrape.h
 * Scrapes: Prometheus targets, each asked for its page once a period, as an input of rounds
 * (<mproxy/round.h>). docs/scraping.md is the guide.
 *
 * A target is a source of kind MPROXY_SOURCE_TARGET of the ledger's directory, its number from
 * 1 on. It counts in `main` and in `Node: HOST`, HOST being the proxy's own. A counter that its
 * exporter restarts goes on where it was, also while no proxy lives.
 *
 * A target that is a proxy is read by its own API: its main counts in ours, its nodes and jobs
 * are shown as it tells them, and a job that it does not tell any more is over.
 *
 * A target that fails is kept, asked less and less often, and told of as unhealthy; it gives up
 * its gauges when it was silent for five periods, its counters stay. One that is left is not
 * asked any more; its counters stay, too, for what is shown never steps back.
 *
 * Requests, names and large pages are other threads' work or done in pieces: no target delays
 * a round or another target. Nothing is loaded or opened for it before the first target.
 *
 * Threads: the loop's, which is the writer of the store.
 */
#ifndef MPROXY_SCRAPE_H
#define MPROXY_SCRAPE_H

#include <mproxy/loop.h>
#include <mproxy/processes.h>
#include <mproxy/round.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mproxy_scraper mproxy_scraper;

/** All fields but struct_size, store and loop may be zero. What is given must outlive this. */
typedef struct mproxy_scraper_options {
    size_t struct_size;  /**< sizeof(mproxy_scraper_options) */
    mproxy_store *store; /**< metrics are interned here */
    mproxy_loop *loop;   /**< it is a guest of this one */
    const char *host;    /**< of the sources; NULL: what the kernel says. Copied */
    /**
     * In whose rendezvous directory targets and counters are written down, so that they
     * outlive this process however it ends. NULL: nothing outlives it.
     */
    mproxy_processes *processes;
    unsigned period_ms; /**< of targets that are given none; 0: 1000 */
    unsigned
        timeout_ms; /**< of a scrape, at most; 0: 10,000. A target's is below its period */
    size_t max_page;   /**< bytes, decompressed; 0: 64 MiB */
    size_t max_series; /**< of a page, others are refused and counted; 0: 250,000 */
    size_t
        max_gone; /**< counters of a target that left its page and are shown; 0: 10,000 */
    size_t max_targets; /**< joined at a time; 0: 4,096 */
    mproxy_log_fn log;  /**< when a target fails, or is well again; NULL: silence */
    void *log_arg;
    /** As that of mproxy_rounds_options: jobs of proxies that are over stay until stored. */
    int keep_sealed;
} mproxy_scraper_options;

/** How a target fares. Texts are borrowed until the next call of anything here, or a turn of the loop. */
typedef struct mproxy_scrape_target {
    size_t struct_size; /**< sizeof(mproxy_scrape_target), set before it is filled in */
    const char *url;    /**< `http://h:9100/metrics` */
    unsigned period_ms; /**< between scrapes while it is well */
    int healthy;        /**< its last scrape was taken; 0 before the first one */
    const char *last_error;  /**< why not, or "" */
    uint64_t last_scrape_us; /**< UNIX time of the last reply or failure; 0: none yet */
    uint64_t samples;        /**< of the last page that was taken, refused ones too */
    double duration_ms;      /**< of the last scrape: request, reply and parse */
    uint64_t refused;        /**< series of the last page */
    const char *why_refused; /**< a sentence about one of them, or "" */
    int proxy; /**< it is a proxy, read by its own API; `url` is where its jobs are */
} mproxy_scrape_target;

/**
 * @param out  set on success; release with mproxy_scraper_close()
 * @return MPROXY_OK, MPROXY_E_INVALID (options) or MPROXY_E_NOMEM
 */
MPROXY_API mproxy_status mproxy_scraper_open(const mproxy_scraper_options *options,
                                             mproxy_scraper **out, mproxy_error *err);
/** After its input is removed, before the loop is closed. Accepts NULL. */
MPROXY_API void mproxy_scraper_close(mproxy_scraper *scraper);
/** What rounds ask; valid until close. */
MPROXY_API const mproxy_input *mproxy_scraper_input(const mproxy_scraper *scraper);

/** How a target is joined; or-ed. */
enum mproxy_join_flag {
    MPROXY_JOIN_FOR_NOW = 1 /**< the next scraper does not join it by itself */
};

/**
 * Scrape a target from now on, the first time within a second. One that is joined gets the
 * period, and stays one.
 *
 * @param address    `HOST:PORT`, whose page is at /metrics, or a URL with http:// or https://
 * @param period_ms  10 to 3,600,000; 0: that of the options
 * @return MPROXY_OK, MPROXY_E_INVALID (the text says what was expected), MPROXY_E_LIMIT (too
 *         many), MPROXY_E_NOMEM, MPROXY_E_UNSUPPORTED (libcurl can't be loaded), MPROXY_E_SYSTEM
 *         (it can't be written down)
 */
MPROXY_API mproxy_status mproxy_scraper_join(mproxy_scraper *scraper, const char *address,
                                             unsigned period_ms, unsigned flags,
                                             mproxy_error *err);
/** @return MPROXY_OK, MPROXY_E_INVALID (address) MPROXY_E_NOTFOUND (it is not joined) or MPROXY_E_SYSTEM */
MPROXY_API mproxy_status mproxy_scraper_leave(mproxy_scraper *scraper,
                                              const char *address, mproxy_error *err);
/** Targets that are joined. */
MPROXY_API size_t mproxy_scraper_count(const mproxy_scraper *scraper);
/**
 * One of them, in the order in which they came.
 *
 * @return MPROXY_OK, MPROXY_E_NOTFOUND or MPROXY_E_INVALID (struct_size)
 */
MPROXY_API mproxy_status mproxy_scraper_target(const mproxy_scraper *scraper,
                                               size_t index, mproxy_scrape_target *out,
                                               mproxy_error *err);

#ifdef __cplusplus
}
#endif
#endif
