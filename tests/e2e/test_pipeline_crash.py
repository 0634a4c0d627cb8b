"""Pipelines that are killed with SIGKILL at any moment: what reaches the sink is what would have, once, in order."""

import json

import pytest
from gateway import Process
from pipelines import lines_of, run_and_kill, write

FILES = """
pipeline: sorting
version: 1
errors: {{restarts: 100}}
delivery: exactly_once
journal: sync
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
nodes:
  some: {{from: in, filter: ".n % 3 != 0"}}
  twice: {{from: some, map: "{{n: .n, twice: (.n * 2)}}"}}
  named: {{from: some, map: "{{name: \\"no \\\\(.n)\\"}}"}}
  both: {{join: [twice, named], by: root}}
  way: {{from: both, switch: [{{when: ".twice.n > 50", to: high}}, {{else: low}}]}}
sinks:
  high: {{file: {folder}/high.ndjson}}
  low: {{file: {folder}/low.ndjson}}
"""

ASKS = """
pipeline: asking
version: 1
errors: {{restarts: 100}}
delivery: exactly_once
journal: sync
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
nodes:
  ask:
    from: in
    http:
      post: "{provider}/v1/chat/completions"
      body: '{{model: "m", messages: [{{role: "user", content: "Number \\(.n)?"}}]}}'
    concurrency: 16
    budget: 5s
    retry: {{max: 8, on: [timeout, 429, 5xx, transport]}}
  short: {{from: ask, map: '{{text: .choices[0].message.content}}'}}
  both: {{join: [in, short], by: root}}
sinks:
  out: {{from: both, file: {folder}/out.ndjson}}
"""


def numbers_in(folder, count):
    write(folder / "in.ndjson", "".join(f'{{"n":{n}}}\n' for n in range(1, count + 1)))


@pytest.mark.parametrize("seed", [1, 2])
def test_files_through_a_graph_are_whole_and_in_order_however_often_it_is_killed(tmp_path, seed):
    numbers_in(tmp_path, 20000)
    write(tmp_path / "p.yaml", FILES.format(folder=tmp_path))
    assert run_and_kill(tmp_path, seed) > 0
    wanted = [n for n in range(1, 20001) if n % 3]
    assert [r["twice"]["n"] for r in lines_of(tmp_path / "low.ndjson")] == [n for n in wanted if n <= 50]
    high = lines_of(tmp_path / "high.ndjson")
    assert [r["twice"]["n"] for r in high] == [n for n in wanted if n > 50]
    assert all(r["named"]["name"] == f"no {r['twice']['n']}" for r in high)


def test_answers_of_a_model_that_fails_now_and_then_reach_the_sink_once_each(tmp_path):
    scenario = {"models": {"*": {"ttft": "5ms", "answer_tokens": 10, "faults": [{"kind": "status", "status": 503, "weight": 0.05}]}}}
    write(tmp_path / "sim.yaml", json.dumps(scenario))
    provider = Process("sim", "--listen", "127.0.0.1:0", "--scenario", str(tmp_path / "sim.yaml"), address=r"at (http://[^/\s]+)")
    try:
        numbers_in(tmp_path, 1500)
        write(tmp_path / "p.yaml", ASKS.format(folder=tmp_path, provider=provider.url))
        assert run_and_kill(tmp_path, 3) > 0
        records = lines_of(tmp_path / "out.ndjson")
        assert [r["in"]["n"] for r in records] == list(range(1, 1501))
        assert all(f"Number {r['in']['n']}?" in r["short"]["text"] for r in records)
    finally:
        provider.stop()
