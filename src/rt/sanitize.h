/*
 * sanitize.h - everything that sanitizers and Valgrind must be told about fiber stacks, in one place. Internal to rt/.
 *
 * ASAN keeps a shadow of each stack and, with use-after-return detection, a fake stack per fiber; both must be told of every switch,
 * and a recycled stack must be un-poisoned, because the frames of the fiber that ended on it never returned. LSAN sees memory
 * that only a parked fiber points to if the stacks are root regions. TSAN has a fiber of its own per fiber. Valgrind guesses
 * stack switches wrongly unless stacks are registered. In a plain build everything here compiles to nothing but the
 * registration with Valgrind, once per stack.
 */
#ifndef RT_SANITIZE_H
#define RT_SANITIZE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#define RT_HAS_FEATURE(x) __has_feature(x)
#else
#define RT_HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || RT_HAS_FEATURE(address_sanitizer)
#define RT_ASAN 1
#else
#define RT_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || RT_HAS_FEATURE(thread_sanitizer)
#define RT_TSAN 1
#else
#define RT_TSAN 0
#endif

#if RT_TSAN
#if defined(__clang__)
#define NO_TSAN __attribute__((no_sanitize("thread"), disable_sanitizer_instrumentation))
#else
#define NO_TSAN __attribute__((no_sanitize_thread))
#endif
#else
#define NO_TSAN
#endif

#if RT_ASAN
#define NO_ASAN __attribute__((no_sanitize("address")))
#else
#define NO_ASAN
#endif

/* A suspended flow of control: a fiber, or the loop itself. */
struct context {
    void *sp; /* everything else that it needs is saved above this address */
#if RT_ASAN
    void *fake;
    const void *low;
    size_t size;
#endif
#if RT_TSAN
    void *tsan;
#endif
};

#if RT_ASAN || RT_TSAN
/* Last thing before the jump. `ends`: `from` will never be switched to again. */
void sanitize_leave(struct context *from, const struct context *to, bool ends) NO_TSAN;
/* First thing after the jump back (or the first entry) into `self`. */
void sanitize_arrive(struct context *self) NO_TSAN;
/* The loop's own context, which runs now on the thread's stack. */
void sanitize_thread_context(struct context *c);
/* Before a fiber starts on a new or used stack. */
void sanitize_stack_begin(struct context *c, void *low, size_t size, const char *name);
/* The stack is about to be unmapped, or its context forgotten. */
void sanitize_stack_end(struct context *c);
#else
static inline void sanitize_leave(struct context *from UNUSED, const struct context *to UNUSED, bool ends UNUSED)
{
}
static inline void sanitize_arrive(struct context *self UNUSED)
{
}
static inline void sanitize_thread_context(struct context *c UNUSED)
{
}
static inline void sanitize_stack_begin(struct context *c UNUSED, void *low UNUSED, size_t size UNUSED,
                                        const char *name UNUSED)
{
}
static inline void sanitize_stack_end(struct context *c UNUSED)
{
}
#endif

/* A stack was mapped; returns an id for sanitize_stack_unmapped(). */
unsigned sanitize_stack_mapped(void *low, size_t size);
void sanitize_stack_unmapped(void *low, size_t size, unsigned id);
/* Does a tool watch every access, so that looking at unused stack is an error? */
bool sanitize_is_watched(void);

#endif
