/* jq_test.c - programs of full jq in a process of their own: results, failures, and that none of them can do harm. */
#include "jq/jq.h"

#include "test.h"

#include <stdlib.h>

enum { OUT_MAX = 64 << 20 };

static const struct jq_limits patient = {.memory = 256 << 20, .output = 1 << 20, .time = 20 * NS_SEC};
static const struct jq_limits hasty = {.memory = 256 << 20, .output = 1 << 20, .time = NS_SEC};

static bool have_jq(void)
{
    bool have = system("command -v jq >/dev/null") == 0;

    if (!have)
        test_skip("jq is not installed: scripts/deps test installs it");
    return have;
}

static void release(struct jq **jq)
{
    jq_free(*jq);
}

static void yields(struct jq *jq, const char *document, const char *wanted)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(OUT_MAX);

    test_context("%s", document);
    CHECK_OK(jq_run(jq, str_from_c(document), &b));
    CHECK_STR(buf_str(&b), wanted);
}

static void fails(struct jq *jq, const char *document, err_t wanted, const char *part)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(OUT_MAX);

    test_context("%s", document);
    err_t e = jq_run(jq, str_from_c(document), &b);
    CHECK_EQ(e, wanted);
    CHECK_MSG(str_find(str_from_c(err_detail(e)), str_from_c(part)) < strlen(err_detail(e)), "%s", err_detail(e));
    CHECK_EQ(b.n, 0);
}

TEST(jq_yields_any_number_of_results_for_each_document)
{
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("def down: if . > 0 then ., (. - 1 | down) else empty end; .a | down # a comment"), NULL, 0,
                    &patient, &jq));
    yields(jq, "{\"a\":3}", "3\n2\n1\n");
    yields(jq, "{\"a\":0}", "");
    yields(jq, "{\n\"a\":\r\n1\n}", "1\n");
}

TEST(jq_reads_what_is_named)
{
    const struct jq_named named[] = {{"x", "\"a\\\"b\""}, {"y", "{\"k\":[1]}"}};
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("[$x, $y.k]"), named, ARRAY_LEN(named), &patient, &jq));
    yields(jq, "null", "[\"a\\\"b\",[1]]\n");
}

TEST(jq_tells_of_a_document_that_its_program_fails_on_and_goes_on)
{
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("1, (.a | error)"), NULL, 0, &patient, &jq));
    fails(jq, "{\"a\":\"out of luck\"}", E_PARSE, "out of luck");
    fails(jq, "{\"a\":{\"code\":7}}", E_PARSE, "{\"code\":7}");
    fails(jq, "{\"a\":", E_PARSE, "ends too early");
    fails(jq, "{\"a\":\"still here\"}", E_PARSE, "still here");
}

TEST(jq_that_never_ends_is_ended_and_the_next_document_has_a_new_one)
{
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("if . == 1 then last(repeat(1)) else . end"), NULL, 0, &hasty, &jq));
    fails(jq, "1", E_DEADLINE, "longer than the 1000 ms");
    yields(jq, "2", "2\n");
}

TEST(jq_has_no_more_memory_and_says_no_more_than_it_may)
{
    static const struct jq_limits tight = {.memory = 64 << 20, .output = 64 << 10, .time = 60 * NS_SEC};
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("if . == 1 then [range(1e7)] | length elif . == 2 then range(1e6) else . end"), NULL, 0, &tight,
                    &jq));
    fails(jq, "1", E_TOO_LARGE, "64 MiB");
    fails(jq, "2", E_TOO_LARGE, "more than it may");
    yields(jq, "3", "3\n");
}

TEST(jq_sees_neither_the_environment_nor_other_documents_nor_modules)
{
    struct jq *jq CLEANUP(release) = NULL;
    struct jq *none = NULL;

    if (!have_jq())
        return;
    CHECK_EQ(setenv("CROSSDOCK_TEST_SECRET", "x", 1), 0);
    CHECK_OK(
        jq_new(STR("[env.CROSSDOCK_TEST_SECRET, $ENV.CROSSDOCK_TEST_SECRET, (try input catch \"none\"), [inputs]]"),
               NULL, 0, &patient, &jq));
    yields(jq, "1", "[null,null,\"none\",[]]\n");
    yields(jq, "2", "[null,null,\"none\",[]]\n");
    CHECK_EQ(jq_new(STR("include \"a\"; ."), NULL, 0, &patient, &none), E_PARSE);
}

TEST(jq_that_does_not_compile_is_refused_with_its_line)
{
    struct jq *jq = NULL;

    if (!have_jq())
        return;
    err_t e = jq_new(STR(".a |\n nosuch"), NULL, 0, &patient, &jq);
    CHECK_EQ(e, E_PARSE);
    CHECK_MSG(str_find(str_from_c(err_detail(e)), STR("nosuch")) < strlen(err_detail(e)), "%s", err_detail(e));
    CHECK_MSG(str_find(str_from_c(err_detail(e)), STR("line 2")) < strlen(err_detail(e)), "%s", err_detail(e));
    CHECK_EQ(jq_new(STR("\"\0\""), NULL, 0, &patient, &jq), E_PARSE);
}

/* Results that look like the marks between documents are results. */
TEST(jq_results_are_never_taken_for_the_end_of_a_document)
{
    struct jq *jq CLEANUP(release) = NULL;

    if (!have_jq())
        return;
    CHECK_OK(jq_new(STR("{end: 1}, \"{\\\"end\\\":1}\\n\", {e: 2}"), NULL, 0, &patient, &jq));
    yields(jq, "1", "{\"end\":1}\n\"{\\\"end\\\":1}\\n\"\n{\"e\":2}\n");
}
