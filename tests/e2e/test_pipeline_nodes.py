"""Nodes that keep state or time, in a journal in a file, killed with SIGKILL at any moment."""

import collections
import json

from pipelines import lines_of, run_and_kill, write

COUNT = 4000
KEYS = 7

KEEPS = """
pipeline: keeping
version: 1
errors: {{restarts: 100}}
delivery: exactly_once
journal: sync
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
nodes:
  late: {{from: in, delay: 30ms}}
  first: {{from: late, dedupe: {{key: .n, within: 1h}}}}
  tens: {{from: first, aggregate: {{by: .k, count: 10, into: "{{k: .[0].k, n: map(.n)}}"}}}}
sinks:
  out: {{from: tens, file: {folder}/out.ndjson}}
"""


def test_windows_of_delayed_and_deduplicated_records_are_whole_however_often_it_is_killed(tmp_path):
    records = [{"k": n % KEYS, "n": n} for n in range(COUNT)]
    twice = [r for r in records for _ in range(1 + r["n"] % 2)]  # every other one comes twice
    write(tmp_path / "in.ndjson", "".join(json.dumps(r) + "\n" for r in twice))
    write(tmp_path / "p.yaml", KEEPS.format(folder=tmp_path))
    assert run_and_kill(tmp_path, 5) > 0
    windows = lines_of(tmp_path / "out.ndjson")
    got = collections.Counter(n for w in windows for n in w["n"])
    assert all(len(w["n"]) == 10 and all(n % KEYS == w["k"] for n in w["n"]) for w in windows)
    assert all(times == 1 for times in got.values())
    by_key = collections.Counter(w["k"] for w in windows)
    assert by_key == {k: len(range(k, COUNT, KEYS)) // 10 for k in range(KEYS)}
