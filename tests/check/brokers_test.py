"""tests/brokers/run and its servers: what is there and does not start is no reason to skip, and ports stay a server's own."""

import os
import socket

from sample import Sample, finds, passes

# Says why it ends, and where in its code.
DEAD_SERVER = "#!/bin/sh\necho 'the port is taken'\necho '    at listen()'\nexit 1\n"


def run(starting):
    """tests/brokers/run, where starting Kafka does this."""
    with Sample({"scripts/brokers": f"#!/bin/sh\n[ $1 = start ] || exit 0\n{starting}\n"}) as tree:
        os.chmod(os.path.join(tree.root, "scripts/brokers"), 0o755)
        tree.copy("tests/brokers/run")
        return tree.run("tests/brokers/run", "sh", "-c", "echo kafka at ${KAFKA_BROKERS-nowhere}", env={"PATH": os.environ["PATH"]})


def test_brokers_run_names_the_server_that_it_started():
    assert "kafka at 127.0.0.1:1" in passes(run("echo 127.0.0.1:1"))


def test_brokers_run_goes_on_without_a_server_that_cannot_be_had():
    assert "kafka at nowhere" in passes(run("exit 3"))


def test_brokers_run_fails_where_a_server_is_there_and_does_not_start():
    status, output = run("exit 1")
    assert status != 0 and "kafka at" not in output, output


def test_brokers_says_why_a_server_does_not_start():
    with Sample({"bin/redis-server": DEAD_SERVER}) as tree:
        os.chmod(os.path.join(tree.root, "bin/redis-server"), 0o755)
        tree.copy("scripts/brokers", "scripts/lib/ports.py")
        path = os.path.join(tree.root, "bin") + ":" + os.environ["PATH"]
        result = tree.run("scripts/brokers", "start", "redis", "data", env={"PATH": path})
    finds(result, "redis did not start:", "the port is taken")
    assert result[0] == 1 and "listen()" not in result[1], result


def test_ports_are_several_and_free_and_of_no_connection():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        lowest, highest = map(int, file.read().split())
    with Sample({}) as tree:
        tree.copy("scripts/lib/ports.py")
        ports = [int(port) for port in passes(tree.run("scripts/lib/ports.py", "100")).split()]
    assert len(set(ports)) == 100
    for port in ports:
        assert lowest < 11000 or not lowest <= port <= highest
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
