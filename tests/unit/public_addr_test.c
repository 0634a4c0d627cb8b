/* public_addr_test.c - which addresses count as public: every special-purpose block at both its ends and just outside of them. */
#include "net/public_addr.h"

#include "unit/test.h"

#include <stdio.h>

static bool is_public(const char *ip)
{
    struct addr a;

    if (!addr_from_ip(str_from_c(ip), 443, &a))
        die("%s: not an address", ip);
    return addr_is_public(&a);
}

static void check_all(const char *const *ips, size_t count, bool want)
{
    for (size_t i = 0; i < count; i++)
        CHECK_MSG(is_public(ips[i]) == want, "%s", ips[i]);
}

TEST(special_blocks_end_where_the_registries_say)
{
    /* The last address before a block, its first, its last, the next one; "" where the neighbour is special too. */
    static const struct {
        const char *before, *first, *last, *after;
    } blocks[] = {
        {"", "0.0.0.0", "0.255.255.255", "1.0.0.0"},
        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
        {"168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
        {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
        {"192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"},
        {"192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"},
        {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
        {"192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"},
        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
        {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
        {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
        {"223.255.255.255", "224.0.0.0", "239.255.255.255", ""},
        {"", "240.0.0.0", "255.255.255.255", ""},
        /* IPv6: what is not in 2000::/3, then what is special in it. */
        {"", "::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", ""},
        {"", "64:ff9b:0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
        {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
        {"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
         "2001:db9::"},
        {"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"},
        {"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
         "2620:4f:8001::"},
        {"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
        {"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        CHECK_MSG(!is_public(blocks[i].first), "%s", blocks[i].first);
        CHECK_MSG(!is_public(blocks[i].last), "%s", blocks[i].last);
        CHECK_MSG(!*blocks[i].before || is_public(blocks[i].before), "%s", blocks[i].before);
        CHECK_MSG(!*blocks[i].after || is_public(blocks[i].after), "%s", blocks[i].after);
    }
}

TEST(ordinary_addresses_are_public)
{
    static const char *const ips[] = {"1.1.1.1",         "8.8.8.8",          "93.184.216.34", "192.0.1.1", "198.41.0.4",
                                      "2606:4700::1111", "2a00:1450:4001::", "2400:cb00::1",  "2c0f::1"};

    check_all(ips, ARRAY_LEN(ips), true);
}

TEST(metadata_services_are_not_public)
{
    static const char *const ips[] = {
        "169.254.169.254", /* most clouds */
        "169.254.170.2",   /* credentials of containers on AWS */
        "169.254.0.23",    /* Tencent */
        "fd00:ec2::254",   /* AWS */
        "fd20:ce::254",    /* Google */
        "100.100.100.200", /* Alibaba */
        "168.63.129.16",   /* Azure */
        "192.0.0.192",     /* Oracle */
    };

    check_all(ips, ARRAY_LEN(ips), false);
}

TEST(ipv6_neighbourhoods_are_not_public)
{
    static const char *const ips[] = {"::1",          "fe80::1", "fec0::1", "fc00::1",
                                      "fd12:3456::1", "ff02::1", "5f00::1", "100::1"};

    check_all(ips, ARRAY_LEN(ips), false);
}

TEST(an_ipv4_address_within_an_ipv6_one_is_judged_or_refused)
{
    static const char *const refused[] = {
        "::ffff:127.0.0.1",   "::ffff:10.0.0.1",   "::ffff:8.8.8.8", /* mapped: no public host is written so */
        "::127.0.0.1",        "::8.8.8.8",                           /* compatible, deprecated */
        "::ffff:0:8.8.8.8",                                          /* translated, RFC 2765 */
        "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16",
        "64:ff9b:1::8.8.8.8", /* local use: unknown to us */
        "2002:7f00:1::",      /* 6to4 of 127.0.0.1 */
        "2002:808:808::",     /* and of 8.8.8.8 */
        "2001:0:808:808::1",  /* Teredo */
    };
    static const char *const accepted[] = {"64:ff9b::8.8.8.8", "64:ff9b::1.1.1.1"};

    check_all(refused, ARRAY_LEN(refused), false);
    check_all(accepted, ARRAY_LEN(accepted), true);
}

TEST(what_is_no_internet_address_is_not_public)
{
    struct addr a;

    CHECK_OK(addr_parse(STR("unix:/run/x"), &a));
    CHECK(!addr_is_public(&a));
    CHECK(!addr_is_public(&(struct addr){0}));
}

/* The same question, answered by another reading of the table: one bit at a time, by network names. */
TEST(ipv4_as_a_whole_is_judged_as_the_networks_say)
{
    static const char *const networks[] = {
        "0.0.0.0/8",      "10.0.0.0/8",      "100.64.0.0/10", "127.0.0.0/8",     "168.63.129.16",   "169.254.0.0/16",
        "172.16.0.0/12",  "192.0.0.0/24",    "192.0.2.0/24",  "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",  "224.0.0.0/3"};
    struct addr a;

    CHECK(addr_from_ip(STR("0.0.0.0"), 0, &a));
    for (uint32_t ip = 0; ip < UINT32_MAX - 65521; ip += 65521) { /* a prime: all octets vary */
        a.u.v4.sin_addr.s_addr = htonl(ip);
        bool special = false;
        for (size_t i = 0; i < ARRAY_LEN(networks); i++)
            special |= addr_in_network(&a, str_from_c(networks[i]));
        CHECK_MSG(addr_is_public(&a) != special, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
    }
}
