/* Socket addresses to and from text. */
#include "rt/addr.h"

#include "unit/test.h"

#include <string.h>

static const char *round_trip(const char *text)
{
    static char out[ADDR_TEXT_MAX];
    struct addr a;
    if (addr_parse(str_from_c(text), &a) != OK)
        return err_detail(E_PARSE);
    size_t n = addr_format(&a, out);
    return n == strlen(out) ? out : "length is wrong";
}

TEST(addr_text_survives_a_round_trip)
{
    static const char *const same[] = {"127.0.0.1:8080", "[::1]:443", "0.0.0.0:0", "[2001:db8::1]:65535",
                                       "unix:/run/x.sock"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        CHECK_STR(str_from_c(round_trip(same[i])), same[i]);
    CHECK_STR(str_from_c(round_trip(":80")), "[::]:80");
}

TEST(addr_bad_text_is_refused_with_the_remedy)
{
    static const struct {
        const char *text, *hint;
    } bad[] = {
        {"", "has no port"},
        {"127.0.0.1", "has no port"},
        {"127.0.0.1:", "0 to 65535"},
        {"127.0.0.1:65536", "65535"},
        {"127.0.0.1:80x", "65535"},
        {"::1:80", "brackets"},
        {"localhost:80", "127.0.0.1"},
        {"[127.0.0.1]:80", "not an IP"},
        {"[::1", "not an IP"},
        {"[::1]", "has no port"},
        {"unix:", "1 to"},
        {"300.1.1.1:80", "not an IP"},
        {"[]:80", "not an IP"},
        {"[::1]x:80", "not an IP"},
    };
    struct addr a = {.len = 77};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        test_context("%s", bad[i].text);
        CHECK_ERR(addr_parse(str_from_c(bad[i].text), &a), E_PARSE);
        CHECK_MSG(strstr(err_detail(E_PARSE), bad[i].hint), "%s", err_detail(E_PARSE));
        CHECK_EQ(a.len, 77); /* untouched */
    }
}

TEST(addr_unix_path_has_a_limit)
{
    char text[200] = "unix:/";
    struct addr a;
    memset(text + 6, 'x', 106);
    CHECK_OK(addr_parse(str_from_c(text), &a)); /* 107 bytes of path */
    text[6 + 106] = 'x';
    CHECK_ERR(addr_parse(str_from_c(text), &a), E_PARSE);
    CHECK_ERR(addr_parse(STR("unix:/a\0b"), &a), E_PARSE);
}

TEST(addr_from_ip_takes_numbers_only)
{
    struct addr a;
    CHECK(addr_from_ip(STR("10.1.2.3"), 80, &a));
    CHECK_EQ(addr_port(&a), 80);
    CHECK(!addr_is_v6(&a));
    CHECK(addr_from_ip(STR("fe80::1"), 1, &a));
    CHECK(addr_from_ip(STR("[fe80::1]"), 2, &a));
    CHECK(addr_is_v6(&a));
    CHECK(!addr_from_ip(STR("example.com"), 80, &a));
    CHECK(!addr_from_ip(STR("10.1.2"), 80, &a));
    CHECK(!addr_from_ip(STR("10.1.2.3\0.evil"), 80, &a));
    CHECK(!addr_from_ip(STR_NONE, 80, &a));
    CHECK(!addr_from_ip(STR("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee"), 80, &a));
}

TEST(addr_loopback_is_recognised)
{
    static const struct {
        const char *ip;
        bool is;
    } cases[] = {{"127.0.0.1", true}, {"127.8.9.1", true},        {"128.0.0.1", false},       {"::1", true},
                 {"::2", false},      {"::ffff:127.0.0.1", true}, {"::ffff:10.0.0.1", false}, {"0.0.0.0", false}};
    struct addr a;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(addr_from_ip(str_from_c(cases[i].ip), 1, &a));
        CHECK_MSG(addr_is_loopback(&a) == cases[i].is, "%s", cases[i].ip);
    }
    CHECK_OK(addr_parse(STR("unix:/x"), &a));
    CHECK(addr_is_loopback(&a));
}

TEST(addr_equality_looks_at_what_matters)
{
    struct addr a, b;
    CHECK(addr_from_ip(STR("10.0.0.1"), 1, &a));
    CHECK(addr_from_ip(STR("10.0.0.1"), 1, &b));
    CHECK(addr_eq(&a, &b));
    addr_set_port(&b, 2);
    CHECK(!addr_eq(&a, &b));
    CHECK(addr_from_ip(STR("::ffff:10.0.0.1"), 1, &b));
    CHECK(!addr_eq(&a, &b));
    CHECK(addr_from_ip(STR("10.0.0.2"), 1, &b));
    CHECK(!addr_eq(&a, &b));
    b.len = 0;
    CHECK(!addr_eq(&a, &b));
    CHECK_OK(addr_parse(STR("unix:/x"), &a));
    CHECK_OK(addr_parse(STR("unix:/y"), &b));
    CHECK(!addr_eq(&a, &b));
    CHECK_EQ(addr_port(&a), 0);
}

TEST(addr_networks_hold_their_addresses)
{
    static const struct {
        const char *ip, *network;
        bool in;
    } cases[] = {
        {"10.1.2.3", "10.0.0.0/8", true},
        {"11.0.0.0", "10.0.0.0/8", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.2", "10.0.0.1", false},
        {"10.0.0.1", "10.0.0.1/32", true},
        {"172.31.255.255", "172.16.0.0/12", true},
        {"172.32.0.0", "172.16.0.0/12", false},
        {"1.2.3.4", "0.0.0.0/0", true},
        {"fd00::1", "fc00::/7", true},
        {"fe00::1", "fc00::/7", false},
        {"::1", "[::1]", true},
        {"::1", "0.0.0.0/0", false},
        {"1.2.3.4", "::/0", false},
        {"10.0.0.1", "10.0.0.0/33", false},
        {"10.0.0.1", "10.0.0.0/", false},
        {"10.0.0.1", "", false},
        {"10.0.0.1", "ten/8", false},
    };
    struct addr a;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(addr_from_ip(str_from_c(cases[i].ip), 1, &a));
        CHECK_MSG(addr_in_network(&a, str_from_c(cases[i].network)) == cases[i].in, "%s in %s", cases[i].ip,
                  cases[i].network);
    }
    CHECK_OK(addr_parse(STR("unix:/x"), &a));
    CHECK(!addr_in_network(&a, STR("0.0.0.0/0")));
}
