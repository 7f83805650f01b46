// The job description of the calling process, from its environment.
//
// It owns no state: everything is read at each call and copied into the caller's
// mproxy_job. The order of the sources of an id is the contract of the command line:
// PROXY_JOB_ID, Slurm, PMIx, PMI, hydra's control port, what proxy_run left
// (MPROXY_LAUNCHER_ID), and at last the parent's HOST-PID-STARTTIME, so that the
// processes of one shell line belong together. All ranks of a job must come to the same
// id without talking to each other; that is why hydra's id is the address on the command
// line of its proxy, which is the same on every host.
//
// This may run in a constructor before the program's own, below the program's malloc and
// with whatever its environment holds: no stdio, every value is bounded, system calls
// are made directly (base/sys.h), and a bad id costs the id, not the process: the
// process then counts in the base.
//
// Text is cut between characters, never inside one, since the description ends in JSON.

#include <mproxy/job.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/utf8.h"

enum {
    HYDRA_ANCESTORS = 8, // a rank may sit below a few shells and launch wrappers
    PROC_READ_MAX = 16384,
};

// A variable that is set to nothing counts as not set.
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void add_number(struct mpx_buf *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    mpx_buf_add(b, digits + at, sizeof digits - at);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (!text || !*text)
        return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text) || value > max / 10)
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

static bool number_variable(const char *const *names, uint64_t max, uint64_t *out)
{
    for (; *names; names++)
        if (parse_number(variable(*names), max, out))
            return true;
    return false;
}

// Append /proc/PID/NAME (PID 0: of this process), at most `max` bytes of it.
static bool read_proc(uint64_t pid, const char *name, size_t max, struct mpx_buf *out)
{
    char room[64];
    struct mpx_buf path = {.data = room, .room = sizeof room};
    mpx_buf_add_text(&path, "/proc/");
    if (pid == 0)
        mpx_buf_add_text(&path, "self");
    else
        add_number(&path, pid);
    mpx_buf_add_text(&path, name);
    mpx_buf_add(&path, "", 1);
    int fd = mpx_open(path.data, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    size_t start = out->size;
    while (out->size - start < max && mpx_buf_reserve(out, 4096)) {
        size_t left = max - (out->size - start);
        ssize_t got = mpx_read(fd, out->data + out->size, left < 4096 ? left : 4096);
        if (got <= 0)
            break;
        out->size += (size_t)got;
    }
    mpx_close(fd);
    return !out->failed && out->size > start;
}

// Field `number` (from 3 on, as proc(5) counts) of a /proc/PID/stat. The second field is
// the program's name in parentheses and may hold anything, parentheses too.
static bool stat_field(const struct mpx_buf *stat, int number, uint64_t *out)
{
    const char *at = memrchr(stat->data, ')', stat->size);
    const char *end = stat->data + stat->size;
    for (int field = 2; at && field < number; field++) {
        at = memchr(at, ' ', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    if (!at || at == end || !isdigit((unsigned char)*at))
        return false;
    *out = 0;
    for (; at < end && isdigit((unsigned char)*at); at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    return true;
}

static bool process_field(uint64_t pid, int number, uint64_t *out)
{
    struct mpx_buf stat = MPX_BUF_INIT;
    bool found = read_proc(pid, "/stat", 4096, &stat) && stat_field(&stat, number, out);
    mpx_buf_free(&stat);
    return found;
}

// The word after `option` in a list of NUL-terminated words, when the program is
// `program`.
static const char *option_of(const struct mpx_buf *words, const char *program,
                             const char *option)
{
    const char *at = words->data, *end = at + words->size;
    const char *slash = strrchr(at, '/');
    if (strcmp(slash ? slash + 1 : at, program) != 0)
        return NULL;
    bool found = false;
    for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
        if (found)
            return at;
        found = strcmp(at, option) == 0;
    }
    return NULL;
}

// hydra tells its ranks no job id. The address at which mpiexec listens is on the command
// line of each host's hydra_pmi_proxy, and it is the same on all hosts.
static bool add_hydra_id(struct mpx_buf *id)
{
    uint64_t pid = (uint64_t)getppid();
    for (int i = 0; i < HYDRA_ANCESTORS && pid > 1; i++) {
        struct mpx_buf words = MPX_BUF_INIT;
        const char *port = NULL;
        if (read_proc(pid, "/cmdline", PROC_READ_MAX, &words) && mpx_buf_text(&words))
            port = option_of(&words, "hydra_pmi_proxy", "--control-port");
        if (port)
            mpx_buf_add_text(id, port);
        mpx_buf_free(&words);
        if (port)
            return true;
        if (!process_field(pid, 4, &pid))
            return false;
    }
    return false;
}

// HOST-PID-STARTTIME of the parent; of the process itself when its parent is outside of
// its PID namespace, as for the first process of a container.
static void add_parent_id(struct mpx_buf *id)
{
    uint64_t pid = (uint64_t)getppid(), start = 0;
    if (pid == 0 || !process_field(pid, 22, &start)) {
        pid = (uint64_t)getpid();
        process_field(pid, 22, &start);
    }
    struct utsname host;
    mpx_buf_add_text(id, uname(&host) == 0 ? host.nodename : "localhost");
    mpx_buf_add_text(id, "-");
    add_number(id, pid);
    mpx_buf_add_text(id, "-");
    add_number(id, start);
}

static bool add_slurm_id(struct mpx_buf *id)
{
    const char *job = variable("SLURM_JOBID");
    if (!job)
        job = variable("SLURM_JOB_ID");
    if (!job)
        return false;
    mpx_buf_add_text(id, job);
    const char *step = variable("SLURM_STEP_ID");
    if (step) {
        mpx_buf_add_text(id, "-");
        mpx_buf_add_text(id, step);
    }
    return true;
}

// PMIX_ID is NAMESPACE.RANK.
static bool add_pmix_id(struct mpx_buf *id)
{
    const char *name = variable("PMIX_ID");
    if (name) {
        const char *dot = strrchr(name, '.');
        mpx_buf_add(id, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
        return true;
    }
    name = variable("PMIX_NAMESPACE");
    if (name)
        mpx_buf_add_text(id, name);
    return name != NULL;
}

static bool add_variable(struct mpx_buf *id, const char *name)
{
    const char *value = variable(name);
    if (value)
        mpx_buf_add_text(id, value);
    return value != NULL;
}

// NULL when there was no memory.
static char *take_text(struct mpx_buf *b)
{
    char *text = mpx_buf_take(b);
    mpx_buf_free(b);
    return text;
}

// The first that names the job wins.
static char *find_id(void)
{
    struct mpx_buf id = MPX_BUF_INIT;
    if (!add_variable(&id, "PROXY_JOB_ID") && !add_slurm_id(&id) && !add_pmix_id(&id) &&
        !add_variable(&id, "PMI_JOBID") && !(variable("PMI_RANK") && add_hydra_id(&id)) &&
        !add_variable(&id, "MPROXY_LAUNCHER_ID"))
        add_parent_id(&id);
    return take_text(&id);
}

// A copy of a variable, cut to what its field may hold.
static char *field(const char *name, size_t max)
{
    const char *value = variable(name);
    if (!value)
        return strdup("");
    return strndup(value, mpx_utf8_cut(value, strlen(value), max));
}

static void trim(struct mpx_buf *text)
{
    size_t start = 0;
    while (start < text->size && isspace((unsigned char)text->data[start]))
        start++;
    while (text->size > start && isspace((unsigned char)text->data[text->size - 1]))
        text->size--;
    if (start)
        memmove(text->data, text->data + start, text->size - start);
    text->size -= start;
}

static char *find_command(void)
{
    struct mpx_buf text = MPX_BUF_INIT;
    if (!add_variable(&text, "MPROXY_COMMAND")) {
        // One character more than is kept, to see where the last one ends.
        read_proc(0, "/cmdline", MPROXY_JOB_COMMAND_MAX + 4, &text);
        for (size_t i = 0; i < text.size; i++)
            if (!text.data[i])
                text.data[i] = ' ';
    }
    if (text.size) {
        trim(&text);
        text.size = mpx_utf8_cut(text.data, text.size, MPROXY_JOB_COMMAND_MAX);
    }
    return take_text(&text);
}

// Not through the stack, which may be a small thread's.
static char *find_run_dir(void)
{
    struct mpx_buf path = MPX_BUF_INIT;
    if (mpx_buf_reserve(&path, MPROXY_JOB_FIELD_MAX) &&
        mpx_sys(SYS_getcwd, (long)path.data, MPROXY_JOB_FIELD_MAX, 0, 0, 0, 0) > 0 &&
        path.data[0] == '/')
        path.size = strlen(path.data);
    return take_text(&path);
}

// Which of the worlds that one job may hold: 0 is what the launcher started, others come of
// MPI_Comm_spawn(). Open MPI counts them from 1 in the low half of the namespace's number;
// hydra says no more than that it is one of them.
static uint32_t find_world(void)
{
    uint64_t number;
    if (variable("PMI_SPAWNED"))
        return 1;
    if (!variable("OMPI_COMM_WORLD_RANK") ||
        !parse_number(variable("PMIX_NAMESPACE"), UINT32_MAX, &number))
        return 0;
    number &= 0xffff;
    return number > 1 ? (uint32_t)(number - 1) % MPROXY_RANK_WORLDS : 0;
}

static uint32_t find_rank(void)
{
    static const char *const names[] = {"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                        "SLURM_PROCID", NULL};
    uint64_t rank;
    if (!number_variable(names, UINT32_MAX, &rank))
        return 0;
    if (rank < (UINT64_C(1) << MPROXY_RANK_WORLD_SHIFT))
        rank |= (uint64_t)find_world() << MPROXY_RANK_WORLD_SHIFT;
    return (uint32_t)rank;
}

static uint64_t find_size(void)
{
    static const char *const names[] = {"SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE",
                                        "PMI_SIZE", NULL};
    uint64_t size;
    return number_variable(names, UINT32_MAX, &size) && size > 0 ? size : 1;
}

mproxy_status mproxy_job_from_environment(mproxy_job *out, uint32_t *rank,
                                          mproxy_error *err)
{
    MPX_REQUIRE(out && rank, err);
    mproxy_job job = {
        .jobid = find_id(),
        .command = find_command(),
        .nodelist = field("SLURM_JOB_NODELIST", MPROXY_JOB_FIELD_MAX),
        .partition = field("SLURM_JOB_PARTITION", MPROXY_JOB_FIELD_MAX),
        .cluster = field("SLURM_CLUSTER_NAME", MPROXY_JOB_FIELD_MAX),
        .run_dir = find_run_dir(),
        .size = find_size(),
        .start_time = mpx_clock_ns(CLOCK_REALTIME) / 1000000000,
    };
    if (!job.jobid || !job.command || !job.nodelist || !job.partition || !job.cluster ||
        !job.run_dir) {
        mproxy_job_clear(&job);
        return mpx_fail(err, MPROXY_E_NOMEM, "no memory for the job's description");
    }
    if (mproxy_job_check_id(job.jobid, err) != MPROXY_OK)
        job.jobid[0] = '\0';
    *out = job;
    if (rank)
        *rank = find_rank();
    return MPROXY_OK;
}
