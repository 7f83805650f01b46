// Go's runtime ends a process by a system call of its own, also in a program that uses the C
// library (cgo): no function of ours is called then. Its linker leaves a note that tells.
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

static int look_at_program(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE &&
            has_go_note((const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                        info->dlpi_phdr[i].p_memsz))
            *(int *)found = 1;
    return 1; // the program comes first; the libraries do not matter
}

// Asked of the loader: the kernel's AT_PHDR is the loader's where that was started by name.
int mpx_end_is_unseen;

int mpx_find_runtime(void)
{
    dl_iterate_phdr(look_at_program, &mpx_end_is_unseen);
    return mpx_end_is_unseen;
}
