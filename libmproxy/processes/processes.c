// A node's programs: the hold on a rendezvous directory, its ledger and its segments, opened
// and moved together, and asked as one input.
//
// The order is what keeps counts: the hold is taken first, since nothing in the directory may be
// read while another proxy folds it; then the ledger reads the state file that lies there, and
// only then are segments looked at, because the state says which of them are folded already.
// Closing goes the other way, and takes an object that was opened in part.
//
// Somebody may remove the directory under a living proxy. Each round looks first whether it is
// still there and ours. If not, it is made again, the ledger is written into it, and segments
// that are mapped go on counting; whoever writes there too, as gateway and scribes do, is told by
// `moved`. Where another proxy was faster, the round ends with MPROXY_E_BUSY and this one with it.
//
// Attendance, which tells programs that a proxy is there, begins and ends with the hold.
#include "processes/processes.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/options.h"
#include "processes/attendance.h"
#include "processes/hold.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"

enum { LINGER_MS = 2000, CONTINUE_MS = 600000 };

struct mproxy_processes {
    char dir_path[PATH_MAX];
    struct mpx_logger logger;
    struct mpx_hold hold;
    struct mpx_attendance attendance; // to the hold's directory
    mproxy_ledger *ledger;
    struct mpx_segments *segments;
    mproxy_input input;
    void (*moved)(void *arg, int dir_fd);
    void *moved_arg;
};

// ---- rounds

mproxy_status mpx_processes_keep(mproxy_processes *p, mproxy_error *err)
{
    if (mpx_hold_is_whole(&p->hold, p->segments))
        return MPROXY_OK;
    mproxy_error why;
    mpx_attendance_end(&p->attendance);
    mproxy_status status =
        mpx_hold_remake(&p->hold, p->dir_path, p->ledger, p->segments, &why);
    mpx_attendance_begin(&p->attendance, &p->hold);
    if (status != MPROXY_OK)
        return mpx_fail(err, status, "the rendezvous directory was removed: %s",
                        why.text);
    mpx_say(&p->logger, MPROXY_LOG_WARNING, "%s was removed and has been made again",
            p->dir_path);
    if (p->moved)
        p->moved(p->moved_arg, p->hold.dir_fd);
    return MPROXY_OK;
}

// In rounds without this ledger, all that is read would be shown nowhere.
static mproxy_status check_ledger(const struct mproxy_processes *p,
                                  const mproxy_round *round, mproxy_error *err)
{
    if (round->ledger == p->ledger)
        return MPROXY_OK;
    return mpx_fail(err, MPROXY_E_INVALID,
                    "the rounds were made without mproxy_processes_ledger() of %s",
                    p->dir_path);
}

static mproxy_status before_round(void *self, const mproxy_round *round,
                                  mproxy_error *err)
{
    struct mproxy_processes *p = self;
    mproxy_status wiring = check_ledger(p, round, err);
    if (wiring != MPROXY_OK)
        return wiring;
    mpx_attendance_at_work(&p->attendance, round->period_ms);
    mproxy_status status = mpx_processes_keep(p, err);
    if (status == MPROXY_E_BUSY)
        return status;
    mproxy_status read = mpx_segments_round(p->segments, round->boot_ms, round->wall_us,
                                            status == MPROXY_OK ? err : NULL);
    return status == MPROXY_OK ? read : status;
}

static mproxy_status after_round(void *self, const mproxy_round *round, mproxy_error *err)
{
    struct mproxy_processes *p = self;
    (void)err;
    if (round->written && round->ledger == p->ledger)
        mpx_segments_unlink(p->segments);
    mpx_attendance_tell(&p->attendance, round->period_ms,
                        mpx_segments_bytes(p->segments));
    return MPROXY_OK;
}

const mproxy_input *mproxy_processes_input(const mproxy_processes *processes)
{
    return &processes->input;
}

// ---- life

static mproxy_status open_ledger(struct mproxy_processes *p,
                                 const mproxy_processes_options *o, mproxy_error *err)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    const mproxy_ledger_options usual = {.struct_size = sizeof usual,
                                         .host = host,
                                         .linger_ms = LINGER_MS,
                                         .continue_ms = CONTINUE_MS};
    return mproxy_ledger_open(p->hold.state_fd, o->store, o->ledger ? o->ledger : &usual,
                              &p->ledger, err);
}

// A proxy was here and its state is not: what it had folded of jobs that run is lost.
static void begin_afresh(struct mproxy_processes *p, bool was_attended)
{
    p->attendance.since_ms = mpx_boot_ms();
    if (!was_attended)
        return;
    mproxy_ledger_lost(p->ledger, p->attendance.since_ms);
    mpx_say(
        &p->logger, MPROXY_LOG_WARNING,
        "%s: the state of the proxy before this one is lost: what had ended of jobs that "
        "run is not known, and they are marked as partial",
        p->dir_path);
}

static mproxy_status open_hold(struct mproxy_processes *p,
                               const mproxy_processes_options *o, mproxy_error *err)
{
    bool was_attended = mpx_crowd_was_attended(p->dir_path, &p->attendance.since_ms);
    mproxy_status status = mpx_hold_take(p->dir_path, &MPX_HOLD_NONE, &p->hold, err);
    if (status == MPROXY_OK)
        status = open_ledger(p, o, err);
    if (status == MPROXY_OK && mproxy_ledger_epoch(p->ledger) == 1)
        begin_afresh(p, was_attended);
    return status;
}

static mproxy_status open_parts(struct mproxy_processes *p,
                                const mproxy_processes_options *o, mproxy_error *err)
{
    mproxy_status status = mpx_rendezvous_path(o->socket_path, p->dir_path, err);
    if (status == MPROXY_OK)
        status = open_hold(p, o, err);
    if (status != MPROXY_OK)
        return status;
    const struct mpx_segments_options segments = {.store = o->store,
                                                  .ledger = p->ledger,
                                                  .dir_path = p->dir_path,
                                                  .dir_fd = p->hold.dir_fd,
                                                  .state_fd = p->hold.state_fd,
                                                  .proc_root = o->proc_root,
                                                  .log = o->log,
                                                  .log_arg = o->log_arg};
    status = mpx_segments_open(&segments, &p->segments, err);
    if (status == MPROXY_OK && !mpx_attendance_begin(&p->attendance, &p->hold))
        mpx_say(
            &p->logger, MPROXY_LOG_WARNING,
            "no thread to tell programs that the proxy is at work: in a round that is "
            "long they may take it for absent");
    return status;
}

mproxy_status mproxy_processes_open(const mproxy_processes_options *options,
                                    mproxy_processes **out, mproxy_error *err)
{
    MPX_REQUIRE(options && out, err);
    mproxy_processes_options o;
    mproxy_status status =
        MPX_OPTIONS_TAKE(mproxy_processes_options, proc_root, &o, options, err);
    if (status != MPROXY_OK)
        return status;
    MPX_REQUIRE(o.socket_path && o.store, err);
    struct mproxy_processes *p = calloc(1, sizeof *p);
    if (!p)
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the node's programs");
    p->hold = MPX_HOLD_NONE;
    p->attendance.stop_fd = -1;
    p->logger = (struct mpx_logger){o.log, o.log_arg};
    p->input = (mproxy_input){.struct_size = sizeof p->input,
                              .name = "segments can't be read",
                              .self = p,
                              .before_round = before_round,
                              .after_round = after_round};
    status = open_parts(p, &o, err);
    if (status == MPROXY_OK)
        *out = p;
    else
        mproxy_processes_close(p);
    return status;
}

void mproxy_processes_close(mproxy_processes *processes)
{
    struct mproxy_processes *p = processes;
    if (!p)
        return;
    mpx_attendance_end(&p->attendance);
    mpx_segments_close(p->segments);
    mproxy_ledger_close(p->ledger);
    mpx_hold_close(&p->hold);
    free(p);
}

mproxy_ledger *mproxy_processes_ledger(mproxy_processes *processes)
{
    return processes->ledger;
}

const char *mpx_processes_dir_path(const mproxy_processes *p)
{
    return p->dir_path;
}

int mpx_processes_state_fd(const mproxy_processes *p)
{
    return p->hold.state_fd;
}

int mpx_processes_dir_fd(const mproxy_processes *p)
{
    return p->hold.dir_fd;
}

const struct mpx_segments *mpx_processes_segments(const mproxy_processes *p)
{
    return p->segments;
}

void mpx_processes_on_move(mproxy_processes *p, void (*moved)(void *arg, int dir_fd),
                           void *arg)
{
    p->moved = moved;
    p->moved_arg = arg;
}
