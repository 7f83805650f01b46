// jail COMMAND...: under a filter that kills for any system call but those that a dynamic
// program and its loader make to read files and to write them.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(call)                                                                      \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                               \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(int argc, char **argv)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
        ALLOW(access),
        ALLOW(arch_prctl),
#endif
        ALLOW(brk),
        ALLOW(close),
        ALLOW(copy_file_range),
        ALLOW(execve),
        ALLOW(exit_group),
        ALLOW(fadvise64),
        ALLOW(faccessat),
        ALLOW(fstat),
        ALLOW(futex),
        ALLOW(getrandom),
        ALLOW(lseek),
        ALLOW(mmap),
        ALLOW(mprotect),
        ALLOW(munmap),
        ALLOW(newfstatat),
        ALLOW(openat),
        ALLOW(pread64),
        ALLOW(prlimit64),
        ALLOW(read),
        ALLOW(rseq),
        ALLOW(set_robust_list),
        ALLOW(set_tid_address),
        ALLOW(write),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        return perror("jail"), 99;
    execv(argv[1], argv + 1);
    return 98;
}
