"""Health probes, and servers that say how busy they are, over real sockets."""

import json
import re
import threading
import time
import urllib.request

import openai
import pytest
import yaml

from conftest import metrics, provider_stats
from gateway import Process

SCENARIO = {"models": {"*": {}, "slow": {"ttft": "60s"}}}


def until(condition, seconds=30):
    """Look again and again until it holds; returns whether it did."""
    stop, wait = time.monotonic() + seconds, threading.Event()
    while not (held := condition()) and time.monotonic() < stop:
        wait.wait(0.05)
    return held


def probes(gateway, deployment, cause):
    line = re.compile(rf'crossdock_probes_total\{{deployment="{deployment}",provider="[^"]*",cause="{cause}"\}} (\d+)')
    return sum(int(count) for count in line.findall(metrics(gateway)))


def server(url, **health):
    return {"dialect": "vllm", "base_url": url + "/vllm/v1", "health": health}


def start_server(folder, address="127.0.0.1:0"):
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    return Process("sim", "--listen", address, "--scenario", str(path), address=r"at (http://[^/\s]+)")


@pytest.fixture
def second(tmp_path):
    process = start_server(tmp_path)
    yield process
    process.stop()


def sdk(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key="x", max_retries=0)


def ask(client, model="chat"):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])


def asked(url, model):
    with urllib.request.urlopen(url + "/sim/stats", timeout=5) as answer:
        return json.load(answer)["models"].get(model, {}).get("requests", 0)


def test_a_server_that_dies_idle_is_out_before_a_client_asks_and_comes_back_by_probes(make_gateway, second, tmp_path):
    g = make_gateway(scenario=SCENARIO)
    providers = {"one": server(g.provider.url, interval="200ms"), "two": server(second.url, interval="200ms")}
    g.write("crossdock.yaml", yaml.safe_dump(g.default_config() | {"providers": providers, "models": {"chat": {"targets": ["one/m", "two/m"]}}}))
    assert g.process.wait_for_line("revision=2")
    assert until(lambda: probes(g, "two/m", "ok") >= 2)
    second.stop()
    assert until(lambda: probes(g, "two/m", "connect") >= 5)
    with sdk(g) as client:
        for _ in range(10):
            assert ask(client).choices[0].message.content
    assert 'crossdock_attempts_total{deployment="two/m"' not in metrics(g), "a client's request met the dead server"
    again, before = start_server(tmp_path, second.url.split("//")[1]), probes(g, "two/m", "ok")
    try:
        assert until(lambda: probes(g, "two/m", "ok") >= before + 2)
        assert asked(again.url, "m") == 0, "no request for an answer was needed"
        with sdk(g) as client:
            assert until(lambda: ask(client) and asked(again.url, "m") > 0), "it has its share again"
    finally:
        again.stop()


def test_requests_go_where_other_clients_are_not(make_gateway, second):
    g = make_gateway(scenario=SCENARIO)
    providers = {name: server(url, metrics_interval="100ms") for name, url in (("one", g.provider.url), ("two", second.url))}
    route = {"chat": {"strategy": "least-busy", "targets": ["one/m", "two/m"]}}
    g.write("crossdock.yaml", yaml.safe_dump(g.default_config() | {"providers": providers, "models": route}))
    assert g.process.wait_for_line("revision=2")
    beside = openai.OpenAI(base_url=g.provider.url + "/vllm/v1", api_key="x", max_retries=0, timeout=30)
    others = [threading.Thread(target=lambda: pytest.raises(Exception, ask, beside, "slow"), daemon=True) for _ in range(20)]
    for other in others:
        other.start()
    assert until(lambda: provider_stats(g)["models"].get("slow", {}).get("requests", 0) == 20)
    with sdk(g) as client:
        assert until(lambda: (before := asked(g.provider.url, "m"), [ask(client) for _ in range(10)]) and asked(g.provider.url, "m") == before)
        busy, free = asked(g.provider.url, "m"), asked(second.url, "m")
        for _ in range(20):
            ask(client)
        assert asked(g.provider.url, "m") == busy, "a busy server was chosen"
        assert asked(second.url, "m") == free + 20


def test_probes_for_a_token_cost_no_more_than_they_may(make_gateway):
    g = make_gateway(scenario=SCENARIO)
    providers = {"one": {"base_url": g.provider.url + "/v1", "api_key": "x", "health": {"probe": "token", "interval": "100ms", "spend": 0.008}}}
    g.write("crossdock.yaml", yaml.safe_dump(g.default_config() | {"providers": providers, "models": {"chat": {"targets": ["one/m"]}}}))
    assert g.process.wait_for_line("revision=2")
    spent = re.compile(r'crossdock_probe_cost_dollars_total\{deployment="one/m",provider="one"\} ([0-9.]+)')
    assert until(lambda: (found := spent.search(metrics(g))) and float(found[1]) > 0.004)

    def has_stopped(count):
        return not until(lambda: asked(g.provider.url, "m") > count, seconds=2)

    assert until(lambda: has_stopped(asked(g.provider.url, "m"))), "it goes on although the money is spent"
    assert 0.004 < float(spent.search(metrics(g))[1]) <= 0.008
