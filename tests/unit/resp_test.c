/* resp_test.c - RESP2 and RESP3: every kind of reply, cut at every byte, and what is no reply. */
#include "codec/resp.h"
#include "unit/test.h"

#include <math.h>
#include <stdlib.h>

static void show(const struct resp *r, struct buf *to)
{
    static const char *names[] = {
        [RESP_NULL] = "null",      [RESP_SIMPLE] = "simple",  [RESP_ERROR] = "error",     [RESP_BULK] = "bulk",
        [RESP_VERBATIM] = "plain", [RESP_BIG_NUMBER] = "big", [RESP_INTEGER] = "integer", [RESP_BOOLEAN] = "boolean",
        [RESP_DOUBLE] = "double",  [RESP_ARRAY] = "array",    [RESP_SET] = "set",         [RESP_MAP] = "map",
        [RESP_PUSH] = "push",
    };

    (void)buf_addf(to, "%s", names[r->kind]);
    if (r->text.p)
        (void)buf_addf(to, " %.*s", STR_ARG(r->text));
    if (r->kind == RESP_INTEGER || r->kind == RESP_BOOLEAN)
        (void)buf_addf(to, " %lld", (long long)r->integer);
    if (r->kind == RESP_DOUBLE)
        (void)buf_addf(to, " %g", r->number);
    if (r->kind < RESP_ARRAY)
        return;
    (void)buf_add_lit(to, "[");
    for (size_t i = 0; i < r->count; i++) {
        if (i)
            (void)buf_add_char(to, ',');
        show(&r->items[i], to);
    }
    (void)buf_add_lit(to, "]");
}

/* The bytes are copied to memory of exactly their size, so that the sanitizer sees a look beyond. */
static err_t frame_exactly(struct resp_frame *f, struct str bytes, size_t *ret_n)
{
    char *own = malloc(bytes.n ? bytes.n : 1);

    if (bytes.n)
        memcpy(own, bytes.p, bytes.n);
    err_t e = resp_frame_next(f, str_of(own, bytes.n), ret_n);
    free(own);
    return e;
}

static void check_reply(struct str bytes, const char *want)
{
    struct buf shown CLEANUP(buf_release) = BUF_INIT(4096);
    struct arena a CLEANUP(arena_release) = {0};
    struct resp_frame f;
    struct resp r;
    size_t n = 0;

    arena_init(&a, 1 << 20);
    test_context("%.*s", STR_ARG(bytes));
    resp_frame_init(&f, bytes.n);
    for (size_t cut = 0; cut < bytes.n; cut++)
        CHECK_ERR(frame_exactly(&f, str_of(bytes.p, cut), &n), E_AGAIN);
    CHECK_OK(frame_exactly(&f, bytes, &n));
    CHECK_EQ(n, bytes.n);
    for (size_t cut = 0; cut < bytes.n; cut++) {
        struct resp untouched = {.kind = RESP_PUSH, .count = 7};
        CHECK_ERR(resp_parse(str_of(bytes.p, cut), &a, &untouched), E_PARSE);
        CHECK_EQ(untouched.count, 7);
    }
    CHECK_OK(resp_parse(bytes, &a, &r));
    show(&r, &shown);
    CHECK_STR(buf_str(&shown), want);
    resp_frame_init(&f, bytes.n - 1);
    CHECK_ERR(resp_frame_next(&f, bytes, &n), E_TOO_LARGE);
}

TEST(resp_reads_every_kind_of_reply_however_it_is_cut)
{
    static const struct {
        struct str bytes;
        const char *want;
    } replies[] = {
        {STR_INIT("+OK\r\n"), "simple OK"},
        {STR_INIT("-ERR no\r\n"), "error ERR no"},
        {STR_INIT("!6\r\nERR\r\nx\r\n"), "error ERR\r\nx"},
        {STR_INIT(":-42\r\n"), "integer -42"},
        {STR_INIT(":+7\r\n"), "integer 7"},
        {STR_INIT(":-9223372036854775808\r\n"), "integer -9223372036854775808"},
        {STR_INIT("$5\r\na\r\nbc\r\n"), "bulk a\r\nbc"},
        {STR_INIT("$0\r\n\r\n"), "bulk "},
        {STR_INIT("$-1\r\n"), "null"},
        {STR_INIT("*-1\r\n"), "null"},
        {STR_INIT("_\r\n"), "null"},
        {STR_INIT("#t\r\n"), "boolean 1"},
        {STR_INIT("#f\r\n"), "boolean 0"},
        {STR_INIT(",1.5e3\r\n"), "double 1500"},
        {STR_INIT(",-inf\r\n"), "double -inf"},
        {STR_INIT("(-3492890328409238509324850943850943825024385\r\n"),
         "big -3492890328409238509324850943850943825024385"},
        {STR_INIT("=7\r\ntxt:abc\r\n"), "plain abc"},
        {STR_INIT("*0\r\n"), "array[]"},
        {STR_INIT("*3\r\n:1\r\n*1\r\n$1\r\nx\r\n+y\r\n"), "array[integer 1,array[bulk x],simple y]"},
        {STR_INIT("~2\r\n:1\r\n:2\r\n"), "set[integer 1,integer 2]"},
        {STR_INIT("%1\r\n+k\r\n*1\r\n_\r\n"), "map[simple k,array[null]]"},
        {STR_INIT(">2\r\n+message\r\n+x\r\n"), "push[simple message,simple x]"},
        {STR_INIT("|1\r\n+ttl\r\n*1\r\n:9\r\n:3\r\n"), "integer 3"},
        {STR_INIT("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n"), "array[integer 1,integer 2]"},
    };

    for (size_t i = 0; i < ARRAY_LEN(replies); i++)
        check_reply(replies[i].bytes, replies[i].want);
}

TEST(resp_refuses_what_is_no_reply)
{
    static const struct str wrong[] = {
        STR_INIT("hello\r\n"),
        STR_INIT("\r\n"),
        STR_INIT("+OK\n"),
        STR_INIT("+a\rb\r\n"),
        STR_INIT(":\r\n"),
        STR_INIT(":1x\r\n"),
        STR_INIT(":--1\r\n"),
        STR_INIT("$x\r\n"),
        STR_INIT("$-2\r\n"),
        STR_INIT("$2\r\nabcd"),
        STR_INIT("!-1\r\n"),
        STR_INIT("~-1\r\n"),
        STR_INIT("%-1\r\n"),
        STR_INIT("=3\r\n"),
        STR_INIT("#x\r\n"),
        STR_INIT("_x\r\n"),
        STR_INIT(",\r\n"),
        STR_INIT(",1x\r\n"),
        STR_INIT(", 1\r\n"),
        STR_INIT("(1.5\r\n"),
        STR_INIT("*1\r\n>1\r\n:1\r\n"),
        STR_INIT(":9223372036854775808\r\n"),
        STR_INIT(",0x10\r\n"),
        STR_INIT("$?\r\n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct resp_frame f;
        size_t n;
        test_context("%.*s", STR_ARG(wrong[i]));
        resp_frame_init(&f, 1000);
        CHECK_ERR(resp_frame_next(&f, wrong[i], &n), E_PARSE);
        struct arena a CLEANUP(arena_release) = {0};
        struct resp r;
        arena_init(&a, 1 << 20);
        CHECK_ERR(resp_parse(wrong[i], &a, &r), E_PARSE);
    }
}

TEST(resp_refuses_what_is_announced_too_large_before_it_comes)
{
    static const struct str large[] = {
        STR_INIT("$1000\r\n"),      STR_INIT("*400\r\n"), STR_INIT("%200\r\n"), STR_INIT("$18446744073709551\r\n"),
        STR_INIT("*2\r\n$500\r\n"),
    };
    struct buf deep CLEANUP(buf_release) = BUF_INIT(1000);
    struct resp_frame f;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(large); i++) {
        test_context("%.*s", STR_ARG(large[i]));
        resp_frame_init(&f, i == 4 ? 500 : 1000);
        CHECK_ERR(resp_frame_next(&f, large[i], &n), E_TOO_LARGE);
    }
    for (unsigned i = 0; i <= RESP_DEPTH_MAX; i++) {
        resp_frame_init(&f, 1000);
        CHECK_ERR(resp_frame_next(&f, buf_str(&deep), &n), E_AGAIN);
        CHECK_OK(buf_add_lit(&deep, "*1\r\n"));
    }
    resp_frame_init(&f, 1000);
    CHECK_ERR(resp_frame_next(&f, buf_str(&deep), &n), E_TOO_LARGE);
    resp_frame_init(&f, 4);
    CHECK_ERR(resp_frame_next(&f, STR("+abcd"), &n), E_TOO_LARGE);
}

TEST(resp_reply_does_not_pass_its_arena)
{
    struct arena a CLEANUP(arena_release) = {0};
    struct buf many CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct resp r;

    CHECK_OK(buf_add_lit(&many, "*100000\r\n"));
    for (unsigned i = 0; i < 100000; i++)
        CHECK_OK(buf_add_lit(&many, "_\r\n"));
    arena_init(&a, 1 << 20);
    CHECK_ERR(resp_parse(buf_str(&many), &a, &r), E_TOO_LARGE);
}

TEST(resp_command_is_written_as_an_array_of_strings)
{
    struct str words[] = {STR("SET"), STR(""), STR("a\r\nb")};
    struct buf b CLEANUP(buf_release) = BUF_INIT(40);

    CHECK_OK(resp_write_command(&b, words, 3));
    CHECK_STR(buf_str(&b), "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
    CHECK_ERR(resp_write_command(&b, words, 3), E_TOO_LARGE);
    CHECK_EQ(b.n, 29);
}
