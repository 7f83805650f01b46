// What test_client_handlers.c asks of fork(), where the system says that it wipes a page in
// children and does not, as some emulators do.
#define FORK_ONLY
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int madvise(void *address, size_t length, int advice)
{
    if (advice == MADV_WIPEONFORK)
        return 0;
    return (int)syscall(SYS_madvise, address, length, advice);
}

#include "test_client_handlers.c"
