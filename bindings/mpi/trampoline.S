// One entry of the front-end: jump through the function's slot, or to the resolver while
// the slot is empty. Slots lie in .bss, so that preloading costs no relocation and touches
// no page in a program that makes no MPI call. All argument registers stay as they are.
// Included by the generated stubs.S.
#ifdef __x86_64__

.macro MPX_ENTRY name, index
    .globl \name
    .type \name, @function
    .balign 16
\name:
    endbr64
    movq mpx_mpi_slots+8*\index(%rip), %r11
    testq %r11, %r11
    je 1f
    jmpq *%r11
1:
    pushq $\index
    jmp mpx_mpi_lazy
    .size \name, . - \name
.endm

.macro MPX_LAZY
    .type mpx_mpi_lazy, @function
mpx_mpi_lazy:
    subq $192, %rsp
    movq %rdi, 0(%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    movq %rax, 48(%rsp)
    movaps %xmm0, 64(%rsp)
    movaps %xmm1, 80(%rsp)
    movaps %xmm2, 96(%rsp)
    movaps %xmm3, 112(%rsp)
    movaps %xmm4, 128(%rsp)
    movaps %xmm5, 144(%rsp)
    movaps %xmm6, 160(%rsp)
    movaps %xmm7, 176(%rsp)
    movq 192(%rsp), %rdi
    call mpx_mpi_resolve
    movq %rax, %r11
    movq 0(%rsp), %rdi
    movq 8(%rsp), %rsi
    movq 16(%rsp), %rdx
    movq 24(%rsp), %rcx
    movq 32(%rsp), %r8
    movq 40(%rsp), %r9
    movq 48(%rsp), %rax
    movaps 64(%rsp), %xmm0
    movaps 80(%rsp), %xmm1
    movaps 96(%rsp), %xmm2
    movaps 112(%rsp), %xmm3
    movaps 128(%rsp), %xmm4
    movaps 144(%rsp), %xmm5
    movaps 160(%rsp), %xmm6
    movaps 176(%rsp), %xmm7
    addq $200, %rsp
    jmpq *%r11
    .size mpx_mpi_lazy, . - mpx_mpi_lazy
.endm

#elif defined(__aarch64__)

.macro MPX_ENTRY name, index
    .globl \name
    .type \name, %function
    .balign 16
\name:
    adrp x16, mpx_mpi_slots+8*\index
    add x16, x16, :lo12:mpx_mpi_slots+8*\index
    ldar x16, [x16] // what the resolver wrote before it
    cbz x16, 1f
    br x16
1:
    mov x17, #\index
    b mpx_mpi_lazy
    .size \name, . - \name
.endm

.macro MPX_LAZY
    .type mpx_mpi_lazy, %function
mpx_mpi_lazy:
    stp x29, x30, [sp, #-224]!
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    str x8, [sp, #80]
    stp q0, q1, [sp, #96]
    stp q2, q3, [sp, #128]
    stp q4, q5, [sp, #160]
    stp q6, q7, [sp, #192]
    mov x0, x17
    bl mpx_mpi_resolve
    mov x16, x0
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldp x6, x7, [sp, #64]
    ldr x8, [sp, #80]
    ldp q0, q1, [sp, #96]
    ldp q2, q3, [sp, #128]
    ldp q4, q5, [sp, #160]
    ldp q6, q7, [sp, #192]
    ldp x29, x30, [sp], #224
    br x16
    .size mpx_mpi_lazy, . - mpx_mpi_lazy
.endm

#else
#error "the MPI exporter has no entry code for this processor"
#endif
