/* url_test.c - URLs: split, decoded, looked up, normalised; and what is refused on the way. */
#include "unit/test.h"

#include "codec/url.h"

TEST(url_parse_splits)
{
    static const struct {
        const char *text, *scheme, *userinfo, *host;
        int port, port_to_use;
        const char *path, *query, *fragment;
    } rows[] = {
        {"http://h", "http", "", "h", 0, 80, "", "", ""},
        {"https://api.openai.com/v1", "https", "", "api.openai.com", 0, 443, "/v1", "", ""},
        {"HTTPS://h:8443/a/b?c=d&e#f", "HTTPS", "", "h", 8443, 8443, "/a/b", "c=d&e", "f"},
        {"http://[::1]:80/", "http", "", "::1", 80, 80, "/", "", ""},
        {"http://[2001:db8::1.2.3.4]", "http", "", "2001:db8::1.2.3.4", 0, 80, "", "", ""},
        {"redis://user:p%40ss@h/0", "redis", "user:p%40ss", "h", 0, 0, "/0", "", ""},
        {"http://h?q", "http", "", "h", 0, 80, "", "q", ""},
        {"http://h#f?x", "http", "", "h", 0, 80, "", "", "f?x"},
        {"http://h:?x", "http", "", "h", 0, 80, "", "x", ""},
        {"nats+tls://a-b.c_d~e:65535", "nats+tls", "", "a-b.c_d~e", 65535, 65535, "", "", ""},
        {"wss://@h/", "wss", "", "h", 0, 443, "/", "", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url u;
        test_context("%s", rows[i].text);
        CHECK_OK(url_parse(str_from_c(rows[i].text), &u));
        CHECK_STR(u.scheme, rows[i].scheme);
        CHECK_STR(u.userinfo, rows[i].userinfo);
        CHECK_STR(u.host, rows[i].host);
        CHECK_EQ(u.port, rows[i].port);
        CHECK_EQ(url_port(&u), rows[i].port_to_use);
        CHECK_STR(u.path, rows[i].path);
        CHECK_STR(u.query, rows[i].query);
        CHECK_STR(u.fragment, rows[i].fragment);
        CHECK_EQ(u.is_ipv6, url_host_is_ipv6(u.host));
    }
}

TEST(url_parse_tells_an_empty_part_from_none)
{
    struct url u;

    CHECK_OK(url_parse(STR("http://@h/?#"), &u));
    CHECK(u.userinfo.p && u.query.p && u.fragment.p);
    CHECK_OK(url_parse(STR("http://h/"), &u));
    CHECK(!u.userinfo.p && !u.query.p && !u.fragment.p);
}

TEST(url_parse_refuses)
{
    static const char *const rows[] = {
        "",
        "h",
        "/x",
        "http:/h",
        "http//h",
        "://h",
        "1http://h",
        "ht tp://h",
        "http://",
        "http:///x",
        "http://:80",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://h:80x",
        "http://h: 80",
        "http://[::1",
        "http://[]",
        "http://[x::]",
        "http://[1.2.3.4]",
        "http://[::1]x",
        "http://::1",
        "http://a b/",
        "http://h/\n",
        "http://h/\x80",
        "http://h/%",
        "http://h/%4",
        "http://h/%zz",
        "http://a@b@h",
        "http://h\\x",
        "http://h/\x7f",
        "http://a^b",
        "http://?",
        "http://u@",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url u = {.port = 7};
        test_context("%s", rows[i]);
        CHECK_ERR(url_parse(str_from_c(rows[i]), &u), E_PARSE);
        CHECK_EQ(u.port, 7);
    }
    struct url u;
    CHECK_ERR(url_parse(STR("http://h/\0"), &u), E_PARSE);
}

TEST(url_decode_and_encode)
{
    struct arena a CLEANUP(arena_release);
    struct buf b CLEANUP(buf_release) = BUF_INIT(1000);
    struct str plain = STR("a+b"), text;

    arena_init(&a, 1 << 20);
    CHECK_OK(url_decode(plain, &a, &text));
    CHECK(text.p == plain.p);
    CHECK_OK(url_decode_form(plain, &a, &text));
    CHECK_STR(text, "a b");
    CHECK_OK(url_decode(STR("%41%c3%A9%2f+"), &a, &text));
    CHECK_STR(text, "A\xc3\xa9/+");
    static const char *const bad[] = {"%", "%4", "%4g", "%00", "x%", "%%41"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_ERR(url_decode(str_from_c(bad[i]), &a, &text), E_PARSE);
    CHECK_OK(url_encode(&b, STR("aZ09-._~ /?\xff:+")));
    CHECK_STR(buf_str(&b), "aZ09-._~%20%2F%3F%FF%3A%2B");
    CHECK_OK(url_decode(buf_str(&b), &a, &text));
    CHECK_STR(text, "aZ09-._~ /?\xff:+");
    buf_clear(&b);
    CHECK_OK(url_encode_path(&b, STR("/a b/c:d")));
    CHECK_STR(buf_str(&b), "/a%20b/c%3Ad");
}

TEST(url_queries_are_looked_up)
{
    struct arena a CLEANUP(arena_release);
    struct str q = STR("alt=sse&&key=a%20b+c&x&y=&%6bey2=1&bad=%zz&a=b=c"), name, value;

    arena_init(&a, 1 << 20);
    CHECK_STR(url_query_get(q, STR("alt"), &a), "sse");
    CHECK_STR(url_query_get(q, STR("key"), &a), "a b c");
    CHECK_STR(url_query_get(q, STR("key2"), &a), "1");
    CHECK_STR(url_query_get(q, STR("a"), &a), "b=c");
    CHECK(url_query_get(q, STR("x"), &a).p != NULL);
    CHECK_EQ(url_query_get(q, STR("y"), &a).n, 0);
    CHECK(url_query_get(q, STR("z"), &a).p == NULL);
    CHECK(url_query_get(q, STR("bad"), &a).p == NULL);
    CHECK(url_query_get(STR_NONE, STR("a"), &a).p == NULL);
    size_t n = 0;
    while (url_query_next(&q, &name, &value))
        n++;
    CHECK_EQ(n, 7);
    q = STR("x&y=");
    CHECK(url_query_next(&q, &name, &value) && value.p == NULL);
    CHECK(url_query_next(&q, &name, &value) && value.p != NULL && value.n == 0);
}

TEST(url_paths_have_one_normal_form)
{
    static const struct {
        const char *path, *want; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/v1/chat/completions", "/v1/chat/completions"},
        {"/v1/", "/v1/"},
        {"/%76%31/a%2db", "/v1/a-b"},
        {"/model/a%3ab/%e6", "/model/a%3Ab/%E6"},
        {"/a:b@c!$&'()*+,;=", "/a:b@c!$&'()*+,;="},
        {"/..a/...", "/..a/..."},
        {"", NULL},
        {"v1", NULL},
        {"//", NULL},
        {"/a//b", NULL},
        {"/.", NULL},
        {"/..", NULL},
        {"/a/../b", NULL},
        {"/a/./b", NULL},
        {"/a/%2e%2e/b", NULL},
        {"/a/.%2E/b", NULL},
        {"/a%2fb", NULL},
        {"/a%2Fb", NULL},
        {"/a%5cb", NULL},
        {"/a\\b", NULL},
        {"/a%00", NULL},
        {"/a%0d%0a", NULL},
        {"/a%7f", NULL},
        {"/a b", NULL},
        {"/a\x80", NULL},
        {"/a%", NULL},
        {"/a%g1", NULL},
        {"/a/..", NULL},
        {"/%2e", NULL},
        {"/a%1f", NULL},
    };
    struct arena a CLEANUP(arena_release);

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str path = str_from_c(rows[i].path), got = STR("untouched"), again;
        test_context("%s", rows[i].path);
        CHECK_ERR(url_normal_path(path, false, &a, &got), rows[i].want ? OK : E_PARSE);
        CHECK_STR(got, rows[i].want ? rows[i].want : "untouched");
        if (!rows[i].want)
            continue;
        CHECK_EQ(got.p == path.p, str_eq(got, path));
        CHECK_OK(url_normal_path(got, false, &a, &again));
        CHECK(again.p == got.p);
    }
}

TEST(url_a_path_may_keep_slashes_that_are_part_of_a_name)
{
    struct arena a CLEANUP(arena_release);
    struct str got;

    arena_init(&a, 1 << 20);
    CHECK_OK(url_normal_path(STR("/models/a%2fb%3a0"), true, &a, &got));
    CHECK_STR(got, "/models/a%2Fb%3A0");
    CHECK_ERR(url_normal_path(STR("/models/%2e%2e/x"), true, &a, &got), E_PARSE);
}

/* The examples of RFC 3986, 5.4, and what browsers are sent in practice. */
TEST(url_references_resolve_as_the_rfc_says)
{
    static const struct {
        const char *base, *reference, *want;
    } rows[] = {
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../..", "http://a/"},
        {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
        {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
        {"http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
        {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://a/b/c/d;p?q", "https://h:1/x/../y?z#f", "https://h:1/y?z"},
        {"http://a/b/c/d;p?q", "HTTPS://h", "HTTPS://h"},
        {"https://u:p@h:8", "x", "https://u:p@h:8/x"},
        {"https://h?q#f", "?r", "https://h?r"},
        {"https://h#f", "", "https://h"},
        {"https://h/a", "//g?x", "https://g?x"},
        {"https://h/a//b", "c", "https://h/a//c"},
        {"https://h/a", "?", "https://h/a?"},
        {"https://h/a?b", "c://d", "c://d"},
    };
    struct arena a = {.max = SIZE_MAX};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str got = STR_NONE;
        test_context("%s at %s", rows[i].reference, rows[i].base);
        CHECK_OK(url_resolve(str_from_c(rows[i].base), str_from_c(rows[i].reference), 1000, &a, &got));
        CHECK_STR(got, rows[i].want);
    }
    arena_release(&a);
}

TEST(url_references_that_lead_to_no_url_are_refused)
{
    static const char *const rows[] = {"g:h",      "javascript:alert(1)", "data:,x", "//",        "///x", "//h:0",
                                       "https://", "https:///x",          "/a b",    "/\xc3\xa4", "/%",   "//[::1"};
    struct arena a = {.max = SIZE_MAX};
    struct str got;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        test_context("%s", rows[i]);
        CHECK_ERR(url_resolve(STR("https://h/a"), str_from_c(rows[i]), 1000, &a, &got), E_PARSE);
    }
    test_context("%s", "");
    CHECK_ERR(url_resolve(STR("h/a"), STR("b"), 1000, &a, &got), E_PARSE);
    CHECK_ERR(url_resolve(STR("https://h/a"), STR("/123456789"), 18, &a, &got), E_TOO_LARGE);
    CHECK_OK(url_resolve(STR("https://h/a"), STR("/12345678"), 18, &a, &got));
    arena_release(&a);
}
