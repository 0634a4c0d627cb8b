"""pipelines - running a pipeline file for tests: to its end, or killed with SIGKILL again and again until it comes to it."""

import json
import random
import subprocess

import pytest
from gateway import PROGRAM

LIFE_FIRST = 0.005  # seconds; too short for any work
LIFE_GROWS = 1.12  # from one life to the next
LIFE_MAX = 60  # seconds; far more than any run takes


def write(path, text):
    path.write_text(text, encoding="utf-8")


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def start(folder, file="p.yaml"):
    return subprocess.Popen([PROGRAM, "pipeline", "run", folder / file, "--journal", folder / "journal.db"],
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def run_to_end(folder, file="p.yaml", within=60):
    """What it told at its end."""
    process = start(folder, file)
    _, told = process.communicate(timeout=within)
    assert process.returncode == 0, told
    return told


def run_for(folder, seconds, file="p.yaml"):
    """Run it so long, then kill it. False: it ended by itself before."""
    process = start(folder, file)
    try:
        _, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    assert process.returncode == 0, told
    return False


def written(folder):
    """Whether a sink has written a file in that folder."""
    return any(path.stat().st_size for path in folder.glob("*.ndjson") if path.name != "in.ndjson")


def run_and_kill(folder, seed, begun=None):
    """Run it until it ends by itself, killing it again and again. Each life is longer than the one before by a share of it, not by a time: however fast the
    machine is, some end in the midst of the work, and however slow, one comes to its end. So many short lives look like a message that kills: the pipeline
    needs `errors: {restarts: 100}`. Returns how many were killed when begun() was true: if a sink has written a file, unless said otherwise."""
    draw = random.Random(seed)
    in_the_midst = 0
    life = LIFE_FIRST
    while life < LIFE_MAX:
        if not run_for(folder, life * draw.uniform(0.6, 1.0)):
            return in_the_midst
        in_the_midst += bool(begun() if begun else written(folder))
        life *= LIFE_GROWS
    pytest.fail("it never ended")
