#!/usr/bin/env python3
"""ports [N] - N free TCP ports of the loopback interface (1), on one line.

For servers that must be told a number, and have it again when they are started again. Port 0 is no answer there: what the kernel picks is of the range
from which connections get the ports at their own end, and while other suites run a port that was free is soon the end of somebody's connection. These
are below that range."""

import random
import socket
import sys

LOWEST = 10000


def _bound(port):
    held = socket.socket()
    try:
        held.bind(("127.0.0.1", port))
    except OSError:
        held.close()
        return None
    return held


def free_ports(count):
    """As many different ports, none of them in use. Where all ports may be a connection's own, any of them."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        below = int(file.read().split()[0])
    draw = random.SystemRandom()  # the tests' seed is the same in two suites that run side by side
    held = []
    while len(held) < count:
        one = _bound(draw.randrange(LOWEST, below) if below > LOWEST + 1000 else 0)
        if one:
            held.append(one)
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def free_port():
    """One of them."""
    return free_ports(1)[0]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
