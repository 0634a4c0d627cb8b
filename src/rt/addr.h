/* addr.h - a socket address: IPv4, IPv6 or a path (AF_UNIX). Pure. */
#ifndef RT_ADDR_H
#define RT_ADDR_H

#include "base/err.h"
#include "base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } u;
};

enum { ADDR_TEXT_MAX = 128 };

/* From "127.0.0.1:8080", "[::1]:8080", ":8080" (all addresses, IPv6 and IPv4), "unix:/path". E_PARSE with the remedy. */
err_t addr_parse(struct str text, struct addr *ret) MUST_CHECK;
/* From a numeric host without a port, IPv6 with or without brackets; false if it is not numeric. */
bool addr_from_ip(struct str host, uint16_t port, struct addr *ret) MUST_CHECK;
/* As addr_parse() takes it; NUL-terminated; returns its length. */
size_t addr_format(const struct addr *a, char text[ADDR_TEXT_MAX]);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_is_loopback(const struct addr *a);
bool addr_is_v6(const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
/* Is the address in the network "10.0.0.0/8", or equal to the address "10.0.0.1"? False if `network` is neither, or of the other family. */
bool addr_in_network(const struct addr *a, struct str network);

#endif
