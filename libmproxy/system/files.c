// What the samplers of node metrics read with: whole files, numbers, devices by name.
//
// A file of procfs or sysfs that is read at each sample stays open and is read whole by
// one pread() into the system's one buffer: it may differ between two reads. So a text
// is valid until the next read of any file. When a read fails the file is closed, for
// the device may come back under the same path.
//
// Devices are remembered by name, with whatever a sampler keeps for each, so that metrics
// are interned once and rates have a sample before. One that has been looked for in vain
// for AWAY_MAX times is forgotten and its names are given back: on a node where each job has
// interfaces of its own there are new ones for years. Should it come back all the same, it
// starts anew. Of what is remembered there is a bound, too; beyond it the one that has been
// away the longest goes.
//
// A counter of the kernel can start again or wrap. mpx_cumulative_add() makes it one
// that only grows, as the ledger and every reader of a counter expect.
//
// Labels are made of names that the system found: bytes that are no text are replaced,
// so that a metric's name is always one that mproxy_metric_check_name() takes.

#include "system/sampler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/decimal.h"
#include "base/utf8.h"
#include "system/private.h"

enum {
    FILE_MAX = 4 << 20, // /proc/cpuinfo of 1,000 CPUs is 1.5 MB
    DEVICES_MAX = 2048, // that a sampler remembers
    AWAY_MAX = 60,
};

// A file of procfs or sysfs is whole in one read if the buffer is large enough, and may
// differ between two: grow and read again from the start rather than go on.
static bool read_whole(struct mpx_buf *text, int fd)
{
    for (size_t room = text->room > 4096 ? text->room : 4096;; room *= 2) {
        mpx_buf_clear(text);
        if (room > FILE_MAX || !mpx_buf_reserve(text, room))
            return false;
        size_t size = 0;
        ssize_t got;
        while ((got = pread(fd, text->data + size, text->room - size, (off_t)size)) > 0)
            size += (size_t)got;
        if (got < 0)
            return false;
        if (size < text->room) {
            text->data[size] = '\0';
            return true;
        }
    }
}

void mpx_system_file_fini(struct mpx_system_file *file)
{
    if (file->fd_plus_1 > 0)
        close(file->fd_plus_1 - 1);
    file->fd_plus_1 = 0;
}

char *mpx_system_read(struct mproxy_system *s, struct mpx_system_file *file, int root,
                      const char *path)
{
    struct mpx_system_file once = {0};
    struct mpx_system_file *f = file ? file : &once;
    if (root == -1)
        return NULL;
    if (f->fd_plus_1 == 0)
        f->fd_plus_1 = openat(root, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) + 1;
    if (f->fd_plus_1 == 0)
        return NULL;
    bool ok = read_whole(&s->text, f->fd_plus_1 - 1);
    if (!ok || !file)
        mpx_system_file_fini(f); // the device may come back under this path
    return ok ? s->text.data : NULL;
}

bool mpx_system_read_number(struct mproxy_system *s, int root, const char *path,
                            double *out)
{
    const char *text = mpx_system_read(s, NULL, root, path);
    if (!text)
        return false;
    char *end;
    double value = mpx_decimal_read(text, &end);
    if (end == text || (*end != '\n' && *end != '\0'))
        return false;
    *out = value;
    return true;
}

bool mpx_system_read_line(struct mproxy_system *s, int root, const char *path, char *out,
                          size_t size)
{
    const char *text = mpx_system_read(s, NULL, root, path);
    if (!text)
        return false;
    text += strspn(text, " \t");
    size_t length = strcspn(text, "\n");
    while (length > 0 && strchr(" \t\r", text[length - 1]))
        length--;
    if (length == 0 || length >= size)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

uint64_t mpx_system_identity(struct mproxy_system *s, const char *path)
{
    struct stat st;
    if (s->sys_fd < 0 || fstatat(s->sys_fd, path, &st, 0) != 0)
        return 0;
    return st.st_ino ? st.st_ino : 1;
}

bool mpx_system_u64(const char **at, uint64_t *out)
{
    const char *p = *at + strspn(*at, " \t");
    if (*p < '0' || *p > '9')
        return false;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    *at = p;
    *out = value;
    return true;
}

char *mpx_system_line(char **at)
{
    char *line = *at;
    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    *at = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static bool is_control(const char *character)
{
    unsigned char c = (unsigned char)*character;
    return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)character[1] < 0xa0);
}

void mpx_system_label(struct mpx_buf *labels, const char *key, const char *value)
{
    mpx_buf_addf(labels, "%s%s=\"", labels->size ? "," : "", key);
    for (size_t left = strlen(value), step; left > 0; value += step, left -= step) {
        step = mpx_utf8_char(value, left);
        if (step > 0 && !is_control(value)) {
            if (*value == '\\' || *value == '"')
                mpx_buf_add(labels, "\\", 1);
            mpx_buf_add(labels, value, step);
        } else {
            mpx_buf_add(labels, step ? "?" : "\xef\xbf\xbd", step ? 1 : 3);
            step = step ? step : 1;
        }
    }
    mpx_buf_add(labels, "\"", 1);
}

uint64_t mpx_cumulative_add(struct mpx_cumulative *c, uint64_t raw, uint64_t range)
{
    if (!c->seen)
        c->total = raw;
    else if (raw >= c->last)
        c->total += raw - c->last;
    else if (range >= c->last)
        c->total += range - c->last + raw;
    else
        c->total += raw;
    c->seen = true;
    c->last = raw;
    return c->total;
}

static void forget(struct mpx_system_devices *devices, struct mpx_system_device *device)
{
    if (devices->fini)
        devices->fini(device);
    mpx_system_held_fini(&device->held);
    free(device->name);
    free(device);
}

void mpx_system_devices_begin(struct mpx_system_devices *devices,
                              void (*fini)(void *device))
{
    size_t kept = 0;
    devices->fini = fini;
    for (size_t i = 0; i < devices->count; i++) {
        struct mpx_system_device *device = devices->items[i];
        device->was_present = device->present;
        device->present = false;
        device->away = device->was_present ? 0 : device->away + 1;
        if (device->away > AWAY_MAX)
            forget(devices, device);
        else
            devices->items[kept++] = device;
    }
    devices->count = kept;
}

// False: all are here.
static bool make_room(struct mpx_system_devices *devices)
{
    size_t longest = devices->count;
    for (size_t i = 0; i < devices->count; i++)
        if (!devices->items[i]->present &&
            (longest == devices->count ||
             devices->items[i]->away > devices->items[longest]->away))
            longest = i;
    if (longest == devices->count)
        return false;
    forget(devices, devices->items[longest]);
    devices->items[longest] = devices->items[--devices->count];
    return true;
}

static struct mpx_system_device *add_device(struct mpx_system_devices *devices,
                                            const char *name, size_t size)
{
    if (devices->count == DEVICES_MAX && !make_room(devices))
        return NULL;
    if (!MPX_RESERVE(devices->items, devices->room, devices->count + 1))
        return NULL;
    struct mpx_system_device *device = calloc(1, size);
    if (!device)
        return NULL;
    device->name = strdup(name);
    if (!device->name) {
        free(device);
        return NULL;
    }
    devices->items[devices->count++] = device;
    return device;
}

void *mpx_system_device(struct mpx_system_devices *devices, const char *name, size_t size)
{
    struct mpx_system_device *device = NULL;
    for (size_t i = 0; i < devices->count && !device; i++)
        if (strcmp(devices->items[i]->name, name) == 0)
            device = devices->items[i];
    if (!device)
        device = add_device(devices, name, size);
    if (device)
        device->present = true;
    return device;
}

void mpx_system_devices_fini(struct mpx_system_devices *devices)
{
    for (size_t i = 0; i < devices->count; i++)
        forget(devices, devices->items[i]);
    free(devices->items);
}

static int by_version(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static size_t collect_names(DIR *dir, const char *prefix, char **names, size_t max)
{
    size_t count = 0;
    const struct dirent *entry;
    while (count < max && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' ||
            strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        names[count] = strdup(entry->d_name);
        if (!names[count])
            break;
        count++;
    }
    return count;
}

char **mpx_system_list(int root, const char *path, const char *prefix, size_t max)
{
    int fd = root < 0 ? -1 : openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return NULL;
    }
    char **names = calloc(max + 1, sizeof *names);
    if (names)
        qsort(names, collect_names(dir, prefix, names, max), sizeof *names, by_version);
    closedir(dir);
    return names;
}

void mpx_system_list_free(char **names)
{
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
}
