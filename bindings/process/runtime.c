// Go's runtime ends a process by a system call of its own, also in a program that uses the C
// library (cgo): no function of ours is called then. Its linker leaves a note that tells.
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "process/leave.h"

enum { GO_BUILD_ID = 4 };

static bool has_go_note(const char *at, size_t size)
{
    const char *end = at + size;
    while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof *note;
        size_t length =
            sizeof *note + (note->n_namesz + 3u) / 4 * 4 + (note->n_descsz + 3u) / 4 * 4;
        if (length > (size_t)(end - at))
            return false;
        if (note->n_type == GO_BUILD_ID && note->n_namesz == 4 &&
            memcmp(name, "Go\0", 4) == 0)
            return true;
        at += length;
    }
    return false;
}

int mpx_ends_unseen(void)
{
    const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
    size_t count = getauxval(AT_PHNUM);
    if (!headers)
        return 0;
    uintptr_t base = 0; // of a program linked to fixed addresses
    for (size_t i = 0; i < count; i++)
        if (headers[i].p_type == PT_PHDR)
            base = (uintptr_t)headers - headers[i].p_vaddr;
    for (size_t i = 0; i < count; i++)
        if (headers[i].p_type == PT_NOTE &&
            has_go_note((const char *)(base + headers[i].p_vaddr), headers[i].p_memsz))
            return 1;
    return 0;
}
