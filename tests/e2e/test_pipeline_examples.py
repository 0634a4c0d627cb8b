"""The examples of pipelines: each is valid, passes its own tests whatever happens first, and does with real servers what it says, however often it is killed."""

import json
import os
import re
import subprocess

import exampleworld
import pytest
from gateway import PROGRAM

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
FOLDER = os.path.join(ROOT, "examples", "pipelines")
EXAMPLES = sorted(e.name for e in os.scandir(FOLDER) if e.is_dir())


def crossdock(*words, **variables):
    return subprocess.run([os.path.abspath(PROGRAM), *words], capture_output=True, text=True, check=False, env=os.environ | variables)


def text_of(example, name):
    with open(os.path.join(FOLDER, example, name), encoding="utf-8") as file:
        return file.read()


@pytest.fixture
def registry(tmp_path):
    """Starts the schema registry that an example wants; returns the variable that names it."""
    started = []

    def start(example):
        wanted = json.loads(text_of(example, "example.json")).get("registry")
        if not wanted:
            return {}
        subjects = {subject: [text_of(example, name) for name in names] for subject, names in wanted.items()}
        started.append(exampleworld.Registry(os.path.abspath(PROGRAM), str(tmp_path), subjects))
        return {"REGISTRY_URL": started[-1].url}

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid_alone_and_in_its_configuration(example, registry):
    there = registry(example)
    for name in ("pipeline.yaml", "crossdock.yaml"):
        checked = crossdock("check", os.path.join(FOLDER, example, name), **there)
        assert checked.returncode == 0 and "warning" not in checked.stderr, checked.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_its_own_tests_in_any_order_of_what_happens_at_once(example):
    tested = crossdock("pipeline", "test", os.path.join(FOLDER, example, "pipeline.yaml"), "--rounds", "20")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert re.search(r"^[1-9][0-9]* passed, 0 failed$", tested.stdout, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_has_a_page_that_names_its_command_and_its_environment(example):
    page, pipeline = text_of(example, "README.md"), text_of(example, "pipeline.yaml")
    assert re.search(r"^make example NAME=\S+$", page, re.MULTILINE)
    assert re.search(r"make example NAME=\S+", page).group(0) in pipeline
    for variable in set(re.findall(r"\$\{(\w+):-", pipeline)):
        assert f"`{variable}`" in page, variable
    assert f"]({example}/README.md)" in text_of(".", "README.md")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_brings_each_message_once_to_real_servers_however_often_it_is_killed(example, servers):
    environment = dict(os.environ, CROSSDOCK=os.path.abspath(PROGRAM))
    for name in json.loads(text_of(example, "example.json"))["servers"]:
        environment |= servers(name)
    command = [os.path.join(ROOT, "scripts", "example"), example, "--kills", "2"]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stdout
