"""The log of facts has a record of each message of a pipeline, and what taps show; with `journal: none` nothing else of a pipeline is on disk."""

import json
import sqlite3
import subprocess

from gateway import PROGRAM
from pipelines import lines_of
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
        (attempt,) = (a for a in facts(folder, "--type", "attempt") if a["role"] != "probe")
    assert (root["type"], root["pipeline"], root["version"], root["source"]) == ("root", "hook", 1, "in")
    assert (root["outcome"], root["dead"], root["starts"], root["nodes"], root["calls"]) == ("done", 0, 1, 4, 1)
    assert root["trace"] == TRACE and root["took"] > 0 and root["wall"] > 1e18
    assert root["input"] == attempt["input"] > 0 and root["output"] == attempt["output"] > 0
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


def test_without_a_journal_nothing_is_on_disk(tmp_path):
    (tmp_path / "in.ndjson").write_text("".join(json.dumps({"n": n}) + "\n" for n in range(20)), encoding="utf-8")
    (tmp_path / "p.yaml").write_text(
        f"""
pipeline: light
version: 1
delivery: at_least_once
journal: none
sources: {{in: {{files: {{path: {tmp_path}/in.ndjson, follow: false}}}}}}
sinks: {{out: {{from: in, file: {tmp_path}/out.ndjson}}}}
""",
        encoding="utf-8",
    )
    for run in (1, 2):  # it knows nothing of the first one
        subprocess.run([PROGRAM, "pipeline", "run", tmp_path / "p.yaml", "--journal", tmp_path / "journal.db"], check=True, timeout=60)
        assert [line["n"] for line in lines_of(tmp_path / "out.ndjson")] == list(range(20)) * run
    with sqlite3.connect(tmp_path / "journal.db") as journal:
        tables = [name for (name,) in journal.execute("select name from sqlite_master where type = 'table'")]
        assert "root" in tables
        assert {name: rows for name in tables if (rows := journal.execute(f"select count(*) from {name}").fetchone()[0])} == {}
