"""exampleworld - what is around a gateway that runs an example: servers, an API that keeps what it is sent, ways to send and to look."""

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import rdkafka

CANNOT_BE_HAD = 3


class Missing(Exception):
    """A server that cannot be had on this machine."""


class Servers:
    """Servers of scripts/brokers, or those that the environment names."""

    NAMED = {"kafka": "KAFKA_BROKERS", "postgres": "POSTGRES_URL", "redis": "REDIS_URL"}
    URLS = {"kafka": "{}", "postgres": "postgres://{}/postgres", "redis": "redis://{}/0"}

    def __init__(self, root, work):
        self.root, self.work, self.started, self.kafka, self.redis, self.postgres = root, work, [], None, None, None

    def _brokers(self, what, name, **options):
        command = [os.path.join(self.root, "scripts", "brokers"), what, name, os.path.join(self.work, name)]
        return subprocess.run(command, check=False, text=True, **options)

    def _start(self, name):
        done = self._brokers("start", name, stdout=subprocess.PIPE)
        if done.returncode == CANNOT_BE_HAD:
            raise Missing(name)
        if done.returncode:
            raise RuntimeError(f"{name} did not start")
        self.started.append(name)
        return self.URLS[name].format(done.stdout.strip())

    def start(self, name):
        """The variables of the environment that name it."""
        url = os.environ.get(self.NAMED[name]) or self._start(name)
        if name == "kafka":
            self.kafka = rdkafka.Kafka(url)
        if name == "redis":
            self.redis = Redis(url)
        if name == "postgres":
            self.postgres = url
        return {self.NAMED[name]: url}

    def sql(self, text):
        """What PostgreSQL answers, a line for each row."""
        at = urlsplit(self.postgres)
        command = ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", at.hostname, "-p", str(at.port), "-U", at.username or "postgres", "-d", at.path[1:]]
        done = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True, text=True)
        return done.stdout.splitlines()

    def stop(self):
        if self.kafka:
            self.kafka.close()
        for name in reversed(self.started):
            self._brokers("kill", name)


class Registry:
    """`crossdock registry`, with the schemas of an example as versions of subjects: {subject: [text of version 1, …]}."""

    def __init__(self, program, work, subjects):
        command = [program, "registry", "--data", os.path.join(work, "schemas.db"), "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        self.url = "http://" + said.split("http://", 1)[1].split()[0]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        for subject, texts in subjects.items():
            for text in texts:
                self._register(subject, text)

    def _register(self, subject, text):
        body = json.dumps({"schemaType": "JSON", "schema": text}).encode()
        request = urllib.request.Request(f"{self.url}/subjects/{subject}/versions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30):
            pass

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Redis:
    """A connection, and as much of the protocol as is needed here."""

    def __init__(self, url):
        at = urlsplit(url)
        self.file = socket.create_connection((at.hostname, at.port)).makefile("rwb")

    def do(self, *words):
        coded = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.file.write(b"*%d\r\n" % len(coded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in coded))
        self.file.flush()
        return self._read()

    def _read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise OSError("Redis: " + rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        return rest


class Api:
    """An HTTP API that has documents by path: PUT and POST keep what comes, GET gives it. A POST with an Idempotency-Key that came before changes nothing."""

    def __init__(self, documents):
        api = self
        self.documents = dict(documents)
        self.kept = {}  # what was sent, by path
        self.keys = set()
        self.lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, document=None):
                body = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def body(self):
                return json.loads(self.rfile.read(int(self.headers["content-length"])))

            def do_GET(self):
                with api.lock:
                    documents = api.kept.get(self.path) or [api.documents[self.path]] if self.path in api.kept or self.path in api.documents else None
                if documents is None:
                    self.answer(404)
                else:
                    self.answer(200, documents[-1])

            def do_PUT(self):
                document = self.body()
                with api.lock:
                    api.kept[self.path] = [document]
                self.answer(204)

            def do_POST(self):
                document, key = self.body(), self.headers["idempotency-key"]
                with api.lock:
                    if key is None or key not in api.keys:
                        api.kept.setdefault(self.path, []).append(document)
                        api.keys.add(key)
                self.answer(201)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Who asked was killed: that is no error of ours."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def sent(self, prefix):
        with self.lock:
            return [document for path, documents in self.kept.items() if path.startswith(prefix) for document in documents]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def send(servers, kind, place, messages, timestamps):
    for message, timestamp in zip(messages, timestamps):
        text = json.dumps(message, ensure_ascii=False)
        if kind == "kafka":
            servers.kafka.send(place, text.encode(), timestamp)
        elif kind == "redis":
            servers.redis.do("XADD", place, "*", "body", text)
        elif kind == "postgres":
            servers.sql(f"insert into {place} (body) values ({quoted(text)})")
        elif kind == "file":
            with open(place, "a", encoding="utf-8") as file:
                file.write(text + "\n")
        else:
            raise ValueError(f"nothing can be sent to {kind}")
    if kind == "kafka":
        servers.kafka.flush()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def letters(program, journal):
    """Node and record of each dead letter; the gateway must have ended."""
    told = subprocess.run([program, "dlq", "ls", "--journal", journal, "--json"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return [{"node": letter["node"], "record": letter["record"]} for letter in map(json.loads, told.splitlines())]


def sink(servers, api, spec, where):
    """A function that returns all that is there."""
    kind, place = where.split(":", 1)
    if kind == "kafka":
        reader = servers.kafka.reader(place, spec["topics"][place])
        return lambda: [json.loads(v) for v in reader.read()]
    if kind == "postgres":
        return lambda: [json.loads(line) for line in servers.sql(f"select row_to_json(r) from ({place}) r")]
    if kind == "redis":
        return lambda: [json.loads(dict(zip(fields[::2], fields[1::2]))[b"body"]) for _, fields in servers.redis.do("XRANGE", place, "-", "+")]
    if kind == "redis-keys":
        return lambda: [json.loads(servers.redis.do("GET", key)) for key in sorted(servers.redis.do("KEYS", place + "*"))]
    if kind == "api":
        return lambda: api.sent(place)
    if kind == "sqlite":
        return lambda: sqlite_rows(*place.split(" ", 1))
    if kind == "file":
        return lambda: file_lines(place)
    raise ValueError(f"there is no way to look at {kind}")


def sqlite_rows(path, query):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def file_lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in re.findall(r".*\n", file.read())]
