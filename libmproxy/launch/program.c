#include "launch/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// Sets errno on failure.
static bool can_run(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (S_ISREG(st.st_mode))
        return access(path, X_OK) == 0;
    errno = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
    return false;
}

static bool find_in(const char *list, const char *program, char path[PATH_MAX])
{
    int why = ENOENT;
    for (;; list++) {
        int length = (int)strcspn(list, ":");
        int used = snprintf(path, PATH_MAX, "%.*s%s%s", length, list, length ? "/" : "",
                            program);
        if (used < PATH_MAX && can_run(path))
            return true;
        if (errno == EACCES)
            why = EACCES;
        list += length;
        if (!*list)
            break;
    }
    errno = why;
    return false;
}

bool mpx_program_find(const char *program, char path[PATH_MAX])
{
    const char *list = getenv("PATH");
    path[0] = '\0';
    errno = ENOENT;
    if (!*program)
        return false;
    if (strchr(program, '/')) {
        snprintf(path, PATH_MAX, "%s", program);
        return can_run(program);
    }
    return list ? find_in(list, program, path) : true;
}

#if defined(__x86_64__)
enum { OWN_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OWN_MACHINE = EM_AARCH64 };
#else
enum { OWN_MACHINE = EM_NONE }; // not known: nothing is foreign
#endif

bool mpx_program_is_foreign(const char *path)
{
    ElfW(Ehdr) header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_elf = read(fd, &header, sizeof header) == (ssize_t)sizeof header &&
                  memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
    close(fd);
    return is_elf && OWN_MACHINE != EM_NONE &&
           (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != OWN_MACHINE);
}

bool mpx_program_is_barred(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOEXEC);
}
