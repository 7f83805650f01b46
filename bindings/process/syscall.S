// syscall(): a few calls go to functions in C (sandbox.h), all else jumps on to the C
// library's. No frame of ours is on the stack then, so that what returns twice does.
#ifdef __x86_64__

    .text
    .globl syscall
    .type syscall, @function
    .balign 16
syscall:
    .cfi_startproc
    endbr64
    cmpq $317, %rdi // SYS_seccomp
    je mpx_seen_seccomp
    cmpq $157, %rdi // SYS_prctl
    je mpx_seen_prctl
    cmpq $231, %rdi // SYS_exit_group
    je mpx_seen_exit
    cmpq $60, %rdi // SYS_exit
    je mpx_seen_thread_exit
    cmpq $59, %rdi // SYS_execve
    je mpx_seen_exec
    cmpq $322, %rdi // SYS_execveat
    je mpx_seen_exec
    cmpq $56, %rdi // SYS_clone: looked at first
    je 1f
    cmpq $435, %rdi // SYS_clone3
    je 1f
    movq mpx_next_syscall(%rip), %r11
    testq %r11, %r11
    je 1f
    jmpq *%r11
1:
    subq $56, %rsp
    .cfi_adjust_cfa_offset 56
    movq %rdi, 0(%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    call mpx_before_syscall
    movq %rax, %r11
    movq 0(%rsp), %rdi
    movq 8(%rsp), %rsi
    movq 16(%rsp), %rdx
    movq 24(%rsp), %rcx
    movq 32(%rsp), %r8
    movq 40(%rsp), %r9
    addq $56, %rsp
    .cfi_adjust_cfa_offset -56
    jmpq *%r11
    .cfi_endproc
    .size syscall, . - syscall

#elif defined(__aarch64__)

    .text
    .globl syscall
    .type syscall, %function
    .balign 16
syscall:
    .cfi_startproc
    cmp x0, #277 // SYS_seccomp
    b.eq mpx_seen_seccomp
    cmp x0, #167 // SYS_prctl
    b.eq mpx_seen_prctl
    cmp x0, #94 // SYS_exit_group
    b.eq mpx_seen_exit
    cmp x0, #93 // SYS_exit
    b.eq mpx_seen_thread_exit
    cmp x0, #221 // SYS_execve
    b.eq mpx_seen_exec
    cmp x0, #281 // SYS_execveat
    b.eq mpx_seen_exec
    cmp x0, #220 // SYS_clone: looked at first
    b.eq 1f
    cmp x0, #435 // SYS_clone3
    b.eq 1f
    adrp x16, mpx_next_syscall
    ldr x16, [x16, :lo12:mpx_next_syscall]
    cbz x16, 1f
    br x16
1:
    stp x29, x30, [sp, #-80]!
    .cfi_adjust_cfa_offset 80
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    str x6, [sp, #64]
    bl mpx_before_syscall
    mov x16, x0
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldr x6, [sp, #64]
    ldp x29, x30, [sp], #80
    .cfi_adjust_cfa_offset -80
    .cfi_restore x29
    .cfi_restore x30
    br x16
    .cfi_endproc
    .size syscall, . - syscall

#endif
    .section .note.GNU-stack, "", @progbits
