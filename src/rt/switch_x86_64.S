/*
 * switch_x86_64.S - leave one stack for another (System V ABI).
 *
 * Only the registers that a callee must preserve are saved; MXCSR and the x87 control word are constants of the process. The
 * layout is known to fiber.c (context_prepare) and to tools/gdb/fibers.py: from sp upward r15 r14 r13 r12 rbx rbp
 * return address.
 */
#if defined(__x86_64__)

    .text

/* void context_swap(void **save_sp, void *load_sp) */
    .globl  context_swap
    .hidden context_swap
    .type   context_swap, @function
    .p2align 4
context_swap:
    .cfi_startproc
    pushq   %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq   %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq   %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq   %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq   %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq   %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    movq    %rsp, (%rdi)
    movq    %rsi, %rsp
    popq    %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq    %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq    %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq    %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq    %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq    %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    ret
    .cfi_endproc
    .size   context_swap, .-context_swap

/* Where a new fiber begins: the outermost frame, which returns to nowhere. rsp is a multiple of 16 here. */
    .globl  context_entry
    .hidden context_entry
    .type   context_entry, @function
    .p2align 4
context_entry:
    .cfi_startproc
    .cfi_undefined rip
    xorl    %ebp, %ebp
    call    fiber_main
    ud2
    .cfi_endproc
    .size   context_entry, .-context_entry

#endif
    .section .note.GNU-stack, "", @progbits
