"""pipelines - running a pipeline file for tests: to its end, or killed with SIGKILL again and again until it comes to it."""

import json
import random
import subprocess

import pytest
from gateway import PROGRAM

RUN_MAX = 300  # kills; far more than it takes


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


def run_and_kill(folder, seed, longest):
    """Run it until it ends by itself, killing it again and again. Returns how often. Lives grow, so that it comes to its end on a slow machine, too."""
    draw = random.Random(seed)
    for kills in range(RUN_MAX):
        if not run_for(folder, draw.uniform(0.02, longest * (1 + kills / 20))):
            return kills
    pytest.fail("it never ended")
