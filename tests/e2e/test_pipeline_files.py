"""Lines of files that grow, are rotated and are cut off while the pipeline that reads them is killed: each is taken in once, in order."""

import json
import random

import pytest
from pipelines import lines_of, run_for, run_to_end, start, write

PIPELINE = """
pipeline: reading
version: 1
delivery: exactly_once
journal: sync
sources:
  in: {{files: {{path: "{folder}/logs/*.ndjson*", follow: {follow}, poll: 10ms, max_line: 1KiB}}}}
sinks:
  out: {{from: in, file: {folder}/out.ndjson}}
"""


def pipeline(folder):
    (folder / "logs").mkdir()
    for name, follow in [("follow.yaml", "true"), ("p.yaml", "false")]:
        write(folder / name, PIPELINE.format(folder=folder, follow=follow))


class Log:
    """A log that is rotated as logrotate does it: renamed, then begun anew."""

    def __init__(self, folder, name):
        self.path = folder / "logs" / f"{name}.ndjson"
        self.name, self.count, self.rotations = name, 0, 0

    def append(self, draw):
        text = "".join(json.dumps({"log": self.name, "n": self.count + i}) + "\n" for i in range(draw.randrange(1, 200)))
        self.count += text.count("\n")
        cut = draw.randrange(len(text))
        with self.path.open("a", encoding="utf-8") as file:  # in two pieces, the first of which ends within a line
            file.write(text[:cut])
            file.flush()
            file.write(text[cut:])

    def rotate(self):
        if self.path.exists():
            self.rotations += 1
            self.path.rename(self.path.with_name(f"{self.path.name}.{self.rotations}"))


@pytest.mark.parametrize("seed", [1, 2])
def test_rotated_files_are_read_once_however_often_it_is_killed(tmp_path, seed):
    pipeline(tmp_path)
    draw = random.Random(seed)
    logs = [Log(tmp_path, name) for name in ("a", "b", "c")]
    for _ in range(12):
        process = start(tmp_path, "follow.yaml")
        for _ in range(draw.randrange(1, 20)):
            log = draw.choice(logs)
            log.append(draw)
            if draw.random() < 0.2:
                log.rotate()
        try:
            process.wait(timeout=draw.uniform(0.01, 0.3))
        except Exception:  # noqa: BLE001 - it follows: it never ends by itself
            pass
        process.kill()
        process.communicate()
    run_to_end(tmp_path)
    records = lines_of(tmp_path / "out.ndjson")
    assert sum(log.rotations for log in logs) > 3
    for log in logs:
        assert sorted(r["n"] for r in records if r["log"] == log.name) == list(range(log.count))
    run_to_end(tmp_path)
    assert lines_of(tmp_path / "out.ndjson") == records


def test_a_half_line_waits_and_a_long_one_is_a_dead_letter(tmp_path):
    pipeline(tmp_path)
    log = tmp_path / "logs" / "a.ndjson"
    write(log, '{"n":1}\n' + "x" * 2000 + '\n{"n":2}\n{"n":')
    assert run_for(tmp_path, 1, "follow.yaml")
    assert lines_of(tmp_path / "out.ndjson") == [{"n": 1}, {"n": 2}]
    with log.open("a", encoding="utf-8") as file:
        file.write('3}\n{"n":4}')
    assert "1 dead letters" not in run_to_end(tmp_path)
    assert lines_of(tmp_path / "out.ndjson") == [{"n": n} for n in range(1, 5)]


def test_a_file_that_is_written_anew_in_place_is_read_from_its_beginning(tmp_path):
    pipeline(tmp_path)
    log = tmp_path / "logs" / "a.ndjson"
    write(log, '{"n":1}\n{"n":2}\n')
    run_to_end(tmp_path)
    with log.open("r+", encoding="utf-8") as file:  # copytruncate: the same inode
        file.truncate(0)
        file.write('{"n":3}\n')
    run_to_end(tmp_path)
    with log.open("r+", encoding="utf-8") as file:
        file.truncate(0)
        file.write('{"n":4}\n{"n":5}\n{"n":6}\n')
    run_to_end(tmp_path)
    assert [r["n"] for r in lines_of(tmp_path / "out.ndjson")] == [1, 2, 3, 4, 5, 6]
