// The daemon's state, of the event loop's thread unless said otherwise.
#ifndef MPX_DAEMON_PRIVATE_H
#define MPX_DAEMON_PRIVATE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <mproxy/daemon.h>
#include <mproxy/profile.h>
#include <mproxy/push.h>
#include <mproxy/round.h>
#include <mproxy/scrape.h>
#include <mproxy/textfile.h>

#include "base/log.h"
#include "gateway/gateway.h"
#include <mproxy/loop.h>
#include "own/direct.h"
#include "processes/processes.h"
#include "syscalls/syscalls.h"
#include <mproxy/system.h>
#include "daemon/commands.h"
#include "http/server.h"
#include "profile/keeper.h"
#include "self/self.h"

struct mproxy_daemon {
    // Fixed after open; read by any thread.
    mproxy_daemon_options options; // strings point below, or are NULL
    struct mpx_logger logger;
    char host[256];
    char advertise[300]; // HOST:PORT
    char url[320];
    char socket_path[PATH_MAX];
    char profiles_path[PATH_MAX];
    int64_t start_boot_ms;
    mproxy_store *store; // snapshots by any thread
    struct mpx_commands commands;
    struct mpx_events_hub *events; // any thread

    mproxy_loop *loop; // stopped by any thread
    mproxy_timer *round_timer;
    int listen_fd;
    mproxy_processes *processes;
    mproxy_ledger *ledger; // theirs
    mproxy_reduction *reduction;
    mproxy_rounds *rounds;
    mproxy_system *system;
    mproxy_gateway *gateway;
    struct mpx_direct *direct;
    mproxy_scraper *scraper;
    mproxy_push *push;
    mproxy_textfiles *textfiles;   // NULL: not asked for
    struct mpx_syscalls *syscalls; // NULL: not asked for, or not possible
    struct mpx_keeper *keeper;     // NULL: no profiles; its archive by any thread
    mproxy_watch *keeper_watch;
    struct mpx_readings *readings, *lists; // NULL only when they could not be opened
    struct mpx_server *server;
    mproxy_self *self;

    uint64_t round_count; // begun
    bool whole;           // a whole round was done
    bool ready;           // and we serve
    bool ousted;          // another proxy has taken the rendezvous
    mproxy_error ousted_by;
    int64_t round_ns;  // how long the last one took
    size_t trim_above; // bytes of the process from which giving back is worth a try
};

// options.c
mproxy_status mpx_daemon_take_options(struct mproxy_daemon *d,
                                      const mproxy_daemon_options *options,
                                      mproxy_error *err);
void mpx_daemon_name_it(struct mproxy_daemon *d); // once the port is known
void mpx_daemon_free_options(struct mproxy_daemon *d);

// inputs.c
mproxy_status mpx_inputs_open(struct mproxy_daemon *d, mproxy_error *err);
// Rounds ask all of them from here on.
mproxy_status mpx_inputs_add(struct mproxy_daemon *d, mproxy_error *err);
// Make what others counted through us final, for a last round; dir_fd is the directory, or
// -1 when it is another's.
void mpx_inputs_end(struct mproxy_daemon *d, int dir_fd);
void mpx_inputs_close(struct mproxy_daemon *d);

// round.c
void mpx_daemon_round(struct mproxy_daemon *d);
// profiles.c
mproxy_status mpx_daemon_open_profiles(struct mproxy_daemon *d, mproxy_error *err);
// Stores what is due after a round, and tells what was released in the next.
mproxy_input mpx_daemon_profiles_input(struct mproxy_daemon *d);
void mpx_daemon_close_profiles(struct mproxy_daemon *d);
// Serve, if a whole round was done and the archive was looked at.
void mpx_daemon_settle(struct mproxy_daemon *d);
size_t mpx_daemon_profiles(struct mproxy_daemon *d); // stored; any thread

// serve.c: from the first round to the last.
mproxy_status mpx_daemon_serve(struct mproxy_daemon *d, mproxy_error *err);

// routes_events.c: what /events sends.
mproxy_status mpx_daemon_open_events(struct mproxy_daemon *d, mproxy_error *err);
void mpx_daemon_tell_round(struct mproxy_daemon *d); // what it found can be read now

// targets.c: scrape a target, unless it is this proxy; flags as mproxy_scraper_join().
mproxy_status mpx_daemon_join(struct mproxy_daemon *d, const char *address,
                              unsigned period_ms, unsigned flags, mproxy_error *err);
// Joins the targets that the options name.
mproxy_status mpx_daemon_join_options(struct mproxy_daemon *d, mproxy_error *err);

// routes.c
extern const struct mpx_route mpx_routes[];
extern const size_t mpx_route_count_all;

#endif
