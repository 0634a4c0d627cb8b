/*
 * switch_aarch64.S - leave one stack for another (AAPCS64).
 *
 * Saves what a callee must preserve: x19-x28, the frame pointer x29, the link register x30 and the low halves of v8-v15. From
 * sp upward: x19 .. x30 (96 bytes), d8 .. d15 (64 bytes). Known to fiber.c (context_prepare) and tools/gdb/fibers.py.
 */
#if defined(__aarch64__)

    .text

/* void context_swap(void **save_sp, void *load_sp) */
    .globl  context_swap
    .hidden context_swap
    .type   context_swap, %function
    .p2align 4
context_swap:
    .cfi_startproc
    sub     sp, sp, #160
    .cfi_def_cfa_offset 160
    stp     x19, x20, [sp, #0]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    .cfi_offset x19, -160
    .cfi_offset x20, -152
    .cfi_offset x21, -144
    .cfi_offset x22, -136
    .cfi_offset x23, -128
    .cfi_offset x24, -120
    .cfi_offset x25, -112
    .cfi_offset x26, -104
    .cfi_offset x27, -96
    .cfi_offset x28, -88
    .cfi_offset x29, -80
    .cfi_offset x30, -72
    mov     x9, sp
    str     x9, [x0]
    mov     sp, x1
    ldp     x19, x20, [sp, #0]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    add     sp, sp, #160
    .cfi_def_cfa_offset 0
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size   context_swap, .-context_swap

/* Where a new fiber begins: the outermost frame, which returns to nowhere. */
    .globl  context_entry
    .hidden context_entry
    .type   context_entry, %function
    .p2align 4
context_entry:
    .cfi_startproc
    .cfi_undefined x30
    mov     x29, xzr
    bl      fiber_main
    brk     #1
    .cfi_endproc
    .size   context_entry, .-context_entry

#endif
    .section .note.GNU-stack, "", %progbits
