// segments DIR: what the segments of a rendezvous directory say, added up over processes,
// for tests that look at programs without a proxy. Lines `processes N`, `live N`,
// `has_started N`, `has_finished N`, `job ID RANK SIZE` (one for each process),
// `command TEXT`, and `NAME VALUE` for each counter and gauge.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/reader.h"

enum { MAX = 4096 };

struct process {
    uint64_t pid, start_ticks;
    bool started, finished, live;
};

struct sum {
    char name[MPROXY_JOB_FIELD_MAX];
    double value;
};

static struct process processes[MAX];
static struct sum sums[MAX];
static size_t process_count, sum_count;

static struct process *process_of(const struct mpx_seg_header *header)
{
    for (size_t i = 0; i < process_count; i++)
        if (processes[i].pid == header->pid &&
            processes[i].start_ticks == header->start_ticks)
            return &processes[i];
    if (process_count == MAX)
        exit(2);
    processes[process_count] =
        (struct process){.pid = header->pid, .start_ticks = header->start_ticks};
    return &processes[process_count++];
}

static unsigned observers_live; // tracers, which are no processes of the job

static void add(const char *name, double value)
{
    size_t at = 0;
    while (at < sum_count && strcmp(sums[at].name, name) != 0)
        at++;
    if (at == MAX)
        exit(2);
    if (at == sum_count)
        snprintf(sums[sum_count++].name, sizeof sums->name, "%s", name);
    sums[at].value += value;
}

static void add_values(struct mpx_reader *reader)
{
    const struct mpx_def_table *table = mpx_reader_table(reader);
    const double *columns = mpx_reader_columns(reader);
    for (uint32_t i = 0; table && i < table->count; i++) {
        const struct mpx_def *def = &table->defs[i];
        if (def->kind == MPX_DEF_COUNTER)
            add(def->name, columns[def->slot] * def->scale);
        else if (def->kind == MPX_DEF_FCOUNTER || def->kind == MPX_DEF_GAUGE)
            add(def->name, columns[def->slot]);
        else
            for (uint32_t b = 0; b <= def->bound_count; b++)
                add(def->name, columns[def->slot + b]); // observations
    }
}

static void look_at(struct mpx_readers *readers, int dir, const char *name)
{
    struct mpx_reader *reader;
    mproxy_error err = {0};
    if (mpx_reader_open(readers, dir, name, &reader, &err) != MPROXY_OK) {
        printf("bad %s: %s\n", name, err.text);
        return;
    }
    bool changed, final = mpx_reader_is_final(reader);
    if (mpx_reader_sample(reader, &changed, &err) != MPROXY_OK)
        printf("bad %s: %s\n", name, err.text);
    const struct mpx_seg_header *header = mpx_reader_header(reader);
    const mproxy_job *job = mpx_reader_job(reader);
    bool observes = header->kind == MPX_SEG_GATEWAY;
    struct process *process = observes ? NULL : process_of(header);
    if (observes) {
        observers_live += !final;
        add_values(reader);
    } else if (header->kind == MPX_SEG_PROGRAM) {
        process->started |= mpx_reader_state(reader)->started != 0;
        process->finished |= mpx_reader_state(reader)->finished != 0;
        process->live |= !final;
        add_values(reader);
    }
    printf("job %s %u %llu\ncommand %s\n", job->jobid, header->rank,
           (unsigned long long)job->size, job->command);
    mpx_reader_close(reader);
}

static void print_sums(void)
{
    unsigned started = 0, finished = 0, live = observers_live;
    for (size_t i = 0; i < process_count; i++) {
        started += processes[i].started;
        finished += processes[i].finished;
        live += processes[i].live;
    }
    printf("processes %zu\nlive %u\nhas_started %u\nhas_finished %u\n", process_count,
           live, started, finished);
    for (size_t i = 0; i < sum_count; i++)
        printf("%s %.17g\n", sums[i].name, sums[i].value);
}

int main(int argc, char **argv)
{
    struct mpx_readers *readers;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir || mpx_readers_open(&(struct mpx_readers_options){0}, &readers, NULL))
        return 2;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] != '.' && length > 4 &&
            strcmp(entry->d_name + length - 4, ".seg") == 0)
            look_at(readers, fd, entry->d_name);
    }
    print_sums();
    mpx_readers_close(readers);
    closedir(dir);
    return 0;
}
