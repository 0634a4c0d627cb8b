/* public_addr.h - is an address one of the public Internet, or one with a special purpose? Pure. */
#ifndef NET_PUBLIC_ADDR_H
#define NET_PUBLIC_ADDR_H

#include "rt/addr.h"

/*
 * May the address be a host of the public Internet, to which anybody may be sent? False for every block of IANA's special-purpose
 * registries, multicast and reserved space, IPv6 addresses that carry an IPv4 address of such a kind, services that clouds offer to
 * their machines at public-looking addresses, unix sockets, and no address. The port does not matter.
 */
bool addr_is_public(const struct addr *a) PURE;

#endif
