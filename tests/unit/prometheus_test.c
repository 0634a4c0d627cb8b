/* prometheus_test.c - pages of metrics are read as they are printed, and what is no page is refused. */
#include "codec/prometheus.h"

#include "base/buf.h"
#include "unit/test.h"

#include <math.h>

/* The samples of a page, one after the other; *ret_end is how it ended. */
static size_t read_page(struct str page, struct prometheus_sample *to, size_t max, err_t *ret_end)
{
    size_t n = 0;

    while (n < max) {
        *ret_end = prometheus_next(&page, &to[n]);
        if (*ret_end != OK || !to[n].name.p)
            break;
        n++;
    }
    return n;
}

#define READ(text)                                                                                                     \
    struct prometheus_sample s[8];                                                                                     \
    err_t end;                                                                                                         \
    size_t n = read_page(STR(text), s, ARRAY_LEN(s), &end)

TEST(prometheus_reads_a_page_as_it_is_printed)
{
    READ("# HELP sglang:token_usage The token usage\n"
         "# TYPE sglang:token_usage gauge\n"
         "sglang:token_usage{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"} 0.28\n"
         "\n"
         "tgi_queue_size 3\n"
         "sglang:prompt_tokens_total{model_name=\"m\"} 8.128902e+06\n");
    CHECK_OK(end);
    CHECK_EQ(n, 3);
    CHECK_STR(s[0].name, "sglang:token_usage");
    CHECK_STR(s[0].labels, "model_name=\"meta-llama/Llama-3.1-8B-Instruct\"");
    CHECK(s[0].value == 0.28);
    CHECK_STR(s[1].name, "tgi_queue_size");
    CHECK(s[1].value == 3 && s[1].labels.n == 0);
    CHECK(s[2].value == 8128902);
}

TEST(prometheus_takes_every_form_of_a_sample)
{
    READ("a 1 1395066363000\n"
         "\tb\t{ x = \"1\" , y=\"2\" , } +Inf\n"
         "c{} -Inf -5\n"
         "d NaN\n"
         "e{le=\"+Inf\"} 7 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1.5\n"
         "# EOF\n");
    CHECK_OK(end);
    CHECK_EQ(n, 5);
    CHECK(s[0].value == 1);
    CHECK(isinf(s[1].value) && s[1].value > 0);
    CHECK(isinf(s[2].value) && s[2].value < 0);
    CHECK(isnan(s[3].value));
    CHECK(s[4].value == 7);
}

TEST(prometheus_finds_labels_by_their_whole_name)
{
    struct str value = STR("untouched");

    READ("a{block_size=\"16\",size=\"x,\\\"size=\\\\\",num=\"\"} 1\n");
    CHECK_OK(end);
    CHECK_EQ(n, 1);
    CHECK(!prometheus_label(&s[0], STR("bl"), &value));
    CHECK(!prometheus_label(&s[0], STR("x"), &value));
    CHECK_STR(value, "untouched");
    CHECK(prometheus_label(&s[0], STR("block_size"), &value));
    CHECK_STR(value, "16");
    CHECK(prometheus_label(&s[0], STR("size"), &value));
    CHECK_STR(value, "x,\\\"size=\\\\");
    CHECK(prometheus_label(&s[0], STR("num"), &value));
    CHECK_EQ(value.n, 0);
}

TEST(prometheus_refuses_what_is_no_page)
{
    static const char *const bad[] = {"a 1",
                                      "a\n",
                                      "a one\n",
                                      "1a 1\n",
                                      "a{x=\"1\" 1\n",
                                      "a{x=1} 1\n",
                                      "a{x} 1\n",
                                      "a{=\"1\"} 1\n",
                                      "a{x=\"\\t\"} 1\n",
                                      "a{x=\"1} 1\n",
                                      "a{,} 1\n",
                                      "a 1 2 3\n",
                                      "a 1 b\n",
                                      "a 0x10\n",
                                      "a -\n",
                                      "<html>\n",
                                      "a{1=\"\"} 1\n",
                                      "a{a:b=\"\"} 1\n",
                                      "a --1\n",
                                      "a 1\r\n",
                                      "{\"a\": 1}\n",
                                      "a infinity\n",
                                      "a{x=\"1\"y=\"2\"} 1\n",
                                      "a +nan\n",
                                      "a 1e999\n"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str page = str_from_c(bad[i]);
        struct prometheus_sample s = {.value = 42};
        CHECK_MSG(prometheus_next(&page, &s) == E_PARSE, "%s", bad[i]);
        CHECK_MSG(s.value == 42 && page.p == bad[i], "%s", bad[i]);
    }
}

TEST(prometheus_bounds_a_line)
{
    struct buf page CLEANUP(buf_release) = BUF_INIT(1 << 20);
    struct prometheus_sample s;

    CHECK_OK(buf_add_lit(&page, "a "));
    while (page.n < PROMETHEUS_LINE_MAX - 1)
        CHECK_OK(buf_add_char(&page, ' '));
    CHECK_OK(buf_add_lit(&page, "1\n"));
    struct str text = buf_str(&page);
    CHECK_OK(prometheus_next(&text, &s));
    CHECK(s.value == 1 && !text.n);
    page.n--;
    CHECK_OK(buf_add_lit(&page, "0\n"));
    text = buf_str(&page);
    CHECK_ERR(prometheus_next(&text, &s), E_TOO_LARGE);
}
