// How much lies in a rendezvous directory, and whether more may: without a proxy that reads and
// removes it, what programs leave there must not fill the node's memory.
//
// Programs ask at each start and fork, so a question costs one stat() of the directory: on tmpfs
// its size tells the number of entries. Only above the bound the file `proxy` is looked at, and the
// directory itself is read only on file systems that do not tell the number of its entries, or
// when a segment that is large already grows.
//
// A lock says that a proxy lives, not that it works: one that is stopped holds it too. So the
// proxy writes a word into that file, when it was last at work and how much there was, and what
// counts is how old the word is. Beside a fresh one there is no bound, for the proxy takes away
// what is there; beside a late one there may be so much more than it knew of, so that neither a
// busy proxy's programs are refused nor a stopped one's go on for ever; a word that is older
// still is none (decisions 0024 and 0033).
//
// All of it is a guess that errs to one side or the other by what starts in that moment: two
// programs that ask at once both see room. The bound is there to stop a flood, not to be exact.
//
// This runs inside other people's programs: no allocation, no descriptor left, little stack.

#include "segment/crowd.h"

#include <dirent.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/sys.h"
#include "base/text.h"
#include "segment/rendezvous.h"
#include "segment/scratch.h"

enum {
    TMPFS = 0x01021994,
    TMPFS_ENTRY = 20, // bytes of a directory's size for each entry and for two more
    SAMPLED = 256,    // segments whose sizes are looked at
    WORD_SIZE = 96,   // of the proxy's line, always written whole
    // How long a proxy may be silent: until what is new is bounded beside what it knew of, and
    // until it is as good as none.
    SLOW_MS = 2000,
    SILENT_MS = 10000,
};

// What the proxy has said last.
struct word {
    int64_t at_ms; // of the clock since boot; 0: nothing yet
    long period_ms, entries;
    int64_t bytes;
    int64_t since_ms; // when this proxy began
};

static int64_t read_number(const char **at)
{
    int64_t value = 0;
    while (**at == ' ')
        ++*at;
    for (; **at >= '0' && **at <= '9'; ++*at)
        value = value * 10 + (**at - '0');
    return value;
}

static bool read_word(const char *dir_path, struct word *out)
{
    char text[WORD_SIZE + 1] = "";
    int dir_fd = mpx_open(dir_path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (dir_fd < 0)
        return false;
    bool live = mpx_rendezvous_read_live(dir_fd, text, sizeof text);
    mpx_close(dir_fd);
    const char *at = text;
    read_number(&at); // its pid
    out->at_ms = read_number(&at);
    out->period_ms = (long)read_number(&at);
    out->entries = (long)read_number(&at);
    out->bytes = read_number(&at);
    out->since_ms = read_number(&at);
    return live;
}

void mpx_crowd_attend(int lock_fd, int dir_fd, const struct mpx_crowd_word *word)
{
    char text[WORD_SIZE];
    struct stat st;
    if (mpx_fstat(dir_fd, &st) != 0)
        return;
    memset(text, ' ', sizeof text);
    int length = mpx_format(text, sizeof text, "%d %lld %u %ld %llu %lld", (int)getpid(),
                            (long long)mpx_boot_ms(), word->period_ms,
                            (long)(st.st_size / TMPFS_ENTRY),
                            (unsigned long long)word->bytes, (long long)word->since_ms);
    text[length] = ' ';
    text[sizeof text - 1] = '\n';
    // A word that is not written counts as silence.
    ssize_t put = pwrite(lock_fd, text, sizeof text, 0);
    (void)put;
}

bool mpx_crowd_is_known(const char *dir_path, int64_t birth_boot_ns)
{
    struct word word;
    return read_word(dir_path, &word) && word.since_ms <= birth_boot_ns / 1000000;
}

bool mpx_crowd_was_attended(const char *dir_path, int64_t *since_ms)
{
    struct word word = {0};
    read_word(dir_path, &word);
    *since_ms = word.since_ms;
    return word.at_ms != 0;
}

// The most that may lie there as things are.
struct allowance {
    bool is_bounded;
    long entries;
    int64_t bytes;
};

static struct allowance allowance_of(const char *dir_path)
{
    struct allowance most = {true, MPX_CROWD_ENTRIES_MAX, MPX_CROWD_BYTES_MAX};
    struct word word;
    if (!read_word(dir_path, &word))
        return most;
    int64_t silence = mpx_clock_ns(CLOCK_BOOTTIME) / 1000000 - word.at_ms;
    most.is_bounded = word.at_ms != 0 && silence >= SLOW_MS + 2 * word.period_ms;
    if (silence < SILENT_MS + 3 * word.period_ms) {
        most.entries += word.entries;
        most.bytes += word.bytes;
    }
    return most;
}

// Calls `take` for each entry until it is false.
static void read_directory(const char *dir_path,
                           bool (*take)(int fd, const char *name, void *arg), void *arg)
{
    union mpx_scratch *s = mpx_scratch_take();
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = s ? mpx_open(dir_path, flags, 0) : -1;
    bool more = fd >= 0;
    while (more) {
        // readdir() would allocate, and we may be inside the program's malloc.
        long got = mpx_getdents(fd, s->entries, sizeof s->entries);
        more = got > 0;
        for (long at = 0; more && at < got;) {
            const struct dirent64 *entry = (const void *)(s->entries + at);
            more = take(fd, entry->d_name, arg);
            at += entry->d_reclen;
        }
    }
    if (fd >= 0)
        mpx_close(fd);
    mpx_scratch_give(s);
}

static bool count_one(int fd, const char *name, void *arg)
{
    (void)fd;
    *(long *)arg += name[0] != '.' || (name[1] && strcmp(name, "..") != 0);
    return true;
}

static bool tells_entries(const char *dir_path)
{
    struct statfs fs;
    return mpx_sys(SYS_statfs, (long)dir_path, (long)&fs, 0, 0, 0, 0) == 0 &&
           fs.f_type == TMPFS;
}

bool mpx_crowd_is_full(const char *dir_path, off_t dir_size, long more)
{
    // Other file systems tell more bytes for an entry, so few is few everywhere.
    long entries = (long)(dir_size / TMPFS_ENTRY) - 2;
    if (entries < MPX_CROWD_ENTRIES_MAX + more)
        return false;
    if (!tells_entries(dir_path)) {
        entries = 0;
        read_directory(dir_path, count_one, &entries);
    }
    if (entries < MPX_CROWD_ENTRIES_MAX + more)
        return false;
    struct allowance most = allowance_of(dir_path);
    return most.is_bounded && entries >= most.entries + more;
}

struct sizes {
    long seen;
    long long bytes;
};

static bool add_size(int fd, const char *name, void *arg)
{
    struct sizes *sizes = arg;
    struct stat st;
    size_t length = strlen(name);
    if (length < 4 || strcmp(name + length - 4, ".seg") != 0)
        return true;
    if (mpx_fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        sizes->bytes += (long long)st.st_blocks * 512;
    return ++sizes->seen < SAMPLED;
}

// -1: there is no directory. Not inlined: what it takes of the stack is not taken while other
// things are asked.
__attribute__((noinline)) static long entries_of(const char *dir_path)
{
    struct stat st;
    if (mpx_lstat(dir_path, &st) != 0)
        return -1;
    long entries = (long)(st.st_size / TMPFS_ENTRY) - 2;
    return entries > 0 ? entries : 0;
}

bool mpx_crowd_is_large(const char *dir_path)
{
    struct sizes sizes = {0};
    struct allowance most = allowance_of(dir_path);
    long entries = most.is_bounded ? entries_of(dir_path) : -1;
    if (entries < 0)
        return false;
    read_directory(dir_path, add_size, &sizes);
    if (sizes.seen == SAMPLED && entries > SAMPLED)
        sizes.bytes = sizes.bytes / SAMPLED * entries;
    return sizes.bytes >= most.bytes;
}
