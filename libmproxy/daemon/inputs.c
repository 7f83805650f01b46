// The inputs of this daemon: a function that opens each, and their order in a round. An input
// belongs to its own folder, whose header offers it (<mproxy/round.h>).
//
// Those that write segments come before the one that reads them, so that a round shows what
// was there when it began, and removes nothing that one of the others still wants to look at.
// Profiles come behind all that changes the ledger: what is released is what an earlier round
// has shown. What the proxy tells of itself comes last, for it counts what the others did.
//
// Programs are opened first, since most others write into their directory, and closed last. An
// input that can't be opened ends the start, but for system calls in the kernel: programs are
// traced by a process of their own where those are not to be had. When the directory was removed
// and made again, those that hold descriptors of it are told.

#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/daemon_private.h"

// ---- life

static mproxy_status open_processes(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_ledger_options ledger = {.struct_size = sizeof ledger,
                                    .host = d->host,
                                    .linger_ms = d->options.linger_ms,
                                    .continue_ms = d->options.continue_s * 1000};
    mproxy_processes_options options = {.struct_size = sizeof options,
                                        .socket_path = d->socket_path,
                                        .store = d->store,
                                        .ledger = &ledger,
                                        .log = d->options.log,
                                        .log_arg = d->options.log_arg,
                                        .proc_root = d->options.proc_root};
    mproxy_error why;
    mproxy_status status = mproxy_processes_open(&options, &d->processes, &why);
    if (status == MPROXY_OK)
        d->ledger = mproxy_processes_ledger(d->processes);
    else if (status == MPROXY_E_BUSY)
        mpx_fail(err, status, "socket '%.200s': %s: choose another with -u",
                 d->socket_path, why.text);
    else if (err)
        *err = why;
    return status;
}

static mproxy_status open_system(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_system_options options = {.struct_size = sizeof options,
                                     .store = d->store,
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
    struct mpx_direct_options options = {.dir_path = mpx_processes_dir_path(d->processes),
                                         .is_over = is_idle,
                                         .arg = d,
                                         .segments =
                                             mpx_processes_segments(d->processes)};
    return mpx_direct_open(&options, &d->direct, err);
}

static mproxy_status open_gateway(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_gateway_options options = {.struct_size = sizeof options,
                                      .loop = d->loop,
                                      .processes = d->processes,
                                      .socket_path = d->socket_path,
                                      .log = d->options.log,
                                      .log_arg = d->options.log_arg};
    return mproxy_gateway_open(&options, &d->gateway, err);
}

static mproxy_status open_scraper(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_scraper_options options = {.struct_size = sizeof options,
                                            .store = d->store,
                                            .loop = d->loop,
                                            .host = d->host,
                                            .processes = d->processes,
                                            .period_ms = d->options.sampling_period_ms,
                                            .log = d->options.log,
                                            .log_arg = d->options.log_arg,
                                            .keep_sealed = d->keeper != NULL};
    mproxy_status status = mproxy_scraper_open(&options, &d->scraper, err);
    return status == MPROXY_OK ? mpx_daemon_join_options(d, err) : status;
}

// ---- what is pushed

static int open_state(const struct mproxy_daemon *d, mproxy_error *err)
{
    int fd = openat(mpx_processes_dir_fd(d->processes), "state",
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        mpx_fail_errno(err, "%s/state", mpx_processes_dir_path(d->processes));
    return fd;
}

static mproxy_status open_push(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_push_options options = {.struct_size = sizeof options,
                                   .store = d->store,
                                   .ledger = d->ledger,
                                   .state_fd = open_state(d, err),
                                   .host = d->host,
                                   .log = d->options.log,
                                   .log_arg = d->options.log_arg};
    if (options.state_fd < 0)
        return MPROXY_E_SYSTEM;
    mproxy_status status = mproxy_push_open(&options, &d->push, err);
    close(options.state_fd);
    return status;
}

static mproxy_status open_textfiles(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_textfiles_options options = {.struct_size = sizeof options,
                                              .store = d->store,
                                              .loop = d->loop,
                                              .path = d->options.textfile_dir,
                                              .host = d->host,
                                              .log = d->options.log,
                                              .log_arg = d->options.log_arg};
    return options.path ? mproxy_textfiles_open(&options, &d->textfiles, err) : MPROXY_OK;
}

// What can't be written there now is tried again in each round.
static void move_push(const struct mproxy_daemon *d)
{
    mproxy_error why;
    int fd = open_state(d, &why);
    if (fd < 0 || mproxy_push_move(d->push, fd, &why) != MPROXY_OK)
        mpx_say(&d->logger, MPROXY_LOG_WARNING, "pushed groups: %s", why.text);
    if (fd >= 0)
        close(fd);
}

// ---- system calls in the kernel

static void tell_syscalls(struct mproxy_daemon *d)
{
    const char *why = mpx_syscalls_why_brief(d->syscalls);
    mpx_say(&d->logger, MPROXY_LOG_INFO, "system calls are counted in the kernel%s%s%s",
            *why ? ", but what no round has read is lost if this proxy is killed: " : "",
            why, *why ? "" : ", also while no proxy lives");
}

static void on_move(void *arg, int dir_fd)
{
    const struct mproxy_daemon *d = arg;
    if (d->syscalls)
        mpx_syscalls_move(d->syscalls, dir_fd);
    if (d->push)
        move_push(d);
}

// Without it programs are traced by a process of their own, so this never fails. Where an
// earlier proxy left counts, they are taken even if no more are asked for.
static void open_syscalls(struct mproxy_daemon *d)
{
    mproxy_error err;
    int dir_fd = mpx_processes_dir_fd(d->processes);
    bool wanted = d->options.ebpf, left = mpx_syscalls_are_left(dir_fd);
    mproxy_status status = MPROXY_E_OFF;
    if (wanted || left)
        status = mpx_syscalls_open(mpx_processes_dir_path(d->processes), dir_fd,
                                   &d->syscalls, &err);
    if (status == MPROXY_OK && wanted) {
        tell_syscalls(d);
        return;
    }
    if (status != MPROXY_OK && status != MPROXY_E_OFF)
        mpx_say(&d->logger, MPROXY_LOG_WARNING,
                "system calls can't be counted in the kernel: %s", err.text);
    mpx_syscalls_close(d->syscalls, dir_fd);
    d->syscalls = NULL;
    mpx_syscalls_renounce(dir_fd);
}

mproxy_status mpx_inputs_open(struct mproxy_daemon *d, mproxy_error *err)
{
    mproxy_status status = open_processes(d, err);
    if (status == MPROXY_OK)
        status = open_system(d, err);
    if (status == MPROXY_OK)
        status = open_direct(d, err);
    if (status == MPROXY_OK)
        status = open_gateway(d, err);
    if (status == MPROXY_OK)
        status = open_scraper(d, err);
    if (status == MPROXY_OK)
        status = open_push(d, err);
    if (status == MPROXY_OK)
        status = open_textfiles(d, err);
    if (status != MPROXY_OK)
        return status;
    open_syscalls(d);
    mpx_processes_on_move(d->processes, on_move, d);
    return status;
}

mproxy_status mpx_inputs_add(struct mproxy_daemon *d, mproxy_error *err)
{
    const mproxy_input profiles = mpx_daemon_profiles_input(d);
    const mproxy_input *const inputs[] = {
        mproxy_gateway_input(d->gateway),
        mpx_direct_input(d->direct),
        d->syscalls ? mpx_syscalls_input(d->syscalls) : NULL,
        mproxy_processes_input(d->processes),
        mproxy_system_input(d->system),
        mproxy_scraper_input(d->scraper),
        mproxy_push_input(d->push),
        d->textfiles ? mproxy_textfiles_input(d->textfiles) : NULL,
        d->keeper ? &profiles : NULL,
        mproxy_self_input(d->self)};
    mproxy_status status = MPROXY_OK;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs && status == MPROXY_OK; i++)
        if (inputs[i])
            status = mproxy_rounds_add(d->rounds, inputs[i], err);
    return status;
}

static void leave(struct mproxy_daemon *d, const mproxy_input *input)
{
    if (d->rounds)
        mproxy_rounds_remove(d->rounds, input);
}

void mpx_inputs_end(struct mproxy_daemon *d, int dir_fd)
{
    if (d->gateway)
        leave(d, mproxy_gateway_input(d->gateway));
    if (d->direct)
        leave(d, mpx_direct_input(d->direct));
    if (d->syscalls)
        leave(d, mpx_syscalls_input(d->syscalls));
    mproxy_gateway_close(d->gateway);
    mpx_direct_close(d->direct);
    mpx_syscalls_close(d->syscalls, dir_fd);
    d->gateway = NULL;
    d->direct = NULL;
    d->syscalls = NULL;
}

void mpx_inputs_close(struct mproxy_daemon *d)
{
    mpx_inputs_end(d, -1);
    mproxy_scraper_close(d->scraper);
    if (d->processes)
        mpx_processes_on_move(d->processes, NULL, NULL);
    mproxy_push_close(d->push);
    mproxy_textfiles_close(d->textfiles);
    mproxy_system_close(d->system);
    mproxy_processes_close(d->processes);
}
