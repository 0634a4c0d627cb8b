/*
 * public_addr.c - the special-purpose addresses, as a table.
 *
 * From RFC 6890 and the registries that it founded, "IANA IPv4 Special-Purpose Address Registry" and its IPv6 sibling (both as of
 * 2025), with the multicast (RFC 5771, RFC 4291) and reserved blocks. IPv4 is a list of what is refused. IPv6 is the other way round:
 * only 2000::/3 has ever been handed out (RFC 4291, 2.4; IANA "IPv6 Global Unicast Address Assignments"), so everything else is
 * refused without being named, which covers loopback, unique-local, link-local, multicast, IPv4-mapped and -compatible addresses and
 * what may be invented in future.
 *
 * Some blocks that the registries call globally reachable are refused all the same: the protocol anycast addresses in 192.0.0.0/24 and
 * 2001::/23, and the relays of 6to4. No file lives there, and what answers is near to us, not to its owner.
 *
 * Does not know which public addresses are our own or our network's: only an operator does.
 */
#include "net/public_addr.h"

#include <stdint.h>

struct block_v4 {
    uint32_t base;
    unsigned bits;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static const struct block_v4 special_v4[] = {
    {V4(0, 0, 0, 0), 8},        /* "this network", RFC 791                                        */
    {V4(10, 0, 0, 0), 8},       /* private, RFC 1918                                              */
    {V4(100, 64, 0, 0), 10},    /* carrier-grade NAT, RFC 6598; holds Alibaba's metadata service  */
    {V4(127, 0, 0, 0), 8},      /* loopback, RFC 1122                                             */
    {V4(168, 63, 129, 16), 32}, /* Azure's platform service ("WireServer"), a public-looking one  */
    {V4(169, 254, 0, 0), 16},   /* link-local, RFC 3927; holds most clouds' metadata services     */
    {V4(172, 16, 0, 0), 12},    /* private, RFC 1918                                              */
    {V4(192, 0, 0, 0), 24},     /* protocol assignments, RFC 6890; holds Oracle's old metadata    */
    {V4(192, 0, 2, 0), 24},     /* documentation, RFC 5737                                        */
    {V4(192, 31, 196, 0), 24},  /* AS112, RFC 7535                                                */
    {V4(192, 52, 193, 0), 24},  /* AMT, RFC 7450                                                  */
    {V4(192, 88, 99, 0), 24},   /* relays of 6to4, RFC 7526                                       */
    {V4(192, 168, 0, 0), 16},   /* private, RFC 1918                                              */
    {V4(192, 175, 48, 0), 24},  /* AS112, RFC 7534                                                */
    {V4(198, 18, 0, 0), 15},    /* benchmarking, RFC 2544                                         */
    {V4(198, 51, 100, 0), 24},  /* documentation, RFC 5737                                        */
    {V4(203, 0, 113, 0), 24},   /* documentation, RFC 5737                                        */
    {V4(224, 0, 0, 0), 4},      /* multicast, RFC 5771                                            */
    {V4(240, 0, 0, 0), 4},      /* reserved, RFC 1112; and broadcast                              */
};

struct block_v6 {
    unsigned char base[6]; /* no block here is smaller than /48 */
    unsigned bits;
};

/* Within 2000::/3. */
static const struct block_v6 special_v6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},             /* protocol assignments, RFC 2928: Teredo, ORCHID, benchmarking */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},             /* documentation, RFC 3849                                      */
    {{0x20, 0x02}, 16},                         /* 6to4, RFC 3056: any IPv4 address within                      */
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48}, /* AS112, RFC 7534                                              */
    {{0x3f, 0xff, 0x00}, 20},                   /* documentation, RFC 9637                                      */
};

static bool is_public_v4(uint32_t ip)
{
    for (size_t i = 0; i < ARRAY_LEN(special_v4); i++)
        if ((ip ^ special_v4[i].base) >> (32 - special_v4[i].bits) == 0)
            return false;
    return true;
}

static uint64_t first_48_bits(const unsigned char *bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < 6; i++)
        v = v << 8 | bytes[i];
    return v;
}

static bool is_public_v6(const unsigned char *ip)
{
    /* 64:ff9b::/96, RFC 6052: what a NAT64 makes of the IPv4 address in the last four bytes. On a network without IPv4 all old
     * hosts are reached so. (64:ff9b:1::/48, RFC 8215, is a site's own affair, and refused with all the rest.) */
    static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};

    if (memcmp(ip, nat64, sizeof nat64) == 0)
        return is_public_v4(V4(ip[12], ip[13], ip[14], ip[15]));
    if (ip[0] >> 5 != 1) /* 2000::/3 */
        return false;
    for (size_t i = 0; i < ARRAY_LEN(special_v6); i++)
        if ((first_48_bits(ip) ^ first_48_bits(special_v6[i].base)) >> (48 - special_v6[i].bits) == 0)
            return false;
    return true;
}

bool addr_is_public(const struct addr *a)
{
    if (a->len == 0)
        return false;
    if (a->u.any.sa_family == AF_INET)
        return is_public_v4(ntohl(a->u.v4.sin_addr.s_addr));
    return a->u.any.sa_family == AF_INET6 && is_public_v6(a->u.v6.sin6_addr.s6_addr);
}
