"""Pipelines whose schemas are subjects of a registry: the one that their own process serves, and one elsewhere."""

import contextlib
import json
import re
import signal
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
import trustme
import yaml
from gateway import Process
from pipelines import lines_of, write
from test_cli import run
from test_pipeline_models import Provider, chat, said
from test_pipeline_serve import Serving

AS = {"content-type": "application/vnd.schemaregistry.v1+json"}


def schema(**members):
    return {"type": "object", "properties": {k: {"type": v} for k, v in members.items()}, "required": list(members)}


def register(url, subject, document, **more):
    done = httpx.post(f"{url}/subjects/{subject}/versions", json={"schemaType": "JSON", "schema": json.dumps(document)}, headers=AS, **more)
    assert done.status_code == 200, done.text


def newest(url, subject, document):
    """A version that need not go with the earlier ones."""
    assert httpx.put(f"{url}/config/{subject}", json={"compatibility": "NONE"}, headers=AS).status_code == 200
    register(url, subject, document)


PIPELINE = """
pipeline: p
schemas: {{order: {{{schema}}}}}
{more}
sources: {{in: {{files: {{path: "{folder}/in.ndjson", follow: false}}}}}}
nodes:
  valid: {{from: in, validate: order}}
  made: {{from: valid, map: "{map}"}}
sinks: {{out: {{from: made, file: "{folder}/out.ndjson"}}}}
{tests}
"""


def pipeline(folder, schema="subject: order", more="", read="{n: .n}", tests=""):
    write(folder / "p.yaml", PIPELINE.format(folder=folder, schema=schema, more=more, map=read, tests=tests))
    return str(folder / "p.yaml")


@contextlib.contextmanager
def running(*words, address=r"schemas at (http://\S+)"):
    process = Process(*words, address=address)
    try:
        yield process
    finally:
        assert process.stop() == 0


def registry(folder, *options):
    """A crossdock that is nothing but a registry."""
    return running("registry", "--data", str(folder / "elsewhere.db"), "--listen", "127.0.0.1:0", *options)


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path):
    with registry(tmp_path) as process:
        register(process.url, "order", schema(n="number"))
        yield process.url


def at(url):
    return f"connections: {{registry: '{url}'}}"


def test_a_subject_elsewhere_is_what_a_file_is_checked_against(tmp_path, elsewhere):
    done = run("check", pipeline(tmp_path, more=at(elsewhere)))
    assert done.returncode == 0 and "ok" in done.stdout, done.stderr
    done = run("check", pipeline(tmp_path, more=at(elsewhere), read="{n: .m}"))
    assert done.returncode == 3 and '"n"' in done.stderr and "p.yaml:8:33" in done.stderr, done.stderr
    newest(elsewhere, "order", schema(n="number", m="number"))
    assert run("check", pipeline(tmp_path, more=at(elsewhere), read="{n: .m}")).returncode == 0
    assert run("check", pipeline(tmp_path, "subject: order, version: 1", at(elsewhere), "{n: .m}")).returncode == 3


def test_a_run_holds_records_against_the_subject(tmp_path, elsewhere):
    write(tmp_path / "in.ndjson", '{"n":1}\n{"n":"two"}\n{"n":3}\n')
    done = run("pipeline", "run", pipeline(tmp_path, more=at(elsewhere)))
    assert done.returncode == 0 and "2 records emitted, 1 dead letters" in done.stderr, done.stderr
    assert lines_of(tmp_path / "out.ndjson") == [{"n": 1}, {"n": 3}]


@contextlib.contextmanager
def answering(tls=None, **answer):
    """A registry that always says the same, over TLS if it has a context; the list is what it was asked."""
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_tests_of_a_pipeline_have_the_version_that_was_loaded(tmp_path):
    write(tmp_path / "t.yaml", "tests: [{name: one, inputs: {in: [{n: 1}]}, expect: {out: [{n: 1}]}}]\n")
    with answering(version=7, schemaType="JSON", schema=json.dumps(schema(n="number"))) as (url, asked):
        file = pipeline(tmp_path, more=at(url), tests="tests: [t.yaml]")
        done = run("pipeline", "test", file, "--rounds", "3")
    assert done.returncode == 0 and "1 passed, 0 failed" in done.stdout, done.stdout + done.stderr
    assert asked == ["/subjects/order/versions/latest"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("subject: ordr", 'p.yaml:3:28: error: the schema registry {url}: there is no subject "ordr": register it, or correct the name'),
        ("subject: order, version: 9", 'the schema registry {url}: the subject "order" has no version 9: name one that it has, or "latest"'),
        ("subject: order, connection: other", 'there is no connection "other" under "connections"'),
    ],
)
def test_what_cannot_be_had_is_told_at_its_place(tmp_path, elsewhere, schema, words):
    done = run("check", pipeline(tmp_path, schema, at(elsewhere)))
    assert done.returncode == 3 and words.format(url=elsewhere) in done.stderr, done.stderr


def test_a_registry_that_nobody_runs_is_told(tmp_path):
    done = run("check", pipeline(tmp_path, more=at("http://127.0.0.1:1")))
    assert done.returncode == 3 and "the schema registry http://127.0.0.1:1: " in done.stderr and "p.yaml:3:" in done.stderr, done.stderr


def test_a_copy_of_a_version_needs_no_registry_but_one_that_answers_has_to_agree(tmp_path, elsewhere):
    said = "subject: order, version: 1, file: copy.json"
    write(tmp_path / "copy.json", json.dumps(schema(n="number"), indent=1))
    write(tmp_path / "in.ndjson", '{"n": 1}\n')
    done = run("check", pipeline(tmp_path, said, at(elsewhere)))
    assert done.returncode == 0 and "copy.json" not in done.stderr, done.stderr
    done = run("check", pipeline(tmp_path, said, at("http://127.0.0.1:1")))
    assert done.returncode == 0 and 'warning: "copy.json" is taken as it is, and was not compared: the schema registry' in done.stderr, done.stderr
    done = run("pipeline", "run", pipeline(tmp_path, said, at("http://127.0.0.1:1")), "--journal", str(tmp_path / "journal.db"))
    assert done.returncode == 0 and lines_of(tmp_path / "out.ndjson") == [{"n": 1}], done.stderr
    write(tmp_path / "copy.json", json.dumps(schema(n="string")))
    done = run("check", pipeline(tmp_path, said, at(elsewhere)))
    assert done.returncode == 3 and 'p.yaml:3:' in done.stderr and 'this is not version 1 of the subject "order"' in done.stderr, done.stderr


def test_a_registry_that_wants_a_password_gets_it(tmp_path):
    write(tmp_path / "password", "open sesame\n")
    with registry(tmp_path, "--user", "tools", "--password-file", str(tmp_path / "password")) as process:
        register(process.url, "order", schema(n="number"), auth=("tools", "open sesame"))
        more = f"connections: {{registry: {{url: '{process.url}', username: tools, password: '%s'}}}}"
        for password, code in (("open sesame", 0), (f"file:{tmp_path}/password", 0), ("other", 3)):
            done = run("check", pipeline(tmp_path, more=more % password))
            assert done.returncode == code, done.stderr
        assert '401: give it the "username" and "password" of a connection' in done.stderr, done.stderr


def test_schemas_of_another_type_are_refused(tmp_path):
    with answering(subject="order", version=2, id=1, schema='"string"') as (url, _):
        done = run("check", pipeline(tmp_path, more=at(url)))
    assert done.returncode == 3 and 'version 2 of "order" is of type AVRO: pipelines know JSON Schema alone' in done.stderr, done.stderr


def test_a_registry_behind_tls_is_trusted_by_the_connection_or_the_environment(tmp_path, monkeypatch):
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with answering(context, version=1, schemaType="JSON", schema=json.dumps(schema(n="number"))) as (url, asked):
        own = f"connections: {{registry: {{url: '{url}', ca: 'file:{tmp_path}/ca.pem'}}}}"
        assert run("check", pipeline(tmp_path, more=own)).returncode == 0
        done = run("check", pipeline(tmp_path, more=at(url)))
        assert done.returncode == 3 and f"the schema registry {url}: " in done.stderr, done.stderr
        assert len(asked) == 1
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert run("check", pipeline(tmp_path, more=at(url))).returncode == 0


# ---- the registry of the process itself ----


def configure(folder, pipelines=("p.yaml",), **registry):
    config = {
        "listen": "127.0.0.1:0",
        "admin": "off",
        "log": {"format": "json", "access": "off"},
        "providers": {"p": {"simulate": True, "serves": "*"}},
        "registry": {"path": "schemas.db", "listen": "127.0.0.1:0"} | registry,
        "pipelines": list(pipelines),
    }
    write(folder / "crossdock.yaml", yaml.safe_dump(config))
    return str(folder / "crossdock.yaml")


@contextlib.contextmanager
def embedded(folder, document):
    """Where the schemas are before anything is served: as a process of its own on the same file."""
    with running("registry", "--data", str(folder / "schemas.db"), "--listen", "127.0.0.1:0") as process:
        register(process.url, "order", document)
        yield process.url


def test_commands_look_into_the_registry_of_their_configuration(tmp_path):
    config = configure(tmp_path)
    pipeline(tmp_path)
    done = run("check", config)
    assert done.returncode == 3 and "registry.path: there are no schemas yet" in done.stderr, done.stderr
    assert not (tmp_path / "schemas.db").exists(), "a check has made a database"
    with embedded(tmp_path, schema(n="number")):
        pass
    assert run("check", config).returncode == 0
    write(tmp_path / "in.ndjson", '{"n":1}\n{"n":"two"}\n')
    assert run("pipeline", "graph", config).returncode == 0
    pipeline(tmp_path, read="{n: .m}")
    done = run("check", config)
    assert done.returncode == 3 and "p.yaml:8:33" in done.stderr, done.stderr


def test_commands_ask_who_serves_the_registry_of_their_configuration(tmp_path):
    pipeline(tmp_path, "subject: order, version: 1")
    with embedded(tmp_path, schema(n="number")) as url:
        done = run("check", configure(tmp_path, listen=url.removeprefix("http://")))
        assert done.returncode == 0, done.stderr
        done = run("check", configure(tmp_path, listen="127.0.0.1:1"))
        assert done.returncode == 3 and "in use by another process" in done.stderr, done.stderr


def serving(folder, **config):
    spec = {
        "pipeline": "p",
        "schemas": {"order": {"subject": "order"}},
        "sources": {"in": {"http": {"path": "/hooks/x", "mode": "reply"}}},
        "nodes": {"valid": {"from": "in", "validate": "order"}},
        "sinks": {"back": {"from": "valid", "reply": "."}},
    }
    return Serving(folder, spec, **config)


def registry_of(s):
    assert s.process.wait_for_line("schemas registry=")
    return re.search(r"schemas registry=(http://[^\s\"]+)", "".join(s.process.lines)).group(1)


def reload(s, outcome):
    s.process.signal(signal.SIGHUP)
    assert s.process.wait_for_line(outcome), "".join(s.process.lines)


def check_versions(s, url):
    """A newer version is what messages are held against once the configuration was read again, and not before."""
    assert s.send({"n": 1}, "a").status_code == 200
    assert s.send({"n": "one"}, "b").status_code != 200
    newest(url, "order", schema(n="string"))
    assert s.send({"n": 2}, "c").status_code == 200, "a newer version counts before anybody asked for it"
    reload(s, "configuration installed")
    assert s.send({"n": "three"}, "d").status_code == 200
    assert s.send({"n": 3}, "e").status_code != 200


def test_a_serving_process_asks_its_own_registry(tmp_path):
    with embedded(tmp_path, schema(n="number")):
        pass
    with serving(tmp_path, registry={"path": "schemas.db", "listen": "127.0.0.1:0"}) as s:
        check_versions(s, registry_of(s))
    assert s.code == 0


def test_a_serving_process_asks_a_registry_elsewhere(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with running("serve", "--config", configure(other, pipelines=[]), address=r"schemas registry=(https?://[^\s\"]+)") as there:
        register(there.url, "order", schema(n="number"))
        with serving(tmp_path, connections={"registry": there.url}) as s:
            check_versions(s, there.url)
    assert s.code == 0


def test_a_reload_without_the_registry_changes_nothing(tmp_path):
    with registry(tmp_path) as process:
        register(process.url, "order", schema(n="number"))
        with serving(tmp_path, connections={"registry": process.url}) as s:
            process.stop()
            reload(s, "the new configuration is invalid; the one in use stays")
            assert s.process.wait_for_line("the schema registry http://")
            assert s.send({"n": 1}, "a").status_code == 200
    assert s.code == 0


def test_a_message_under_way_ends_in_the_version_that_took_it_in_also_after_a_kill(tmp_path, elsewhere):
    """It is with the model when the process dies; until another runs, the registry has a newer version, by which it would be refused."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer(_, document, number):
        is_asked.set()
        if number == 1:
            may_answer.wait(30)
        return 200, chat(said(document))

    register(elsewhere, "said", {"type": "string"})
    spec = {
        "pipeline": "p",
        "journal": "sync",
        "schemas": {"said": {"subject": "said"}},
        "sources": {"in": {"http": {"path": "/hooks/x"}}},
        "nodes": {"ask": {"from": "in", "model": {"route": "m", "prompt": "{{.n}}"}}, "valid": {"from": "ask", "validate": "said"}},
        "sinks": {"out": {"from": "valid", "file": str(tmp_path / "out.ndjson")}},
    }
    with Provider(answer) as p:
        with Serving(tmp_path, spec, p, connections={"registry": elsewhere}) as s:
            assert s.send({"n": 1}, "a").status_code == 202
            assert is_asked.wait(30)
            s.process.process.kill()
        may_answer.set()
        newest(elsewhere, "said", {"type": "number"})
        with Serving(tmp_path, spec, p, connections={"registry": elsewhere}) as s:
            assert s.send({"n": 2}, "b").status_code == 202
    assert s.code == 0
    assert lines_of(tmp_path / "out.ndjson") == ["1"], "the second is held against the newer version"


def test_a_process_whose_subjects_cannot_be_had_does_not_serve(tmp_path):
    config = configure(tmp_path)
    pipeline(tmp_path)
    done = run("serve", "--config", config)
    assert done.returncode == 3 and 'the schema registry of this configuration: there is no subject "order"' in done.stderr, done.stderr
