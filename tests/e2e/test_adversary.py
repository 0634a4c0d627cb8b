"""Providers that answer nonsense, clients that ask for it, and operators with bad luck: the real program against raw sockets."""

import concurrent.futures
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import threading

import pytest
import yaml

from gateway import Process

SECRET = "sk-provider-secret-key"
ANSWER = b'{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


def answer(body, status=b"200 OK", headers=b"", kind=b"application/json"):
    return b"HTTP/1.1 %s\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, kind, headers, len(body), body)


class RawProvider:
    """Answers each connection's first request by acts[model or path], else acts["*"]: bytes, or a function of the socket. Then it closes."""

    def __init__(self):
        self.acts = {"*": answer(ANSWER)}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/v1" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, s):
        with s, contextlib.suppress(OSError):
            start = s.recv(65536)
            while b"\r\n\r\n" not in start:
                start += s.recv(65536)
            while start.startswith(b"POST /v1/chat/") and b"}" not in start.split(b"\r\n\r\n", 1)[1]:
                start += s.recv(65536)
            found = re.search(rb'"model": ?"([^"]*)"', start)
            name = found.group(1).decode() if found else start.split(b" ")[1].decode()
            act = self.acts.get(name, self.acts["*"])
            if isinstance(act, bytes):
                s.sendall(act)
                s.shutdown(socket.SHUT_WR)
            else:
                act(s)


class Server:
    """A gateway in front of a RawProvider."""

    def __init__(self, folder, provider, **config):
        self.path = os.path.join(folder, "crossdock.yaml")
        self.config = {
            "listen": "127.0.0.1:0",
            "workers": 2,
            "pass_through": "raw",
            "log": {"format": "json", "access": "stdout"},
            "timeouts": {"first_byte": "2s", "total": "5s"},
            "providers": {"raw": {"base_url": provider.url, "api_key": SECRET, "serves": "*"}},
        } | config
        self.write()
        self.process = Process("serve", "--config", self.path, address=r"listening url=(http://127[^\s\"]+)")
        host, port = self.process.url.split("//")[1].split(":")
        self.address = host, int(port)

    def write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(yaml.safe_dump(self.config))
        os.rename(self.path + ".new", self.path)

    def exchange(self, *pieces):
        """Send all, read to the end: (status, head, body)."""
        with socket.create_connection(self.address, timeout=10) as s:
            for piece in pieces:
                s.sendall(piece)
            data = b""
            while more := s.recv(65536):
                data += more
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), head.lower(), body

    def chat(self, model, stream=False, body=None):
        body = body or json.dumps({"model": "raw/" + model, "stream": stream, "messages": []}).encode()
        return self.exchange(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )

    def output(self):
        return "".join(self.process.lines + self.process.out)


@pytest.fixture(scope="module")
def provider():
    p = RawProvider()
    yield p
    p.listener.close()


@pytest.fixture
def serve(tmp_path, provider):
    servers = []

    def start(**config):
        servers.append(Server(tmp_path, provider, **config))
        return servers[-1]

    yield start
    for s in servers:
        assert s.process.stop() in (0, -signal.SIGKILL)
        assert SECRET not in s.output() and "Sanitizer" not in s.output()


def flood(s):
    for _ in range(200000):
        s.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: <%s>\r\n\r\n" % (b"x" * 400))


NONSENSE = {
    "closes": b"",
    "not-http": b"hello\n",
    "short": answer(ANSWER)[:-5],
    "two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "smuggle": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "bare-cr": b"HTTP/1.1 200 OK\r\nx-a: b\rc: d\r\ncontent-length: 2\r\n\r\n{}",
    "nul": b"HTTP/1.1 200 OK\r\nx-a: b\0c\r\ncontent-length: 2\r\n\r\n{}",
    "many-headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    "empty-204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "unchanged": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "redirect": answer(b"{}", b"302 Found", b"location: http://127.0.0.1:1/" + SECRET.encode() + b"\r\n"),
    "odd-status": answer(b"{}", b"999 Odd"),
    "deep": answer(b"[" * 100000),
    "bad-gzip": answer(b"xxxx", headers=b"content-encoding: gzip\r\n"),
    "cut-gzip": answer(gzip.compress(ANSWER)[:-9], headers=b"content-encoding: gzip\r\n"),
    "bomb": answer(gzip.compress(b'{"x":"' + b"a" * 50_000_000 + b'"}'), headers=b"content-encoding: gzip\r\n"),
    "flood": flood,
}


def test_nonsense_of_a_provider_is_a_clear_502(serve, provider):
    s = serve()
    provider.acts |= NONSENSE
    for name in NONSENSE:
        status, head, body = s.chat(name)
        error = json.loads(body)["error"]
        assert status == 502 and error["message"], name
        assert SECRET.encode() not in head + body and b"127.0.0.1" not in head + body, name


def test_what_a_provider_compressed_arrives_plain_and_is_not_called_compressed(serve, provider):
    s = serve()
    coded = b"content-encoding: gzip\r\n"
    provider.acts["zipped"] = answer(gzip.compress(ANSWER), headers=coded)
    provider.acts["zipped-stream"] = answer(gzip.compress(EVENTS), headers=coded, kind=b"text/event-stream")
    status, head, body = s.chat("zipped")
    assert status == 200 and body == ANSWER and b"content-encoding" not in head
    status, head, body = s.chat("zipped-stream", stream=True)
    assert status == 200 and b"[DONE]" in body and b"content-encoding" not in head


def test_an_upload_that_is_refused_while_it_is_sent_is_answered(serve, provider):
    s = serve()

    def refuse(c):
        c.sendall(answer(b'{"error":{"message":"too large","type":"t","param":null,"code":null}}', b"413 Too Large"))
        c.recv(1 << 20)

    provider.acts["/v1/files"] = refuse
    head = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    status, _, body = s.exchange(head, b"x" * 1000)
    assert status == 413 and b"too large" in body
    provider.acts["/v1/files"] = lambda c: None  # it closes
    status, _, body = s.exchange(head, b"x" * 1000)
    assert status == 502 and b"127.0.0.1" not in body


@pytest.mark.parametrize(
    "name",
    ["a\\r\\nx-evil: 1", "a\\u0000b", "m" * 8000, '\\"', "../..", "\\ud800", "\\u009b31m"],
    ids=["line-end", "nul", "long", "quote", "dots", "surrogate", "control"],
)
def test_any_model_name_is_served_or_refused_in_json(serve, provider, name):
    s = serve()
    status, head, body = s.chat("", body=b'{"model":"raw/%s"}' % name.encode())
    assert status == 200 and json.loads(body) and b"x-evil" not in head
    s.process.stop()
    assert json.loads(s.process.out[-1])["status"] == 200


@pytest.mark.parametrize(
    "body, says",
    [
        (b'{"model":"raw/m","a":' + b"[" * 100000 + b"]" * 100000 + b"}", "deep"),
        (b'{"model":"raw/m","model":"raw/n"}', "twice"),
        (b'{"model":"raw/m","mod\\u0065l":"raw/n"}', "twice"),
        (b'{"model":"raw/m","a":"\0"}', "control"),
        (b'{"model":"raw/' + b"m" * 100000 + b'"}', "long"),
    ],
    ids=["deep", "twice", "twice-coded", "control", "long"],
)
def test_odd_json_is_refused_with_its_reason(serve, body, says):
    status, _, text = serve().chat("", body=body)
    assert status == 400 and says in json.loads(text)["error"]["message"]


def test_every_method_on_every_endpoint_is_answered(serve, provider):
    s = serve()
    provider.acts["/v1/files/x"] = answer(b"{}")
    provider.acts["/v1/chat/completions"] = answer(b"{}")
    for method in [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"PATCH", b"DELETE", b"TRACE", b"CONNECT", b"FOO"]:
        for path in [b"/", b"*", b"/v1/models", b"/v1/embeddings", b"/v1/chat/completions", b"/v1/files/x", b"/healthz", b"/metrics"]:
            status, _, body = s.exchange(b"%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % (method, path))
            assert 200 <= status < 600 and not (status == 200 and method == b"HEAD" and body), (method, path)


def test_reloads_under_load_lose_no_request(serve, provider):
    s = serve()
    provider.acts["m"] = answer(ANSWER)
    provider.acts["s"] = answer(EVENTS, kind=b"text/event-stream")
    over = threading.Event()

    def storm():
        number = 0
        while not over.wait(0.01):
            number += 1
            s.config["providers"]["raw"]["headers"] = {"x-n": str(number)}
            s.write()
            s.process.signal(signal.SIGHUP)

    thread = threading.Thread(target=storm)
    thread.start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: s.chat("s" if i % 2 else "m", stream=bool(i % 2)), range(300)))
    over.set()
    thread.join()
    assert all(status == 200 and (b"[DONE]" in body or body == ANSWER) for status, _, body in results)


def test_sighup_while_draining_cuts_nothing_off(serve, provider):
    s = serve()
    asked, go = threading.Event(), threading.Event()

    def wait(c):
        asked.set()
        go.wait(10)
        c.sendall(answer(ANSWER))

    provider.acts["wait"] = wait
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        result = pool.submit(s.chat, "wait")
        assert asked.wait(10)
        s.process.signal(signal.SIGTERM)
        assert s.process.wait_for_line("draining")
        s.process.signal(signal.SIGHUP)
        s.process.signal(signal.SIGUSR1)
        assert s.process.wait_for_line("http request")  # the signals have been read
        go.set()
        assert result.result()[0] == 200
    assert s.process.process.wait(10) == 0


def test_unix_sockets_and_several_workers(serve, provider, tmp_path):
    path = str(tmp_path / "x.sock")
    s = serve(listen=["127.0.0.1:0", "unix:" + path, "[::1]:0"], workers=3)
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(10)
            c.connect(path)
            c.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert c.recv(15) == b"HTTP/1.1 200 OK"
    s.process.process.kill()
    s.process.process.wait()
    again = Process("serve", "--config", s.path, address=r"listening url=(http://unix[^\s\"]+)")  # the old path is in the way
    assert again.stop() == 0


def test_a_full_disk_loses_log_lines_but_no_request(serve, provider):
    provider.acts["m"] = answer(ANSWER)
    s = serve(log={"format": "json", "access": "/dev/full"})
    assert all(s.chat("m")[0] == 200 for _ in range(20))
    _, _, page = s.exchange(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert int(re.search(rb"\ncrossdock_log_lines_dropped_total (\d+)", page).group(1)) > 0
