"""The log of facts has a record of each message of a pipeline, and what taps show."""

import json

from test_explain import facts, wait_until
from test_pipeline_models import Provider, chat, error
from test_pipeline_serve import Serving, pipeline

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NODES = {
    "ask": {"from": "in", "model": {"route": "m", "prompt": "Say {{.n}}"}},
    "look": {"from": "ask", "tap": {"to": "facts", "show": "{length: length}"}},
}


def test_messages_and_taps_are_in_the_log_of_facts(tmp_path):
    folder = tmp_path / "facts"
    spec = pipeline({"path": "/hooks/x", "mode": "accept"}, NODES, {"out": {"from": "look", "file": str(tmp_path / "out")}})
    with Provider(lambda *_: (200, chat("12"))) as p, Serving(tmp_path, spec, p, facts=str(folder)) as s:
        s.send({"n": 1}, "a", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        assert wait_until(lambda: len(facts(folder, "--type", "root")) == 1)
        (root,) = facts(folder, "--type", "root")
        (tap,) = facts(folder, "--type", "tap")
        attempts = facts(folder, "--type", "attempt")
    assert (root["type"], root["pipeline"], root["version"], root["source"]) == ("root", "hook", 1, "in")
    assert (root["outcome"], root["dead"], root["starts"], root["nodes"], root["calls"]) == ("done", 0, 1, 4, 1)
    assert root["trace"] == TRACE and root["took"] > 0 and root["wall"] > 1e18
    assert root["input"] == attempts[0]["input"] > 0 and root["output"] == attempts[0]["output"] > 0
    assert (tap["type"], tap["node"], tap["shown"], tap["root"], tap["trace"]) == ("tap", "look", {"length": 2}, root["root"], TRACE)
    assert "Say 1" not in json.dumps([root, tap])


def test_what_is_given_up_is_dead(tmp_path):
    folder = tmp_path / "facts"
    spec = pipeline({"path": "/hooks/x", "mode": "accept"}, NODES, {"out": {"from": "look", "file": str(tmp_path / "out")}})
    with Provider(lambda *_: (400, error("no such thing"))) as p, Serving(tmp_path, spec, p, facts=str(folder)) as s:
        s.send({"n": 1}, "a")
        assert wait_until(lambda: len(facts(folder, "--type", "root")) == 1)
    (root,) = facts(folder, "--type", "root")
    assert (root["outcome"], root["dead"], root["failed"]) == ("dead", 1, 1)
