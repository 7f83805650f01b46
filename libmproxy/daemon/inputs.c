// The inputs of this daemon: a line in the table, and a function that opens it. An input
// belongs to its own folder, whose header offers a struct mpx_input.
//
// The order is that of each round: those that write segments come before the one that reads
// them, so that a round shows what was there when it began, and removes nothing that one of
// the others still wants to look at.

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

static const struct row {
    const struct mpx_input *input;
    size_t place; // of the pointer to it; NULL there: it is not open
} table[] = {
    {&mpx_gateway_input, offsetof(struct mproxy_daemon, gateway)},
    {&mpx_direct_input, offsetof(struct mproxy_daemon, direct)},
    {&mpx_syscalls_input, offsetof(struct mproxy_daemon, syscalls)},
    {&mpx_segments_input, offsetof(struct mproxy_daemon, segments)},
    {&mpx_system_input, offsetof(struct mproxy_daemon, system)},
};
enum { INPUTS = sizeof table / sizeof *table };

// ---- rounds

static void *self_of(struct mproxy_daemon *d, const struct row *row)
{
    void *self;
    memcpy(&self, (const char *)d + row->place, sizeof self);
    return self;
}

void mpx_inputs_before_round(struct mproxy_daemon *d, const struct mpx_input_round *round,
                             mpx_input_failed_fn failed)
{
    for (size_t i = 0; i < INPUTS; i++) {
        void *self = self_of(d, &table[i]);
        mproxy_error err;
        if (self && table[i].input->before_round &&
            table[i].input->before_round(self, round, &err) != MPROXY_OK)
            failed(d, table[i].input->name, &err);
    }
}

void mpx_inputs_after_round(struct mproxy_daemon *d, const struct mpx_input_round *round)
{
    for (size_t i = 0; i < INPUTS; i++) {
        void *self = self_of(d, &table[i]);
        if (self && table[i].input->after_round)
            table[i].input->after_round(self, round);
    }
}

// ---- life

static mproxy_status open_segments(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_segments_options options = {.store = d->store,
                                           .ledger = d->ledger,
                                           .dir_path = d->dir_path,
                                           .dir_fd = d->hold.dir_fd,
                                           .state_fd = d->hold.state_fd,
                                           .proc_root = d->options.proc_root,
                                           .log = d->options.log,
                                           .log_arg = d->options.log_arg};
    return mpx_segments_open(&options, &d->segments, err);
}

static mproxy_status open_system(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_system_options options = {.struct_size = sizeof options,
                                     .store = d->store,
                                     .ledger = d->ledger,
                                     .proc_root = d->options.proc_root,
                                     .sys_root = d->options.sys_root,
                                     .host = d->host};
    return mproxy_system_open(&options, &d->system, err);
}

static bool is_idle(void *arg, const char *jobid, uint32_t uid)
{
    const struct mproxy_daemon *d = arg;
    return mproxy_ledger_is_idle(d->ledger, jobid, uid);
}

static mproxy_status open_direct(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_direct_options options = {
        .dir_path = d->dir_path, .is_over = is_idle, .arg = d};
    return mpx_direct_open(&options, &d->direct, err);
}

static mproxy_status open_gateway(struct mproxy_daemon *d, mproxy_error *err)
{
    struct mpx_gateway_options options = {.loop = d->loop,
                                          .socket_path = d->socket_path,
                                          .dir_path = d->dir_path,
                                          .log = d->options.log,
                                          .log_arg = d->options.log_arg};
    return mpx_gateway_open(&options, &d->gateway, err);
}

static void tell_syscalls(struct mproxy_daemon *d)
{
    const char *why = mpx_syscalls_why_brief(d->syscalls);
    mpx_say(&d->logger, MPROXY_LOG_INFO, "system calls are counted in the kernel%s%s%s",
            *why ? ", but what no round has read is lost if this proxy is killed: " : "",
            why, *why ? "" : ", also while no proxy lives");
}

// Without it programs are traced by a process of their own, so this never fails. Where an
// earlier proxy left counts, they are taken even if no more are asked for.
static void open_syscalls(struct mproxy_daemon *d)
{
    mproxy_error err;
    bool wanted = d->options.ebpf, left = mpx_syscalls_are_left(d->hold.dir_fd);
    mproxy_status status = MPROXY_E_OFF;
    if (wanted || left)
        status = mpx_syscalls_open(d->dir_path, d->hold.dir_fd, &d->syscalls, &err);
    if (status == MPROXY_OK && wanted) {
        tell_syscalls(d);
        return;
    }
    if (status != MPROXY_OK && status != MPROXY_E_OFF)
        mpx_say(&d->logger, MPROXY_LOG_WARNING,
                "system calls can't be counted in the kernel: %s", err.text);
    mpx_syscalls_close(d->syscalls, d->hold.dir_fd);
    d->syscalls = NULL;
    mpx_syscalls_renounce(d->hold.dir_fd);
}

mproxy_status mpx_inputs_open(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = open_segments(d, err);
    if (status == MPROXY_OK)
        status = open_system(d, err);
    if (status == MPROXY_OK)
        status = open_direct(d, err);
    if (status == MPROXY_OK)
        status = open_gateway(d, err);
    if (status == MPROXY_OK)
        open_syscalls(d);
    return status;
}

void mpx_inputs_end(struct mproxy_daemon *d, int dir_fd)
{
    mpx_gateway_close(d->gateway);
    d->gateway = NULL;
    mpx_direct_close(d->direct);
    d->direct = NULL;
    mpx_syscalls_close(d->syscalls, dir_fd);
    d->syscalls = NULL;
}

void mpx_inputs_close(struct mproxy_daemon *d)
{
    mpx_inputs_end(d, -1);
    mproxy_system_close(d->system);
    mpx_segments_close(d->segments);
}
