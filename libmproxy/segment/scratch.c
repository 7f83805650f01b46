#include "segment/scratch.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/sys.h"

static union mpx_scratch first;
static atomic_flag first_is_taken = ATOMIC_FLAG_INIT;

union mpx_scratch *mpx_scratch_take(void)
{
    if (!atomic_flag_test_and_set(&first_is_taken))
        return &first;
    void *p = mpx_mmap(NULL, sizeof(union mpx_scratch), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void mpx_scratch_give(union mpx_scratch *s)
{
    if (s == &first)
        atomic_flag_clear(&first_is_taken);
    else if (s)
        mpx_munmap(s, sizeof *s);
}
