#include "http/listen.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

enum { BACKLOG = 512, LISTEN_STATE = 0x0a };

// Finding the holder of a port: /proc/net/tcp has the inode of the socket, some /proc/PID/fd links to it.

static unsigned long inode_in(const char *path, int port)
{
    FILE *table = fopen(path, "re");
    if (!table)
        return 0;
    char line[512];
    unsigned long found = 0;
    while (!found && fgets(line, sizeof line, table)) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local,
                   &state, &inode) == 3 &&
            local == (unsigned)port && state == LISTEN_STATE)
            found = inode;
    }
    fclose(table);
    return found;
}

static bool process_has(const char *pid, const char *socket)
{
    char path[320], target[64];
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(dir))) {
        ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        found = strcmp(target, socket) == 0;
    }
    closedir(dir);
    return found;
}

static void read_program(const char *pid, char program[64])
{
    char path[320];
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(program, 64, file))
        snprintf(program, 64, "?");
    program[strcspn(program, "\n")] = '\0';
    if (file)
        fclose(file);
}

static int holder_of(int port, char program[64])
{
    unsigned long inode = inode_in("/proc/net/tcp", port);
    if (!inode)
        inode = inode_in("/proc/net/tcp6", port);
    DIR *proc = inode ? opendir("/proc") : NULL;
    if (!proc)
        return 0;
    char socket[64];
    snprintf(socket, sizeof socket, "socket:[%lu]", inode);
    int pid = 0;
    struct dirent *entry;
    while (!pid && (entry = readdir(proc)))
        if (atoi(entry->d_name) > 0 && process_has(entry->d_name, socket)) {
            pid = atoi(entry->d_name);
            read_program(entry->d_name, program);
        }
    closedir(proc);
    return pid;
}

static mproxy_status fail_busy(int port, mproxy_error *err)
{
    char program[64];
    int pid = holder_of(port, program);
    if (pid)
        return mpx_fail(err, MPROXY_E_BUSY,
                        "port %d is in use by %s (pid %d): choose another with -p", port,
                        program, pid);
    return mpx_fail(err, MPROXY_E_BUSY,
                    "port %d is in use by a program of another user: choose another "
                    "with -p",
                    port);
}

static bool bind_all(int fd, int family, const void *address, socklen_t length)
{
    static const int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0;
}

static int listen_at(int family, const void *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind_all(fd, family, address, length))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int listen_everywhere(int port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_ANY_INIT,
                               .sin6_port = htons((uint16_t)port)};
    int fd = listen_at(AF_INET6, &six, sizeof six);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_ANY),
                               .sin_port = htons((uint16_t)port)};
    return listen_at(AF_INET, &four, sizeof four);
}

static mproxy_status listen_named(const char *address, int port, int *fd,
                                  mproxy_error *err)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    int failed = getaddrinfo(address, service, &hints, &list);
    if (failed)
        return mpx_fail(err, MPROXY_E_INVALID, "listen address '%s': %s", address,
                        gai_strerror(failed));
    *fd = listen_at(list->ai_family, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return MPROXY_OK;
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return 0;
    // The port lies at the same place in both families.
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

mproxy_status mpx_listen(const char *address, int *port, int *fd, mproxy_error *err)
{
    int listening = -1;
    if (*port < 0 || *port > 65535)
        return mpx_fail(err, MPROXY_E_INVALID, "port %d: 0 to 65535 was expected", *port);
    if (address) {
        mproxy_status status = listen_named(address, *port, &listening, err);
        if (status != MPROXY_OK)
            return status;
    } else {
        listening = listen_everywhere(*port);
    }
    if (listening < 0 && errno == EADDRINUSE)
        return fail_busy(*port, err);
    if (listening < 0 && address)
        return mpx_fail_errno(err, "listen address '%s', port %d", address, *port);
    if (listening < 0)
        return mpx_fail_errno(err, "port %d", *port);
    *port = port_of(listening);
    *fd = listening;
    return MPROXY_OK;
}
