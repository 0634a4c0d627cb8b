"""Pipelines of a server that runs, as those who look after it see them: dead letters, gates, traces and numbers, over the admin API and its commands."""

import itertools
import json
import signal
import subprocess
import time
from collections import Counter
from http.server import ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from gateway import PROGRAM
from test_pipeline_letters import Api
from test_pipeline_models import Provider, chat
from test_pipeline_serve import Serving, lines_of, pipeline


class Operated(Serving):
    """A server with an admin address, and the one who may ask there."""

    def __init__(self, folder, spec, **more):
        super().__init__(folder, spec, admin={"listen": "127.0.0.1:0", "key_file": str(folder / "key")}, **more)

    def __enter__(self):
        super().__enter__()
        assert self.process.wait_for_line("operators admin=")
        self.at = next(line for line in self.process.lines if "operators admin=" in line).split("admin=")[1].split(" ")[0]
        key = (self.folder / "key").read_text(encoding="utf-8").split()[-1]
        self.admin = httpx.Client(base_url=self.at, timeout=30, headers={"authorization": f"Bearer {key}"})
        return self

    def __exit__(self, *_):
        self.admin.close()
        super().__exit__(*_)

    def ask(self, path, status=200):
        answer = self.admin.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def do(self, path, body, status=200, method="POST"):
        answer = self.admin.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def command(self, *arguments, code=0, given=None):
        done = subprocess.run([PROGRAM, *arguments, "--admin", self.at, "--key-file", self.folder / "key"],
                              capture_output=True, text=True, timeout=60, input=given)  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr


def until(found, within=20):
    """What `found` finds, as soon as it finds anything."""
    by = time.monotonic() + within
    while time.monotonic() < by:
        if what := found():
            return what
        time.sleep(0.02)
    pytest.fail("it never came about")


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked = Counter()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def cases(folder, api):
    url = f"http://127.0.0.1:{api.server_port}"
    return pipeline(
        {"path": "/hooks/x"},
        {"ask": {"from": "in", "http": {"post": f"{url}/ask"}}, "case": {"from": "ask", "map": "{n: .n, amount: .amount}"}},
        {
            "crm": {"from": "case", "http": {"put": url + "/cases/{{.n}}"}, "effect": {"mode": "keyed"}},
            "all": {"from": "case", "file": str(folder / "all.ndjson")},
        },
    )


def test_a_letter_is_put_right_and_replayed_while_the_server_runs(tmp_path, api):
    with Operated(tmp_path, cases(tmp_path, api)) as s:
        for n, amount in enumerate([5, "7", "nine"]):
            assert s.send({"n": n, "amount": amount}, f"k{n}").status_code == 202
        letters = until(lambda: (x := s.ask("/admin/dlq")["letters"]) and len(x) == 2 and x)
        assert [(x["pipeline"], x["node"], x["cause"]) for x in letters] == [("hook", "crm", "FORBIDDEN")] * 2
        (group,) = s.ask("/admin/dlq/groups")["groups"]
        assert (group["node"], group["cause"], group["count"]) == ("crm", "FORBIDDEN", 2)
        assert s.ask("/admin/dlq?node=other")["letters"] == []
        one = next(x for x in letters if x["record"]["n"] == 1)
        shown = s.ask("/admin/dlq/" + one["id"][:12])
        assert shown["letter"]["id"] == one["id"] and shown["kept"] == {"steps": 1, "effects": 1}
        assert s.do("/admin/dlq/" + one["id"], {"record": {"n": 1, "amount": 7}}, method="PATCH") == {"count": 1}
        assert s.ask("/admin/dlq/" + one["id"])["letter"]["edited"] == {"n": 1, "amount": 7}
        assert s.do("/admin/dlq/replay", {"ids": [one["id"]]}) == {"count": 1}
        until(lambda: len(s.ask("/admin/dlq")["letters"]) == 1)
        assert api.asked["PUT /cases/1 200"] == 1
        assert api.asked["POST /ask 200"] == 3  # not asked again
        assert api.asked["PUT /cases/2 422"] == 1  # the other one was left alone
        assert s.do("/admin/dlq/drop", {"ids": [s.ask("/admin/dlq")["letters"][0]["id"]]}) == {"count": 1}
        assert s.ask("/admin/dlq")["letters"] == []
    assert sorted(x["n"] for x in lines_of(tmp_path / "all.ndjson")) == [0, 1, 2]


def test_the_command_does_the_same_with_a_server_as_with_a_journal(tmp_path, api):
    with Operated(tmp_path, cases(tmp_path, api)) as s:
        for n, amount in enumerate(["7", "8", "9"]):
            assert s.send({"n": n, "amount": amount}, f"k{n}").status_code == 202
        until(lambda: len(s.command("dlq", "ls").splitlines()) == 3)
        letters = [json.loads(line) for line in s.command("dlq", "ls", "--json").splitlines()]
        first = next(x for x in letters if x["record"]["n"] == 0)["id"]
        (group,) = [json.loads(line) for line in s.command("dlq", "group", "--json", "--pipeline", "hook").splitlines()]
        assert group["count"] == 3 and group["first"] <= group["last"]
        assert s.command("dlq", "ls", "--node", "o t/h&er") == ""
        assert s.command("dlq", "ls", "--before", "1h") == ""
        assert "1 recorded outputs, 1 records that sinks have taken" in s.command("dlq", "show", first[:12])
        s.command("dlq", "edit", first, "--map", ".amount |= tonumber")
        assert s.command("dlq", "replay", first) == "1 to be tried again from now on\n"
        until(lambda: api.asked["PUT /cases/0 200"])
        until(lambda: len(s.command("dlq", "ls").splitlines()) == 2)
        assert s.command("dlq", "drop", "--cause", "FORBIDDEN") == "2 dropped\n"
        assert s.command("dlq", "ls") == ""
        assert "no dead letter" in s.command("dlq", "show", "0000", code=1)
        assert "--journal is for" in s.command("dlq", "ls", "--journal", "x", code=2)


def test_a_letter_is_replayed_in_its_own_version_while_the_present_one_runs(tmp_path):
    def numbers(version):
        return pipeline(
            {"path": "/hooks/x"},
            {"one": {"from": "in", "map": f"{{n: (.n | tonumber), by: {version}}}"}},
            {"out": {"from": "one", "file": str(tmp_path / "out.ndjson")}},
            version=version,
        )

    def arrives(n, by):
        until(lambda: {"n": n, "by": by} in lines_of(tmp_path / "out.ndjson"))

    with Operated(tmp_path, numbers(1)) as s:
        assert s.send({"n": "x"}, "a").status_code == 202
        (letter,) = until(lambda: s.ask("/admin/dlq")["letters"])
        s.install(numbers(2))
        s.process.signal(signal.SIGHUP)
        sent = itertools.count(10)  # until the new version takes them
        until(lambda: s.send({"n": (n := next(sent))}, f"b{n}").status_code == 202 and any(x["by"] == 2 for x in lines_of(tmp_path / "out.ndjson")))
        for n in (1, 2):  # what it makes fails again the first time, and is its own version's letter again
            record = {"n": n} if n == 2 else {"n": "y"}
            s.do("/admin/dlq/" + letter["id"], {"record": record}, method="PATCH")
            replay = {"ids": [letter["id"]], "original": True}
            assert '"rate\\" does not go with' in json.dumps(s.do("/admin/dlq/replay", replay | {"rate": 5}, status=400))
            assert s.do("/admin/dlq/replay", replay) == {"count": 1}
            if n == 1:
                (letter,) = until(lambda: (x := s.ask("/admin/dlq")["letters"]) and x[0]["replays"] == 1 and not x[0]["is_replayed"] and x)
                assert letter["version"] == 1
        arrives(2, 1)
        assert s.ask("/admin/dlq")["letters"] == []
        assert s.send({"n": 6}, "c").status_code == 202
        arrives(6, 2)
    assert [x for x in lines_of(tmp_path / "out.ndjson") if x["n"] < 10] == [{"n": 2, "by": 1}, {"n": 6, "by": 2}]


def test_a_trace_is_told_while_the_server_runs(tmp_path, api):
    with Operated(tmp_path, cases(tmp_path, api)) as s:
        assert s.send({"n": 1, "amount": 5}, "k").status_code == 202
        (one,) = until(lambda: s.ask("/admin/pipelines/hook/trace")["traces"])
        assert [x["node"] for x in one["trace"]["steps"]][:3] == ["in", "ask", "case"]
        assert s.ask("/admin/pipelines/hook/trace/" + one["id"][:10]) == one
        assert s.ask("/admin/trace")["traces"] == [one]
        assert s.ask("/admin/pipelines/hook/trace/0000", 404)
        assert s.ask("/admin/pipelines/other/trace/" + one["id"], 404)
        assert json.loads(s.command("pipeline", "trace", "--json")) == one
        assert one["id"] in s.command("pipeline", "trace", one["id"][:10])
        assert "no trace" in s.command("pipeline", "trace", "0000", code=1)


def test_a_gate_is_decided_over_the_admin_api(tmp_path):
    nodes = {"wait": {"from": "in", "gate": {"channel": "approvals", "expires": "1h", "show": "{n: .n}"}}}
    sinks = {"out": {"from": "wait", "file": str(tmp_path / "out.ndjson")}}
    with Operated(tmp_path, pipeline({"path": "/hooks/x"}, nodes, sinks)) as s:
        for n in range(4):
            assert s.send({"n": n, "x": 1}, f"k{n}").status_code == 202
        waiting = until(lambda: (g := s.ask("/admin/gates")["gates"]) and len(g) == 4 and g)
        gates = {g["show"]["n"]: g["id"] for g in waiting}
        assert s.ask("/admin/gates?pipeline=other")["gates"] == []
        assert s.do(f"/admin/gates/{gates[0]}/approve", {"who": "ann"}) == {"verdict": "approved"}
        assert s.do(f"/admin/gates/{gates[0]}/reject", {"who": "bob"}) == {"verdict": "approved"}  # the first one stands
        assert s.do(f"/admin/gates/{gates[1]}/approve", {"who": "ann", "record": {"n": 10}}) == {"verdict": "approved"}
        s.do(f"/admin/gates/{gates[2]}/approve", {}, 400)
        s.do("/admin/gates/00000000000000000000000000000000/approve", {"who": "ann"}, 404)
        s.do("/admin/gates/xyz/approve", {"who": "ann"}, 400)
        assert gates[2] in s.command("gate", "list") and gates[0] not in s.command("gate", "list")
        assert s.command("gate", "approve", gates[2], "--who", "cid", "--why", "fine", "--record", "-", given='{"n": 20}').endswith("approved\n")
        assert s.command("gate", "reject", gates[3], "--who", "cid").endswith("rejected\n")
        until(lambda: sorted(x["n"] for x in lines_of(tmp_path / "out.ndjson")) == [0, 10, 20])
        assert s.ask("/admin/gates")["gates"] == []
        assert "who decides?" in s.command("gate", "approve", gates[3], "--who", "", code=2)


def test_each_node_and_edge_is_counted_and_drawn(tmp_path, api):
    with Operated(tmp_path, cases(tmp_path, api) | {"deadline": "10s"}) as s:
        for n, amount in enumerate([5, 6, "nine"]):
            assert s.send({"n": n, "amount": amount}, f"k{n}").status_code == 202
        until(lambda: s.ask("/admin/pipelines/hook")["completed"] == 3)
        told = s.ask("/admin/pipelines/hook")
        nodes = {x["node"]: x for x in told["nodes"]}
        assert {name: (x["role"], x["kind"], x["in"], x["out"], x["failed"]) for name, x in nodes.items()} == {
            "in": ("source", "http", 3, 3, 0), "ask": ("node", "http", 3, 3, 0), "case": ("node", "map", 3, 3, 0),
            "crm": ("sink", "http", 3, 0, 1), "all": ("sink", "file", 3, 0, 0),
        }  # fmt: skip
        assert nodes["crm"]["dead_letters"] == {"FORBIDDEN": 1} and nodes["ask"]["dead_letters"] == {}
        assert nodes["ask"]["p99_ms"] > 0 and 0 < nodes["ask"]["deadline_burn"] < 3
        assert all(x["waiting"] == 0 and x["waiting_bytes"] == 0 for x in nodes.values())
        assert 1 <= nodes["all"]["batches"] <= 3 and not nodes["all"]["is_failing"]
        assert {(e["from"], e["to"], e["records"]) for e in told["edges"]} == {("in", "ask", 3), ("ask", "case", 3), ("case", "crm", 3), ("case", "all", 3)}
        page = httpx.get(s.process.url + "/metrics").text
        for series in [
            'crossdock_pipeline_node_records_in_total{pipeline="hook",node="crm"} 3',
            'crossdock_pipeline_node_records_failed_total{pipeline="hook",node="crm"} 1',
            'crossdock_pipeline_node_dead_letters_total{pipeline="hook",node="crm",cause="FORBIDDEN"} 1',
            'crossdock_pipeline_node_seconds_count{pipeline="hook",node="ask"} 3',
            'crossdock_pipeline_node_seconds_bucket{pipeline="hook",node="ask",le="+Inf"} 3',
            'crossdock_pipeline_edge_records_total{pipeline="hook",from="case",to="all"} 3',
            'crossdock_pipeline_sink_failing{pipeline="hook",node="all"} 0',
            'crossdock_journal_commit_seconds_bucket{le="+Inf"} ',
        ]:
            assert series in page, series
        assert 'crossdock_pipeline_node_deadline_burn_total{pipeline="hook",node="ask"} ' in page
        picture = s.admin.get("/admin/pipelines/hook/graph")
        assert picture.headers["content-type"] == "image/svg+xml" and "crm" in picture.text
        assert s.admin.get("/admin/pipelines/other/graph").status_code == 404


def test_what_is_tried_out_in_the_shadow_is_held_against_what_is_used(tmp_path):
    nodes = {
        "label": {"from": "in", "map": "{n: .n, big: (.n > 1)}"},
        "try": {"from": "in", "shadow": {"compare": {"label": "better"}}},
        "better": {"from": "try", "map": "{big: (.n > 2), n: .n}"},
    }
    sinks = {"out": {"from": "label", "file": str(tmp_path / "out.ndjson")}}
    with Operated(tmp_path, pipeline({"path": "/hooks/x"}, nodes, sinks)) as s:
        for n in range(4):
            assert s.send({"n": n, "x": 1}, f"k{n}").status_code == 202
        until(lambda: s.ask("/admin/pipelines/hook")["completed"] == 4)
        nodes = {x["node"]: x for x in s.ask("/admin/pipelines/hook")["nodes"]}
        assert (nodes["better"]["agreed"], nodes["better"]["differed"]) == (3, 1) and "agreed" not in nodes["label"]
        page = httpx.get(s.process.url + "/metrics").text
        assert 'crossdock_pipeline_node_agreed_total{pipeline="hook",node="better"} 3' in page
        assert 'crossdock_pipeline_node_differed_total{pipeline="hook",node="better"} 1' in page
        assert 'differed_total{pipeline="hook",node="label"}' not in page


def test_a_sink_that_is_down_shows_as_failing_and_what_waits_for_it_is_counted(tmp_path):
    sinks = {"crm": {"from": "same", "http": {"put": "http://127.0.0.1:9/cases/{{.n}}"}, "effect": {"mode": "keyed"}}}
    with Operated(tmp_path, pipeline({"path": "/hooks/x"}, sinks=sinks), drain="1s") as s:
        for n in range(3):
            assert s.send({"n": n}, f"k{n}").status_code == 202
        until(lambda: (x := s.ask("/admin/pipelines/hook")["nodes"][-1])["is_failing"] and x["retries"] > 0)
        crm = s.ask("/admin/pipelines/hook")["nodes"][-1]
        assert (crm["waiting"], crm["waiting_bytes"], crm["batches"]) == (3, 3 * len('{"n": 0}'), 0)
        assert 'crossdock_pipeline_sink_failing{pipeline="hook",node="crm"} 1' in httpx.get(s.process.url + "/metrics").text


def test_letters_go_to_a_sink_as_well_and_once(tmp_path, api):
    spec = cases(tmp_path, api) | {"errors": {"dlq": {"file": str(tmp_path / "dead.ndjson")}}}
    with Operated(tmp_path, spec) as s:
        for n in range(3):
            assert s.send({"n": n, "amount": "x"}, f"k{n}").status_code == 202
        until(lambda: len(lines_of(tmp_path / "dead.ndjson")) == 3)
        s.process.process.kill()
    with Operated(tmp_path, spec) as s:
        assert s.send({"n": 3, "amount": "x"}, "k3").status_code == 202
        until(lambda: len(lines_of(tmp_path / "dead.ndjson")) == 4)
        letters = s.ask("/admin/dlq")["letters"]
    sent = lines_of(tmp_path / "dead.ndjson")
    assert sorted(x["id"] for x in sent) == sorted(x["id"] for x in letters)
    assert {(x["node"], x["cause"], x["record"]["amount"]) for x in sent} == {("crm", "FORBIDDEN", "x")}


def test_a_traceparent_goes_along_to_models_and_systems(tmp_path):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with Provider(lambda *_: (200, chat("hi"))) as p:
        nodes = {
            "ask": {"from": "in", "model": {"route": "m", "prompt": "x"}},
            "tell": {"from": "ask", "http": {"post": p.url + "/told"}},
        }
        with Operated(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"}, nodes), provider=p) as s:
            assert s.send({"n": 1}, "a", traceparent=trace).status_code == 200
            assert s.send({"n": 1}, "b").status_code == 200
            assert s.send({"n": 1}, "c", traceparent="x" * 300).status_code == 200
        told = [{k.lower(): v for k, v in headers.items()} for path, _, headers in p.asked]
    assert len(told) == 6
    assert told[0]["traceparent"].split("-")[1] == told[1]["traceparent"].split("-")[1] == trace.split("-")[1]
    assert all("traceparent" not in h or h["traceparent"].split("-")[1] != trace.split("-")[1] for h in told[2:])
    assert "traceparent" not in told[3] and "traceparent" not in told[5]


def test_operators_only(tmp_path):
    with Operated(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"})) as s:
        for path in ["/admin/dlq", "/admin/gates", "/admin/trace", "/admin/pipelines/hook/trace"]:
            assert httpx.get(s.at + path).status_code == 401
        assert httpx.post(s.at + "/admin/dlq/drop", json={"ids": ["0000"]}).status_code == 401
        for path, method, allowed in [("/admin/dlq", "POST", "GET"), ("/admin/dlq/replay", "GET", "POST"), ("/admin/gates", "POST", "GET"), ("/admin/dlq/abcd", "DELETE", "PATCH")]:
            answer = s.admin.request(method, path, json={})
            assert answer.status_code == 405 and allowed in answer.text
        s.do("/admin/dlq/replay", {"ids": []}, 400)
        s.do("/admin/dlq/replay", {"ids": ["0000"], "rate": 0}, 400)
        s.do("/admin/dlq/replay", {"ids": ["0000"]}, 404)
        s.do("/admin/dlq/0000", [], 400, "PATCH")
        assert s.admin.post("/admin/dlq/drop", content=b"{").status_code == 400
