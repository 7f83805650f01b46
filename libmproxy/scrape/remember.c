// What the scraper writes down and finds again: targets and their counters.

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/err.h"
#include "processes/processes.h"
#include "scrape/private.h"
#include "scrape/proxy.h"
#include "store/exempt.h"

static int state_of(const struct mproxy_scraper *s)
{
    return s->o.processes ? mpx_processes_state_fd(s->o.processes) : -1;
}

static bool is_kept(const struct mpx_figure *figure)
{
    return !figure->own && mproxy_metric_type(figure->metric) == MPROXY_COUNTER;
}

// ---- counters

mproxy_status mpx_remember_figures(struct mpx_target *t, mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    struct mpx_figures *r = &t->figures;
    size_t count = 0;
    if (state_of(s) < 0)
        return MPROXY_OK;
    size_t told = t->proxy ? mpx_proxy_kept_count(t->proxy) : 0;
    if (!MPX_RESERVE(s->items, s->items_room, r->count + told + 1))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its state", t->url);
    for (size_t i = 0; i < r->count; i++)
        if (is_kept(&r->items[i]))
            s->items[count++] =
                (struct mpx_kept_item){mproxy_metric_name(r->items[i].metric),
                                       r->items[i].offset, r->items[i].raw};
    if (t->proxy && !mpx_proxy_begin_items(t->proxy, s->items + count))
        return mpx_fail(err, MPROXY_E_NOMEM, "%.150s: no memory for its state", t->url);
    mproxy_status status =
        mpx_kept_write(state_of(s), t->number, s->items, count + told, &t->kept, err);
    if (t->proxy)
        mpx_proxy_end_items(t->proxy, status == MPROXY_OK, count);
    if (status != MPROXY_OK)
        return status;
    count = 0;
    for (size_t i = 0; i < r->count; i++)
        if (is_kept(&r->items[i]))
            r->items[i].kept = (uint32_t)count++;
    return MPROXY_OK;
}

void mpx_remember_forget(struct mpx_target *t)
{
    mpx_kept_close(&t->kept);
    if (state_of(t->scraper) >= 0)
        mpx_kept_remove(state_of(t->scraper), t->number);
}

static mproxy_status take_item(void *target, const struct mpx_kept_item *item)
{
    struct mpx_target *t = target;
    struct mpx_figures *r = &t->figures;
    const mproxy_metric *metric;
    mproxy_status status = MPROXY_OK;
    if (t->proxy && mpx_proxy_load(t, item, &status))
        return status;
    status = mpx_store_metric_exempt(t->scraper->o.store, item->name, MPROXY_COUNTER,
                                     NULL, &metric, NULL);
    if (status == MPROXY_E_NOMEM)
        return status;
    if (status != MPROXY_OK || mpx_figures_find(r, metric) != MPX_FIGURE_NONE)
        return MPROXY_OK; // a name that this version does not take, or one given twice
    uint32_t figure = mpx_figures_add(r, metric);
    if (figure == MPX_FIGURE_NONE)
        return MPROXY_E_NOMEM;
    r->items[figure].offset = item->offset;
    r->items[figure].raw = item->raw;
    r->items[figure].ts_us = t->last_us;
    r->items[figure].gone = ++r->gone_last;
    r->gone_count++;
    return MPROXY_OK;
}

static mproxy_status load_figures(struct mpx_target *t, mproxy_error *err)
{
    struct mproxy_scraper *s = t->scraper;
    size_t skipped = 0;
    mproxy_error why;
    t->last_us = mpx_wall_us(); // when they changed last is not known
    mproxy_status status =
        mpx_kept_read(state_of(s), t->number, take_item, t, &skipped, &why);
    t->last_us = 0;
    if (status == MPROXY_E_NOMEM)
        return mpx_fail(err, status, "%.150s: no memory for its state", t->url);
    if (status != MPROXY_OK && status != MPROXY_E_NOTFOUND) {
        mpx_say(&s->logger, MPROXY_LOG_ERROR,
                "scrape: %.150s: its counters begin anew: %s: the file was set aside",
                t->url, why.text);
        mpx_kept_set_aside(state_of(s), t->number);
    }
    if (skipped > 0)
        mpx_say(&s->logger, MPROXY_LOG_ERROR,
                "scrape: %.150s: %zu damaged counters begin anew", t->url, skipped);
    return MPROXY_OK;
}

// ---- the list

mproxy_status mpx_remember_list(struct mproxy_scraper *s, mproxy_error *err)
{
    size_t count = 0;
    if (state_of(s) < 0)
        return MPROXY_OK;
    for (size_t i = 0; i < s->count; i++)
        count += !s->targets[i]->is_dropped;
    mpx_kept_list_begin(&s->list, s->last_number, count);
    for (size_t i = 0; i < s->count; i++) {
        const struct mpx_target *t = s->targets[i];
        const struct mpx_kept_target kept = {.number = t->number,
                                             .url = t->url,
                                             .period_ms = t->period_ms,
                                             .is_joined = t->is_joined,
                                             .is_for_now = t->is_for_now,
                                             .is_proxy = t->proxy != NULL};
        if (!t->is_dropped)
            mpx_kept_list_add(&s->list, &kept);
    }
    return mpx_kept_list_write(state_of(s), &s->list, err);
}

static mproxy_status take_target(void *scraper, const struct mpx_kept_target *kept)
{
    struct mproxy_scraper *s = scraper;
    struct mpx_target *t = mpx_target_add(s, kept->url, NULL);
    if (!t)
        return MPROXY_E_NOMEM;
    t->number = kept->number;
    t->period_ms = kept->period_ms;
    t->is_for_now = kept->is_for_now;
    t->was_joined = kept->is_joined && !kept->is_for_now;
    if (kept->is_proxy && mpx_proxy_may_be_at(t->url)) {
        if (mpx_proxy_open(t, NULL) != MPROXY_OK)
            return MPROXY_E_NOMEM;
        t->is_proxy = t->is_listed = true;
    }
    return load_figures(t, NULL);
}

static bool is_listed(void *scraper, uint64_t number)
{
    const struct mproxy_scraper *s = scraper;
    for (size_t i = 0; i < s->count; i++)
        if (s->targets[i]->number == number)
            return true;
    return false;
}

mproxy_status mpx_remember_load(struct mproxy_scraper *s, mproxy_error *err)
{
    mproxy_error why;
    uint64_t last = 0;
    struct stat st;
    if (state_of(s) < 0)
        return MPROXY_OK;
    mproxy_status status = mpx_kept_list_read(state_of(s), &last, take_target, s, &why);
    s->last_number = last > s->last_number ? last : s->last_number;
    if (status == MPROXY_E_NOMEM)
        return mpx_fail(err, status, "no memory for targets");
    if (status == MPROXY_OK || status == MPROXY_E_NOTFOUND)
        mpx_kept_sweep(state_of(s), is_listed, s);
    else
        mpx_say(
            &s->logger, MPROXY_LOG_ERROR,
            "scrape: targets are to be joined anew, and their counters begin anew: %s",
            why.text);
    if (fstat(state_of(s), &st) == 0)
        s->state_inode = st.st_ino;
    return MPROXY_OK;
}

// ---- a directory that somebody removed

mproxy_status mpx_remember_moved(struct mproxy_scraper *s, mproxy_error *err)
{
    struct stat st;
    if (state_of(s) < 0 || fstat(state_of(s), &st) != 0 || st.st_ino == s->state_inode)
        return MPROXY_OK;
    mproxy_status status = s->count > 0 ? mpx_remember_list(s, err) : MPROXY_OK;
    for (size_t i = 0; i < s->count && status == MPROXY_OK; i++)
        status = mpx_remember_figures(s->targets[i], err);
    if (status == MPROXY_OK)
        s->state_inode = st.st_ino;
    return status;
}
