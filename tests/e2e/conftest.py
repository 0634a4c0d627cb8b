"""Fixtures: one gateway for the tests that only use it, and a maker of others for those that change or break it."""

import gc
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

SCRIPTS = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../scripts"))
sys.path[:0] = [os.path.dirname(__file__), os.path.join(SCRIPTS, "lib")]

from gateway import FORCING, KEY, Gateway, Vendors  # noqa: E402  (found through the line above)

BROKERS = os.path.join(SCRIPTS, "brokers")
CANNOT_BE_HAD = 3
# One server of each for all of them: it takes longer to start than an example to run.
NAMED = {"kafka": ("KAFKA_BROKERS", "{}"), "postgres": ("POSTGRES_URL", "postgres://{}/postgres"), "redis": ("REDIS_URL", "redis://{}/0")}


@pytest.fixture(autouse=True)
def garbage():
    """
    Garbage is collected between tests only. Some SDKs leave a stream that they have not read to its end in a cycle; httpcore locks its pool when such a one is
    collected, and waits for itself for ever if that comes about while it has the lock (encode/httpcore, discussion 990).
    """
    gc.disable()
    yield
    gc.enable()  # who allocates next collects it


@pytest.fixture(scope="session")
def gateway():
    g = Gateway()
    yield g
    g.stop()


@pytest.fixture(scope="session")
def vendors():
    """A gateway in front of several vendors, with a key."""
    v = Vendors()
    yield v
    v.stop()


@pytest.fixture
def make_gateway():
    made = []

    def make(**options):
        made.append(Gateway(**options))
        return made[-1]

    yield make
    for g in made:
        g.stop()


@pytest.fixture
def base_url(gateway):
    return gateway.url + "/v1"


def needs_forcing(vendor):
    """For tests whose model must call a tool."""
    if vendor not in FORCING:
        pytest.skip(f"{vendor} cannot be told to call a tool")


def provider_stats(gateway):
    with urllib.request.urlopen(gateway.provider.url + "/sim/stats", timeout=5) as answer:
        return json.load(answer)


def metrics(gateway):
    with urllib.request.urlopen(gateway.url + "/metrics", timeout=5) as answer:
        return answer.read().decode()


def _open(vendors, path, body, key=KEY):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return urllib.request.urlopen(urllib.request.Request(vendors.url + path, data, headers), timeout=30)


def ask(vendors, path, body=None, key=KEY):
    """Status and JSON of an answer, as they are on the wire."""
    try:
        with _open(vendors, path, body, key) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask_stream(vendors, path, body):
    """The server-sent events of an answer: pairs of name (or None) and data."""
    with _open(vendors, path, body) as answer:
        assert answer.headers.get_content_type() == "text/event-stream"
        blocks = answer.read().decode().split("\n\n")
    assert blocks.pop() == "", "the last event is not closed"
    events = []
    for block in blocks:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert set(fields) <= {"event", "data"}, block
        events.append((fields.get("event"), fields["data"]))
    return events


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Starts a server when it is asked for the first time; returns the variables that name it, or skips."""
    folder = tmp_path_factory.mktemp("servers")
    for path in [folder, *folder.parents]:
        if path.is_relative_to(tmp_path_factory.getbasetemp().parent):
            path.chmod(0o711)  # PostgreSQL, which is not root, must get in
    told = {}

    def start(name):
        variable, form = NAMED[name]
        if name not in told:
            done = subprocess.run([BROKERS, "start", name, folder / name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            told[name] = done
        if told[name].returncode == CANNOT_BE_HAD:
            pytest.skip(f"{name} cannot be had here: {told[name].stdout.strip()}")
        assert told[name].returncode == 0, told[name].stdout
        return {variable: form.format(told[name].stdout.split()[-1])}

    yield start
    for name in told:
        subprocess.run([BROKERS, "kill", name, folder / name], check=False)
