// The inside of the scraper. scraper.c is the object and its list of targets, poll.c asks
// them, page.c takes what they say into their figures, tell.c puts these into the reduction,
// remember.c and kept.c keep all of it for the next proxy. Of a target that is a proxy, told.c,
// proxy.c and proxy_tell.c are what page.c and tell.c are of a page.
#ifndef MPX_SCRAPE_PRIVATE_H
#define MPX_SCRAPE_PRIVATE_H

#include <stdbool.h>

#include <mproxy/remote.h>
#include <mproxy/scrape.h>

#include "base/log.h"
#include "exposition/jobs.h"
#include "ingest/ingest.h"
#include "scrape/kept.h"
#include "scrape/figures.h"

enum mpx_scrape_own {
#define MPX_SCRAPE(id, name, type, labels, doc) MPX_SCRAPE_##id,
#include "tables/scrape.def"
#undef MPX_SCRAPE
    MPX_SCRAPE_OWN
};

enum { MPX_SCRAPE_REMOTES = 32 };

// What a request is for.
enum mpx_asking { MPX_ASK_PAGE = 0, MPX_ASK_KIND = 1, MPX_ASK_JOBS = 2 };

struct mpx_proxy;

struct mpx_target {
    struct mproxy_scraper *scraper;
    uint64_t number;
    char *url;
    unsigned period_ms;
    bool is_joined;  // else it was, and its counters are shown
    bool is_for_now; // joined for this scraper only
    bool was_joined; // by the proxy before
    int64_t left_ms; // when it was left
    bool is_dropped; // given up, and gone with the next round

    // asking
    mproxy_remote *remote; // of the scraper, once it was joined
    mproxy_timer *timer;
    mproxy_remote_call *call; // NULL: none is under way
    int64_t due_ms; // when the scrape that is under way, or comes next, should begin
    int64_t begun_ns;
    int64_t heard_ms;  // when a page was taken last, or it was joined
    unsigned failures; // one after the other
    enum mpx_asking asking;
    bool is_unknown;  // whether it is a proxy: asked before anything else
    bool is_proxy;    // as far as is known
    bool is_going_on; // a scrape's next request is to come
    bool is_listed;   // the list on file has it as one
    bool is_told;     // the log has said that it fails
    int64_t told_ms;  // when it said so last; 0: never
    bool is_parsing;  // by the helper, whose the ingest and the page are
    bool is_settling; // its new series are taken into the store
    size_t unsettled; // of them, as of the last turn
    char *page;       // that is parsed; the helper's is owned
    size_t page_size;
    mproxy_format format;
    struct mpx_jobs jobs; // that were parsed
    mproxy_status parsed;
    mproxy_error parse_error;
    double ns_per_byte; // of the last parse

    // what is told of it
    bool is_healthy;
    char last_error[512], why_refused[320];
    uint64_t last_us, samples;
    double seconds;
    uint64_t counts[MPX_SCRAPE_OWN]; // own counters; REFUSED without those of the ingest

    // its page
    struct mpx_ingest *ingest; // NULL: it is silent, or was never heard
    uint32_t *figure_of;       // by series
    double *last;              // the same: its value; NaN: look at the figure
    size_t figure_of_room, last_room;
    bool is_refused; // its last page was: gauges of the one before are shown

    // what is shown
    struct mpx_figures figures;
    uint64_t sequence;
    uint64_t epoch; // of the state told last; 0: none was
    struct mpx_kept kept;
    struct mpx_proxy *proxy; // NULL: it never was one
};

struct mproxy_scraper {
    mproxy_scraper_options o;
    struct mpx_logger logger;
    char host[256];
    // libcurl goes through all connections and all addresses of a remote with each request, so
    // targets are dealt out to several. NULL until a target needs it.
    struct mpx_scrape_remote {
        mproxy_remote *remote;
        mproxy_watch *watch;
    } remotes[MPX_SCRAPE_REMOTES];
    mproxy_helper *helper; // NULL until the first large page
    mproxy_input input;
    struct mpx_target **targets; // by number, left ones too
    size_t count, room;
    size_t joined;
    uint64_t last_number;
    uint64_t state_inode; // of the directory in which all is written
    // scratch of tell.c
    const mproxy_metric **metrics;
    mproxy_value *values;
    uint32_t *slots;
    size_t metrics_room, values_room, slots_room;
    // scratch of remember.c
    struct mpx_kept_item *items;
    size_t items_room;
    struct mpx_buf list;
};

// target.c

// A new target, of the next number, not joined. NULL: no memory.
struct mpx_target *mpx_target_add(struct mproxy_scraper *s, const char *url,
                                  mproxy_error *err);

// remember.c; nothing is done, and all is well, where nothing is to outlive the scraper.

// Write all counters down, before new ones are shown; changes to them go by mpx_kept_set().
mproxy_status mpx_remember_figures(struct mpx_target *t, mproxy_error *err);
void mpx_remember_forget(struct mpx_target *t);
mproxy_status mpx_remember_list(struct mproxy_scraper *s, mproxy_error *err);
// Targets and counters of the proxy before, none of them joined yet.
mproxy_status mpx_remember_load(struct mproxy_scraper *s, mproxy_error *err);
// Write all down once more where the directory has been made anew.
mproxy_status mpx_remember_moved(struct mproxy_scraper *s, mproxy_error *err);

// poll.c

// Ask from now on, the first time within a second.
mproxy_status mpx_poll_begin(struct mpx_target *t, mproxy_error *err);
// Its period is another one.
void mpx_poll_hasten(struct mpx_target *t);
void mpx_poll_end(struct mpx_target *t);
// A target that was silent for too long gives up its gauges.
void mpx_poll_look(struct mpx_target *t, int64_t now_ms);

// page.c

// Note which series are others or gone, of each call of mpx_ingest_apply(). On failure the page
// must be ended.
mproxy_status mpx_page_note(struct mpx_target *t, const struct mpx_ingest_page *page,
                            mproxy_error *err);
// Take the values of a page that is settled. On failure nothing of it was taken.
mproxy_status mpx_page_take(struct mpx_target *t, const struct mpx_ingest_page *page,
                            mproxy_error *err);
// A page could not be taken: what was shown stays until the next one or mpx_page_end().
void mpx_page_refuse(struct mpx_target *t);
// No page any more: gauges go, counters stay.
void mpx_page_end(struct mpx_target *t);
uint64_t mpx_page_refused(const struct mpx_target *t); // series and values so far

// tell.c

// Figures of the target's own metrics, if it has none.
mproxy_status mpx_tell_open(struct mpx_target *t, mproxy_error *err);
void mpx_tell_close(struct mpx_target *t);
mproxy_status mpx_tell(struct mpx_target *t, const mproxy_round *round,
                       mproxy_error *err);
// It is there no more.
mproxy_status mpx_tell_gone(struct mpx_target *t, const mproxy_round *round,
                            mproxy_error *err);

#endif
