#include "gateway/socket.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

enum { BACKLOG = 512 };

static int stream_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

// The pid of whoever answers at an address; 0: nobody does, -1: it can't be told, as where
// the queue is full or another PID namespace answers. Only a refusal, from a socket that
// nobody has open, says that nobody does.
static int answering_pid(const struct sockaddr_un *address)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int failed = connect(fd, (const struct sockaddr *)address, sizeof *address);
        int why = failed ? errno : 0;
        struct ucred peer = {.pid = 0};
        socklen_t length = sizeof peer;
        if (!failed)
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
        close(fd);
        if (why == ECONNREFUSED || why == ENOENT)
            return 0;
        if (why != EPROTOTYPE)
            return peer.pid > 0 ? peer.pid : -1;
    }
    return -1;
}

static mproxy_status remove_stale(const struct sockaddr_un *address, mproxy_error *err)
{
    struct stat st;
    const char *path = address->sun_path;
    if (lstat(path, &st) != 0)
        return MPROXY_OK;
    if (!S_ISSOCK(st.st_mode))
        return mpx_fail(err, MPROXY_E_INVALID,
                        "socket '%.120s': another kind of file is there", path);
    int pid = answering_pid(address);
    if (pid < 0)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "socket '%.120s' is served by another program: choose another "
                        "with -u",
                        path);
    if (pid != 0)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "socket '%.120s' is served by pid %d: choose another with -u",
                        path, pid);
    if (unlink(path) != 0 && errno != ENOENT)
        return mpx_fail_errno(err, "socket '%.120s'", path);
    return MPROXY_OK;
}

// A system-wide proxy serves all users, everybody else's serves its own.
static mode_t mode_for(const char *path)
{
    return geteuid() == 0 && strncmp(path, "/run/", 5) == 0 ? 0666 : 0600;
}

static bool bind_at(int fd, const struct sockaddr_un *address,
                    struct mpx_socket_file *file)
{
    struct stat st;
    const char *path = address->sun_path;
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
        chmod(path, mode_for(path)) != 0 || stat(path, &st) != 0 ||
        listen(fd, BACKLOG) != 0)
        return false;
    *file = (struct mpx_socket_file){.device = st.st_dev, .inode = st.st_ino};
    return true;
}

mproxy_status mpx_socket_bind(const char *path, int *fd, struct mpx_socket_file *file,
                              mproxy_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return mpx_fail(err, MPROXY_E_INVALID,
                        "socket '%.120s': at most %zu bytes were expected", path,
                        sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    mproxy_status status = remove_stale(&address, err);
    if (status != MPROXY_OK)
        return status;
    int listening = stream_socket();
    if (listening < 0 || !bind_at(listening, &address, file)) {
        status = mpx_fail_errno(err, "socket '%.120s'", path);
        if (listening >= 0)
            close(listening);
        return status;
    }
    *fd = listening;
    return MPROXY_OK;
}

bool mpx_socket_is_ours(const char *path, const struct mpx_socket_file *file)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_dev == file->device && st.st_ino == file->inode;
}

// ---- the other end

// The loader maps it before anything of the program runs.
static bool maps_the_exporter(int pid, bool *is_known)
{
    char path[64], *line = NULL;
    size_t room = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return false;
    while (!found && getline(&line, &room, maps) > 0) {
        *is_known = true; // a process that has ended shows an empty file
        found = strstr(line, "/libmetricproxy-exporter-process.so") != NULL;
    }
    free(line);
    fclose(maps);
    return found;
}

static bool has_segment(int pid, const char *dir_path)
{
    char start[32];
    size_t length = (size_t)snprintf(start, sizeof start, "%d-", pid);
    bool found = false;
    DIR *dir = opendir(dir_path);
    if (!dir)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(dir));)
        found = strncmp(entry->d_name, start, length) == 0;
    closedir(dir);
    return found;
}

bool mpx_peer_counts_itself(int pid, const char *dir_path)
{
    bool is_known = false;
    if (pid <= 0)
        return false;
    bool maps = maps_the_exporter(pid, &is_known);
    return is_known ? maps : has_segment(pid, dir_path);
}
