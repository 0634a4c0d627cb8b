"""scripts/deps: what a build cannot do without, and the servers that only some tests want."""

from sample import TOP, Sample, finds, passes

import os
import re
import shutil

# A system of stand-ins: every tool is there but those that a test leaves out; apt-get refuses what $REFUSED names, and notes what it is asked for.
TOOL = "#!/bin/sh\nexit 0\n"
APT = '#!/bin/sh\necho "$*" >>apt.log\nfor p in $REFUSED; do case " $* " in *" $p "*) exit 100 ;; esac; done\n'
STAND_INS = {"apt-get": APT, "id": "#!/bin/sh\necho 0\n", "mvn": "#!/bin/sh\nmkdir -p build/kafka\n"}
BORROWED = "bash sh env cat sed sha256sum mkdir rm touch dirname ls head grep".split()


def tools():
    with open(os.path.join(TOP, "scripts/deps"), encoding="utf-8") as f:
        found = re.findall(r"^\s+(?:need|wish) (\S+)", f.read(), re.MULTILINE)
    assert len(found) >= 20, f"where are the tools that scripts/deps looks for? {found}"
    return found


def deps(absent, what="test", **environment):
    """Exit status and output, and what apt-get was asked for."""
    files = {f"bin/{name}": STAND_INS.get(name, TOOL) for name in [*tools(), "pkg-config", "node", *STAND_INS]}
    files.update({"build/deps/clang-runtime": "", "build/json-schema-suite/stamp": "", "build/venv/bin/python": TOOL})
    with Sample(files) as tree:
        for name in files:
            if "bin/" in name:
                os.chmod(os.path.join(tree.root, name), 0o755)
        for name in BORROWED:
            os.symlink(shutil.which(name), os.path.join(tree.root, "bin", name))
        for name in absent:
            os.remove(os.path.join(tree.root, "bin", name))
        tree.copy("scripts/deps", "scripts/requirements.txt", "scripts/lib/kafka.xml")
        result = tree.run("scripts/deps", what, env={"PATH": os.path.join(tree.root, "bin"), **environment})
        log = os.path.join(tree.root, "apt.log")
        if not os.path.exists(log):
            return result, ""
        with open(log, encoding="utf-8") as f:
            return result, f.read()


def test_deps_installs_servers_each_by_itself():
    result, asked = deps(["redis-server", "java", "mvn"])
    passes(result)
    for package in ("redis-server", "default-jre-headless", "maven"):
        assert re.search(rf"^[^\n]* install [^\n]*--no-upgrade {package}$", asked, re.MULTILINE), asked


def test_deps_without_a_server_says_so_and_goes_on():
    result, asked = deps(["redis-server", "java"], REFUSED="redis-server")
    output = passes(result)
    assert "without redis-server: tests that want it will be skipped" in output, output
    assert "without default-jre-headless" not in output and "default-jre-headless" in asked, output


def test_deps_without_maven_has_no_kafka_and_goes_on():
    result, _ = deps(["mvn"], REFUSED="maven")
    output = passes(result)
    assert "no Kafka: its tests will be skipped" in output, output


def test_deps_offline_misses_servers_and_goes_on():
    # A build's stamps are not made here, so it stops later, at what is needed.
    result, asked = deps(["redis-server"], CROSSDOCK_DEPS_OFFLINE="1")
    finds(result, "without redis-server: tests that want them will be skipped", "missing: Python packages")
    assert not asked, asked


def test_deps_fails_without_what_a_build_needs():
    result, _ = deps(["gcc"], what="build", REFUSED="gcc")
    finds(result, r"apt-get could not install gcc libc6-dev")


def test_deps_asks_for_no_server_to_build():
    result, asked = deps(["redis-server", "java", "mvn", "nats-server"], what="build")
    passes(result)
    assert not asked, asked
