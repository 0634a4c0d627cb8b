/* json_scan_test.c - members of passing documents: found, refused where refusing is due, edited in place; whatever the cuts. */
#include "unit/test.h"

#include "codec/json_scan.h"

#include "base/mem.h"
#include "base/prng.h"

#include <stdio.h>
#include <stdlib.h>

static const struct str watch[] = {STR_INIT("model"), STR_INIT("usage"), STR_INIT("")};

/* Members as text: key_at key kind from-to [watch] value; then "done" or "error at". */
static void scan_piece(struct json_scan *s, struct str piece, struct buf *out, enum json_scan_result *r)
{
    static const char *const kinds[] = {"null", "false", "true", "number", "string", "array", "object"};
    char *own = mem_alloc(piece.n);
    struct str in = str_of(own, piece.n);
    struct json_member m;

    memcpy(own, piece.p, piece.n);
    while ((*r = json_scan_next(s, &in, &m)) == JSON_MEMBER)
        (void)buf_addf(out, "%llu %.*s%s %s %llu-%llu %d %.*s%s\n", (unsigned long long)m.key_at, STR_ARG(m.key),
                       m.key_cut ? "(cut)" : "", kinds[m.kind], (unsigned long long)m.at.from,
                       (unsigned long long)m.at.to, m.watch, STR_ARG(m.value), m.value.p ? "" : "(none)");
    memset(own, '#', piece.n);
    mem_free(own);
}

static struct buf scan_cut(struct str doc, size_t first, size_t rest, size_t capture, unsigned flags)
{
    struct json_scan s CLEANUP(json_scan_release);
    struct buf out = BUF_INIT(1 << 20);
    enum json_scan_result r = JSON_MORE;

    json_scan_init(&s, watch, ARRAY_LEN(watch), capture, flags);
    scan_piece(&s, str_slice(doc, 0, first), &out, &r);
    for (size_t at = first; at < doc.n && r == JSON_MORE; at += rest)
        scan_piece(&s, str_slice(doc, at, at + rest), &out, &r);
    if (r == JSON_MORE)
        r = json_scan_end(&s);
    if (r == JSON_DONE)
        (void)buf_addf(&out, "done %d %llu-%llu %llu", s.top.kind, (unsigned long long)s.top.at.from,
                       (unsigned long long)s.top.at.to, (unsigned long long)s.top.members);
    else
        (void)buf_addf(&out, "error at %llu: %s", (unsigned long long)s.error_at, s.error);
    return out;
}

static void check_flags(struct str doc, size_t capture, unsigned flags, const char *want)
{
    struct buf whole CLEANUP(buf_release) = scan_cut(doc, doc.n, 1, capture, flags);
    CHECK_STR(buf_str(&whole), want);
    for (size_t first = 1; first < doc.n; first++) {
        for (size_t rest = 1; rest < 3; rest++) {
            struct buf cut CLEANUP(buf_release) = scan_cut(doc, first, rest == 1 ? 1 : doc.n, capture, flags);
            test_context("first piece %zu, rest %s, of %.*s", first, rest == 1 ? "by bytes" : "whole", STR_ARG(doc));
            CHECK_STR(buf_str(&cut), want);
        }
    }
    test_context("%s", "");
}

static void check(const char *doc, const char *want)
{
    check_flags(str_from_c(doc), 0, 0, want);
}

TEST(json_scan_finds_members_of_every_kind)
{
    check("{\"model\":\"gpt\",\"n\":-1.5e+3,\"t\":true,\"f\":false,\"z\":null,\"a\":[1,[2]],\"usage\":{\"x\":{}}}",
          "1 model string 9-14 0 \"gpt\"\n15 n number 19-26 -1 -1.5e+3\n27 t true 31-35 -1 true\n36 f false 40-45 -1 "
          "false\n"
          "46 z null 50-54 -1 null\n55 a array 59-66 -1 (none)\n67 usage object 75-83 1 {\"x\":{}}\ndone 6 0-84 7");
}

TEST(json_scan_reports_watched_members_only_when_told_so)
{
    check_flags(STR("{\"a\":\"short\",\"model\":\"gpt\",\"b\":[1,2],\"c\":-12,\"usage\":{\"model\":1},\"d\":null}"), 0,
                JSON_WATCHED_ONLY,
                "13 model string 21-26 0 \"gpt\"\n45 usage object 53-64 1 {\"model\":1}\ndone 6 0-74 6");
    check_flags(STR("{\"a\":1,\"b\":2}"), 0, JSON_WATCHED_ONLY, "done 6 0-13 2");
    check_flags(STR("{\"a\":1,\"b\":02}"), 0, JSON_WATCHED_ONLY, "error at 12: ',' or '}' is expected");
}

TEST(json_scan_keeps_the_parts_of_a_value_apart_from_those_of_one_before_it)
{
    static const struct str doc = STR_INIT(
        "{\"a\":\"a short text\",\"model\":\"a model's name\",\"b\":1234567,\"usage\":{\"x\":[1,2,3]},\"d\":null}");

    for (unsigned flags = 0; flags <= JSON_WATCHED_ONLY; flags += JSON_WATCHED_ONLY) {
        struct buf whole CLEANUP(buf_release) = scan_cut(doc, doc.n, 1, 0, flags);
        for (size_t size = 1; size < doc.n; size++) {
            struct buf cut CLEANUP(buf_release) = scan_cut(doc, size, size, 0, flags);
            test_context("pieces of %zu bytes", size);
            CHECK(str_eq(buf_str(&cut), buf_str(&whole)));
        }
    }
    test_context("%s", "");
}

TEST(json_scan_reads_literals_wherever_they_are_cut)
{
    check("[null,true,false]", "done 5 0-17 0");
    check("[nuull]", "error at 3: invalid literal");
    check("[ttrue]", "error at 2: invalid literal");
    check("[nul]", "error at 4: invalid literal");
    check("[tru", "error at 4: the document breaks off");
}

TEST(json_scan_takes_blanks_everywhere)
{
    check(" \t\r\n{ \"a\" : 1 , \"b\" : [ ] , \"model\" : { } } \n",
          "6 a number 12-13 -1 1\n16 b array 22-25 -1 (none)\n"
          "28 model object 38-41 0 { }\ndone 6 4-43 3");
}

TEST(json_scan_finds_no_members_in_other_documents)
{
    check("[{\"a\":1}]", "done 5 0-9 0");
    check(" 12 ", "done 3 1-3 0");
    check("-0.0E-1", "done 3 0-7 0");
    check("\"x\"", "done 4 0-3 0");
    check("true", "done 2 0-4 0");
    check("{}", "done 6 0-2 0");
    check("[]", "done 5 0-2 0");
}

TEST(json_scan_reads_escaped_keys_and_reports_duplicates)
{
    check("{\"mod\\u0065l\":1,\"model\":2,\"a\\n\\\"\\ud83d\\ude00\":3,\"\":4}",
          "1 model number 14-15 0 1\n16 model number 24-25 0 2\n26 a\n\"\xf0\x9f\x98\x80 number 46-47 -1 3\n"
          "48  number 51-52 2 4\ndone 6 0-53 4");
}

TEST(json_scan_looks_at_the_top_level_only)
{
    check("{\"a\":{\"model\":1,\"b\":[{\"usage\":2}]},\"c\":[{\"model\":3},{\"model\":4}]}",
          "1 a object 5-34 -1 (none)\n35 c array 39-64 -1 (none)\ndone 6 0-65 2");
}

TEST(json_scan_gives_text_within_bounds)
{
    char doc[400], text[101];

    memset(text, 'x', sizeof text);
    (void)snprintf(doc, sizeof doc, "{\"a\":\"%.62s\",\"b\":\"%.63s\",\"model\":\"%.98s\",\"usage\":\"%.99s\"}", text,
                   text, text, text);
    char want[800];
    (void)snprintf(want, sizeof want,
                   "1 a string 5-69 -1 \"%.62s\"\n70 b string 74-139 -1 (none)\n140 model string 148-248 0 \"%.98s\"\n"
                   "249 usage string 257-358 1 (none)\ndone 6 0-359 4",
                   text, text);
    check_flags(str_from_c(doc), 100, 0, want);
}

TEST(json_scan_cuts_keys_beyond_their_bound)
{
    for (int n = JSON_KEY_MAX; n <= JSON_KEY_MAX + 1; n++) {
        struct buf doc CLEANUP(buf_release) = BUF_INIT(1000);
        struct buf want CLEANUP(buf_release) = BUF_INIT(1000);
        CHECK_OK(buf_add_lit(&doc, "{\""));
        for (int i = 0; i < n; i++)
            CHECK_OK(buf_add_char(&doc, 'k'));
        struct str key = str_slice(buf_str(&doc), 2, doc.n);
        CHECK_OK(buf_addf(&want, "1 %.*s%s number %d-%d -1 1\ndone 6 0-%d 1", n > JSON_KEY_MAX ? 0 : n, key.p,
                          n > JSON_KEY_MAX ? "(cut)" : "", n + 4, n + 5, n + 6));
        CHECK_OK(buf_add_lit(&doc, "\":1}"));
        CHECK_OK(buf_add_char(&want, '\0'));
        check_flags(buf_str(&doc), 0, 0, want.p);
    }
}

TEST(json_scan_refuses_what_is_not_json)
{
    static const struct {
        const char *doc;
        int at;
    } rows[] = {
        {"", 0},
        {" ", 1},
        {"{", 1},
        {"[", 1},
        {"\"", 1},
        {"{\"a\"", 4},
        {"{\"a\":", 5},
        {"{\"a\":1", 6},
        {"{\"a\":1,", 7},
        {"{,}", 1},
        {"{\"a\":1,}", 7},
        {"[1,]", 3},
        {"[,1]", 1},
        {"{a:1}", 1},
        {"{'a':1}", 1},
        {"{\"a\" 1}", 5},
        {"{\"a\"::1}", 5},
        {"{1:2}", 1},
        {"[1 2]", 3},
        {"[1}", 2},
        {"{\"a\":1]", 6},
        {"]", 0},
        {"}", 0},
        {"{}{}", 2},
        {"1 2", 2},
        {"{}x", 2},
        {"tru", 3},
        {"trux", 3},
        {"truex", 4},
        {"nul1", 3},
        {"True", 0},
        {"NaN", 0},
        {"nan", 1},
        {"Infinity", 0},
        {"-", 1},
        {"-x", 1},
        {"+1", 0},
        {"01", 1},
        {"-01", 2},
        {"1.", 2},
        {"1.x", 2},
        {".5", 0},
        {"1e", 2},
        {"1e+", 3},
        {"1ex", 2},
        {"1.5e-x", 5},
        {"0x1", 1},
        {"1_000", 1},
        {"\"\\x\"", 2},
        {"\"\\u12g4\"", 5},
        {"\"\\u123", 6},
        {"\"a\nb\"", 2},
        {"\"\t\"", 1},
        {"\"\x1f\"", 1},
        {"\"\\", 2},
        {"// c\n1", 0},
        {"/**/1", 0},
        {"\xef\xbb\xbf{}", 0},
        {"\x0c{}", 0},
        {"\xa0{}", 0},
        {"\"\\ud83d\"", 7},
        {"\"\\ude00\"", 6},
        {"\"\\ud83dx\"", 7},
        {"\"\\ud83d\\n\"", 8},
        {"\"\\ud83d\\ud83d\"", 12},
        {"[\"\\u00e9\\ud800\\u0041\"]", 19},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str doc = str_from_c(rows[i].doc);
        for (size_t first = 0; first <= doc.n; first++) {
            struct buf got CLEANUP(buf_release) = scan_cut(doc, first, 1, 0, 0);
            char want[32];
            (void)snprintf(want, sizeof want, "error at %d:", rows[i].at);
            test_context("row %zu (%s) first piece %zu: %.*s", i, rows[i].doc, first, STR_ARG(buf_str(&got)));
            CHECK(str_find(buf_str(&got), str_from_c(want)) < got.n);
        }
        CHECK(!json_valid(doc, 0));
    }
    CHECK(!json_valid(STR("\"\0\""), 0));
    CHECK(!json_valid(STR("{}\0"), 0));
}

TEST(json_scan_accepts_lone_surrogates_only_if_told)
{
    static const char *const docs[] = {
        "\"\\ud83d\"",        "\"\\ude00\"",    "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\ud83d\\ude00\"",
        "\"\\ud83d\\u0041\"", "\"\\ud83d\\\"\""};

    for (size_t i = 0; i < ARRAY_LEN(docs); i++) {
        test_context("%s", docs[i]);
        CHECK(!json_valid(str_from_c(docs[i]), 0));
        char want[32];
        (void)snprintf(want, sizeof want, "done 4 0-%zu 0", strlen(docs[i]));
        check_flags(str_from_c(docs[i]), 0, JSON_LONE_SURROGATES, want);
    }
    CHECK(!json_valid(STR("\"\\ud83d\\x\""), JSON_LONE_SURROGATES));
    CHECK(json_valid(STR("\"\\ud83d\\ude00\""), 0));
}

TEST(json_scan_checks_utf8_only_if_told)
{
    static const struct {
        const char *text;
        int bad_at; /* -1: valid */
    } rows[] = {
        {"\xc3\xa9", -1},
        {"\xe6\xa8\xa1", -1},
        {"\xf0\x9f\x98\x80", -1},
        {"\xf4\x8f\xbf\xbf", -1},
        {"\xed\x9f\xbf", -1},
        {"\xee\x80\x80", -1},
        {"\xff", 0},
        {"\x80", 0},
        {"\xc3", 1},
        {"\xc3x", 1},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x80\x80", 1},
        {"\xe0\x9f\xbf", 1},
        {"\xed\xa0\x80", 1},
        {"\xe6\xa8", 2},
        {"\xe6\xa8x", 2},
        {"\xf0\x80\x80\x80", 1},
        {"\xf0\x8f\xbf\xbf", 1},
        {"\xf4\x90\x80\x80", 1},
        {"\xf5\x80\x80\x80", 0},
        {"\xf0\x9f\x98", 3},
        {"\xf0\x9f\x98\xc0", 3},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t before = 0; before < 20; before++) {
            char doc[64], want[64], done[64];
            int n = snprintf(doc, sizeof doc, "\"%.*s%s\"", (int)before, "abcdefghijklmnopqrst", rows[i].text);
            (void)snprintf(done, sizeof done, "done 4 0-%d 0", n);
            (void)snprintf(want, sizeof want, "error at %d: invalid UTF-8", (int)before + 1 + rows[i].bad_at);
            check_flags(str_of(doc, (size_t)n), 0, 0, done);
            check_flags(str_of(doc, (size_t)n), 0, JSON_CHECK_UTF8, rows[i].bad_at < 0 ? done : want);
        }
    }
}

TEST(json_scan_finds_the_end_of_strings_of_every_length)
{
    for (size_t n = 0; n < 70; n++) {
        for (size_t at = 0; at <= n; at++) {
            char doc[128];
            memset(doc, 'x', sizeof doc);
            doc[0] = '"';
            doc[n + 1] = '"';
            CHECK(json_valid(str_of(doc, n + 2), JSON_CHECK_UTF8));
            doc[at + 1] = at < n ? '\n' : 'x'; /* without its end, or with a control byte inside */
            CHECK(!json_valid(str_of(doc, n + 2), JSON_CHECK_UTF8));
        }
    }
}

TEST(json_scan_limits_nesting_not_length)
{
    char doc[2 * (JSON_DEPTH_MAX + 1) + 1];

    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(doc, '[', (size_t)depth);
        memset(doc + depth, ']', (size_t)depth);
        struct buf got CLEANUP(buf_release) = scan_cut(str_of(doc, 2 * (size_t)depth), 100, 3, 0, 0);
        CHECK_STR(buf_str(&got), depth > JSON_DEPTH_MAX ? "error at 256: nested too deeply" : "done 5 0-512 0");
    }
    /* every mixture of arrays and objects closes with what it opened with */
    struct buf mixed CLEANUP(buf_release) = BUF_INIT(10000);
    for (int i = 0; i < 200; i++)
        CHECK_OK(buf_add(&mixed, i % 3 ? STR("{\"k\":") : STR("[")));
    CHECK_OK(buf_add_char(&mixed, '1'));
    for (int i = 199; i >= 0; i--)
        CHECK_OK(buf_add_char(&mixed, i % 3 ? '}' : ']'));
    CHECK(json_valid(buf_str(&mixed), 0));
    for (size_t i = mixed.n - 200; i < mixed.n; i++) {
        mixed.p[i] = mixed.p[i] == '}' ? ']' : '}';
        CHECK(!json_valid(buf_str(&mixed), 0));
        mixed.p[i] = mixed.p[i] == '}' ? ']' : '}';
    }
}

TEST(json_scan_errors_name_the_place)
{
    struct json_scan s CLEANUP(json_scan_release);
    struct str doc = STR("{\n  \"a\": 1,\n  oops\n}"), in = doc;
    struct json_member m;

    json_scan_init(&s, NULL, 0, 0, 0);
    CHECK_EQ(json_scan_next(&s, &in, &m), JSON_MEMBER);
    CHECK_EQ(json_scan_next(&s, &in, &m), JSON_ERROR);
    CHECK_EQ(json_scan_next(&s, &in, &m), JSON_ERROR);
    CHECK_EQ(json_scan_end(&s), JSON_ERROR);
    CHECK_ERR(json_scan_fail(&s, doc), E_PARSE);
    CHECK_STR(str_from_c(err_detail(E_PARSE)), "JSON: a key is expected at line 3, column 3");
    CHECK_ERR(json_scan_fail(&s, STR_NONE), E_PARSE);
    CHECK_STR(str_from_c(err_detail(E_PARSE)), "JSON: a key is expected at byte 14");
}

/* --- values --- */

TEST(json_values_become_numbers_only_if_they_are)
{
    int64_t i;
    uint64_t u;
    double d;

    CHECK(json_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(json_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(json_to_i64(STR("-0"), &i) && i == 0);
    CHECK(json_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(json_to_u64(STR("-0"), &u) && u == 0);
    static const char *const bad[] = {"", "-", "1.0", "1e2", "01", "-01", "+1", "\"1\"", "null", " 1", "1 ", "0x1"};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        test_context("%s", bad[k]);
        CHECK(!json_to_i64(str_from_c(bad[k]), &i));
        CHECK(!json_to_u64(str_from_c(bad[k]), &u));
    }
    CHECK(!json_to_i64(STR("9223372036854775808"), &i));
    CHECK(!json_to_i64(STR("-9223372036854775809"), &i));
    CHECK(!json_to_u64(STR("18446744073709551616"), &u));
    CHECK(!json_to_u64(STR("-1"), &u));
    CHECK(json_to_double(STR("-1.5e3"), &d) && d == -1500.0);
    CHECK(json_to_double(STR("0"), &d) && d == 0.0);
    CHECK(!json_to_double(STR("1e999"), &d));
    CHECK(!json_to_double(STR("1."), &d));
    CHECK(!json_to_double(STR("inf"), &d));
    CHECK(!json_to_double(STR("-inf"), &d));
    CHECK(!json_to_double(STR("1 "), &d));
    CHECK(!json_to_double(STR("\"1\""), &d));
}

/* Short ones are read in a way of their own: they have to be what the C library says, to the bit. */
TEST(json_short_numbers_are_the_nearest_doubles)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.1",
                                        "0.3",
                                        "123456789012345",
                                        "-999999999999999",
                                        "0.000000000000001",
                                        "1.5",
                                        "4.35",
                                        "0.7",
                                        "2.675",
                                        "1e1",
                                        "100000000000000",
                                        "8.41",
                                        "1234.56789",
                                        "9007199254740993",
                                        "0.123456789012345",
                                        "12345678901234.5"};
    struct prng prng;
    double got;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CHECK_MSG(json_to_double(str_from_c(texts[i]), &got), "%s", texts[i]);
        double wanted = strtod(texts[i], NULL);
        CHECK_MSG(memcmp(&got, &wanted, sizeof got) == 0, "%s", texts[i]);
    }
    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s%llu.%0*llu", prng_below(&prng, 2) ? "-" : "",
                       (unsigned long long)prng_below(&prng, 100000000), 1 + (int)prng_below(&prng, 8),
                       (unsigned long long)prng_below(&prng, 10));
        CHECK(json_to_double(str_from_c(text), &got));
        CHECK_MSG(got == strtod(text, NULL), "%s", text);
    }
    static const char *const none[] = {"",   "-",    ".",     "1.",  ".5", "01",  "-01", "00",
                                       "+1", "1..2", "1.2.3", "0x1", "1a", "- 1", "--1"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        CHECK_MSG(!json_to_double(str_from_c(none[i]), &got), "%s", none[i]);
}

TEST(json_values_become_truth)
{
    bool b = false;

    CHECK(json_to_bool(STR("true"), &b) && b);
    CHECK(json_to_bool(STR("false"), &b) && !b);
    CHECK(!json_to_bool(STR("null"), &b));
    CHECK(!json_to_bool(STR("True"), &b));
    CHECK_EQ(json_kind_of(STR("-1")), JSON_NUMBER);
    CHECK_EQ(json_kind_of(STR("\"")), JSON_STRING);
    CHECK_EQ(json_kind_of(STR("")), JSON_NULL);
}

TEST(json_strings_lose_their_escapes)
{
    static const struct {
        const char *value, *text;
    } rows[] = {
        {"\"\"", ""},
        {"\"abc\"", "abc"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"a\\u0041\\u00e9\\u20ac\"", "aA\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!"},
        {"\"\\ud83d!\"", "\xef\xbf\xbd!"},
        {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
        {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ude00\\ude01\"", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"x\\\\\"", "x\\"},
    };
    static const char *const bad[] = {"",       "\"",      "abc",       "\"a",         "a\"",       "\"a\"b\"",
                                      "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\n\"b\""};
    struct arena a CLEANUP(arena_release);
    struct str text;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_context("%s", rows[i].value);
        CHECK_OK(json_string_value(str_from_c(rows[i].value), &a, &text));
        CHECK_STR(text, rows[i].text);
        CHECK(json_string_is(str_from_c(rows[i].value), text));
        CHECK(!json_string_is(str_from_c(rows[i].value), arena_join(&a, text, STR("x"))));
        if (text.n)
            CHECK(!json_string_is(str_from_c(rows[i].value), str_slice(text, 0, text.n - 1)));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_context("%s", bad[i]);
        CHECK_ERR(json_string_value(str_from_c(bad[i]), &a, &text), E_PARSE);
    }
    struct str plain = STR("\"plain\"");
    CHECK_OK(json_string_value(plain, &a, &text));
    CHECK(text.p == plain.p + 1);
}

TEST(json_find_steps_down)
{
    struct str usage =
        STR("{\"prompt_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":4,\"x\":[1]},\"prompt_tokens\":1}");

    CHECK_STR(json_find(usage, STR("prompt_tokens")), "9");
    CHECK_STR(json_find_path(usage, "prompt_tokens_details", "cached_tokens", NULL), "4");
    CHECK(json_find(usage, STR("nope")).p == NULL);
    CHECK(json_find_path(usage, "prompt_tokens", "x", NULL).p == NULL);
    CHECK(json_find(STR("[1]"), STR("a")).p == NULL);
    CHECK(json_find(STR("{\"a\":x}"), STR("a")).p == NULL);
    CHECK(json_find(STR_NONE, STR("a")).p == NULL);
}

TEST(json_elements_are_walked)
{
    struct str array = STR("[ 1, \"a,]\\\"\" ,[2,[3]] , {\"x\":\"}\"},null]");
    static const char *const want[] = {"1", "\"a,]\\\"\"", "[2,[3]]", "{\"x\":\"}\"}", "null"};
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_STR(json_next_element(array, &at), want[i]);
    CHECK(json_next_element(array, &at).p == NULL);
    CHECK(json_next_element(array, &at).p == NULL);
    at = 0;
    CHECK(json_next_element(STR("[]"), &at).p == NULL);
    at = 0;
    CHECK(json_next_element(STR("{}"), &at).p == NULL);
    at = 0;
    CHECK(json_next_element(STR_NONE, &at).p == NULL);
}

TEST(json_members_of_a_valid_object_are_walked_in_order)
{
    static const struct {
        const char *key, *value;
    } want[] = {{"a", "1"}, {"b\\\"c", "\"x,}\\\"\""}, {"", "{\"k\": [1, {\"z\":2}]}"}, {"d", "null"}};
    struct str key, value,
        object = STR("{ \"a\" : 1 ,\"b\\\"c\":\"x,}\\\"\",\n\"\": {\"k\": [1, {\"z\":2}]} , \"d\":null }");
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK(json_next_member(object, &at, &key, &value));
        CHECK_STR(key, want[i].key);
        CHECK_STR(value, want[i].value);
    }
    CHECK(!json_next_member(object, &at, &key, &value));
    CHECK(!json_next_member(object, &at, &key, &value));
}

TEST(json_keys_are_walked_through_objects_within_objects)
{
    struct str key, text = STR("[{ \"a\" : {\"b\\\"\":1 , \"c\":{} } ,\"d\":[\"}\"]}, 2]");
    size_t at = 1;

    CHECK(json_next_key(text, &at, &key));
    CHECK_STR(key, "a");
    CHECK(json_next_key(text, &at, &key));
    CHECK_STR(key, "b\\\"");
    CHECK_STR(json_take_value(text, &at), "1");
    CHECK(json_next_key(text, &at, &key));
    CHECK_STR(key, "c");
    CHECK(!json_next_key(text, &at, &key)); /* of {} */
    CHECK(!json_next_key(text, &at, &key)); /* of a's value */
    CHECK(json_next_key(text, &at, &key));
    CHECK_STR(key, "d");
    CHECK_STR(json_take_value(text, &at), "[\"}\"]");
    CHECK(!json_next_key(text, &at, &key));
    CHECK_STR(str_slice(text, at, text.n), ", 2]");
}

TEST(json_strings_of_a_value_are_walked_up_to_its_end)
{
    static const struct {
        const char *text;
        bool is_key;
    } want[] = {{"a", true}, {"x \\\" y", false}, {"b", true}, {"}", false}, {"", false}};
    static const char *const others[] = {"12 ,\"z\"", "null}", "\"s\"", "[]", "{ }"};
    static const size_t behind[] = {2, 4, 3, 2, 3};
    struct str text, doc = STR(",[{\"a\": \"x \\\" y\", \"b\" :[1,\"}\"]}, \"\"] ,\"z\"");
    struct json_strings w = {.at = 1};
    bool is_key;

    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK(json_next_string(doc, &w, &text, &is_key));
        CHECK_STR(text, want[i].text);
        CHECK_EQ(is_key, want[i].is_key);
    }
    CHECK(!json_next_string(doc, &w, &text, &is_key));
    CHECK_STR(str_slice(doc, w.at, doc.n), " ,\"z\"");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        w = (struct json_strings){.at = 0};
        while (json_next_string(str_from_c(others[i]), &w, &text, &is_key))
            CHECK_STR(text, "s");
        CHECK_EQ(w.at, behind[i]);
    }
}

TEST(json_string_ends_at_the_first_quote_that_is_not_escaped)
{
    static const char letters[] = {'a', '"', '\\', '\\'};
    struct prng p;

    prng_seed(&p, 5);
    for (unsigned round = 0; round < 5000; round++) {
        char text[40] = {'"', '"'};
        size_t at = prng_below(&p, 2), n = at + 1 + prng_below(&p, sizeof text - 2), want = at + 1;
        for (size_t i = at + 1; i < n; i++)
            text[i] = letters[prng_below(&p, ARRAY_LEN(letters))];
        while (want < n && text[want] != '"')
            want += text[want] == '\\' ? 2 : 1;
        char *copy = mem_dup(text, n);
        CHECK_EQ(json_string_end(str_of(copy, n), at), want < n ? want + 1 : n);
        mem_free(copy);
    }
}

TEST(json_members_of_what_is_no_object_are_none_and_nothing_is_read_out_of_bounds)
{
    static const char *const texts[] = {"",       "{}",      "{ }",        "[]",         "1",     "{\"a",
                                        "{\"a\"", "{\"a\":", "{\"a\":\"b", "{\"a\":[1,", "{x:1}", "{,"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *copy = mem_dup(texts[i], strlen(texts[i]));
        struct str key, value;
        size_t n = strlen(texts[i]), rounds = 0;
        for (size_t at = 0; json_next_member(str_of(copy, n), &at, &key, &value); rounds++)
            CHECK_LE(at, n);
        CHECK_LE(rounds, 1);
        mem_free(copy);
    }
}

/* --- splicing --- */

/* Edits as text: a letter per member of the document: '.' keep, '-' delete, '=' replace by 0; then '<' and '>' insert. */
static void check_splice(const char *doc, const char *edits, const char *want)
{
    struct json_scan s CLEANUP(json_scan_release);
    struct buf out CLEANUP(buf_release) = BUF_INIT(1000);
    struct json_edit list[JSON_EDIT_MAX];
    struct str in = str_from_c(doc);
    struct json_member m;
    size_t n = 0;

    json_scan_init(&s, NULL, 0, 0, 0);
    for (; json_scan_next(&s, &in, &m) == JSON_MEMBER; edits++)
        if (*edits != '.')
            list[n++] = (struct json_edit){
                .kind = *edits == '-' ? JSON_DELETE : JSON_REPLACE, .key_at = m.key_at, .at = m.at, .value = STR("0")};
    CHECK_EQ(json_scan_end(&s), JSON_DONE);
    for (; *edits; edits++)
        list[n++] = (struct json_edit){
            .kind = *edits == '<' ? JSON_INSERT_FIRST : JSON_INSERT_LAST, .key = STR("k\""), .value = STR("[]")};
    for (size_t i = 0; i < n / 2; i++) { /* the order must not matter */
        struct json_edit swap = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = swap;
    }
    test_context("%s with %s", doc, edits);
    CHECK_OK(json_splice(&out, str_from_c(doc), &s.top, list, n));
    CHECK_STR(buf_str(&out), want);
    CHECK(json_valid(buf_str(&out), 0));
}

TEST(json_splice_changes_only_what_it_should)
{
    const char *abc = " {\"a\":1,\"b\":22,\"c\":3} ", *wide = "{ \"a\" : 1 , \"b\" : 2 , \"c\" : 3 }",
               *one = "{ \"a\" : 1 }";

    check_splice(abc, "...", " {\"a\":1,\"b\":22,\"c\":3} ");
    check_splice(abc, ".=.", " {\"a\":1,\"b\":0,\"c\":3} ");
    check_splice(abc, "===", " {\"a\":0,\"b\":0,\"c\":0} ");
    check_splice(abc, "-..", " {\"b\":22,\"c\":3} ");
    check_splice(abc, ".-.", " {\"a\":1,\"c\":3} ");
    check_splice(abc, "..-", " {\"a\":1,\"b\":22} ");
    check_splice(abc, "--.", " {\"c\":3} ");
    check_splice(abc, ".--", " {\"a\":1} ");
    check_splice(abc, "-.-", " {\"b\":22} ");
    check_splice(abc, "---", " {} ");
    check_splice(abc, "-=-", " {\"b\":0} ");
    check_splice(abc, "=--", " {\"a\":0} ");
    check_splice(abc, "...<", " {\"k\\\"\":[],\"a\":1,\"b\":22,\"c\":3} ");
    check_splice(abc, "...>", " {\"a\":1,\"b\":22,\"c\":3,\"k\\\"\":[]} ");
    check_splice(abc, "...<>", " {\"k\\\"\":[],\"a\":1,\"b\":22,\"c\":3,\"k\\\"\":[]} ");
    check_splice(abc, "---<", " {\"k\\\"\":[]} ");
    check_splice(abc, "---<>", " {\"k\\\"\":[],\"k\\\"\":[]} ");
    check_splice(abc, "--.<>", " {\"k\\\"\":[],\"c\":3,\"k\\\"\":[]} ");
    check_splice(abc, ".--<>", " {\"k\\\"\":[],\"a\":1,\"k\\\"\":[]} ");
    check_splice(wide, ".-.", "{ \"a\" : 1  , \"c\" : 3 }");
    check_splice(wide, "-..>", "{ \"b\" : 2 , \"c\" : 3,\"k\\\"\":[] }");
    check_splice(wide, "..->", "{ \"a\" : 1 , \"b\" : 2 ,\"k\\\"\":[] }");
    check_splice(one, "-", "{  }");
    check_splice(one, "->", "{ \"k\\\"\":[] }");
    check_splice(one, "-<", "{\"k\\\"\":[]  }");
    check_splice("{}", ">", "{\"k\\\"\":[]}");
    check_splice("{ }", "<>", "{\"k\\\"\":[],\"k\\\"\":[] }");
    check_splice("{}", "<<>>", "{\"k\\\"\":[],\"k\\\"\":[],\"k\\\"\":[],\"k\\\"\":[]}");
}

TEST(json_splice_stays_valid_for_every_choice_of_edits)
{
    static const char *const docs[] = {"{\"a\":1,\"b\":[2],\"c\":{},\"d\":\"x\"}",
                                       "{ \"a\" : 1 , \"b\" : 2 ,\n\t\"c\" : 3 , \"d\" : 4 }\n"};

    for (size_t d = 0; d < ARRAY_LEN(docs); d++) {
        for (unsigned choice = 0; choice < 81 * 9; choice++) {
            struct json_scan s CLEANUP(json_scan_release), after CLEANUP(json_scan_release);
            struct buf out CLEANUP(buf_release) = BUF_INIT(1000);
            struct json_edit list[8];
            struct str in = str_from_c(docs[d]);
            struct json_member m;
            unsigned c = choice, deleted = 0, inserted;
            size_t n = 0;

            json_scan_init(&s, NULL, 0, 0, 0);
            for (; json_scan_next(&s, &in, &m) == JSON_MEMBER; c /= 3) {
                if (c % 3)
                    list[n++] = (struct json_edit){.kind = c % 3 == 1 ? JSON_DELETE : JSON_REPLACE,
                                                   .key_at = m.key_at,
                                                   .at = m.at,
                                                   .value = STR("null")};
                deleted += c % 3 == 1;
            }
            CHECK_EQ(json_scan_end(&s), JSON_DONE);
            inserted = c % 3 + c / 3;
            for (unsigned k = 0; k < inserted; k++)
                list[n++] = (struct json_edit){
                    .kind = k < c % 3 ? JSON_INSERT_FIRST : JSON_INSERT_LAST, .key = STR("k"), .value = STR("7")};
            CHECK_OK(json_splice(&out, str_from_c(docs[d]), &s.top, list, n));
            test_context("choice %u of %s gave %.*s", choice, docs[d], STR_ARG(buf_str(&out)));
            json_scan_init(&after, NULL, 0, 0, 0);
            in = buf_str(&out);
            while (json_scan_next(&after, &in, &m) == JSON_MEMBER)
                ;
            CHECK_EQ(json_scan_end(&after), JSON_DONE);
            CHECK_EQ(after.top.members, 4 - deleted + inserted);
        }
    }
}

TEST(json_splice_copies_no_unchanged_bytes)
{
    struct arena a CLEANUP(arena_release);
    struct json_scan s CLEANUP(json_scan_release);
    struct str doc = STR("{\"model\":\"x\",\"messages\":[]}"), in = doc, *parts;
    struct json_member m;
    size_t n;

    arena_init(&a, 1 << 20);
    json_scan_init(&s, NULL, 0, 0, 0);
    CHECK_EQ(json_scan_next(&s, &in, &m), JSON_MEMBER);
    struct json_edit e = {.kind = JSON_REPLACE, .key_at = m.key_at, .at = m.at, .value = STR("\"yy\"")};
    while (json_scan_next(&s, &in, &m) == JSON_MEMBER)
        ;
    CHECK_EQ(json_scan_end(&s), JSON_DONE);
    CHECK_OK(json_splice_parts(doc, &s.top, &e, 1, &a, &parts, &n));
    CHECK(parts[n - 1].p == doc.p + 12);
    CHECK_STR(parts[n - 1], ",\"messages\":[]}");
}

TEST(json_splice_refuses_edits_that_do_not_fit)
{
    struct buf out CLEANUP(buf_release) = BUF_INIT(1000);
    struct str doc = STR("{\"a\":1,\"b\":2}");
    const struct json_top top = {.kind = JSON_OBJECT, .at = {0, 13}, .members = 2},
                          array = {.kind = JSON_ARRAY, .at = {0, 13}};
    const struct json_edit a = {.kind = JSON_REPLACE, .key_at = 1, .at = {5, 6}, .value = STR("0")};
    struct json_edit twice[] = {a, a}, many[JSON_EDIT_MAX + 1] = {0};
    struct json_edit outside = {.kind = JSON_REPLACE, .key_at = 1, .at = {5, 14}, .value = STR("0")};
    struct json_edit far = {.kind = JSON_REPLACE, .key_at = 100, .at = {105, 106}, .value = STR("0")};
    struct json_edit backwards = {.kind = JSON_DELETE, .key_at = 5, .at = {1, 6}};

    CHECK_ERR(json_splice(&out, doc, &array, &a, 1), E_PARSE);
    CHECK_ERR(json_splice(&out, doc, &top, twice, 2), E_PARSE);
    CHECK_ERR(json_splice(&out, doc, &top, &outside, 1), E_PARSE);
    CHECK_ERR(json_splice(&out, doc, &top, &far, 1), E_PARSE);
    CHECK_ERR(json_splice(&out, doc, &top, &backwards, 1), E_PARSE);
    CHECK_ERR(json_splice(&out, doc, &top, many, ARRAY_LEN(many)), E_TOO_LARGE);
    CHECK_ERR(json_splice(&out, str_slice(doc, 0, 12), &top, &a, 1), E_PARSE);
    CHECK_EQ(out.n, 0);
    /* a span that takes blanks with it is odd, but does no harm */
    const struct json_edit wide[] = {{.kind = JSON_DELETE, .key_at = 1, .at = {5, 7}},
                                     {.kind = JSON_INSERT_LAST, .key = STR("k"), .value = STR("0")}};
    CHECK_OK(json_splice(&out, STR("{\"a\":1 }"), &(struct json_top){JSON_OBJECT, {0, 8}, 1}, wide, 2));
    CHECK_STR(buf_str(&out), "{\"k\":0}");
    struct buf small CLEANUP(buf_release) = BUF_INIT(5);
    CHECK_ERR(json_splice(&small, doc, &top, &a, 1), E_TOO_LARGE);
    CHECK_EQ(small.n, 0);
}
