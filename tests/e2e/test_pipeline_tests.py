"""crossdock pipeline test: tests that a pipeline's author writes, with mocks, recorded answers, virtual time and a report for CI."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from gateway import PROGRAM

PIPELINE = """
pipeline: prices
version: 1
delivery: at_least_once
journal: sync
sources:
  orders: {kafka: {topic: orders, group: g}}
nodes:
  ask: {from: orders, http: {post: "URL/price"}, budget: 2s, retry: {max: 1, on: [timeout]}}
  both: {join: [orders, ask], by: root}
  sum: {from: both, map: '{id: .orders.id, total: ((.orders.n | tonumber) * (.ask.price | tonumber))}'}
  way: {from: sum, switch: [{when: .total > 100, to: large}, {else: small}]}
sinks:
  large: {http: {put: "URL/large/{{.id}}"}, effect: {mode: keyed}}
  small: {file: /nowhere/small}
tests: [tests/*.yaml, more.yaml]
"""

MOCKED = """
tests:
  - name: large and small part
    inputs: {orders: [{id: 1, n: 3}, {$body: {id: 2, n: 1}, $after: 2h}]}
    mocks: {ask: {output: {price: 40}, after: 300ms}}
    expect:
      large: [{id: 1, total: {$near: 120, $within: 0.5}}]
      small: [{id: 2, total: 40}]
  - name: a late answer is asked for again
    inputs: {orders: [{id: 1, n: 3}]}
    mocks: {ask: [{output: {price: 1}, after: 1h, times: 1}, {output: {price: 2}}]}
    expect: {small: [{$exact: {id: 1, total: 6}}]}
  - name: what has no price dies
    inputs: {orders: [{id: 7, n: 3}]}
    mocks: {ask: {output: {price: "none"}}}
    dead_letters: [{node: sum, cause: PARSE, record: {orders: {id: 7}}}]
"""
MORE = """
tests:
  - name: in any order
    inputs: {orders: [{id: 1, n: 1}, {id: 2, n: 2}]}
    mocks: {ask: [{when: .id == 1, output: {price: 1}, after: 1s}, {map: '{price: .n}'}]}
    any_order: true
    expect: {small: [{id: 2}, {id: 1}]}
"""


class Prices(BaseHTTPRequestHandler):
    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked[order["id"]] += 1
        body = json.dumps({"price": 10 * order["id"]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def prices():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prices)
    server.asked = Counter()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tests").mkdir()
    write(tmp_path, "p.yaml", PIPELINE.replace("URL", "http://127.0.0.1:9"))
    write(tmp_path, "tests/a.yaml", MOCKED)
    write(tmp_path, "more.yaml", MORE)
    return tmp_path


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")


def run(folder, *arguments, code=0):
    done = subprocess.run([PROGRAM, "pipeline", "test", folder / "p.yaml", *arguments],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_hours_pass_in_no_time_under_every_seed(folder):
    told = run(folder, "--rounds", "20")
    assert told.endswith("4 passed, 0 failed\n")
    assert [line.split()[0] for line in told.splitlines()[:4]] == ["ok"] * 4
    assert "tests/a.yaml:3  large and small part (2 records, 0 dead letters, 7200" in told
    assert run(folder, "--seed", "7") == run(folder, "--seed", "7")
    assert run(folder, "--only", "dies").endswith("1 passed, 0 failed\n")


def test_what_does_not_come_out_is_told_with_its_place_and_reported(folder):
    wrong = MOCKED.replace("total: 40", "total: 41").replace("cause: PARSE", "cause: DEADLINE")
    write(folder, "tests/a.yaml", wrong.replace("$exact: {id: 1, total: 6}", "$exact: {id: 1}"))
    told = run(folder, "--junit", folder / "report.xml", code=1)
    assert "small[0].total: is 40, and should be 41" in told
    assert 'small[0]: is {"id":1,"total":6}, and should be exactly {"id":1}' in told
    assert 'dead letters[0].cause: is "PARSE", and should be "DEADLINE"' in told
    assert told.endswith("1 passed, 3 failed\n")
    report = ElementTree.parse(folder / "report.xml").getroot()
    assert (report.get("tests"), report.get("failures")) == ("4", "3")
    suites = [(suite.get("name").rsplit("/", 1)[-1], suite.get("tests"), suite.get("failures")) for suite in report]
    assert suites == [("a.yaml", "3", "3"), ("more.yaml", "1", "0")]
    failures = report.findall(".//failure")
    assert failures[0].get("message") == "small[0].total: is 40, and should be 41"
    assert failures[1].text.startswith('small[0]: is {"id":1')


def test_what_comes_without_being_expected_fails(folder):
    write(folder, "more.yaml", MORE.replace("expect:", "unchecked: large\n    expect:").replace(", {id: 1}]}", "]}"))
    assert 'small: this was not expected: {"id":1,"total":1}' in run(folder, code=1)
    write(folder, "more.yaml", MORE.replace("expect: {small: [{id: 2}, {id: 1}]}", "unchecked: [small, large]"))
    run(folder)


def test_answers_are_recorded_once_and_played_without_anybody_to_ask(folder, prices):
    write(folder, "p.yaml", PIPELINE.replace("URL", f"http://127.0.0.1:{prices.server_port}"))
    write(folder, "tests/a.yaml", """
tests:
  - name: recorded
    inputs: {orders: [{id: 1, n: 3}, {id: 20, n: 1}]}
    expect: {small: [{id: 1, total: 30}], large: [{id: 20, total: 200}]}
""")
    assert "is not mocked" not in run(folder, "--only", "recorded", "--record")
    assert prices.asked == {1: 1, 20: 1}
    lines = [json.loads(line) for line in (folder / "p.yaml.cassette").read_text(encoding="utf-8").splitlines()]
    assert sorted((x["node"], x["input"]["id"], x["outputs"][0][1]["price"]) for x in lines) == [("ask", 1, 10), ("ask", 20, 200)]
    prices.shutdown()
    run(folder, "--rounds", "5")
    assert prices.asked == {1: 1, 20: 1}
    write(folder, "tests/a.yaml", (folder / "tests/a.yaml").read_text(encoding="utf-8").replace("id: 1, n: 3", "id: 1, n: 4"))
    assert "ask has no recorded answer to this" in run(folder, code=1)
    told = run(folder, "--cassette", folder / "none", code=1)
    assert "none" in told


def test_mistakes_in_tests_are_told_at_their_place(folder):
    write(folder, "more.yaml", MORE.replace("mocks: {ask:", "mocks: {aks:"))
    assert 'names a node "aks" that the pipeline does not have' in run(folder, code=3)
    write(folder, "more.yaml", MORE.replace("output: {price: 1}, after", "after"))
    assert "more.yaml:5:" in run(folder, code=3)
    write(folder, "more.yaml", MORE.replace("when: .id == 1", "when: .id == ("))
    assert "a mock of ask" in run(folder, code=1)
    write(folder, "p.yaml", PIPELINE.replace("more.yaml", "none.yaml").replace("URL", "http://127.0.0.1:9"))
    assert "none.yaml: error: cannot be read" in run(folder, code=3)
    write(folder, "p.yaml", PIPELINE.replace("tests: [tests/*.yaml, more.yaml]", "").replace("URL", "http://127.0.0.1:9"))
    assert "there are no such tests" in run(folder, code=1)
    assert "--rounds" in run(folder, "--rounds", "0", code=2)


ROOT = Path(__file__).resolve().parents[2]
REFUNDS = """
pipeline: refunds
version: 1
delivery: at_least_once
journal: sync
schemas: {intent: {file: intent.json}}
sources:
  tickets: {kafka: {topic: tickets, group: g}}
nodes:
  classify: {from: tickets, model: {route: cls, prompt: "What is {{.text}}?", output_schema: intent}, budget: 1s, retry: {max: 1, on: [timeout]}}
  both: {join: [tickets, classify], by: root}
  case: {from: both, map: '{case: .tickets.id, intent: .classify.intent, sure: .classify.confidence}'}
  way: {from: case, switch: [{when: .sure < 0.6, to: human}, {else: crm}]}
sinks:
  human: {file: /nowhere/human}
  crm: {http: {put: "https://crm.example/{{.case}}"}, effect: {mode: keyed}}
tests: tests.yaml
"""
INTENT = {"type": "object", "required": ["intent", "confidence"], "properties": {"intent": {"type": "string"}, "confidence": {"type": "number"}}}


def test_the_example_of_the_documentation_passes(tmp_path):
    text = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    (block,) = [part for part in text.split("```")[1::2] if part.startswith("text\ntests:")]
    write(tmp_path, "tests.yaml", block.removeprefix("text\n"))
    write(tmp_path, "p.yaml", REFUNDS)
    write(tmp_path, "intent.json", json.dumps(INTENT))
    assert run(tmp_path, "--rounds", "10").endswith("1 passed, 0 failed\n")


@pytest.mark.parametrize("pipeline", sorted(ROOT.glob("examples/pipelines/*/pipeline.yaml")), ids=lambda path: path.parent.name)
def test_the_tests_of_the_examples_pass(pipeline):
    done = subprocess.run([PROGRAM, "pipeline", "test", pipeline, "--rounds", "10"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_node_that_nobody_answers_for_is_told(folder):
    write(folder, "tests/a.yaml", "tests: [{name: alone, inputs: {orders: [{id: 1, n: 1}]}}]\n")
    told = run(folder, "--only", "alone", code=1)
    assert "ask has no recorded answer to this: mock it" in told and '"cause":"NOT_FOUND"' in told


WINDOWED = """
pipeline: days
version: 1
sources: {sales: {files: {path: in.ndjson}}}
nodes:
  day: {from: sales, aggregate: {by: .shop, every: 24h, into: '{shop: .[0].shop, sold: (map(.n) | add)}'}}
  week: {from: day, aggregate: {by: .shop, session: 3h, into: '{shop: .[0].shop, days: length}'}}
sinks: {days: {from: day, file: days}, weeks: {from: week, file: weeks}}
tests: [windows.yaml]
"""
WINDOWS = """
tests:
  - name: windows that are open when the last message has come close all the same, one behind the other
    inputs: {sales: [{shop: a, n: 1}, {$body: {shop: a, n: 2}, $after: 1s}]}
    expect: {days: [{shop: a, sold: 3}], weeks: [{shop: a, days: 1}]}
"""


def test_a_test_goes_on_until_its_windows_have_closed(tmp_path):
    (tmp_path / "p.yaml").write_text(WINDOWED, encoding="utf-8")
    (tmp_path / "windows.yaml").write_text(WINDOWS, encoding="utf-8")
    done = subprocess.run([PROGRAM, "pipeline", "test", tmp_path / "p.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


DECIDED = """
pipeline: decided
version: 1
deadline: 1m
sources: {claims: {files: {path: in.ndjson}}}
nodes:
  ask: {from: claims, model: {route: m, prompt: "{{.text}}"}}
  person: {from: ask, gate: {channel: people, expires: 9h}}
  tell: {from: person, model: {route: m, prompt: "{{.}}"}}
sinks: {out: {from: tell, file: out}}
tests: [tests.yaml]
"""
DECISIONS = """
tests:
  - name: a person may take longer than the message has, which then has its time anew
    inputs: {claims: [{text: a}]}
    mocks: {ask: {output: b, after: 50s}, person: {map: ., after: 3h}, tell: {output: c, after: 50s}}
    expect: {out: [c]}
  - name: behind the person the time runs as before
    inputs: {claims: [{text: a}]}
    mocks: {ask: {output: b}, person: {map: ., after: 3h}, tell: {output: c, after: 70s}}
    dead_letters: [{node: tell, cause: DEADLINE}]
"""


def test_a_person_that_is_mocked_stops_the_clock(tmp_path):
    write(tmp_path, "p.yaml", DECIDED)
    write(tmp_path, "tests.yaml", DECISIONS)
    assert run(tmp_path).endswith("2 passed, 0 failed\n")


ASKED = """
pipeline: asked
version: 1
sources: {words: {files: {path: in.ndjson}}}
nodes:
  look: {from: words, http: {post: "URL/look", headers: {authorization: "Bearer from-the-header"}}}
  again: {from: look, http: {post: "URL/again"}}
  ask: {from: again, model: {route: m, prompt: "Say {{.said}}"}}
  all: {join: [look, ask]}
sinks: {out: {from: all, file: out}}
tests: [tests.yaml]
"""
ASKED_TESTS = """
tests:
  - name: recorded
    inputs: {words: [{id: 1}]}
    expect: {out: [{look: {said: "the key is ***", seen: {Authorization: "***", token: 7}}, ask: {$matches: "simulated"}}]}
"""
ASKED_OF = """
providers:
  p: {simulate: true, api_key: sk-of-the-provider}
models: {m: {targets: [p/m]}}
pipelines: [p.yaml]
"""


class Echo(BaseHTTPRequestHandler):
    """Says what it must not: how it was asked, and a key."""

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(said)
        seen = {"Authorization": self.headers.get("authorization", "none"), "token": 7}
        body = json.dumps({"said": said.get("said", "the key is sk-of-the-provider"), "seen": seen}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def test_models_of_a_configuration_are_recorded_and_no_secret_with_them(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.asked = []
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    write(tmp_path, "p.yaml", ASKED.replace("URL", f"http://127.0.0.1:{server.server_port}"))
    write(tmp_path, "tests.yaml", ASKED_TESTS)
    write(tmp_path, "crossdock.yaml", ASKED_OF)
    recorded = subprocess.run([PROGRAM, "pipeline", "test", tmp_path / "crossdock.yaml", "--record"], capture_output=True, text=True, timeout=60)
    server.shutdown()
    server.server_close()
    thread.join()
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    cassette = (tmp_path / "p.yaml.cassette").read_text(encoding="utf-8")
    assert "sk-of-the-provider" not in cassette and "from-the-header" not in cassette
    assert [json.loads(line)["node"] for line in cassette.splitlines()] == ["look", "again", "ask"]
    assert server.asked[1]["said"] == "the key is ***"  # what goes on is what is kept
    assert run(tmp_path, "--rounds", "5").endswith("1 passed, 0 failed\n")


def test_a_model_is_recorded_of_a_configuration_only(tmp_path):
    write(tmp_path, "p.yaml", DECIDED)
    write(tmp_path, "tests.yaml", "tests: [{name: alone, inputs: {claims: [{text: a}]}}]\n")
    assert "name the configuration that has the model" in run(tmp_path, "--record", code=1)
