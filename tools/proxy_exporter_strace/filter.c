#include "filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool allow_all(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &allow};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                   &program) == 0;
}

enum filter_leave filter_try(void)
{
    if (allow_all())
        return FILTER_PLAIN;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && allow_all())
        return FILTER_BOUND;
    return FILTER_NONE;
}

static bool add_rule(scmp_filter_ctx filter, int number)
{
    int status = seccomp_rule_add(filter, SCMP_ACT_TRACE((uint16_t)number), number, 0);
    return status == 0 || status == -EEXIST;
}

// See untraced.h. Where all clones stop, this one does.
static bool add_untraced(scmp_filter_ctx filter)
{
    int status =
        seccomp_rule_add(filter, SCMP_ACT_TRACE(SYS_clone), SYS_clone, 1,
                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_UNTRACED, CLONE_UNTRACED));
    return status == 0 || status == -EEXIST;
}

static bool set_up(scmp_filter_ctx filter, const struct calls *calls, bool watched,
                   enum filter_leave leave)
{
    // Calls of another architecture pass; so do x32's, which have no numbers of their own.
    // Without speculation bypass disabled, which older kernels would do to filtered tasks.
    bool ok = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW) == 0 &&
              seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, leave == FILTER_BOUND) == 0;
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (int number = 0; ok && number < CALLS_MAX; number++)
        if (calls->wanted[number])
            ok = add_rule(filter, number);
    for (size_t i = 0; ok && watched && i < CALLS_WATCHED; i++)
        if (calls_watched[i] < CALLS_MAX)
            ok = add_rule(filter, calls_watched[i]);
    return ok && add_untraced(filter);
}

bool filter_install(const struct calls *calls, bool watched, enum filter_leave leave)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool ok =
        filter && set_up(filter, calls, watched, leave) && seccomp_load(filter) == 0;
    if (filter)
        seccomp_release(filter);
    return ok;
}
