"""Pipelines that hear what a gateway's clients were answered (source `gateway`)."""

import json
import threading
import time

import anthropic
import openai
import pytest
import yaml
from gateway import KEY
from test_pipeline_models import Provider, chat, error, said
from test_pipeline_serve import Serving, lines_of

MESSAGES = [{"role": "user", "content": "Hello"}]


def hearing(out, **gateway):
    return {
        "pipeline": "audit",
        "version": 1,
        "delivery": "exactly_once" if gateway.get("wait") else "at_most_once",
        "journal": "sync",
        "sources": {"heard": {"gateway": {"route": "m"} | gateway}},
        "nodes": {"same": {"from": "heard", "map": "."}},
        "sinks": {"out": {"from": "same", "file": str(out)}},
    }


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.02)


@pytest.fixture
def served(tmp_path):
    """A gateway whose provider echoes, streamed where asked for, and a pipeline that writes down what it hears."""

    def answer(_, document, __):
        if said(document) == "bad":
            return 400, error("no")
        return 200, streamed(said(document)) if document.get("stream") else chat("echo " + said(document))

    with Provider(answer) as p:
        with Serving(tmp_path, hearing(tmp_path / "out"), p) as s:
            s.out = tmp_path / "out"
            s.provider = p
            yield s


def streamed(text):
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, "delta": {"content": c}, "finish_reason": None}]} for c in ("echo ", text)]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    return [f"data: {json.dumps(c)}\n\n" for c in chunks] + ["data: [DONE]\n\n"]


def test_an_answer_of_the_gateway_is_a_message(served):
    client = openai.OpenAI(base_url=served.process.url + "/v1", api_key=KEY, max_retries=0)
    answer = client.chat.completions.create(model="m", messages=MESSAGES, extra_headers={"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"})
    until(lambda: lines_of(served.out))
    (heard,) = lines_of(served.out)
    assert heard["request"]["messages"] == MESSAGES
    assert heard["answer"]["choices"][0]["message"]["content"] == answer.choices[0].message.content == "echo Hello"
    assert heard["usage"] == {"input_tokens": 10, "output_tokens": 5}
    assert (heard["route"], heard["deployment"], heard["provider"], heard["key"]) == ("m", "p/m", "p", "tests")
    assert heard["traceparent"].startswith("00-aaaa") and heard["latency_ms"] >= 0 and heard["attempts"] == 1


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_streamed_answer_is_heard_as_a_plain_one(served, vendor):
    if vendor == "openai":
        client = openai.OpenAI(base_url=served.process.url + "/v1", api_key=KEY, max_retries=0)
        text = "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(model="m", messages=MESSAGES, stream=True) if c.choices)
    else:
        client = anthropic.Anthropic(base_url=served.process.url, api_key=KEY, max_retries=0)
        with client.messages.stream(model="m", messages=MESSAGES, max_tokens=9) as stream:
            text = "".join(stream.text_stream)
    assert text == "echo Hello"
    until(lambda: lines_of(served.out))
    (heard,) = lines_of(served.out)
    said = heard["answer"]["choices"][0]["message"] if vendor == "openai" else heard["answer"]["content"][0]
    assert said["content" if vendor == "openai" else "text"] == "echo Hello"
    assert heard["stream"] and heard["dialect"] == vendor
    assert heard["usage"] == {"input_tokens": 10, "output_tokens": 5}


def test_a_client_that_leaves_with_the_last_event_has_been_answered(tmp_path):
    """As OpenAI's SDK does: the provider's connection has not ended then."""
    over = threading.Event()

    def lingering(text):
        yield from streamed(text)
        over.wait(20)

    with Provider(lambda _, d, n: (200, lingering(said(d)))) as p, Serving(tmp_path, hearing(tmp_path / "out"), p) as s:
        client = openai.OpenAI(base_url=s.process.url + "/v1", api_key=KEY, max_retries=0)
        assert list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
        until(lambda: lines_of(tmp_path / "out"))
        page = s.client.get("/metrics").text
        over.set()
    assert 'crossdock_requests_total{' in page and 'status="499"' not in page


def test_what_failed_or_was_asked_of_another_model_is_not_heard(served):
    client = openai.OpenAI(base_url=served.process.url + "/v1", api_key=KEY, max_retries=0)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="unknown", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "bad"}])
    client.chat.completions.create(model="m", messages=MESSAGES)
    until(lambda: lines_of(served.out))
    assert served.process.stop() == 0  # it has finished what was under way
    assert len(lines_of(served.out)) == 1


def test_one_id_twice_is_two_messages(served):
    client = openai.OpenAI(base_url=served.process.url + "/v1", api_key=KEY, max_retries=0)
    for _ in range(2):
        client.chat.completions.create(model="m", messages=MESSAGES, extra_headers={"x-request-id": "same"})
    until(lambda: len(lines_of(served.out)) == 2)
    assert [r["id"] for r in lines_of(served.out)] == ["same", "same"]


def test_a_sample_is_a_share_of_the_answers(tmp_path):
    with Provider(lambda _, d, n: (200, chat("x"))) as p, Serving(tmp_path, hearing(tmp_path / "out", sample=0.25, wait=True), p) as s:
        for n in range(200):
            assert s.client.post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES}).status_code == 200
    heard = len(lines_of(tmp_path / "out"))
    assert 25 <= heard <= 80, heard


@pytest.mark.parametrize("stream", [False, True])
def test_with_wait_every_answer_that_a_client_has_survives_a_kill(tmp_path, stream):
    spec = hearing(tmp_path / "out", wait=True)
    with Provider(lambda _, d, n: (200, streamed("x") if d.get("stream") else chat("x"))) as p:
        with Serving(tmp_path, spec, p) as s:
            for n in range(20):
                answer = s.client.post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES, "user": str(n), "stream": stream})
                assert answer.status_code == 200 and ("[DONE]" in answer.text or not stream)
            s.process.process.kill()
        with Serving(tmp_path, spec, p) as s:
            until(lambda: len(lines_of(tmp_path / "out")) >= 20)
    assert sorted(int(r["request"]["user"]) for r in lines_of(tmp_path / "out")) == list(range(20))


def test_a_pipeline_that_is_stuck_costs_clients_nothing(tmp_path):
    with Provider(lambda _, d, n: (200, chat("x"))) as p:
        spec = hearing(tmp_path / "out") | {"sinks": {"out": {"from": "same", "http": {"put": "http://127.0.0.1:9/{{.id}}"}}}, "in_flight": {"roots": 1}}
        with Serving(tmp_path, spec, p) as s:
            for _ in range(30):
                answer = s.client.post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES})
                assert answer.status_code == 200 and answer.elapsed.total_seconds() < 5


def test_what_is_too_large_to_be_kept_is_counted(served):
    big = [{"role": "user", "content": "x" * (13 << 20)}]
    assert served.client.post("/v1/chat/completions", json={"model": "m", "messages": big}).status_code == 200
    until(lambda: missed(served.client.get("/metrics").text) == 1)
    assert lines_of(served.out) == []


def missed(metrics):
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if "answers_missed_total{" in line)


def test_what_a_pipeline_asks_is_not_heard_by_it(tmp_path):
    spec = hearing(tmp_path / "out")
    spec["nodes"] = {"same": {"from": "heard", "model": {"route": "m", "prompt": "Judge {{.answer.choices[0].message.content}}"}}}
    with Provider(lambda _, d, n: (200, chat("echo " + said(d)))) as p:
        with Serving(tmp_path, spec, p) as s:
            assert s.client.post("/v1/chat/completions", json={"model": "m", "messages": MESSAGES}).status_code == 200
            until(lambda: lines_of(tmp_path / "out"))
        assert lines_of(tmp_path / "out") == ["echo Judge echo Hello"] and len(p.asked) == 2


def test_the_route_must_be_one_of_the_gateways(tmp_path):
    from test_cli import run  # noqa: PLC0415

    (tmp_path / "p.yaml").write_text(yaml.safe_dump(hearing(tmp_path / "out", route="mm")), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"providers": {"p": {"dialect": "openai", "simulate": True}}, "models": {"m": {"targets": ["p/m"]}}, "pipelines": ["p.yaml"]}))
    done = run("check", str(tmp_path / "c.yaml"))
    assert done.returncode != 0 and 'no model "mm"' in done.stderr + done.stdout
