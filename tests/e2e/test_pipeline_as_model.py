"""Pipelines that clients ask as models of the gateway (source `chat`, provider with `pipelines: true`)."""

import json
import os
import threading
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
import yaml
from gateway import KEY
from test_cli import run
from test_pipeline_models import Provider, chat, said
from test_pipeline_serve import Serving

MESSAGES = [{"role": "user", "content": "Hello"}]


def answering(nodes=None, sink=None, **source):
    nodes = nodes or {"answer": {"from": "in", "map": '"You said " + (.messages[-1].content // "" | tostring)'}}
    return {
        "pipeline": "support",
        "version": 1,
        "delivery": "at_least_once",
        "journal": "sync",
        "sources": {"in": {"chat": {"name": "support"} | source}},
        "nodes": nodes,
        "sinks": {"back": {"from": list(nodes)[-1], "reply": sink or "."}},
    }


def serving(folder, spec, provider, **more):
    providers = {
        "p": {"dialect": "openai", "base_url": provider.url + "/v1", "api_key": "sk-x"},
        "flows": {"pipelines": True, "serves": "*"},
    }
    models = {"m": {"targets": ["p/m"]}, "help": {"targets": ["flows/support"], "fallbacks": ["p/m"]}}
    return Serving(folder, spec, provider, providers=providers, models=models, **more)


def listening(pid):
    """Ports that the process listens at, as the kernel tells."""
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(fd))
        except OSError:
            pass
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def chunk(usage=None, reason=None, **delta):
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return "data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "usage": usage}) + "\n\n"


class Telling:
    """A model that tells words, each once it may: `go` is released for it."""

    def __init__(self, *words, breaks=False):
        self.words, self.breaks, self.go = words, breaks, threading.Semaphore(0)

    def __call__(self, path, document, number):
        if not document.get("stream"):
            return 200, chat("".join(self.words))
        return 200, self.pieces()

    def pieces(self):
        for word in self.words:
            assert self.go.acquire(timeout=20)
            yield chunk(content=word)
        if self.breaks:
            assert self.go.acquire(timeout=20)
            yield "data: " + json.dumps({"error": {"message": "it broke", "type": "server_error"}}) + "\n\n"
            return
        yield chunk(reason="stop")
        yield chunk(usage={"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15})
        yield "data: [DONE]\n\n"


STREAMED = {"from": "in", "model": {"route": "m", "prompt": "{{.messages[-1].content}}", "stream": True}}


def client_of(s):
    return openai.OpenAI(base_url=s.process.url + "/v1", api_key=KEY, max_retries=0)


@pytest.fixture
def provider():
    with Provider(lambda _, d, n: (200, chat("model: " + said(d)))) as p:
        yield p


def test_a_client_asks_a_pipeline_as_a_model(tmp_path, provider):
    with serving(tmp_path, answering(), provider) as s:
        answer = client_of(s).chat.completions.create(model="help", messages=MESSAGES)
        assert answer.choices[0].message.content == "You said Hello"
        assert answer.choices[0].finish_reason == "stop"
        chunks = list(client_of(s).chat.completions.create(model="help", messages=MESSAGES, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said Hello"
    assert provider.asked == []


def test_a_provider_of_pipelines_may_come_with_a_reload(tmp_path, provider):
    with Serving(tmp_path, answering(), provider) as s:
        with pytest.raises(openai.NotFoundError):
            client_of(s).chat.completions.create(model="help", messages=MESSAGES)
        config = s.config | {"providers": {"flows": {"pipelines": True, "serves": "*"}}, "models": {"help": {"targets": ["flows/support"]}}}
        (tmp_path / "crossdock.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        assert s.process.wait_for_line("configuration installed")
        answer = client_of(s).chat.completions.create(model="help", messages=MESSAGES)
        assert answer.choices[0].message.content == "You said Hello"


def test_clients_of_other_dialects_do_too(tmp_path, provider):
    with serving(tmp_path, answering({"answer": {"from": "in", "map": '"You said " + .messages[-1].content'}}), provider) as s:
        client = anthropic.Anthropic(base_url=s.process.url, api_key=KEY, max_retries=0)
        answer = client.messages.create(model="help", max_tokens=50, messages=MESSAGES)
        assert answer.content[0].text == "You said Hello" and answer.stop_reason == "end_turn"
        with client.messages.stream(model="help", max_tokens=50, messages=MESSAGES) as stream:
            assert "".join(stream.text_stream) == "You said Hello"


def test_models_answer_within_and_documents_are_their_text(tmp_path, provider):
    nodes = {"ask": {"from": "in", "model": {"route": "m", "prompt": "Judge: {{.messages[-1].content}}"}}, "form": {"from": "ask", "map": "{verdict: .}"}}
    with serving(tmp_path, answering(nodes), provider) as s:
        answer = client_of(s).chat.completions.create(model="help", messages=MESSAGES)
        assert json.loads(answer.choices[0].message.content) == {"verdict": "model: Judge: Hello"}


def test_a_stream_comes_while_the_model_writes(tmp_path):
    tell = Telling("One", " two", " three")
    with Provider(tell) as p, serving(tmp_path, answering({"answer": STREAMED}), p) as s:
        got, usage, reasons = [], None, []
        tell.go.release()
        for c in client_of(s).chat.completions.create(model="help", messages=MESSAGES, stream=True, stream_options={"include_usage": True}):
            usage = c.usage or usage
            for choice in c.choices:
                reasons += [choice.finish_reason] if choice.finish_reason else []
                if choice.delta.content:
                    got.append(choice.delta.content)
                    tell.go.release()  # the model goes on only once this is here
        assert got == ["One", " two", " three"] and reasons == ["stop"]
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 4, 15)
        assert len(p.asked) == 1


def test_a_stream_comes_in_other_dialects(tmp_path):
    tell = Telling("One", " two")
    with Provider(tell) as p, serving(tmp_path, answering({"answer": STREAMED}), p) as s:
        tell.go.release()
        got = []
        with anthropic.Anthropic(base_url=s.process.url, api_key=KEY, max_retries=0).messages.stream(model="help", max_tokens=50, messages=MESSAGES) as stream:
            for text in stream.text_stream:
                got.append(text)
                tell.go.release()
            assert stream.get_final_message().usage.output_tokens == 4
        assert got == ["One", " two"]


def test_pieces_that_nodes_work_on_are_a_stream(tmp_path):
    tell = Telling("One two. ", "Three. ", "Four")
    nodes = {"tell": STREAMED, "parts": {"from": "tell", "chunk": "sentence"}, "up": {"from": "parts", "map": "ascii_upcase"}}
    with Provider(tell) as p, serving(tmp_path, answering(nodes), p) as s:
        got = []
        tell.go.release()
        for c in client_of(s).chat.completions.create(model="help", messages=MESSAGES, stream=True):
            if c.choices and c.choices[0].delta.content:
                got.append(c.choices[0].delta.content)
                tell.go.release()  # a sentence is there before the model goes on
        assert got == ["ONE TWO.", " THREE.", " FOUR"]
        tell.go.release(3)
        assert client_of(s).chat.completions.create(model="help", messages=MESSAGES).choices[0].message.content == "ONE TWO. THREE. FOUR"


def test_a_stream_that_breaks_off_ends_as_an_error(tmp_path):
    tell = Telling("One", breaks=True)
    with Provider(tell) as p, serving(tmp_path, answering({"answer": STREAMED}), p) as s:
        got = []
        tell.go.release()
        with pytest.raises(openai.APIError):
            for c in client_of(s).chat.completions.create(model="help", messages=MESSAGES, stream=True):
                if c.choices and c.choices[0].delta.content:
                    got.append(c.choices[0].delta.content)
                    tell.go.release()
        assert got == ["One"]
        assert len(p.asked) == 1  # nobody is asked instead: the client has heard the beginning


def test_usage_is_that_of_all_models_that_were_asked(tmp_path, provider):
    nodes = {
        "a": {"from": "in", "model": {"route": "m", "prompt": "A"}},
        "b": {"from": "a", "model": {"route": "m", "prompt": "B"}},
    }
    with serving(tmp_path, answering(nodes), provider) as s:
        usage = client_of(s).chat.completions.create(model="help", messages=MESSAGES).usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (20, 10, 30)


def test_a_pipeline_that_fails_falls_back_to_a_model(tmp_path, provider):
    nodes = {"broken": {"from": "in", "http": {"post": "http://127.0.0.1:9/"}, "budget": "500ms"}}
    with serving(tmp_path, answering(nodes), provider) as s:
        answer = client_of(s).chat.completions.create(model="help", messages=MESSAGES)
        assert answer.choices[0].message.content == "model: Hello"


def test_what_does_not_come_in_time_and_what_there_is_not(tmp_path, provider):
    nodes = {"late": {"from": "in", "delay": "1h"}}
    with serving(tmp_path, answering(nodes, wait="300ms"), provider) as s:
        with pytest.raises(openai.APIStatusError) as e:
            client_of(s).chat.completions.create(model="flows/support", messages=MESSAGES)
        assert e.value.status_code == 504
        with pytest.raises(openai.NotFoundError):
            client_of(s).chat.completions.create(model="flows/unknown", messages=MESSAGES)


def test_nobody_but_the_gateway_reaches_it(tmp_path, provider):
    with serving(tmp_path, answering(), provider, workers=1) as s:
        served = {int(s.process.url.rsplit(":", 1)[1])}
        ports = listening(s.process.process.pid) - served
        assert len(ports) == 1
        url = f"http://127.0.0.1:{ports.pop()}/v1/chat/completions"
        for headers in ({}, {"authorization": f"Bearer {KEY}"}):
            assert httpx.post(url, json={"model": "support", "messages": MESSAGES}, headers=headers).status_code == 401


def test_the_configuration_says_what_is_wrong(tmp_path):
    for fields, words in (({"base_url": "http://x/v1"}, "no \"base_url\""), ({"dialect": "anthropic"}, "OpenAI's dialect"), ({"api_key": "k"}, "has no key")):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({"providers": {"flows": {"pipelines": True} | fields}, "models": {"m": {"targets": ["flows/x"]}}}))
        done = run("check", str(tmp_path / "c.yaml"))
        assert done.returncode != 0 and words in done.stdout + done.stderr, (words, done.stdout + done.stderr)
