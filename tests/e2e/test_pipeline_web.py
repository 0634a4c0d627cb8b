"""Pipelines that are killed with SIGKILL while they write to HTTP APIs, made here from the descriptions of these: every record is there, once."""

import json
import random
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pipelines import lines_of, run_and_kill, run_to_end, write

COUNT = 150
HEAD = """
pipeline: out
version: 1
errors: {{restarts: 100}}
delivery: {delivery}
connections:
  qdrant: {{url: "{url}", password: the-key}}
  opensearch: {{url: "{url}", username: me, password: the-key}}
  s3: {{url: "s3{bare}/bucket", username: AKID, password: the-secret}}
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
sinks:
"""
SINKS = {
    "http": '  out: {{from: in, http: {{post: "{url}/cases", idempotency_key: auto}}, batch: 20}}\n',
    "put": '  out: {{from: in, http: {{put: "{url}/put/{{{{.n}}}}"}}, batch: 20}}\n',
    "qdrant": '  out: {{from: in, qdrant: {{collection: docs, id: "{{{{.n}}}}", vector: "[.n, 1]", payload: .}}, batch: 20}}\n',
    "opensearch": '  out: {{from: in, opensearch: {{index: docs, id: "{{{{.n}}}}", vector: "[.n]", payload: .}}, batch: 20}}\n',
    "s3": '  out: {{from: in, s3: "day {{{{.n / 100 | floor}}}}/", batch: 20}}\n',
}


class Store(ThreadingHTTPServer):
    """What came, by kind and key. It fails now and then, before or after it has done what was asked."""

    daemon_threads = True

    def __init__(self, failures):
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept, self.draw, self.failures, self.lock, self.wrong = {}, random.Random(7), failures, threading.Lock(), []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        store = self.server
        with store.lock:
            fails, before = store.draw.random() < store.failures, store.draw.random() < 0.5
            if fails and before:
                self.answer(503)
                return
            try:
                status, said = self.work(body, store.kept)
            except AssertionError as wrong:
                store.wrong.append(str(wrong))
                status, said = 400, b""
        if fails:
            self.close_connection = True  # the answer is lost
            return
        self.answer(status, said)

    do_PUT = do_POST = do_HEAD = handle_any

    def work(self, body, kept):
        path = urllib.parse.urlsplit(self.path)
        if path.path == "/cases":
            kept.setdefault(self.headers["idempotency-key"], json.loads(body)["n"])
        elif path.path.startswith("/put/"):
            kept[path.path] = json.loads(body)["n"]
        elif path.path == "/collections/docs/points":
            assert self.headers["api-key"] == "the-key"
            assert path.query == "wait=true"
            for point in json.loads(body)["points"]:
                assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", point["id"])
                assert point["vector"] == [point["payload"]["n"], 1]
                kept[point["id"]] = point["payload"]["n"]
        elif path.path == "/docs/_bulk":
            return 200, self.bulk(body, kept)
        elif path.path.startswith("/bucket/"):
            return self.s3(path.path, body, kept)
        else:
            return 404, b""
        return 200, b"{}"

    def bulk(self, body, kept):
        items = []
        lines = body.decode().splitlines()
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            busy = self.server.draw.random() < self.server.failures
            if not busy:
                kept[json.loads(action)["index"]["_id"]] = json.loads(document)["n"]
            items.append({"index": {"status": 429 if busy else 201, "error": {"reason": "busy"}}})
        return json.dumps({"errors": True, "items": items}).encode()

    def s3(self, path, body, kept):
        """The signature is what botocore makes of the same request."""
        signed = re.search(r"SignedHeaders=([^,]+)", self.headers["authorization"]).group(1).split(";")
        headers = {name: self.headers[name] for name in signed}
        request = AWSRequest(method=self.command, url=f"http://{self.headers['host']}{self.path}", data=body, headers=headers)
        request.context["timestamp"] = self.headers["x-amz-date"]
        auth = S3SigV4Auth(Credentials("AKID", "the-secret"), "s3", "us-east-1")
        to_sign = auth.string_to_sign(request, auth.canonical_request(request))
        assert auth.signature(to_sign, request) == self.headers["authorization"].rpartition("Signature=")[2], path
        key = urllib.parse.unquote(path.removeprefix("/bucket/"))
        if self.command == "HEAD":
            return (200 if key in kept else 404), b""
        kept[key] = body.decode()
        return 200, b""


def numbers_kept(kind, kept):
    if kind != "s3":
        return list(kept.values())
    objects = [json.loads(text)["object"] for key, text in kept.items() if key.endswith(".manifest.json")]
    return [json.loads(line)["n"] for name in objects for line in kept[name].splitlines()]


@pytest.mark.parametrize("kind", SINKS)
def test_records_reach_the_api_once_however_often_it_is_killed(tmp_path, kind):
    store = Store(failures=0.03)
    try:
        write(tmp_path / "in.ndjson", "".join(f'{{"n":{n}}}\n' for n in range(COUNT)))
        text = (HEAD + SINKS[kind]).format(
            folder=tmp_path, url=store.url, bare=store.url.removeprefix("http"), delivery="exactly_once"
        )
        write(tmp_path / "p.yaml", text)
        assert run_and_kill(tmp_path, seed=5, begun=lambda: store.kept) > 0
        assert store.wrong == []
        assert sorted(numbers_kept(kind, store.kept)) == list(range(COUNT))
    finally:
        store.shutdown()


JQ = """
pipeline: asking
version: 1
errors: {{restarts: 100}}
sources:
  in: {{files: {{path: {folder}/in.ndjson, follow: false}}}}
nodes:
  half: {{from: in, map: "def half: if . < 2 then . else . - 2 | half end; select((.n | half) == 0), (if .n == 7 then error(\\"no\\") else empty end)", lang: jq}}
sinks:
  out: {{from: half, file: {folder}/out.ndjson}}
"""


def test_programs_of_full_jq_run_beside_the_loop(tmp_path):
    write(tmp_path / "in.ndjson", "".join(f'{{"n":{n}}}\n' for n in range(100)))
    write(tmp_path / "p.yaml", JQ.format(folder=tmp_path))
    run_and_kill(tmp_path, seed=1)
    assert [r["n"] for r in lines_of(tmp_path / "out.ndjson")] == list(range(0, 100, 2))
    write(tmp_path / "p.yaml", JQ.format(folder=tmp_path).replace("def half", "def half("))
    with pytest.raises(AssertionError, match="syntax error"):
        run_to_end(tmp_path)
