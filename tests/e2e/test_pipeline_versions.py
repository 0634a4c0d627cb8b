"""Versions of a pipeline that serves: what only waits ends in the version that took it in, and holds up nobody; also across restarts."""

import json
import signal
import time
from collections import Counter
from http.server import ThreadingHTTPServer
from threading import Thread

import pytest
import rdkafka
from test_pipeline_letters import Api
from test_pipeline_operators import Operated, until
from test_pipeline_serve import lines_of, pipeline


class Cases(Api):
    """Takes cases when it says so."""

    def do_PUT(self):
        self.body()
        self.answer(self.server.status, b"{}")


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cases)
    server.asked = Counter()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def install(server, spec):
    server.install(spec)
    server.process.signal(signal.SIGHUP)
    assert server.process.wait_for_line("configuration installed")


class Versions:
    """A pipeline in versions that differ in what they write: `v`."""

    def __init__(self, folder, nodes, last):
        self.out = folder / "out.ndjson"
        self.nodes, self.last = nodes, last

    def spec(self, v):
        nodes = self.nodes | {"mark": {"from": self.last, "map": f"{{n: .n, v: {v}}}"}}
        return pipeline({"path": "/hooks/x"}, nodes, {"out": {"from": "mark", "file": str(self.out)}}, version=v)

    def install(self, server, v):
        install(server, self.spec(v))

    def rows(self):
        return {row["n"]: row["v"] for row in lines_of(self.out)}


def late(span):
    """What has `late` waits so long."""
    return {"choose": {"from": "in", "switch": [{"when": ".late", "to": "wait"}, {"else": "direct"}]},
            "wait": {"delay": span}, "direct": {"map": "."}}  # fmt: skip


def send(server, n, **more):
    assert server.send({"n": n} | more, f"k{n}").status_code == 202


def test_a_message_that_waits_holds_up_no_new_version_and_ends_in_its_own(tmp_path):
    versions = Versions(tmp_path, late("15s"), ["wait", "direct"])
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1, late=True)
        began = time.monotonic()
        versions.install(s, 2)
        for n in range(2, 100):
            send(s, n)
            if until(lambda n=n: n in versions.rows()) and versions.rows()[n] == 2:
                break
        assert time.monotonic() - began < 12 and versions.rows()[n] == 2 and 1 not in versions.rows()
        until(lambda: 1 in versions.rows(), 30)
        send(s, 100)  # and the present one goes on
        until(lambda: 100 in versions.rows(), 30)
        assert versions.rows()[1] == 1 and versions.rows()[100] == 2
    assert len(lines_of(versions.out)) == n + 1


def test_a_message_that_waits_ends_in_its_own_version_after_a_kill(tmp_path):
    versions = Versions(tmp_path, late("15s"), ["wait", "direct"])
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1, late=True)
        s.process.process.kill()
    with Operated(tmp_path, versions.spec(2)) as s:
        send(s, 2)
        until(lambda: 2 in versions.rows(), 12)
        assert 1 not in versions.rows()
        until(lambda: 1 in versions.rows(), 30)
    assert versions.rows() == {1: 1, 2: 2}


def test_messages_of_one_key_keep_their_order_across_versions(tmp_path):
    versions = Versions(tmp_path, late("4s"), ["wait", "direct"])

    def spec(v):
        made = versions.spec(v)
        made["sources"]["in"]["key"] = ".k"
        return made

    with Operated(tmp_path, spec(1)) as s:
        send(s, 1, late=True, k="a")
        install(s, spec(2))
        for n in range(2, 6):
            send(s, n, k="ab"[n % 2])
        until(lambda: len(versions.rows()) == 5, 30)
    rows = [row["n"] for row in lines_of(versions.out)]
    assert [n for n in rows if n % 2] == [3, 5] or rows.index(1) < rows.index(2) < rows.index(4)
    assert rows.index(1) < rows.index(2) < rows.index(4)


def asking(node):
    return {node: {"from": "in", "gate": {"channel": "c", "expires": "1h", "show": "{n: .n}"}}}


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("node", ["ask", "beg"])
def test_what_a_person_lets_pass_ends_in_the_version_that_asked(tmp_path, node, killed):
    """Also if the version that runs then has no such gate."""
    versions = Versions(tmp_path, asking("ask"), "ask")
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1)
        gate = until(lambda: s.ask("/admin/gates")["gates"])[0]
        versions.nodes, versions.last = asking(node), node
        if killed:
            s.process.process.kill()
        else:
            versions.install(s, 2)
            send(s, 2)
            until(lambda: len(s.ask("/admin/gates")["gates"]) == 2)
            s.do(f"/admin/gates/{gate['id']}/approve", {"who": "ann"})
            until(lambda: versions.rows() == {1: 1})
    if killed:
        with Operated(tmp_path, versions.spec(2)) as s:
            s.do(f"/admin/gates/{gate['id']}/approve", {"who": "ann"})
            until(lambda: versions.rows() == {1: 1})


def test_a_decision_that_nobody_was_there_to_see_is_carried_out(tmp_path):
    versions = Versions(tmp_path, asking("ask"), "ask")
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1)
        gate = until(lambda: s.ask("/admin/gates")["gates"])[0]
        versions.nodes, versions.last = {}, "in"
        versions.install(s, 2)
        send(s, 2)
        until(lambda: 2 in versions.rows())
        s.do(f"/admin/gates/{gate['id']}/approve", {"who": "ann"})
        s.process.process.kill()
    with Operated(tmp_path, versions.spec(3)):
        until(lambda: versions.rows() == {1: 1, 2: 2})


def test_a_gate_of_a_former_version_expires(tmp_path):
    versions = Versions(tmp_path, asking("ask"), "ask")
    versions.nodes["ask"]["gate"] |= {"expires": "3s", "on_expire": "pass"}
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1)
        until(lambda: s.ask("/admin/gates")["gates"])
        versions.nodes, versions.last = {}, "in"
        versions.install(s, 2)
        send(s, 2)
        until(lambda: versions.rows() == {1: 1, 2: 2})


def test_a_former_version_that_fails_holds_up_nobody(tmp_path):
    """Its sink cannot even be opened: a folder stands where its file was."""
    versions = Versions(tmp_path, late("8s"), ["wait", "direct"])
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1, late=True)
        versions.out.unlink()
        versions.out.mkdir()
        versions.out = tmp_path / "other.ndjson"
        versions.install(s, 2)
        assert s.process.wait_for_line("a former version has failed")
        send(s, 2)
        until(lambda: versions.rows() == {2: 2})


def test_what_has_its_turn_soon_is_finished_before_another_version_begins(tmp_path):
    versions = Versions(tmp_path, {"slow": {"from": "in", "rate": {"limit": 5, "burst": 1}}}, "slow")
    with Operated(tmp_path, versions.spec(1)) as s:
        for n in range(1, 11):
            send(s, n)
        versions.install(s, 2)
        for n in range(11, 100):
            send(s, n)
            if until(lambda n=n: versions.rows().get(n)) == 2:
                break
        assert [row["v"] for row in lines_of(versions.out)] == [1] * (n - 1) + [2]


def cases_at(api):
    put = {"put": f"http://127.0.0.1:{api.server_port}/cases/{{{{.n}}}}", "body": "."}
    return {"out": {"from": "mark", "http": put, "effect": {"mode": "keyed"}}}


def test_a_version_whose_sink_is_down_makes_room_and_goes_on_when_it_is_up(tmp_path, api):
    """It ends in the version that took it in, at the sink that this one has."""
    api.status = 503
    first = pipeline({"path": "/hooks/x"}, {"mark": {"from": "in", "map": "."}}, cases_at(api))
    versions = Versions(tmp_path, {}, "in")
    with Operated(tmp_path, first) as s:
        send(s, 1)
        until(lambda: api.asked["PUT /cases/1 503"])
        install(s, versions.spec(2) | {"handover": "1s"})
        assert s.process.wait_for_line("version 1 has not finished in time; what is left of it goes on later")
        send(s, 2)
        until(lambda: versions.rows() == {2: 2})
        api.status = 200
        until(lambda: api.asked["PUT /cases/1 200"])
        send(s, 3)
        until(lambda: versions.rows() == {2: 2, 3: 2})
    assert api.asked["PUT /cases/1 200"] == 1


def test_a_join_that_has_waited_in_a_former_version_waits_no_longer_for_that(tmp_path):
    nodes = {"late": {"from": "in", "delay": "1h"}, "both": {"join": ["in", "late"], "timeout": "2s", "on_timeout": "partial"},
             "pick": {"from": "both", "map": "{n: .in.n}"}}  # fmt: skip
    versions = Versions(tmp_path, nodes, "pick")
    with Operated(tmp_path, versions.spec(1)) as s:
        send(s, 1)
        versions.install(s, 2)
        until(lambda: versions.rows() == {1: 1})


class Fed(Versions):
    """Reads what another pipeline of the server writes to Kafka."""

    def __init__(self, folder, nodes, last, kafka):
        super().__init__(folder, nodes, last)
        rdkafka.Kafka(kafka["KAFKA_BROKERS"]).make_topic(folder.name)
        self.connections = {"kafka": {"url": "kafka://" + kafka["KAFKA_BROKERS"]}}
        feed = pipeline({"path": "/hooks/x"}, sinks={"on": {"from": "same", "kafka": {"topic": folder.name}}}, pipeline="feed")
        (folder / "feed.yaml").write_text(json.dumps(feed | {"connections": self.connections}), encoding="utf-8")

    def spec(self, v):
        made = super().spec(v)
        name = self.out.parent.name
        source = {"topic": name, "group": name, "member": "one", "start": "earliest"}
        return made | {"sources": {"in": {"kafka": source}}, "connections": self.connections}


def serve(folder, spec):
    return Operated(folder, spec, pipelines=["p.yaml", "feed.yaml"])


@pytest.mark.parametrize("killed", [False, True])
def test_what_came_from_kafka_ends_in_its_own_version(tmp_path, servers, killed):
    """What waits for its time, and what waits for a person."""
    nodes = {"choose": {"from": "in", "switch": [{"when": ".ask", "to": "ask"}, {"when": ".late", "to": "wait"}, {"else": "direct"}]},
             "ask": {"gate": {"channel": "c", "expires": "1h", "show": "."}}, "wait": {"delay": "20s"}, "direct": {"map": "."}}  # fmt: skip
    versions = Fed(tmp_path, nodes, ["ask", "wait", "direct"], servers("kafka"))
    with serve(tmp_path, versions.spec(1)) as s:
        send(s, 1, ask=True)
        send(s, 2, late=True)
        send(s, 3)
        until(lambda: versions.rows() == {3: 1})
        gate = until(lambda: s.ask("/admin/gates")["gates"])[0]
        if not killed:
            versions.install(s, 2)
            send(s, 4)
            until(lambda: versions.rows() == {3: 1, 4: 2})
            s.do(f"/admin/gates/{gate['id']}/approve", {"who": "ann"})
            until(lambda: versions.rows() == {1: 1, 2: 1, 3: 1, 4: 2}, 40)
            send(s, 5)
            until(lambda: versions.rows().get(5) == 2)
        s.process.process.kill()
    if killed:
        with serve(tmp_path, versions.spec(2)) as s:
            send(s, 4)
            until(lambda: versions.rows() == {3: 1, 4: 2})
            s.do(f"/admin/gates/{gate['id']}/approve", {"who": "ann"})
            until(lambda: versions.rows() == {1: 1, 2: 1, 3: 1, 4: 2}, 40)
    assert len(lines_of(versions.out)) == 4 + (not killed)


def test_a_letter_of_what_came_from_kafka_is_tried_again_in_its_own_version(tmp_path, servers, api):
    api.status = 422
    versions = Fed(tmp_path, {}, "in", servers("kafka"))
    with serve(tmp_path, versions.spec(1) | {"sinks": cases_at(api)}) as s:
        send(s, 1)
        letter = until(lambda: s.ask("/admin/dlq")["letters"])[0]
        versions.install(s, 2)
        send(s, 2)
        until(lambda: versions.rows() == {2: 2})
        api.status = 200
        s.do("/admin/dlq/replay", {"ids": [letter["id"]], "original": True})
        until(lambda: api.asked["PUT /cases/1 200"])
        send(s, 3)
        until(lambda: versions.rows() == {2: 2, 3: 2})
