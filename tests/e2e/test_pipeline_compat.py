"""crossdock compat --candidate: what a new version of a pipeline would change, by its files and by messages of the journal."""

import json
import subprocess

from gateway import PROGRAM
from pipelines import run_to_end, write

FILE = """
pipeline: marks
version: {version}
samples: 100%
delivery: exactly_once
schemas: {{mark: {{file: mark.json, compat: none}}}}
sources: {{in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}}}
nodes: {{made: {{from: in, map: "{map}", out: mark}}}}
sinks: {{out: {{from: made, file: {folder}/out.ndjson}}}}
"""
SAME = "{n: .n, grade: (if .n % 2 == 0 then \\\"even\\\" else \\\"odd\\\" end)}"
OTHER = "{n: .n, grade: (if .n % 8 == 0 then \\\"even\\\" else \\\"odd\\\" end)}"
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "grade": {"enum": ["even", "odd"]}},
    "required": ["n", "grade"],
}


def version(folder, name, version, mapping, schema=SCHEMA):
    place = folder / name
    place.mkdir()
    write(place / "p.yaml", FILE.format(version=version, folder=folder, map=mapping))
    write(place / "mark.json", json.dumps(schema))
    return place / "p.yaml"


def compat(*arguments):
    return subprocess.run([PROGRAM, "compat", *arguments], capture_output=True, text=True, timeout=60)


def ran(folder):
    """A version that has run, and its journal has samples."""
    write(folder / "in.ndjson", "".join(f'{{"n":{n}}}\n' for n in range(1, 201)))
    running = version(folder, "running", 1, SAME)
    run_to_end(folder, "running/p.yaml")
    return running


def test_a_candidate_that_does_the_same_is_compatible_also_with_messages_of_the_journal(tmp_path):
    running = ran(tmp_path)
    candidate = version(tmp_path, "candidate", 2, SAME.replace("{n: .n,", "{n: (.n + 0),"))
    result = compat(running, "--candidate", candidate, "--journal", tmp_path / "journal.db", "--replay", "1000", "--exact")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "replayed 200 messages: 200 compared" in result.stdout
    assert (tmp_path / "out.ndjson").read_text().count("\n") == 200  # nobody wrote there


def test_a_candidate_whose_results_are_distributed_otherwise_is_not(tmp_path):
    running = ran(tmp_path)
    candidate = version(tmp_path, "candidate", 2, OTHER)
    assert compat(running, "--candidate", candidate).returncode == 0  # its files do not tell
    result = compat(running, "--candidate", candidate, "--journal", tmp_path / "journal.db", "--replay", "1000", "--json")
    assert result.returncode == 1, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["verdict"] == "incompatible"
    assert told["pipelines"][0]["replay"]["compared"] == 200
    impacts = told["pipelines"][0]["impacts"]
    drift = [i for i in impacts if i["weight"] == "breaks"]
    assert len(drift) == 1 and drift[0]["where"] == "sink out" and ".grade: its values" in drift[0]["text"]
    [other] = [i for i in impacts if "something else" in i["text"]]
    assert other["document"]["then"] != other["document"]["now"]


def test_what_runs_can_be_what_the_journal_keeps(tmp_path):
    ran(tmp_path)
    candidate = version(tmp_path, "candidate", 2, OTHER)
    result = compat("--candidate", candidate, "--journal", tmp_path / "journal.db", "--replay", "50")
    assert result.returncode == 1, result.stdout + result.stderr
    assert 'is: map: "' in result.stdout and "replayed 50 messages: 50 compared" in result.stdout
    assert compat("--candidate", tmp_path / "running" / "p.yaml", "--journal", tmp_path / "journal.db").returncode == 2


def test_a_candidate_that_writes_what_readers_do_not_know_is_shown_by_a_document(tmp_path):
    running = version(tmp_path, "running", 1, SAME)
    wider = dict(SCHEMA, properties={"n": {"type": "integer"}, "grade": {"enum": ["even", "odd", "zero"]}})
    candidate = version(tmp_path, "candidate", 2, SAME, wider)
    result = compat(running, "--candidate", candidate)
    assert result.returncode == 1
    assert "breaks   sink out" in result.stdout and 'shown by {"' in result.stdout and '"zero"' in result.stdout
    assert compat(candidate, "--candidate", running).returncode == 0


def test_what_is_not_known_counts_under_strict_only(tmp_path):
    for name, mapping in (("a", ".x"), ("b", ".y")):
        write(tmp_path / f"{name}.yaml", "pipeline: p\nsources: {in: {files: {path: /x, follow: false}}}\n"
              f"nodes: {{m: {{from: in, map: {mapping}}}}}\nsinks: {{out: {{from: m, file: /y}}}}\n")  # fmt: skip
    both = (tmp_path / "a.yaml", "--candidate", tmp_path / "b.yaml")
    assert compat(*both).returncode == 0
    assert compat(*both, "--strict").returncode == 2
    assert compat(both[0], "--candidate", both[0], "--strict").returncode == 0


def test_without_samples_a_replay_says_how_to_have_some(tmp_path):
    write(tmp_path / "in.ndjson", '{"n":1}\n')
    running = version(tmp_path, "running", 1, SAME)
    write(running, running.read_text().replace("samples: 100%\n", ""))
    run_to_end(tmp_path, "running/p.yaml")
    arguments = (running, "--candidate", running, "--journal", tmp_path / "journal.db", "--replay", "9", "--strict")
    result = compat(*arguments)
    assert result.returncode == 2 and 'set "samples"' in result.stdout


def test_wrong_command_lines_are_told(tmp_path):
    running = version(tmp_path, "running", 1, SAME)
    for arguments in (
        ["--candidate", running],
        [running, "--json"],
        [running, running, "--candidate", running],
        [running, "--candidate", running, "--replay", "9"],
        [running, "--candidate", running, "--journal", "x", "--replay", "no"],
        [running, "--candidate", running, "--journal", "x", "--replay", "9", "--alpha", "2"],
        [running, "--candidate", running, "--level", "FULL"],
    ):
        assert compat(*arguments).returncode == 2, arguments
    assert compat(running, "--candidate", tmp_path / "none.yaml").returncode == 3
    assert compat("--candidate", running, "--journal", tmp_path / "none.db").returncode == 1
