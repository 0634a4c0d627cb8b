"""The command line: help everywhere, exit codes, errors with their place."""

import json
import os
import subprocess

import pytest

from gateway import PROGRAM


def run(*arguments, input=None):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20, input=input)


def test_help_is_everywhere():
    commands = ["serve", "sim", "check", "import", "why", "fleet", "facts", "expr", "schema", "prices", "key", "version"]
    commands += ["map", "pipeline", "validate", "compat"]
    assert all(c in run("--help").stdout for c in commands)
    for c in commands:
        result = run(c, "--help")
        assert result.returncode == 0 and result.stdout.startswith("Usage: crossdock " + c) and not result.stderr


@pytest.mark.parametrize("arguments", [[], ["srve"], ["serve", "--port", "1"], ["check"], ["serve", "--workers", "0"], ["key", "old"],
    ["why"], ["why", "a", "b"], ["fleet", "x"], ["facts", "--since", "soon"], ["facts", "--type", "x"], ["expr"], ["expr", "1", "2"], ["expr", "1", "--frob"], ["expr", "1", "--arg", "x"], ["expr", "1", "--argjson", "x", "{"], ["map"], ["map", "x", "--lang", "lua"], ["import"], ["import", "litellm"], ["import", "lightllm", "x.yaml"], ["import", "litellm", "a", "b"],
    ["pipeline"], ["pipeline", "lst"], ["pipeline", "list"], ["pipeline", "show", "x.yaml", "--svg"], ["pipeline", "guarantees", "x.yaml"]])
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

    for path in glob.glob("examples/*.yaml") + glob.glob("examples/strategies/*.yaml") + glob.glob("examples/pipelines/*/*.yaml"):
        if os.path.basename(path) == "models.yaml":
            continue  # a scenario of the simulator
        result = run("check", path)
        assert result.returncode == 0 or "is not set" in result.stderr, path + result.stderr


PIPELINE = """\
pipeline: sort
sources: {mail: {kafka: {topic: mail}}}
nodes: {word: {from: mail, model: {route: cls, prompt: "{{.text}}"}}}
sinks: {sorted: {from: word, kafka: sorted}}
"""


def test_pipelines_of_a_configuration_are_checked_listed_explained_and_drawn(tmp_path):
    (tmp_path / "pipes").mkdir()
    (tmp_path / "pipes" / "sort.yaml").write_text(PIPELINE)
    path = tmp_path / "gateway.yaml"
    path.write_text("providers: {p: {simulate: true}}\nmodels: {cls: {targets: p/m}}\npipelines: pipes\n")
    assert run("check", str(path)).stdout.endswith("ok: 1 models, 1 providers, 1 pipelines\n")
    assert run("pipeline", "list", str(path)).stdout.startswith("sort  version 1, 1 sources, 1 nodes, 1 sinks")
    assert "mail -> sorted: exactly once" in run("pipeline", "explain", str(path), "sort").stdout
    assert run("pipeline", "graph", str(path), "--svg").stdout.startswith("<svg ")
    assert run("pipeline", "explain", str(path), "other").returncode == 1
    path.write_text(path.read_text().replace("cls:", "clz:"))
    refused = run("check", str(path))
    assert refused.returncode == 3 and "sort.yaml:3:" in refused.stderr and 'did you mean "clz"?' in refused.stderr
    assert run("pipeline", "list", str(path)).returncode == 3


def test_the_json_schema_of_pipelines_knows_every_kind():
    schema = json.loads(run("schema", "--pipeline").stdout)
    nodes = schema["properties"]["nodes"]["additionalProperties"]["properties"]
    assert {"map", "join", "model", "gate", "shadow"} <= set(nodes)
    assert "required" in schema and schema["required"] == ["pipeline"]


LITELLM = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-clear, temperature: 0.2}
general_settings: {master_key: sk-1234}
"""


def test_import_gives_a_configuration_that_passes_the_check(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(LITELLM)
    result = run("import", "litellm", str(path))
    assert result.returncode == 0
    assert f"{path}:3:63: warning: litellm_params.temperature is not carried over" in result.stderr
    assert "sk-clear" not in result.stderr and "sk-clear" in result.stdout and "sk-1234" not in result.stdout
    made = tmp_path / "crossdock.yaml"
    made.write_text(result.stdout)
    result = run("check", str(made))
    assert result.returncode == 0 and "1 models, 1 providers" in result.stdout


@pytest.mark.parametrize("text, code", [("providers: {}\n", 3), ("a: [\n", 3), (None, 1)])
def test_import_of_something_else_prints_nothing_but_why(tmp_path, text, code):
    path = tmp_path / "other.yaml"
    if text:
        path.write_text(text)
    result = run("import", "litellm", str(path))
    assert result.returncode == code and not result.stdout
    assert result.stderr.startswith(str(path) + ":")


def test_schema_is_json_schema():
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/") and "providers" in schema["properties"]


@pytest.mark.parametrize("arguments", [["serve", "--config"], ["sim", "--scenario"], ["check"]])
def test_a_missing_file_is_named(arguments):
    result = run(*arguments, "/nowhere/x.yaml")
    assert result.returncode == 3
    assert result.stderr == "/nowhere/x.yaml: error: cannot be read: No such file or directory\n"


def test_expr_prints_the_result_of_an_expression(tmp_path):
    path = tmp_path / "request.json"
    path.write_text('{"model": "gpt-4o", "tags": ["eu", "b"]}')
    result = run("expr", '{m: .model, n: (.tags | length)}', "--input", str(path))
    assert result.returncode == 0 and json.loads(result.stdout) == {"m": "gpt-4o", "n": 2}
    assert run("expr", "[range(3)]").stdout == "[0,1,2]\n"


def test_expr_explains_type_and_reads():
    result = run("expr", "--explain", '.model == "a" and any(.tags[]; . == "eu")')
    assert result.returncode == 0 and result.stdout == (
        'type: boolean\nreads: .model .tags[]\nwrites:\n  . <- .model .tags[]\nschema: {"type":"boolean"}\n')


def test_expr_says_what_is_wrong_and_where(tmp_path):
    result = run("expr", ".a | mapp(.)")
    assert result.returncode == 3 and result.stdout == ""
    assert result.stderr == "line 1, column 6: there is no function mapp; did you mean map?\n  .a | mapp(.)\n       ^~~~\n"
    result = run("expr", "1 + .a", "--input", str(tmp_path / "nowhere.json"))
    assert result.returncode == 1 and "nowhere.json" in result.stderr
    result = run("expr", ".a.b", "--input", write(tmp_path, '{"a": 1}'))
    assert result.returncode == 1 and result.stderr == 'crossdock expr: document 1: Cannot index number with "b"\n'
    result = run("expr", ".", "--input", write(tmp_path, "{"))
    assert result.returncode == 1 and "the document ends too early" in result.stderr


def map_documents(folder, program, documents, *arguments):
    path = folder / "map.jq"
    path.write_text(program)
    return run("map", str(path), *arguments, input=documents)


def test_what_is_read_once_may_be_a_pipe_and_what_is_not_says_so():
    def shell(line, input=None):
        return subprocess.run(["bash", "-c", line, "bash", PROGRAM], capture_output=True, text=True, timeout=20, input=input)

    assert shell('"$1" map <(echo .a)', '{"a":1}').stdout == "1\n"
    assert shell('"$1" validate <(echo \'{"type": "array"}\') <(echo 1)').stdout.count('must be of type "array"') == 1
    refused = shell('"$1" check <(echo "providers: {}")')
    assert refused.returncode == 3 and "it is a pipe" in refused.stderr and "put it into a file" in refused.stderr


def test_map_runs_a_program_on_each_document_of_its_input(tmp_path):
    program = "# a case for the CRM\n{id, n: (.tags | length), limit: $limit, who: $who}\n"
    documents = '{"id": 1, "tags": []}\n{"id":\n 2, "tags": ["a"]} {"id":"}\\""}[1]"a"7'
    result = map_documents(tmp_path, program, documents, "--argjson", "limit", "[1]", "--arg", "who", "me")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"id": 1, "n": 0, "limit": [1], "who": "me"}, {"id": 2, "n": 1, "limit": [1], "who": "me"},
        {"id": '}"', "n": 0, "limit": [1], "who": "me"}]
    assert result.returncode == 1
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["document 4", "document 5", "document 6"]
    assert map_documents(tmp_path, ".", "").stdout == "" and map_documents(tmp_path, ".", " \n").returncode == 0
    assert map_documents(tmp_path, ".", "1 2 [1.50,").stdout == "1\n2\n"


def test_map_passes_large_documents_through_untouched(tmp_path):
    vector = "[" + ",".join(f"0.{i:08d}" for i in range(100_000)) + "]"
    result = map_documents(tmp_path, "{v: .vector}", '{"vector": %s}\n' % vector * 3)
    assert result.returncode == 0 and result.stdout == '{"v":%s}\n' % vector * 3


def test_map_says_where_a_program_is_wrong(tmp_path):
    result = map_documents(tmp_path, "{\n  id: .id,\n  n: nosuch(1)\n}", "")
    assert result.returncode == 3
    assert result.stderr == "line 3, column 6: there is no function nosuch\n    n: nosuch(1)\n       ^~~~~~\n"
    assert run("map", str(tmp_path / "nowhere.jq")).returncode == 1


def test_map_explains_what_is_written_from_what(tmp_path):
    result = map_documents(tmp_path, "{id: .id, label: .label.name | ascii_downcase, v: (if .ok then .a else .b end)}".replace(
        ".label.name | ascii_downcase", "(.label.name | ascii_downcase)"), "", "--explain")
    assert "  .id <- .id, as it is\n  .label <- .label.name\n  .v <- .a .b .ok\n" in result.stdout
    schema = json.loads(result.stdout.split("schema: ")[1])
    assert schema["required"] == ["id", "label", "v"] and schema["properties"]["label"] == {"type": "string"}
    assert schema["additionalProperties"] is False


def test_map_runs_full_jq_in_a_process_of_its_own(tmp_path):
    result = map_documents(tmp_path, "def f: if . > 0 then ., (. - 1 | f) else empty end; f", "2 0 1", "--lang", "jq")
    assert result.stdout == "2\n1\n1\n" and result.returncode == 0
    result = map_documents(tmp_path, "last(repeat(1))", "1", "--lang", "jq")
    assert result.returncode == 1 and "longer than" in result.stderr
    assert map_documents(tmp_path, "def f(", "1", "--lang", "jq").returncode == 3


def write(folder, text):
    path = folder / "input.json"
    path.write_text(text)
    return str(path)


def test_prices_tells_the_book_with_day_and_page():
    lines = [json.loads(line) for line in run("prices", "--json", "anthropic").stdout.splitlines()]
    assert lines and all(line["vendor"] == "anthropic" and line["as_of"] and line["source"].startswith("https://") for line in lines)
    sonnet = next(line for line in lines if line["model"] == "claude-sonnet-4-5")
    assert sonnet["price"]["input"] == 3 and sonnet["price"]["cache_write_1h"] == 6 and sonnet["price"]["batch"] == 0.5
    assert sonnet["context"] == 200000 and "audio" in sonnet["without"]
    table = run("prices", "gemini-2.5-pro").stdout.splitlines()
    assert table[0].split() == ["VENDOR", "MODEL", "INPUT", "CACHED", "WRITE", "OUTPUT", "CONTEXT", "AS", "OF", "SOURCE"]
    assert any(line.split()[:4] == ["gemini", "gemini-2.5-pro", "1.25", "0.125"] for line in table)
    assert any(line.split()[:3] == ["above", "200000", "2.50"] for line in table)
    assert "gpt-5.4-mini-2026-03-17" in run("prices", "gpt-5.4-mini-2026-03-17").stdout  # a version, by its model's price
    everything = run("prices", "--json").stdout.splitlines()
    assert len(everything) > 500 and len({(e["vendor"], e["model"]) for e in map(json.loads, everything)}) == len(everything)
    result = run("prices", "no-such-model")
    assert result.returncode == 1 and "no-such-model" in result.stderr and not result.stdout


PRICED = """\
providers:
  openai: {api_key: k, tags: eu}
  own: {dialect: vllm, base_url: "http://127.0.0.1:8000/v1"}
  other: {dialect: custom, base_url: "http://127.0.0.1:8000/v1"}
models:
  m: {targets: [openai/gpt-4o, own/llama, other/a, other/b]}
deployments:
  openai/*: {price: {times: 0.8}}
  other/a: {price: {input: 0.15, output: 0.60}, context: 32000, abilities: {without: tools}}
"""


def test_prices_of_a_configuration_are_what_counts(tmp_path):
    path = tmp_path / "priced.yaml"
    path.write_text(PRICED)
    made = {e["model"]: e for e in map(json.loads, run("prices", "--json", "--config", str(path)).stdout.splitlines())}
    assert set(made) == {"openai/gpt-4o", "own/llama", "other/a", "other/b"}
    assert made["openai/gpt-4o"]["price"]["input"] == 2 and made["openai/gpt-4o"]["tags"] == ["eu"]
    assert made["openai/gpt-4o"]["as_of"] and made["own/llama"]["price"] == "free"
    assert made["other/a"]["price"] == {"input": 0.15, "output": 0.6} and "source" not in made["other/a"]
    assert made["other/a"]["without"] == ["tools"] and made["other/b"]["price"] is None
    assert "unknown" in run("prices", "--config", str(path), "other/b").stdout
    assert run("prices", "--config", str(tmp_path / "none.yaml")).returncode == 3


def test_check_warns_of_prices_that_are_not_known(tmp_path):
    path = tmp_path / "priced.yaml"
    path.write_text(PRICED)
    result = run("check", str(path))
    assert result.returncode == 0 and result.stderr.count("warning") == 1
    assert 'the price of "other/b" is not known' in result.stderr
    path.write_text("providers:\n  c: {dialect: custom, base_url: \"http://h/v1\", serves: [%s]}\n" % ", ".join(f"m{i}" for i in range(15)))
    result = run("check", str(path))
    assert result.returncode == 0 and result.stderr.count("is not known") == 10 and "nor are 5 other prices" in result.stderr
