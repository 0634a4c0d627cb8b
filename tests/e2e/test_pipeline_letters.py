"""Dead letters on the command line: what cannot be done is kept, put right, tried again; nothing is paid for or sent twice."""

import json
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from gateway import PROGRAM
from pipelines import lines_of

PIPELINE = """
pipeline: cases
version: 3
delivery: at_least_once
journal: sync
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
nodes:
  ask: {{from: in, http: {{post: "{url}/ask"}}}}
  case: {{from: ask, map: '{{n: .n, amount: .amount}}'}}
sinks:
  crm: {{from: case, http: {{put: "{url}/cases/{{{{.n}}}}"}}, effect: {{mode: keyed}}}}
  all: {{from: case, file: {folder}/all.ndjson}}
"""


class Api(BaseHTTPRequestHandler):
    """Echoes what is asked; takes cases whose amount is a number, and refuses others."""

    def do_POST(self):
        self.answer(200, self.body())

    def do_PUT(self):
        body = self.body()
        self.answer(200 if isinstance(json.loads(body)["amount"], (int, float)) else 422, b"{}")

    def body(self):
        return self.rfile.read(int(self.headers["content-length"]))

    def answer(self, status, body):
        self.server.asked[f"{self.command} {self.path} {status}"] += 1
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


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


class Cases:
    """Three messages, two of which the CRM refuses."""

    def __init__(self, folder, api):
        self.folder = folder
        self.api = api
        self.journal = folder / "journal.db"
        url = f"http://127.0.0.1:{api.server_port}"
        (folder / "p.yaml").write_text(PIPELINE.format(folder=folder, url=url), encoding="utf-8")
        messages = [{"n": 1, "amount": 5}, {"n": 2, "amount": "7"}, {"n": 3, "amount": "nine"}]
        (folder / "in.ndjson").write_text("".join(json.dumps(m) + "\n" for m in messages), encoding="utf-8")
        self.run()

    def run(self):
        done = subprocess.run([PROGRAM, "pipeline", "run", self.folder / "p.yaml", "--journal", self.journal],
                              capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def dlq(self, *arguments, code=0, given=None):
        done = subprocess.run([PROGRAM, "dlq", *arguments, "--journal", self.journal],
                              capture_output=True, text=True, timeout=60, input=given)  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def letters(self):
        return [json.loads(line) for line in self.dlq("ls", "--json").splitlines()]

    def lines(self):
        return [json.loads(line) for line in (self.folder / "all.ndjson").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def cases(tmp_path, api):
    return Cases(tmp_path, api)


def test_what_a_sink_refuses_is_listed_grouped_and_shown(cases):
    letters = cases.letters()
    assert [(x["pipeline"], x["node"], x["cause"], x["version"], x["source"]) for x in letters] == [("cases", "crm", "FORBIDDEN", 3, "in")] * 2
    assert sorted(x["record"]["n"] for x in letters) == [2, 3]
    assert "422" in letters[0]["error"]
    (group,) = [json.loads(line) for line in cases.dlq("group", "--json").splitlines()]
    assert (group["pipeline"], group["node"], group["cause"], group["count"]) == ("cases", "crm", "FORBIDDEN", 2)
    shown = cases.dlq("show", letters[0]["id"][:12])
    assert letters[0]["id"] in shown and letters[0]["fingerprint"] in shown
    assert "1 recorded outputs, 1 records that sinks have taken" in shown
    assert cases.dlq("ls", "--node", "other") == ""
    assert cases.dlq("ls", "--before", "1h") == ""
    assert len(cases.dlq("ls", "--cause", "FORBIDDEN").splitlines()) == 2


def test_a_letter_that_is_put_right_and_replayed_arrives_without_a_second_bill_or_a_second_send(cases, api):
    (second,) = [x["id"] for x in cases.letters() if x["record"]["n"] == 2]
    would = cases.dlq("edit", second, "--map", ".amount |= tonumber", "--dry-run")
    assert '- {"n":2,"amount":"7"}' in would and '+ {"n":2,"amount":7}' in would
    assert "edited" not in cases.letters()[0]
    cases.dlq("edit", second, "--map", ".amount |= tonumber")
    assert "1 recorded outputs are not asked for again, 1 records at sinks are not sent again" in cases.dlq("replay", second, "--dry-run")
    assert cases.dlq("replay", second) == "1 to be tried again with the next run\n"
    assert "(to be tried again)" in cases.dlq("show", second)
    cases.run()
    assert [x["record"]["n"] for x in cases.letters()] == [3]
    assert api.asked["POST /ask 200"] == 3
    assert api.asked["PUT /cases/2 200"] == 1
    assert api.asked["PUT /cases/3 422"] == 1  # the other letter was left alone
    assert sorted(x["n"] for x in cases.lines()) == [1, 2, 3]
    cases.run()
    assert api.asked["PUT /cases/2 200"] == 1


def test_a_replay_that_fails_again_is_a_letter_again_and_counts(cases, api):
    cases.dlq("replay", "--all")
    cases.run()
    letters = cases.letters()
    assert [(x["replays"], x["is_replayed"]) for x in letters] == [(1, False)] * 2
    third = next(x["id"] for x in letters if x["record"]["n"] == 3)
    cases.dlq("edit", third, "--record", "-", given='{"n": 3, "amount": 9}')
    assert json.loads(cases.dlq("show", third, "--json"))["edited"] == {"n": 3, "amount": 9}
    cases.dlq("replay", third)
    cases.run()
    assert api.asked["PUT /cases/3 200"] == 1
    assert api.asked["POST /ask 200"] == 3


VERSIONED = """
pipeline: versions
version: {version}
delivery: at_least_once
journal: sync
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: {follow}}}}}
nodes:
  one: {{from: in, map: '{{n: (.n | tonumber), by: {version}}}'}}
sinks:
  out: {{from: one, file: {folder}/out.ndjson}}
"""


class Versions(Cases):
    """Two messages that version 1 could not deal with; then version 2 is there."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = folder / "journal.db"
        (folder / "in.ndjson").write_text('{"n": "x"}\n{"n": "y"}\n', encoding="utf-8")
        self.begin(1)
        self.begin(2)

    def begin(self, version):
        text = VERSIONED.format(folder=self.folder, version=version, follow="false")
        (self.folder / "p.yaml").write_text(text, encoding="utf-8")
        self.run()

    def out(self):
        return lines_of(self.folder / "out.ndjson")


def test_a_letter_is_replayed_in_the_version_that_took_its_message_in_or_in_the_present_one(tmp_path):
    versions = Versions(tmp_path)
    first, second = [x["id"] for x in versions.letters()]
    for letter, n in ((first, 1), (second, 2)):
        versions.dlq("edit", letter, "--record", "-", given=json.dumps({"n": n}))
    assert "in the version that took it in" in versions.dlq("replay", first, "--original", "--dry-run")
    assert versions.dlq("replay", first, "--original") == "1 to be tried again with the next run\n"
    assert "under way, or about to be tried again" in versions.dlq("replay", first, "--original", code=1)
    versions.run()
    assert versions.out() == [{"n": 1, "by": 1}]
    assert [x["id"] for x in versions.letters()] == [second]
    versions.dlq("replay", second)
    versions.run()
    assert versions.out() == [{"n": 1, "by": 1}, {"n": 2, "by": 2}]
    assert versions.letters() == []


def test_a_replay_in_a_version_that_is_not_kept_is_refused_with_a_remedy(tmp_path):
    versions = Versions(tmp_path)
    with closing(sqlite3.connect(versions.journal)) as db, db:
        db.execute("delete from state where node = '.versions' and cast(key as text) = ?", (versions.letters()[0]["digest"],))
    told = versions.dlq("replay", "--all", "--original", code=1)
    assert "is not kept any more" in told and "replay it without" in told
    assert not any(x["is_replayed"] for x in versions.letters())
    assert "--rate does not go with --original" in versions.dlq("replay", "--all", "--original", "--rate", "5", code=2)
    assert "--original goes with replay only" in versions.dlq("drop", "--all", "--original", code=2)


def test_what_is_dropped_is_gone(cases):
    assert cases.dlq("drop", "--node", "crm", "--dry-run") == "2 would be dropped\n"
    assert len(cases.letters()) == 2
    assert cases.dlq("drop", "--node", "crm") == "2 dropped\n"
    assert cases.letters() == []
    cases.run()
    assert len(cases.lines()) == 3


def trace(cases, *arguments, code=0):
    done = subprocess.run([PROGRAM, "pipeline", "trace", *arguments, "--journal", cases.journal],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_a_trace_tells_each_step_with_fingerprints_and_is_renewed_by_a_replay(cases):
    traces = [json.loads(line) for line in trace(cases, "--json").splitlines()]
    assert [x["trace"]["failed"] for x in traces] == [0, 1, 1]
    steps = {x["node"]: x for x in traces[0]["trace"]["steps"]}
    assert list(steps) == ["in", "ask", "case", "crm", "all"] or list(steps) == ["in", "ask", "case", "all", "crm"]
    assert all(x["end"] == "ok" for x in steps.values())
    assert steps["in"]["out"] == steps["ask"]["in"] == steps["in"]["in"]
    assert steps["ask"]["out"] == steps["case"]["in"] and steps["case"]["sent"] == 2
    assert steps["crm"]["in"] == steps["all"]["in"]
    assert steps["ask"]["took_us"] > 0 and steps["crm"]["came_us"] >= steps["ask"]["took_us"]
    assert {x["node"]: x["end"] for x in traces[1]["trace"]["steps"]}["crm"] == "failed"
    told = trace(cases, traces[0]["id"][:10])
    assert traces[0]["id"] in told and "crm" in told and steps["crm"]["in"] in told
    letter = next(x for x in cases.letters() if x["record"]["n"] == 2)
    assert letter["root"] == traces[1]["id"]
    cases.dlq("edit", letter["id"], "--map", ".amount |= tonumber")
    cases.dlq("replay", letter["id"])
    cases.run()
    again = json.loads(trace(cases, letter["root"], "--json"))
    assert again["trace"]["failed"] == 0 and again["at"] > traces[1]["at"]
    assert len(trace(cases).splitlines()) == 3
    assert "no trace" in trace(cases, "0000", code=1)
    assert "no id" in trace(cases, "zz", code=1)


def test_mistakes_are_told(cases):
    letter = cases.letters()[0]["id"]
    assert "no dead letter" in cases.dlq("show", "0000", code=1)
    assert "no id" in cases.dlq("show", "xyz", code=1)
    assert "which letters?" in cases.dlq("drop", code=2)
    assert "--record FILE or --map" in cases.dlq("edit", letter, code=2)
    assert "--rate" in cases.dlq("replay", letter, "--rate", "0", code=2)
    assert "--map" in cases.dlq("edit", letter, "--map", ".a |", code=1)
    done = subprocess.run([PROGRAM, "dlq", "ls", "--journal", cases.folder / "none.db"], capture_output=True, text=True)
    assert done.returncode == 1 and "no journal" in done.stderr
    assert not (cases.folder / "none.db").exists()
