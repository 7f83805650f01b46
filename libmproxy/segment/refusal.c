// The notes of processes that do not count, left with no descriptor, no block and no file size
// where that is possible.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "segment/crowd.h"
#include "segment/rendezvous.h"
#include "segment/scratch.h"

// One byte more in the file `refused`.
static bool append_refused(const char *dir_path, char path[PATH_MAX])
{
    if (mpx_format(path, PATH_MAX, "%s/refused", dir_path) >= PATH_MAX)
        return false;
    int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = mpx_open(path, flags, 0);
    if (fd < 0 && errno == ENOENT)
        fd = mpx_open(path, flags | O_CREAT, 0622);
    struct stat st;
    struct rlimit limit;
    if (fd < 0)
        return false;
    // A write past the limit would kill the program.
    bool done = mpx_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                mpx_getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                (rlim_t)st.st_size < limit.rlim_cur && mpx_write(fd, "x", 1) == 1;
    mpx_close(fd);
    return done;
}

// Never through a link; and root leaves nothing where others could lead it elsewhere.
static bool takes_notes(const char *dir_path)
{
    struct stat st;
    return mpx_lstat(dir_path, &st) == 0 && S_ISDIR(st.st_mode) &&
           (mpx_geteuid() != 0 || mpx_rendezvous_is_trusted(dir_path, &st));
}

static bool leave_note(const char *dir_path, unsigned reasons, const char *jobid,
                       char path[PATH_MAX], char target[600])
{
    struct stat st;
    if (mpx_lstat(dir_path, &st) != 0)
        return false;
    if (mpx_crowd_is_full(dir_path, st.st_size, MPX_CROWD_NOTES_MAX))
        return append_refused(dir_path, path);
    int length = mpx_format(path, PATH_MAX, "%s/.off-%d-%lld", dir_path, mpx_getpid(),
                            (long long)mpx_clock_ns(CLOCK_BOOTTIME));
    if (length >= PATH_MAX)
        return false;
    mpx_format(target, 600, "%u %s", reasons, jobid ? jobid : "");
    if (mpx_symlink(target, path) == 0)
        return true;
    if (errno != ENOSPC)
        return false;
    target[127] = '\0'; // the longest that tmpfs keeps without a page
    return mpx_symlink(target, path) == 0 || append_refused(dir_path, path);
}

bool mpx_rendezvous_refuse(const char *dir_path, unsigned reasons, const char *jobid)
{
    int saved = errno;
    union mpx_scratch *s = takes_notes(dir_path) ? mpx_scratch_take() : NULL;
    bool done = s && leave_note(dir_path, reasons, jobid, s->note.path, s->note.target);
    mpx_scratch_give(s);
    errno = saved;
    return done;
}
