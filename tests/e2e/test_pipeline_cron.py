"""The clock as a source, killed with SIGKILL at any moment: every instant once."""

import random

from pipelines import lines_of, run_for, write

PIPELINE = """
pipeline: ticking
version: 1
delivery: exactly_once
journal: sync
sources:
  in: {{cron: {{every: 100ms, missed: all, body: "{{due: $meta.timestamp}}"}}}}
sinks:
  out: {{from: in, file: {folder}/out.ndjson}}
"""


def test_each_instant_is_sent_once_however_often_it_is_killed(tmp_path):
    write(tmp_path / "p.yaml", PIPELINE.format(folder=tmp_path))
    draw = random.Random(1)
    for _ in range(20):
        assert run_for(tmp_path, draw.uniform(0.05, 0.4))
    assert run_for(tmp_path, 1)
    due = [record["due"] for record in lines_of(tmp_path / "out.ndjson")]
    assert len(due) > 20
    assert due == list(range(due[0], due[0] + 100 * len(due), 100))


def test_zones_of_this_machine_are_read(tmp_path):
    text = PIPELINE.replace("every: 100ms", 'schedule: "* * * * *", zone: Europe/Berlin')
    write(tmp_path / "p.yaml", text.format(folder=tmp_path))
    assert run_for(tmp_path, 0.3)
    write(tmp_path / "p.yaml", text.replace("Berlin", "Nowhere").format(folder=tmp_path))
    try:
        run_for(tmp_path, 5)
    except AssertionError as refused:
        assert 'the time zone "Europe/Nowhere" cannot be had' in str(refused)
    else:
        raise AssertionError("it was not refused")
