"""What an operator does: keys, TLS, HTTP/2, reload, drain, broken configuration, bad clients."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import openai
import pytest
import trustme

from conftest import metrics
from gateway import PROGRAM, Process
from ports import free_port

ASK = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def post(url, body=None, headers=None, context=None):
    request = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body or ASK).encode(), {"content-type": "application/json"} | (headers or {})
    )
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def connect(gateway):
    host, port = gateway.url.split("//")[1].split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def key_hash(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def test_keys_and_their_models(make_gateway):
    g = make_gateway(
        config={"keys": [{"name": "all", "hash": key_hash("xd-all")}, {"name": "some", "hash": key_hash("xd-some"), "models": ["paced"]}]}
    )
    assert post(g.url)[0] == 401
    assert post(g.url, headers={"authorization": "Bearer sk-provider-secret-key"})[1]["error"]["code"] == "invalid_api_key"
    assert post(g.url, headers={"authorization": "Bearer xd-all"})[0] == 200
    assert post(g.url, headers={"authorization": "Bearer xd-some"})[0] == 403
    g.process.stop()
    lines = [json.loads(line) for line in g.process.out]
    assert sorted(line.get("key") or "" for line in lines) == ["", "", "all", "some"]  # loops write side by side
    assert "xd-all" not in "".join(g.process.out + g.process.lines)


def test_key_new_makes_keys_that_work(make_gateway):
    text = subprocess.run([PROGRAM, "key", "new", "--name", "ann"], capture_output=True, text=True, check=True).stdout
    key = text.split("key:")[1].split()[0]
    assert key_hash(key) in text
    g = make_gateway(config={"keys": [{"name": "ann", "hash": key_hash(key)}]})
    with openai.OpenAI(base_url=g.url + "/v1", api_key=key, max_retries=0) as client:
        assert client.models.list().data


def test_reload_by_change_of_file_and_by_signal(make_gateway):
    import yaml

    g = make_gateway()
    changed = g.default_config() | {"models": {"fresh": {"targets": ["sim/fresh"]}}}
    assert post(g.url)[0] == 200
    g.write("crossdock.yaml", yaml.safe_dump(changed))
    assert g.process.wait_for_line("revision=2")
    assert post(g.url)[0] == 404
    assert post(g.url, ASK | {"model": "fresh"})[0] == 200
    g.write("crossdock.yaml", "models: [")
    assert g.process.wait_for_line("the one in use stays")
    assert any("crossdock.yaml:" in line for line in g.process.lines), "the log names file and line"
    assert post(g.url, ASK | {"model": "fresh"})[0] == 200
    g.write("crossdock.yaml", yaml.safe_dump(g.default_config()))
    g.process.signal(signal.SIGHUP)
    assert g.process.wait_for_line("revision=3") or g.process.wait_for_line("revision=4")
    assert post(g.url)[0] == 200
    assert "crossdock_config_reload_failures_total" in metrics(g)


def test_edits_in_place_and_new_files_in_a_configuration_folder_are_seen(make_gateway, tmp_path):
    import yaml

    g = make_gateway()
    provider, models = tmp_path / "a-provider.yaml", tmp_path / "b-models.yaml"
    rest = {key: value for key, value in g.default_config().items() if key != "models"}
    provider.write_text(yaml.safe_dump(rest))
    models.write_text("models: {one: {targets: [sim/one]}}\n")
    process = Process("serve", "--config", str(tmp_path), address=r"listening url=(https?://[^\s\"]+)")
    assert post(process.url, ASK | {"model": "one"})[0] == 200
    with models.open("r+") as file:
        file.write("models: {two: {targets: [sim/two]}}\n")
    assert process.wait_for_line("revision=2")
    assert post(process.url, ASK | {"model": "two"})[0] == 200
    assert post(process.url, ASK | {"model": "one"})[0] == 404
    (tmp_path / "c-more.yaml").write_text("models: {three: {targets: [sim/three]}}\n")
    assert process.wait_for_line("revision=3")
    assert process.stop() == 0


def test_a_renewed_certificate_is_served_without_a_signal(make_gateway, tmp_path):
    def issue(ca):
        made = ca.issue_cert("localhost", "127.0.0.1")
        return b"".join(blob.bytes() for blob in made.cert_chain_pems).decode(), made.private_key_pem.bytes().decode()

    def answers(g, ca):
        try:
            return post(g.url, context=ssl.create_default_context(cadata=ca.cert_pem.bytes().decode()))[0] == 200
        except urllib.error.URLError:
            return False

    old, new = trustme.CA(), trustme.CA()
    cert, key = issue(old)
    g = make_gateway(config={"tls": {"cert": "cert.pem", "key": "key.pem"}}, files={"cert.pem": cert, "key.pem": key})
    assert answers(g, old) and not answers(g, new)
    cert, key = issue(new)
    g.write("cert.pem", cert)
    assert g.process.wait_for_line("the one in use stays"), "a certificate that does not fit its key is refused"
    assert answers(g, old)
    g.write("key.pem", key)
    assert g.process.wait_for_line("configuration installed")
    assert answers(g, new) and not answers(g, old)


def test_a_request_under_way_survives_reload_and_drain(make_gateway):
    import yaml

    g = make_gateway()
    with openai.OpenAI(base_url=g.url + "/v1", api_key="x", max_retries=0) as client:
        stream = client.chat.completions.create(model="paced", messages=ASK["messages"], stream=True, max_tokens=60)
        chunks = iter(stream)
        next(chunks)
        g.write("crossdock.yaml", yaml.safe_dump(g.default_config() | {"models": {"other": {"targets": ["sim/other"]}}}))
        assert g.process.wait_for_line("revision=2")
        g.process.signal(signal.SIGTERM)
        assert g.process.wait_for_line("draining")
        finish = [c.choices[0].finish_reason for c in chunks if c.choices]
        assert finish[-1] == "length"
    assert g.process.process.wait(10) == 0


def test_health_and_readiness(make_gateway):
    g = make_gateway()
    assert get(g.url + "/healthz") == (200, "ok\n")
    assert get(g.url + "/readyz") == (200, "ready\n")
    assert "crossdock_build_info" in get(g.url + "/metrics")[1]


def test_tls_and_http2(make_gateway, tmp_path):
    ca = trustme.CA()
    certificate = ca.issue_cert("localhost", "127.0.0.1")
    files = {
        "cert.pem": b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode(),
        "key.pem": certificate.private_key_pem.bytes().decode(),
    }
    g = make_gateway(config={"tls": {"cert": "cert.pem", "key": "key.pem"}}, files=files)
    assert g.url.startswith("https://")
    context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    assert post(g.url, context=context)[0] == 200
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(ca.cert_pem.bytes())
    curl = ["curl", "-sS", "--http2", "--cacert", str(bundle), "-w", "%{http_version}", g.url + "/v1/models"]
    assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout.endswith("}2")
    with pytest.raises(urllib.error.URLError):
        post(g.url)  # the system does not know this authority


def test_http2_by_prior_knowledge_on_the_plain_port(gateway):
    curl = ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version}", "-H", "content-type: application/json"]
    curl += ["-d", json.dumps(ASK), gateway.url + "/v1/chat/completions"]
    out = subprocess.run(curl, capture_output=True, text=True, check=True).stdout
    assert out.endswith("}2") and "[simulated]" in out


def test_fallback_when_a_provider_is_down(make_gateway):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        g = make_gateway()
        import yaml

        config = g.default_config()
        config["providers"]["down"] = {"base_url": down}
        config["models"]["chat"] = {"targets": ["down/m"], "fallbacks": ["sim/m"]}
        config["models"]["alone"] = {"targets": ["down/m"]}
        g.write("crossdock.yaml", yaml.safe_dump(config))
        assert g.process.wait_for_line("revision=2")
        assert post(g.url)[0] == 200
        status, body = post(g.url, ASK | {"model": "alone"})
    assert status == 502 and body["error"]["code"] == "provider_unreachable"
    assert down not in json.dumps(body)
    assert 'outcome="connect"' in metrics(g)


def test_a_provider_killed_in_mid_stream_is_an_error_event(make_gateway):
    g = make_gateway()
    with openai.OpenAI(base_url=g.url + "/v1", api_key="x", max_retries=0) as client:
        stream = iter(client.chat.completions.create(model="paced", messages=ASK["messages"], stream=True))
        next(stream)
        g.provider.process.kill()
        with pytest.raises(openai.APIError, match="incomplete"):
            list(stream)


def test_a_killed_gateway_starts_again_at_once(make_gateway):
    g = make_gateway()
    g.process.process.kill()
    g.process.process.wait()
    again = Process("serve", "--config", g.config, "--listen", g.url.split("//")[1], address=r"listening url=(https?://[^\s\"]+)")
    assert again.url == g.url
    assert post(again.url)[0] == 200
    assert again.stop() == 0


def test_a_port_in_use_is_one_clear_error(gateway):
    result = subprocess.run(
        [PROGRAM, "serve", "--config", gateway.config, "--listen", gateway.url.split("//")[1]], capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 1
    assert "in use" in result.stderr.lower()


def connect_until_answered(address, outcomes):
    """Connect again and again, as an impatient client does while a server starts; each try is refused or answered."""
    while True:
        with socket.socket() as client:
            client.bind(("127.0.0.2", 0))  # never the server's own address, with which a client can connect to itself
            try:
                client.connect(address)
            except ConnectionRefusedError:
                outcomes.append("refused")
                continue
            try:
                client.settimeout(20)
                client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                outcomes.append(client.recv(100).split(b"\r\n")[0])
            except OSError as error:
                outcomes.append(error)
            return


def test_who_connects_while_several_workers_start_is_refused_or_answered(gateway):
    for _ in range(10):
        address = "127.0.0.1", free_port()
        outcomes = []
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            clients = [pool.submit(connect_until_answered, address, outcomes) for _ in range(2)]
            process = Process(
                "serve", "--config", gateway.config, "--listen", "%s:%d" % address, "--workers", "4",
                address=r"listening url=(https?://[^\s\"]+)",
            )  # fmt: skip
            for client in clients:
                client.result()
        assert process.stop() == 0
        assert "refused" in outcomes and set(outcomes) == {"refused", b"HTTP/1.1 200 OK"}


def test_without_keys_only_loopback_is_served(gateway):
    result = subprocess.run([PROGRAM, "serve", "--config", gateway.config, "--listen", "0.0.0.0:0"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 3 and "anonymous" in result.stderr


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"GET /v1/models HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\nhost: a\n\n", 400),
        (b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_bad_http_is_refused_and_closed(gateway, raw, status):
    with connect(gateway) as s:
        s.sendall(raw)
        answer = http.client.HTTPResponse(s)
        answer.begin()
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        error = json.load(answer)["error"]
        assert error["message"] and error["type"] == "invalid_request_error"
        assert s.recv(1) == b""


def test_pipelined_requests_are_answered_in_order(gateway):
    body = json.dumps(ASK).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-request-id: r%d\r\ncontent-length: %d\r\n\r\n"
    with connect(gateway) as s:
        s.sendall(b"".join(head % (i, len(body)) + body for i in range(20)))
        file = s.makefile("rb")
        for i in range(20):
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(file)
            assert headers["x-request-id"] == f"r{i}"
            file.read(int(headers["content-length"]))


def test_a_thousand_concurrent_requests(gateway):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        results = list(pool.map(lambda i: post(gateway.url, ASK | {"messages": [{"role": "user", "content": f"n{i}"}]}), range(1000)))
    assert all(status == 200 and f"n{i}" in body["choices"][0]["message"]["content"] for i, (status, body) in enumerate(results))


def test_logs_redirected_to_files_are_whole(gateway, tmp_path):
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        process = subprocess.Popen([PROGRAM, "serve", "--config", gateway.config, "--workers", "1"], stdout=out, stderr=err)
        while b"listening url=" not in (tmp_path / "err").read_bytes():
            assert process.poll() is None
        url = (tmp_path / "err").read_text().split("listening url=")[1].split('"')[0]
        for i in range(30):
            assert post(url, headers={"x-request-id": f"n{i}"})[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [line["request_id"] for line in lines] == [f"n{i}" for i in range(30)]


def test_fibers_are_dumped_on_sigusr1(make_gateway):
    g = make_gateway()
    g.process.signal(signal.SIGUSR1)
    assert g.process.wait_for_line("clients")
    assert post(g.url)[0] == 200


def test_memory_returns_after_a_burst(make_gateway):
    g = make_gateway()
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        list(pool.map(lambda i: post(g.url), range(500)))
    page = metrics(g)
    assert "crossdock_requests_in_flight 0\n" in page or "crossdock_requests_in_flight 1\n" in page
    assert os.path.exists(f"/proc/{g.process.process.pid}")
