"""Pipelines of a gateway that serves: messages that clients send, replies, what happens at a reload and at the end."""

import concurrent.futures
import hashlib
import hmac
import json
import signal
import threading

import httpx
import pytest
import yaml
from gateway import KEY, Process
from test_pipeline_models import Provider, chat, said

KEYS = [{"name": "tests", "hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}]
ALLOWED = {"authorization": f"Bearer {KEY}"}


def pipeline(http, nodes=None, sinks=None, **more):
    return {
        "pipeline": "hook",
        "version": 1,
        "journal": "sync",
        "sources": {"in": {"http": http}},
        "nodes": nodes or {"same": {"from": "in", "map": "."}},
        "sinks": sinks or {"back": {"from": list(nodes or {"same": 1})[-1], "reply": "."}},
    } | more


class Serving:
    def __init__(self, folder, spec, provider=None, workers=2, **more):
        self.folder = folder
        self.install(spec)
        self.config = {
            "listen": "127.0.0.1:0",
            "workers": workers,
            "admin": "off",
            "log": {"format": "json", "access": "off"},
            "providers": {"p": {"dialect": "openai", "base_url": (provider.url if provider else "http://127.0.0.1:9") + "/v1", "api_key": "sk-x"}},
            "models": {"m": {"targets": ["p/m"]}},
            "keys": KEYS,
            "journal": str(folder / "journal.db"),
            "pipelines": ["p.yaml"],
        } | more
        (folder / "crossdock.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
        self.process = None

    def install(self, spec):
        new = self.folder / "p.new"
        new.write_text(yaml.safe_dump(spec), encoding="utf-8")
        new.rename(self.folder / "p.yaml")

    def __enter__(self):
        self.process = Process("serve", "--config", str(self.folder / "crossdock.yaml"), address=r"listening url=(https?://[^\s\"]+)")
        self.client = httpx.Client(base_url=self.process.url, timeout=30, headers=ALLOWED)
        return self

    def __exit__(self, *_):
        self.client.close()
        self.code = self.process.stop()

    def send(self, body, key=None, path="/hooks/x", **headers):
        if key:
            headers["idempotency-key"] = key
        return self.client.post(path, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_request_is_answered_by_a_pipeline_and_its_reply_kept(tmp_path):
    with Provider(lambda _, d, n: (200, chat(f"{said(d)} {n}"))) as p:
        ask = {"ask": {"from": "in", "model": {"route": "m", "prompt": "Say {{.n}}"}}, "short": {"from": "ask", "map": "{text: .}"}}
        spec = pipeline({"path": "/hooks/x", "mode": "reply"}, ask)
        with Serving(tmp_path, spec, p) as s:
            first = s.send({"n": 7}, "a")
            assert (first.status_code, first.json()) == (200, {"text": "Say 7 1"})
            assert s.send({"n": 7}, "a").json() == {"text": "Say 7 1"}
            assert s.send({"n": 7}, "b").json() == {"text": "Say 7 2"}
        with Serving(tmp_path, spec, p) as s:  # the reply is in the journal
            assert s.send({"n": 7}, "a").json() == {"text": "Say 7 1"}
        assert len(p.asked) == 2


def test_pipelines_without_any_model_are_served(tmp_path):
    with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"}), providers=None, models=None) as s:
        assert s.send({"n": 7}, "a").json() == {"n": 7}
        assert s.client.get("/v1/models").json()["data"] == []
        answer = s.client.post("/v1/chat/completions", json={"model": "m", "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code == 404 and "m" in answer.json()["error"]["message"]
        assert s.client.post("/v1/audio/speech", json={"model": "m"}).status_code == 404
        assert s.client.get("/readyz").status_code == 200
    assert s.code == 0


def test_requests_come_to_the_one_source_from_every_worker(tmp_path):
    with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"}), workers=4) as s:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: httpx.post(s.process.url + "/hooks/x", json={"n": n}, headers=ALLOWED | {"idempotency-key": f"k{n}"}), range(200)))
        assert [a.json() for a in answers] == [{"n": n} for n in range(200)]


def test_two_requests_of_one_id_at_a_time_are_one_message(tmp_path):
    with Provider(lambda _, d, n: (200, chat(f"{said(d)} {n}"))) as p:
        spec = pipeline({"path": "/hooks/x", "mode": "reply"}, {"ask": {"from": "in", "model": {"route": "m", "prompt": "{{.n}}"}}})
        with Serving(tmp_path, spec, p) as s:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: httpx.post(s.process.url + "/hooks/x", json={"n": 1}, headers=ALLOWED | {"idempotency-key": "k"}), range(8)))
            assert {a.text for a in answers} == {'"1 1"'}
        assert len(p.asked) == 1


def test_a_webhook_is_accepted_when_it_is_in_the_journal_and_taken_once(tmp_path):
    sinks = {"out": {"from": "same", "file": str(tmp_path / "out.ndjson")}}
    with Serving(tmp_path, pipeline({"path": "/hooks/x"}, sinks=sinks)) as s:
        for n in range(50):
            answer = s.send({"n": n}, f"id-{n}")
            assert (answer.status_code, answer.json()) == (202, {"id": f"id-{n}"})
            assert s.send({"n": n}, f"id-{n}").status_code == 202
    assert s.code == 0
    assert [r["n"] for r in lines_of(tmp_path / "out.ndjson")] == list(range(50))


def test_what_was_accepted_survives_a_kill(tmp_path):
    sinks = {"out": {"from": "same", "file": str(tmp_path / "out.ndjson")}}
    spec = pipeline({"path": "/hooks/x"}, sinks=sinks)
    with Serving(tmp_path, spec) as s:
        for n in range(30):
            assert s.send({"n": n}, f"id-{n}").status_code == 202
        s.process.process.kill()
    with Serving(tmp_path, spec) as s:
        assert s.send({"n": 30}, "id-30").status_code == 202
    assert sorted(r["n"] for r in lines_of(tmp_path / "out.ndjson")) == list(range(31))


@pytest.mark.parametrize(
    "given,status",
    [({}, 401), ({"authorization": "Bearer wrong"}, 401), (ALLOWED, 400), (ALLOWED | {"idempotency-key": "a"}, 200)],
    ids=["no key", "a wrong key", "no id", "all of it"],
)
def test_who_may_send_and_what_must_be_with_it(tmp_path, given, status):
    with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"})) as s:
        assert httpx.post(s.process.url + "/hooks/x", json={"n": 1}, headers=given).status_code == status
        assert httpx.get(s.process.url + "/hooks/x", headers=ALLOWED).status_code == 405


def test_a_signed_webhook_needs_no_key_and_a_forged_one_is_refused(tmp_path):
    http = {"path": "/hooks/x", "id_header": "x-github-delivery", "auth": "none", "mode": "reply", "signature": {"secret": "very secret"}}
    body = json.dumps({"action": "opened"}).encode()
    good = "sha256=" + hmac.new(b"very secret", body, hashlib.sha256).hexdigest()
    with Serving(tmp_path, pipeline(http)) as s:
        answer = httpx.post(s.process.url + "/hooks/x", content=body, headers={"x-github-delivery": "1", "x-hub-signature-256": good})
        assert (answer.status_code, answer.json()) == (200, {"action": "opened"})
        for forged in [body + b" ", b"{}"]:
            answer = httpx.post(s.process.url + "/hooks/x", content=forged, headers={"x-github-delivery": "2", "x-hub-signature-256": good})
            assert answer.status_code == 401
        assert httpx.post(s.process.url + "/hooks/x", content=body, headers={"x-github-delivery": "3"}).status_code == 401


def test_a_message_that_is_filtered_has_no_content_and_one_that_fails_says_so(tmp_path):
    nodes = {"some": {"from": "in", "filter": ".n > 0"}, "inverse": {"from": "some", "map": "{x: (.a.b)}"}}
    with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"}, nodes)) as s:
        assert s.send({"n": 0}, "a").status_code == 204
        assert s.send({"n": 1, "a": 5}, "b").status_code == 500
        assert s.send({"n": 1, "a": {"b": 2}}, "c").json() == {"x": 2}


def test_a_reply_that_takes_too_long_is_fetched_later(tmp_path):
    free = threading.Event()

    def answer(*_):
        free.wait(20)
        return 200, chat("late")

    with Provider(answer) as p:
        ask = {"ask": {"from": "in", "model": {"route": "m", "prompt": "{{.n}}"}}}
        with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply", "wait": "300ms"}, ask), p) as s:
            first = s.send({"n": 1}, "a")
            assert (first.status_code, first.json()) == (202, {"id": "a"})
            free.set()
            answers = [s.send({"n": 1}, "a") for _ in range(50)]
            assert (answers[-1].status_code, answers[-1].json()) == (200, "late")
        assert len(p.asked) == 1


def test_a_new_version_takes_over_without_losing_a_message(tmp_path):
    out = tmp_path / "out.ndjson"

    def version(v):
        nodes = {"mark": {"from": "in", "map": f"{{n: .n, v: {v}}}"}}
        return pipeline({"path": "/hooks/x"}, nodes, {"out": {"from": "mark", "file": str(out)}}, version=v)

    with Serving(tmp_path, version(1)) as s:
        for n in range(20):
            assert s.send({"n": n}, f"k{n}").status_code == 202
        s.install(version(2))
        s.process.signal(signal.SIGHUP)
        for n in range(20, 400):
            assert s.send({"n": n}, f"k{n}").status_code == 202
    rows = lines_of(out)
    assert sorted(r["n"] for r in rows) == list(range(400))
    assert {r["v"] for r in rows} == {1, 2}


def test_who_sends_while_the_gateway_stops_is_told_to_come_again(tmp_path):
    with Provider(lambda *_: (200, chat("x"))) as p:
        spec = pipeline({"path": "/hooks/x", "mode": "reply"}, {"ask": {"from": "in", "model": {"route": "m", "prompt": "{{.n}}"}}})
        with Serving(tmp_path, spec, p) as s:
            assert s.send({"n": 1}, "a").status_code == 200
        assert s.code == 0


def test_operators_see_how_pipelines_fare(tmp_path):
    with Serving(tmp_path, pipeline({"path": "/hooks/x", "mode": "reply"}), admin={"listen": "127.0.0.1:0", "key_file": str(tmp_path / "key")}) as s:
        assert s.process.wait_for_line("operators admin=")
        admin = next(line for line in s.process.lines if "operators admin=" in line).split("admin=")[1].split(" ")[0]
        operator = {"authorization": "Bearer " + (tmp_path / "key").read_text(encoding="utf-8").split()[-1]}
        assert [s.send({"n": n}, f"k{n}").status_code for n in range(3)] == [200] * 3
        shown = httpx.get(admin + "/admin/pipelines", headers=operator).json()["pipelines"]
        assert [(p["pipeline"], p["taken_in"], p["emitted"], p["running"]) for p in shown] == [("hook", 3, 3, 1)]
        assert httpx.get(admin + "/admin/pipelines/hook", headers=operator).json().items() >= shown[0].items()
        assert httpx.get(admin + "/admin/pipelines/none", headers=operator).status_code == 404
        assert httpx.get(admin + "/admin/pipelines").status_code == 401
        assert 'crossdock_pipeline_messages_total{pipeline="hook"} 3' in httpx.get(s.process.url + "/metrics").text
