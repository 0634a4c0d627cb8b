/*
 * test.h - a test is a function that says in its name what it shows.
 *
 *     TEST(str_cut_leaves_the_rest)
 *     {
 *         struct str s = STR("a,b");
 *         CHECK_STR(str_cut(&s, ','), "a");
 *         CHECK_STR(s, "b");
 *     }
 *
 * Tests register themselves. A failed CHECK prints file, line and values and returns from the function it stands in:
 * from the test, which then has failed, or from a helper returning void, whose caller may ask test_failed(). So CLEANUP
 * runs, nothing is jumped over, and CHECK works in fibers.
 *
 * Every random choice derives from test_seed(), which is printed. tests/unit, golden, sim and fault each become one
 * program out of this; its options (`--help`) are the same in all of them. A folder that defines its own main() can
 * still call test_main().
 */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void test_fn(void);

struct test {
    const char *name;
    const char *file;
    int line;
    test_fn *run;
    struct test *next; /* owned by the runner */
};

/* Called before main() by TEST. `t` is kept for the life of the program. */
void test_register(struct test *t);

#define TEST(test_name)                                                                                                \
    static void test_##test_name(void);                                                                                \
    static struct test test_entry_##test_name = {#test_name, __FILE__, __LINE__, test_##test_name, NULL};              \
    __attribute__((constructor)) static void test_register_##test_name(void)                                           \
    {                                                                                                                  \
        test_register(&test_entry_##test_name);                                                                        \
    }                                                                                                                  \
    static void test_##test_name(void)

/* Run the registered tests as the command line says; the exit status of the program. */
int test_main(int argc, char **argv) MUST_CHECK;

/* Seed of this run: --seed, else 1. Randomised tests use test_seed() + k for their k-th round. */
uint64_t test_seed(void);
/* How many rounds a randomised test does: --rounds, else `usual`. */
uint64_t test_rounds(uint64_t usual);
/* Nanoseconds of processor time that this thread has had. What a test claims of costs it claims of two that it measures in
 * turns: other work on the machine slows both down. What sanitizers add is comparable for the same code only. */
double test_cpu_ns(void);
/* Sweeps over N = 1, 2, 3… take every test_step()-th only: --step, else 1. Thins them out for a quick run. */
uint64_t test_step(void);
/* Words printed with failures of this test from here on: the round, the seed, the file. "" ends it. */
void test_context(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Has a CHECK of the running test failed? */
bool test_failed(void);
/* Report the running test as skipped, with the reason, unless it fails. */
void test_skip(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Directory of the test data: the top of the source tree, or $TEST_ROOT. */
const char *test_root(void);

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            test_fail_(__FILE__, __LINE__, "%s", #cond);                                                               \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* A check with words of its own, printf-like. */
#define CHECK_MSG(cond, ...)                                                                                           \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            test_fail_(__FILE__, __LINE__, __VA_ARGS__);                                                               \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* Fail at once, printf-like. */
#define FAIL(...) CHECK_MSG(false, __VA_ARGS__)

/* Integers, booleans, enumerators and pointers, compared by value whatever their types: -1 is not 0xffffffff. */
#define CHECK_EQ(got, want) CHECK_CMP_(got, ==, want)
#define CHECK_NE(got, other) CHECK_CMP_(got, !=, other)
#define CHECK_LT(got, bound) CHECK_CMP_(got, <, bound)
#define CHECK_LE(got, bound) CHECK_CMP_(got, <=, bound)
#define CHECK_GT(got, bound) CHECK_CMP_(got, >, bound)
#define CHECK_GE(got, bound) CHECK_CMP_(got, >=, bound)

#define CHECK_CMP_(got, op, want)                                                                                      \
    do {                                                                                                               \
        __auto_type check_got_ = ((void)0, (got)); /* the value of an atomic is not atomic */                          \
        __auto_type check_want_ = ((void)0, (want));                                                                   \
        struct test_word check_got_word_ = TEST_WORD_(check_got_);                                                     \
        struct test_word check_want_word_ = TEST_WORD_(check_want_);                                                   \
        if (!(test_word_cmp_(check_got_word_, check_want_word_) op 0)) {                                               \
            test_fail_cmp_(__FILE__, __LINE__, #got, #op, #want, check_got_word_, check_want_word_);                   \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* A value of any integer or pointer type: its 64 bits, and whether it is below zero. */
struct test_word {
    uint64_t bits;
    bool is_negative;
};
#define TEST_WORD_(v)                                                                                                  \
    test_word_((uint64_t)(v) + 0 * sizeof(char[TEST_IS_FLOAT_(v) ? -1 : 1]), (__typeof__(v))-1 < (__typeof__(v))1)
/* Fractions would be cut off unseen; the array size above makes them a compile error. */
#define TEST_IS_FLOAT_(v)                                                                                              \
    (__builtin_types_compatible_p(__typeof__(v), double) || __builtin_types_compatible_p(__typeof__(v), float) ||      \
     __builtin_types_compatible_p(__typeof__(v), long double))
static inline struct test_word test_word_(uint64_t bits, bool is_signed)
{
    return (struct test_word){bits, is_signed && (int64_t)bits < 0};
}
/* <0, 0 or >0, by value. */
int test_word_cmp_(struct test_word a, struct test_word b);

/* A struct str against a NUL-terminated text. */
#define CHECK_STR(got, want)                                                                                           \
    do {                                                                                                               \
        struct str check_got_ = (got);                                                                                 \
        struct str check_want_ = str_from_c(want);                                                                     \
        if (!str_eq(check_got_, check_want_)) {                                                                        \
            test_fail_bytes_(__FILE__, __LINE__, #got, check_got_, check_want_);                                       \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* `n` bytes at `got` against `n` bytes at `want`. */
#define CHECK_MEM(got, want, n)                                                                                        \
    do {                                                                                                               \
        size_t check_n_ = (n);                                                                                         \
        struct str check_got_ = {(const char *)(const void *)(got), check_n_};                                         \
        struct str check_want_ = {(const char *)(const void *)(want), check_n_};                                       \
        if (!str_eq(check_got_, check_want_)) {                                                                        \
            test_fail_bytes_(__FILE__, __LINE__, #got, check_got_, check_want_);                                       \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* The error that an expression returns. */
#define CHECK_ERR(expr, want)                                                                                          \
    do {                                                                                                               \
        err_t check_got_ = (expr);                                                                                     \
        err_t check_want_ = (want);                                                                                    \
        if (check_got_ != check_want_) {                                                                               \
            test_fail_err_(__FILE__, __LINE__, #expr, check_got_, check_want_);                                        \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
#define CHECK_OK(expr) CHECK_ERR(expr, OK)

/* What the macros above call. Safe from any fiber of the test's thread. */
void test_fail_(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
void test_fail_cmp_(const char *file, int line, const char *got_text, const char *op, const char *want_text,
                    struct test_word got, struct test_word want);
void test_fail_bytes_(const char *file, int line, const char *got_text, struct str got, struct str want);
void test_fail_err_(const char *file, int line, const char *expr, err_t got, err_t want);

#endif
