/* attr.h - compiler attributes under names that say what they are for. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Run `fn(&variable)` when the variable goes out of scope. `fn` takes a pointer to it. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* printf-like: the format is argument `f`, the first value argument `v` (counted from 1). */
#define PRINTF_LIKE(f, v) __attribute__((format(printf, f, v)))

#define NOINLINE __attribute__((noinline))
/*
 * Nearly never called: what leads to such a call is laid out aside, so that what does not lies close together.
 * Not under AddressSanitizer: GCC 12 does not give back the frames of functions that it makes small, where it keeps frames aside to find uses after
 * return. Each later call then looks for a free one among all of those: the unit tests took twice their time, some of them twenty times.
 */
#ifdef __SANITIZE_ADDRESS__
#define COLD
#else
#define COLD __attribute__((cold))
#endif
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define PURE __attribute__((pure))

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* This holds here, by what the callers promise: for analysers and optimisers that cannot see it. */
#define KNOWN(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            __builtin_unreachable();                                                                                   \
    } while (0)

/*
 * The function may suspend the calling fiber: other fibers run before it returns, so nothing that they can
 * change holds across the call. `make check` fails when an unmarked function calls a marked one
 * (scripts/check-suspends). SUSPENDS_ROOT marks the few functions that run fibers without being one.
 */
#if defined(__clang__)
#define SUSPENDS __attribute__((annotate("suspends")))
#define SUSPENDS_ROOT(why) __attribute__((annotate("suspends-root: " why)))
#else
#define SUSPENDS
#define SUSPENDS_ROOT(why)
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member`, from a pointer to that member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
