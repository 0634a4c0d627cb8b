"""The command line: help everywhere, exit codes, errors with their place."""

import json
import subprocess

import pytest

from gateway import PROGRAM


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)


def test_help_is_everywhere():
    commands = ["serve", "sim", "check", "schema", "key", "version"]
    assert all(c in run("--help").stdout for c in commands)
    for c in commands:
        result = run(c, "--help")
        assert result.returncode == 0 and result.stdout.startswith("Usage: crossdock " + c) and not result.stderr


@pytest.mark.parametrize("arguments", [[], ["srve"], ["serve", "--port", "1"], ["check"], ["serve", "--workers", "0"], ["key", "old"]])
def test_a_wrong_command_line_is_2_and_says_how_to_get_help(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and result.stderr and not result.stdout
    assert "help" in result.stderr or "takes a number" in result.stderr


def test_a_slip_names_the_nearest_command():
    assert "did you mean 'serve'" in run("srve").stderr


def test_check_says_everything_at_once_with_places(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "listen: 127.0.0.1:8080\n"
        "providers:\n"
        "  openai: { dialect: opnai, api_key: \"${NOT_SET_ANYWHERE}\" }\n"
        "models:\n"
        "  chat: { targets: [opena/gpt-4o], wieght: 3 }\n"
    )
    result = run("check", str(path))
    assert result.returncode == 3
    places = [line.split(": error: ")[0] for line in result.stderr.splitlines() if ": error: " in line]
    assert len(places) >= 4 and all(p.startswith(str(path) + ":") and p.count(":") >= 2 for p in places)
    assert "openai" in result.stderr and "NOT_SET_ANYWHERE" in result.stderr


def test_check_passes_the_examples():
    import glob

    for path in glob.glob("examples/*.yaml"):
        result = run("check", path)
        assert result.returncode == 0 or "is not set" in result.stderr, path + result.stderr


def test_schema_is_json_schema():
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/") and "providers" in schema["properties"]


@pytest.mark.parametrize("arguments", [["serve", "--config"], ["sim", "--scenario"], ["check"]])
def test_a_missing_file_is_named(arguments):
    result = run(*arguments, "/nowhere/x.yaml")
    assert result.returncode == 3
    assert result.stderr == "/nowhere/x.yaml: error: cannot be read: No such file or directory\n"
