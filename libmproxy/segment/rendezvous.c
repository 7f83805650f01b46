// Where segments meet the proxy: the directory's path, its checks and the proxy's lock.
//
// Program and proxy never talk, so both derive the directory from the socket's path, as
// text: links are not followed, because the two may see other links. A path outside /run
// and /dev/shm becomes one escaped name in /dev/shm; the part that is too long becomes a
// hash.
//
// A directory is used only if its owner alone may write to it, or if it is root's,
// sticky, and under /run. In the latter anybody may put files, so `proxy`, whose lock
// means "a proxy is there", counts only if it belongs to the directory's owner; a file
// of somebody else in its place is exchanged for one that is locked already. Locks are
// those of open file descriptions: they go with the process, whatever ends it, and a
// reader can ask for them without taking them.
//
// The functions that the client calls run inside other people's programs, maybe inside
// their malloc, on a small stack: they allocate nothing, leave no descriptor behind, and
// use system calls directly.

#include "segment/rendezvous.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"
#include "base/text.h"
#include "segment/layout.h"

#define SYSTEM_SOCKET "/run/mproxy/proxy.socket"

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// A path being put together, absolute and without a trailing slash.
struct path {
    char *out;
    size_t used, room;
};

static bool append_component(struct path *p, const char *part, size_t length)
{
    if (length == 0 || (length == 1 && part[0] == '.'))
        return true;
    if (length == 2 && part[0] == '.' && part[1] == '.') {
        while (p->used > 0 && p->out[--p->used] != '/')
            ;
        return true;
    }
    if (p->used + 1 + length + 1 > p->room)
        return false;
    p->out[p->used++] = '/';
    memcpy(p->out + p->used, part, length);
    p->used += length;
    return true;
}

static bool append_path(struct path *p, const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        if (!append_component(p, path, length))
            return false;
        path += length + (path[length] == '/');
    }
    p->out[p->used] = '\0';
    return true;
}

// The kernel's own is without dots and double slashes; "(unreachable)..." is none.
static bool begin_with_cwd(struct path *p)
{
    if (mpx_sys(SYS_getcwd, (long)p->out, (long)p->room, 0, 0, 0, 0) < 0 ||
        p->out[0] != '/')
        return false;
    p->used = p->out[1] ? strlen(p->out) : 0;
    return true;
}

static mproxy_status make_absolute(const char *socket, char *out, size_t room,
                                   mproxy_error *err)
{
    struct path p = {.out = out, .room = room};
    if (!*socket)
        return mpx_fail(err, MPROXY_E_INVALID, "socket path is empty");
    if (socket[0] != '/' && !begin_with_cwd(&p))
        return mpx_fail_errno(err, "socket '%.100s'", socket);
    if (!append_path(&p, socket))
        return mpx_fail(err, MPROXY_E_INVALID, "socket path is too long");
    return MPROXY_OK;
}

static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

// One file name that stands for a path; the part that does not fit becomes a hash.
static void escape_path(const char *path, char out[NAME_MAX + 1])
{
    static const char digits[] = "0123456789ABCDEF";
    const size_t tail = 1 + 16 + 2; // "~hash" and ".d"
    size_t used = 0;
    for (const char *c = path; *c; c++) {
        if (used + 3 + tail > NAME_MAX) {
            used += (size_t)mpx_format(out + used, NAME_MAX - used, "~%016llx",
                                       (unsigned long long)hash_text(path));
            break;
        }
        if (is_plain(*c)) {
            out[used++] = *c;
        } else {
            out[used++] = '%';
            out[used++] = digits[(unsigned char)*c >> 4];
            out[used++] = digits[*c & 15];
        }
    }
    memcpy(out + used, ".d", 3);
}

// As mpx_rendezvous_path(), into less room where the socket is known to be short.
static mproxy_status derive(const char *socket, char *out, size_t room, mproxy_error *err)
{
    mproxy_status status = make_absolute(socket, out, room, err);
    if (status)
        return status;
    if (!out[0])
        return mpx_fail(err, MPROXY_E_INVALID, "socket path '/' is a directory");
    if (starts_with(out, "/run/") || starts_with(out, "/dev/shm/")) {
        size_t length = strlen(out);
        if (length + 3 > room || strlen(strrchr(out, '/') + 1) + 2 > NAME_MAX)
            return mpx_fail(err, MPROXY_E_INVALID, "socket path is too long");
        memcpy(out + length, ".d", 3);
        return MPROXY_OK;
    }
    char name[NAME_MAX + 1];
    escape_path(out, name);
    mpx_format(out, room, "/dev/shm/%s", name);
    return MPROXY_OK;
}

mproxy_status mpx_rendezvous_path(const char *socket, char out[PATH_MAX],
                                  mproxy_error *err)
{
    return derive(socket, out, PATH_MAX, err);
}

bool mpx_rendezvous_is_live_at(const char *dir_path)
{
    int fd = mpx_open(dir_path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool live = mpx_rendezvous_is_live(fd, NULL);
    mpx_close(fd);
    return live;
}

// Enough for the sockets that are looked for without being named, and their directories.
enum { USUAL_MAX = 320 };

static bool lives_at_socket(const char *socket)
{
    char path[USUAL_MAX];
    struct stat st;
    return derive(socket, path, sizeof path, NULL) == MPROXY_OK &&
           mpx_lstat(path, &st) == 0 && mpx_rendezvous_is_trusted(path, &st) &&
           mpx_rendezvous_is_live_at(path);
}

// The user's own, if a proxy lives there or none for all users does.
static void usual_socket(char *out, size_t room)
{
    mpx_format(out, room, "/tmp/metric-proxy-%u.socket", mpx_geteuid());
    if (!lives_at_socket(out) && lives_at_socket(SYSTEM_SOCKET))
        mpx_format(out, room, "%s", SYSTEM_SOCKET);
}

void mpx_rendezvous_default_socket(char out[PATH_MAX])
{
    int saved = errno;
    // Not the environment of a setuid program's caller.
    const char *given = secure_getenv("PROXY_PATH");
    if (!given || !*given || make_absolute(given, out, PATH_MAX, NULL) != MPROXY_OK)
        usual_socket(out, PATH_MAX);
    errno = saved;
}

void mpx_rendezvous_default_path(char out[PATH_MAX])
{
    int saved = errno;
    const char *given = secure_getenv("PROXY_PATH");
    if (!given || !*given || derive(given, out, PATH_MAX, NULL) != MPROXY_OK) {
        char socket[USUAL_MAX];
        usual_socket(socket, sizeof socket);
        derive(socket, out, PATH_MAX, NULL);
    }
    errno = saved;
}

static bool is_system_path(const char *path)
{
    return starts_with(path, "/run/") && !starts_with(path, "/run/user/");
}

// In a user namespace root has another number, which all have that the namespace does not
// know: the one that /run is seen to belong to, below which only root makes directories.
static bool is_roots(const struct stat *st)
{
    struct stat run;
    return st->st_uid == 0 || (mpx_lstat("/run", &run) == 0 && st->st_uid == run.st_uid);
}

bool mpx_rendezvous_is_trusted(const char *path, const struct stat *st)
{
    if (!S_ISDIR(st->st_mode))
        return false;
    return (st->st_uid == mpx_geteuid() && !(st->st_mode & 022)) ||
           (is_system_path(path) && is_roots(st) && (st->st_mode & S_ISVTX));
}

static mproxy_status make_directory(const char *path, mproxy_error *err)
{
    bool shared = geteuid() == 0 && is_system_path(path);
    if (shared) {
        char parent[PATH_MAX];
        snprintf(parent, sizeof parent, "%s", path);
        *strrchr(parent, '/') = '\0';
        mkdir(parent, 0755); // what is wrong with it shows in the next call
    }
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? MPROXY_OK : mpx_fail_errno(err, "directory %s", path);
    // Whatever the umask took away.
    if (chmod(path, shared ? 01777 : 0700) != 0)
        return mpx_fail_errno(err, "directory %s", path);
    return MPROXY_OK;
}

mproxy_status mpx_rendezvous_open(const char *path, bool create, int *out,
                                  mproxy_error *err)
{
    mproxy_status status = create ? make_directory(path, err) : MPROXY_OK;
    if (status)
        return status;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return mpx_fail(err, MPROXY_E_NOTFOUND, "%s: no such directory", path);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return mpx_fail(err, MPROXY_E_INVALID, "%s: not a directory", path);
    struct stat st;
    if (fd < 0 || mpx_fstat(fd, &st) != 0) {
        status = mpx_fail_errno(err, "%s", path);
    } else if (!mpx_rendezvous_is_trusted(path, &st)) {
        status = mpx_fail(err, MPROXY_E_INVALID,
                          "%s: owner %u, mode %04o: must be ours and not writable by "
                          "others",
                          path, (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
    }
    if (status) {
        if (fd >= 0)
            close(fd);
        return status;
    }
    *out = fd;
    return MPROXY_OK;
}

static int read_pid(int fd)
{
    char text[16] = "";
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    return got > 0 ? atoi(text) : 0;
}

// Whether there is a lock for writing, which only the file's owner can have. Everybody may
// read the file, and lock it for that.
static bool is_held(int fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return mpx_lock_fd(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// Whether it is the file of whoever owns the directory. In one that everybody may write to,
// somebody else may have been first, and may lock it as a proxy does.
static bool is_owners_file(int dir_fd, int fd)
{
    struct stat dir, file;
    return mpx_fstat(dir_fd, &dir) == 0 && mpx_fstat(fd, &file) == 0 &&
           S_ISREG(file.st_mode) && file.st_uid == dir.st_uid;
}

bool mpx_rendezvous_read_live(int dir_fd, char *text, size_t size)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = mpx_openat(dir_fd, "proxy", flags, 0);
    if (fd < 0)
        return false;
    bool is_owners = is_owners_file(dir_fd, fd), live = is_owners && is_held(fd);
    ssize_t got = is_owners ? mpx_pread(fd, text, size - 1, 0) : 0;
    text[got > 0 ? got : 0] = '\0';
    mpx_close(fd);
    return live;
}

bool mpx_rendezvous_is_live(int dir_fd, int *pid)
{
    char text[16];
    bool live = mpx_rendezvous_read_live(dir_fd, text, sizeof text);
    if (pid)
        *pid = live ? atoi(text) : 0;
    return live;
}

static mproxy_status write_pid(int fd, mproxy_error *err)
{
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
        return mpx_fail_errno(err, "file 'proxy'");
    return MPROXY_OK;
}

static bool lock_whole(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

// Put a file that we hold in the place of one that others are in the way of: they can't
// open it before it is locked. A folder that is not empty is left under the other name.
static mproxy_status replace_file(int dir_fd, int *lock_fd, mproxy_error *err)
{
    char name[64];
    snprintf(name, sizeof name, ".proxy-%d-%lld", (int)getpid(),
             (long long)mpx_clock_ns(CLOCK_BOOTTIME));
    int fd =
        openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return mpx_fail_errno(err, "file 'proxy'");
    mproxy_status status = MPROXY_OK;
    if (!lock_whole(fd))
        status = mpx_fail_errno(err, "lock of file 'proxy'");
    if (status == MPROXY_OK)
        status = write_pid(fd, err);
    if (status == MPROXY_OK &&
        mpx_sys(SYS_renameat2, dir_fd, (long)name, dir_fd, (long)"proxy", RENAME_EXCHANGE,
                0) != 0 &&
        renameat(dir_fd, name, dir_fd, "proxy") != 0)
        status = mpx_fail_errno(err, "file 'proxy'");
    if (unlinkat(dir_fd, name, 0) != 0)
        unlinkat(dir_fd, name, AT_REMOVEDIR);
    if (status == MPROXY_OK)
        *lock_fd = fd;
    else
        close(fd);
    return status;
}

// @return MPROXY_E_NOTFOUND: what is there is of no use, and no proxy's
static mproxy_status take_file(int dir_fd, int *lock_fd, mproxy_error *err)
{
    int fd = openat(dir_fd, "proxy",
                    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0 &&
        (errno == EACCES || errno == EISDIR || errno == ELOOP || errno == ENXIO))
        return MPROXY_E_NOTFOUND;
    if (fd < 0)
        return mpx_fail_errno(err, "file 'proxy'");
    mproxy_status status = MPROXY_E_NOTFOUND;
    if (is_owners_file(dir_fd, fd)) {
        if (lock_whole(fd))
            status = write_pid(fd, err);
        else if (errno != EAGAIN && errno != EACCES)
            status = mpx_fail_errno(err, "lock of file 'proxy'");
        else if (is_held(fd))
            status = mpx_fail(err, MPROXY_E_BUSY, "a proxy lives there already: pid %d",
                              read_pid(fd));
    }
    if (status == MPROXY_OK)
        *lock_fd = fd;
    else
        close(fd);
    return status;
}

mproxy_status mpx_rendezvous_take(int dir_fd, int *lock_fd, mproxy_error *err)
{
    int fd = -1;
    mproxy_status status = take_file(dir_fd, &fd, err);
    if (status == MPROXY_E_NOTFOUND)
        status = replace_file(dir_fd, &fd, err);
    if (status != MPROXY_OK)
        return status;
    fchmod(fd, 0644); // clients of other users ask for the lock
    *lock_fd = fd;
    return MPROXY_OK;
}

const char *mpx_off_reason_text(unsigned reasons, char *buffer, unsigned long size)
{
    static const char *const words[] = {
#define MPX_OFF_REASON(id, bit, text, meaning) [bit] = text,
#include "tables/off_reasons.def"
#undef MPX_OFF_REASON
    };
    size_t used = 0;
    if (size)
        buffer[0] = '\0';
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!(reasons & (1u << i)) || !words[i] || used >= size)
            continue;
        used += (size_t)mpx_format(buffer + used, size - used, "%s%s", used ? ", " : "",
                                   words[i]);
    }
    return buffer;
}
