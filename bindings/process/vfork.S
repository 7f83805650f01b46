// vfork() inside a sandbox: the C library's everywhere else, and by the same system call. A child of
// vfork runs in its parent's memory and on its stack, so that nothing there tells which of the
// two runs; its pid would, but asking for it may be forbidden. So the thread's storage, which
// the two share while the parent sleeps, says it: mpx_in_vfork, raised before and
// lowered by the parent. It returns twice, so its return address can't lie on the stack meanwhile.
#ifdef __x86_64__

    .text
    .globl vfork
    .type vfork, @function
    .balign 16
vfork:
    .cfi_startproc
    endbr64
    cmpl $0, mpx_is_inside(%rip)
    jne 1f
    movq mpx_next_vfork(%rip), %r11
    testq %r11, %r11
    je 1f
    jmpq *%r11
1:
    movq mpx_in_vfork@gottpoff(%rip), %rsi
    addl $1, %fs:(%rsi)
    popq %rdi
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rdi
    movl $58, %eax // SYS_vfork: keeps all registers but three
    syscall
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rip, 0
    testl %eax, %eax
    je 2f
    subl $1, %fs:(%rsi)
    testl %eax, %eax
    js 3f
2:
    ret
3:
    negl %eax
    pushq %rax
    .cfi_adjust_cfa_offset 8
    call __errno_location@PLT
    popq %rdx
    .cfi_adjust_cfa_offset -8
    movl %edx, (%rax)
    movl $-1, %eax
    ret
    .cfi_endproc
    .size vfork, . - vfork

#elif defined(__aarch64__)

    .text
    .globl vfork
    .type vfork, %function
    .balign 16
vfork:
    .cfi_startproc
    adrp x16, mpx_is_inside
    ldr w16, [x16, :lo12:mpx_is_inside]
    cbnz w16, 1f
    adrp x16, mpx_next_vfork
    ldr x16, [x16, :lo12:mpx_next_vfork]
    cbz x16, 1f
    br x16
1:
    mrs x9, tpidr_el0
    adrp x10, :gottprel:mpx_in_vfork
    ldr x10, [x10, :gottprel_lo12:mpx_in_vfork]
    ldr w11, [x9, x10]
    add w11, w11, #1
    str w11, [x9, x10]
    mov x0, #0x4111 // CLONE_VM | CLONE_VFORK | SIGCHLD, on the same stack
    mov x1, #0
    mov x8, #220 // SYS_clone
    svc #0
    cbz x0, 2f
    ldr w11, [x9, x10]
    sub w11, w11, #1
    str w11, [x9, x10]
    tbnz x0, #63, 3f
2:
    ret
3:
    stp x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    neg w0, w0
    str x0, [sp, #16]
    bl __errno_location
    ldr x1, [sp, #16]
    str w1, [x0]
    mov x0, #-1
    ldp x29, x30, [sp], #32
    .cfi_adjust_cfa_offset -32
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size vfork, . - vfork

#endif
    .section .note.GNU-stack, "", @progbits
