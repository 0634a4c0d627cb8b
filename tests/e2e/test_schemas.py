"""JSON Schemas on the command line: documents held against them, and versions against each other."""

import json
import subprocess

import pytest

from gateway import PROGRAM

TICKET = {
    "type": "object",
    "required": ["id", "lang"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "lang": {"enum": ["en", "de"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "old": {"type": "string"},
    },
}


def run(*arguments, stdin=""):
    return subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, text=True, timeout=20)


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_a_document_that_fits_is_0_and_says_nothing(write):
    result = run("validate", write("s.json", TICKET), write("d.json", {"id": 1, "lang": "en"}))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_each_problem_has_line_column_pointer_and_keyword(write):
    document = write("d.json", '{"id": "7",\n "lang": "fr",\n "tags": ["a", 5]}\n')
    result = run("validate", write("s.json", TICKET), document)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        f'{document}:1:8: "/id" must be of type "integer", is a string (schema: /properties/id/type)',
        f'{document}:2:10: "/lang" must be one of ["en", "de"] (schema: /properties/lang/enum)',
        f'{document}:3:16: "/tags/1" must be of type "string", is a number (schema: /properties/tags/items/type)',
    ]


def test_a_document_may_come_from_standard_input(write):
    schema = write("s.json", TICKET)
    assert run("validate", schema, stdin='{"id":1,"lang":"de"}').returncode == 0
    result = run("validate", schema, "-", stdin='{"id":0,"lang":"de"}')
    assert result.returncode == 1 and result.stdout.startswith('-:1:7: "/id" must be at least 1')
    assert run("validate", schema, stdin="{").returncode == 1


def test_formats_are_checked_when_asked_for(write):
    schema, document = write("s.json", {"format": "date"}), write("d.json", '"2030-02-30"')
    assert run("validate", schema, document).returncode == 0
    assert run("validate", schema, document, "--formats").returncode == 1


def test_the_draft_may_be_said_and_resources_given(write):
    tuple_ = write("t.json", {"items": [{"type": "string"}]})
    assert run("validate", tuple_, "--draft", "7", stdin="[1]").returncode == 1
    assert run("validate", tuple_, stdin="[1]").returncode == 3  # in 2020-12 "items" is one schema
    schema = write("s.json", {"$ref": "https://example.com/id#/$defs/n"})
    other = write("o.json", {"$defs": {"n": {"type": "integer"}}})
    assert run("validate", schema, stdin="1").returncode == 3
    assert run("validate", schema, "--resources", f"https://example.com/id={other}", stdin="1").returncode == 0
    assert run("validate", schema, "--resources", f"https://example.com/id={other}", stdin='"x"').returncode == 1


def test_a_schema_that_is_none_is_3_with_its_place(write):
    path = write("s.json", '{\n  "type": "strnig"\n}')
    result = run("validate", path, stdin="1")
    assert result.returncode == 3 and f"{path}:2:11: error:" in result.stderr and "string" in result.stderr


@pytest.mark.parametrize("arguments", [["validate"], ["validate", "a", "b", "c"], ["validate", "a", "--draft", "4"], ["compat"],
    ["compat", "a"], ["compat", "a", "b", "--level", "SOME"], ["compat", "a", "b", "--reading", "kind"],
    ["compat", "a", "b", "--reading", "usage"], ["compat", "a", "b", "--reads", ".a"]])
def test_a_wrong_command_line_is_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and "help" in result.stderr and not result.stdout


def test_compat_lists_changes_and_shows_a_document(write):
    changed = json.loads(json.dumps(TICKET))
    changed["properties"]["lang"] = {"enum": ["en"]}
    changed["properties"]["new"] = {"type": "number"}
    del changed["properties"]["old"]
    old, new = write("old.json", TICKET), write("new.json", changed)
    result = run("compat", old, new)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["narrowed", ".lang"]
    assert lines[1].split()[:2] == ["removed", ".old"]
    assert lines[2].split()[:2] == ["added", ".new"]
    assert lines[3].startswith(f"incompatible: {old} allows ")
    shown = json.loads(lines[3].split(" allows ", 1)[1])
    assert shown["lang"] == "de"
    # forward, and for who reads only what stayed
    assert run("compat", old, new, "--level", "forward").returncode == 0
    assert run("compat", old, new, "--reading", "usage", "--reads", ".id,.tags[]").returncode == 0
    assert run("compat", old, new, "--reading", "usage", "--reads", ".lang").returncode == 1
    assert run("compat", old, new, "--level", "NONE").returncode == 0


def test_compat_asks_an_expression_what_it_reads(write):
    changed = json.loads(json.dumps(TICKET))
    del changed["properties"]["old"]
    old, new = write("old.json", TICKET), write("new.json", changed)
    usage = ["--level", "FORWARD", "--reading", "usage", "--quiet", "--reads-of"]
    assert run("compat", old, new, *usage, "{id, first: .tags[0]}").returncode == 0
    result = run("compat", old, new, *usage, "{id, was: .old}")
    assert result.returncode == 1 and '".old" is read, and the producer never writes it' in result.stdout
    assert run("compat", old, new, *usage, ".nothing").returncode == 3


def test_compat_over_all_versions(write):
    versions = [write(f"{i}.json", {"type": "integer", "maximum": most}) for i, most in enumerate([9, 5, 7])]
    assert run("compat", *versions).returncode == 0
    result = run("compat", *versions, "--level", "BACKWARD_TRANSITIVE")
    assert result.returncode == 1 and result.stdout.count("incompatible:") == 1
