#include "base/boot.h"

#include <fcntl.h>
#include <unistd.h>

void mpx_boot_id(char out[MPX_BOOT_ID_ROOM])
{
    out[0] = '\0';
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, out, 36);
    out[got > 0 ? got : 0] = '\0';
    close(fd);
}
