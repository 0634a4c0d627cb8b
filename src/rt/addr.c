/* addr.c - socket addresses to and from text. Pure: names are not looked up. */
#include "rt/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 64 };

static void addr_set_v4(struct addr *a, struct in_addr ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    a->len = sizeof a->u.v4;
    a->u.v4.sin_family = AF_INET;
    a->u.v4.sin_addr = ip;
    a->u.v4.sin_port = htons(port);
}

static void addr_set_v6(struct addr *a, struct in6_addr ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    a->len = sizeof a->u.v6;
    a->u.v6.sin6_family = AF_INET6;
    a->u.v6.sin6_addr = ip;
    a->u.v6.sin6_port = htons(port);
}

bool addr_from_ip(struct str host, uint16_t port, struct addr *ret)
{
    char text[HOST_MAX];
    struct in_addr v4;
    struct in6_addr v6;
    bool bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

    if (bracketed)
        host = str_slice(host, 1, host.n - 1);
    if (host.n == 0 || host.n >= sizeof text || memchr(host.p, '\0', host.n))
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (!bracketed && inet_pton(AF_INET, text, &v4) == 1) {
        addr_set_v4(ret, v4, port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    addr_set_v6(ret, v6, port);
    return true;
}

static err_t parse_path(struct str text, struct addr *ret)
{
    struct str path = str_slice(text, strlen("unix:"), text.n);
    size_t room = sizeof ret->u.path.sun_path;

    if (path.n == 0 || path.n >= room || memchr(path.p, '\0', path.n))
        return fail(E_PARSE, "\"%.*s\": the path of a unix socket has 1 to %zu bytes", STR_ARG(text), room - 1);
    memset(ret, 0, sizeof *ret);
    ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    ret->u.path.sun_family = AF_UNIX;
    memcpy(ret->u.path.sun_path, path.p, path.n);
    return OK;
}

/* Index of the colon before the port; text.n if there is none. */
static size_t port_colon(struct str text)
{
    for (size_t i = text.n; i > 0; i--) {
        if (text.p[i - 1] == ':')
            return i - 1;
        if (text.p[i - 1] == ']')
            break;
    }
    return text.n;
}

err_t addr_parse(struct str text, struct addr *ret)
{
    uint64_t port;

    if (str_starts(text, STR("unix:")))
        return parse_path(text, ret);
    size_t colon = port_colon(text);
    if (colon == text.n)
        return fail(E_PARSE, "\"%.*s\" has no port: write address:port, as in 127.0.0.1:8080", STR_ARG(text));
    if (!str_to_u64(str_slice(text, colon + 1, text.n), UINT16_MAX, &port))
        return fail(E_PARSE, "\"%.*s\": the port is a number from 0 to 65535", STR_ARG(text));
    struct str host = str_slice(text, 0, colon);
    if (host.n == 0) {
        addr_set_v6(ret, in6addr_any, (uint16_t)port);
        return OK;
    }
    if (str_find_char(host, ':') < host.n && host.p[0] != '[')
        return fail(E_PARSE, "\"%.*s\": write an IPv6 address in brackets, as in [::1]:8080", STR_ARG(text));
    if (!addr_from_ip(host, (uint16_t)port, ret))
        return fail(E_PARSE, "\"%.*s\": not an IP address; write 127.0.0.1:8080, [::1]:8080, :8080 or unix:/path",
                    STR_ARG(text));
    return OK;
}

/* By hand, because the access log has one in each line. */
static size_t format_v4(const struct addr *a, char text[ADDR_TEXT_MAX])
{
    const unsigned char *octets = (const unsigned char *)&a->u.v4.sin_addr;
    char *to = text;

    for (int i = 0; i < 4; i++) {
        to = decimal_put(to, octets[i]);
        *to++ = i < 3 ? '.' : ':';
    }
    to = decimal_put(to, addr_port(a));
    *to = '\0';
    return (size_t)(to - text);
}

size_t addr_format(const struct addr *a, char text[ADDR_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    int n;

    if (a->len == 0) {
        n = snprintf(text, ADDR_TEXT_MAX, "(no address)");
    } else if (a->u.any.sa_family == AF_INET) {
        return format_v4(a, text);
    } else if (a->u.any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &a->u.v6.sin6_addr, host, sizeof host);
        n = snprintf(text, ADDR_TEXT_MAX, "[%s]:%u", host, addr_port(a));
    } else {
        n = snprintf(text, ADDR_TEXT_MAX, "unix:%.*s", (int)sizeof a->u.path.sun_path, a->u.path.sun_path);
    }
    return n > 0 ? (size_t)n : 0;
}

uint16_t addr_port(const struct addr *a)
{
    if (a->len == 0)
        return 0;
    if (a->u.any.sa_family == AF_INET)
        return ntohs(a->u.v4.sin_port);
    return a->u.any.sa_family == AF_INET6 ? ntohs(a->u.v6.sin6_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (a->len == 0)
        return;
    if (a->u.any.sa_family == AF_INET)
        a->u.v4.sin_port = htons(port);
    else if (a->u.any.sa_family == AF_INET6)
        a->u.v6.sin6_port = htons(port);
}

bool addr_is_loopback(const struct addr *a)
{
    if (a->len == 0)
        return false;
    if (a->u.any.sa_family == AF_INET)
        return ntohl(a->u.v4.sin_addr.s_addr) >> 24 == 127;
    if (a->u.any.sa_family != AF_INET6)
        return true;
    const struct in6_addr *ip = &a->u.v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}

bool addr_is_v6(const struct addr *a)
{
    return a->len > 0 && a->u.any.sa_family == AF_INET6;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    if (a->u.any.sa_family != b->u.any.sa_family)
        return false;
    if (a->u.any.sa_family == AF_INET)
        return a->u.v4.sin_port == b->u.v4.sin_port && a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    if (a->u.any.sa_family == AF_INET6)
        return a->u.v6.sin6_port == b->u.v6.sin6_port &&
               memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof a->u.v6.sin6_addr) == 0 &&
               a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id;
    return strncmp(a->u.path.sun_path, b->u.path.sun_path, sizeof a->u.path.sun_path) == 0;
}

/* Are the first `bits` bits of both the same? */
static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool addr_in_network(const struct addr *a, struct str network)
{
    struct str bits_text = network, base_text = str_cut(&bits_text, '/');
    unsigned width = addr_is_v6(a) ? 128 : 32;
    uint64_t bits = width;
    struct addr base;

    if (!addr_from_ip(base_text, 0, &base) || a->len == 0 || base.u.any.sa_family != a->u.any.sa_family)
        return false;
    if (bits_text.p && !str_to_u64(bits_text, width, &bits))
        return false;
    if (addr_is_v6(a))
        return same_prefix(a->u.v6.sin6_addr.s6_addr, base.u.v6.sin6_addr.s6_addr, (unsigned)bits);
    return same_prefix((const unsigned char *)&a->u.v4.sin_addr, (const unsigned char *)&base.u.v4.sin_addr,
                       (unsigned)bits);
}
