#include "base/boot.h"

#include "base/sys.h"

void mpx_boot_id(char out[MPX_BOOT_ID_ROOM])
{
    out[0] = '\0';
    // Made as a program starts, perhaps under a filter that allows what the loader calls.
    int fd = mpx_open_plain("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t got = mpx_read(fd, out, 36);
    out[got > 0 ? got : 0] = '\0';
    mpx_close(fd);
}
