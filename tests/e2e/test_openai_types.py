"""
Every answer in OpenAI's words is of OpenAI's published types: checked with the models of the openai package, which are generated from
OpenAI's description of its API. The package itself takes anything; here a name that a model does not have is a failure, at any depth, and so
is a value of another type. What the description requires and the package makes optional, because it may be null, is listed here.
"""

import json
import typing

import pydantic
import pytest
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from test_vendors_openai import ASK, EMBEDDERS, PARAMETERS, RESPONSES_TOOL, TOOL

from conftest import ask, ask_stream
from gateway import FAULTS, VENDORS

SCHEMA = {"name": "tide", "schema": PARAMETERS, "strict": True}
FORCED = {"tools": [TOOL], "tool_choice": "required"}
CHATS = {
    "text": {},
    "cut": {"max_tokens": 5},
    "tools": FORCED,
    "json": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "n": {"n": 2},
}
RESPONSES = {
    "text": {},
    "cut": {"max_output_tokens": 16},
    "tools": {"tools": [RESPONSES_TOOL], "tool_choice": "required"},
    "json": {"text": {"format": {"type": "json_schema"} | SCHEMA}},
    "reasoning": {"reasoning": {"effort": "high", "summary": "auto"}},
}
# May be null, must be there.
REQUIRED = {
    "Choice": ("logprobs",),
    "ChatCompletionMessage": ("content", "refusal"),
    "Response": ("error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"),
}
# What the service answers, and its reference has, although the package lacks it.
UNDESCRIBED = {
    "Response": {"store"},
    "ResponseFunctionCallArgumentsDoneEvent": {"name"},
    # Signatures, where Google's own OpenAI surface has them.
    "ChatCompletionMessage": {"extra_content"},
    "ChatCompletionMessageFunctionToolCall": {"extra_content"},
    "ChoiceDelta": {"extra_content"},
    "ChoiceDeltaToolCall": {"extra_content"},
}
# Speaks Chat Completions itself, so that its bytes are handed on, without "refusal".
RELAYED = {"ollama"}
RELAXED = {"Choice": (), "ChatCompletionMessage": ("content",)}
REQUIRED_IN_CHUNKS = {"Choice": ("finish_reason",)}
# The class of each event: the union itself would list the complaints of all its members.
EVENTS = {typing.get_args(c.model_fields["type"].annotation)[0]: c for c in typing.get_args(typing.get_args(ResponseStreamEvent)[0])}


def check(type_, tree, required=None):
    """`tree` as a `type_`, strictly."""
    found = pydantic.TypeAdapter(type_).validate_python(tree, strict=True)
    _check_closed(found, type_.__name__, required or REQUIRED)
    return found


def _check_closed(value, where, required):
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_closed(item, f"{where}[{i}]", required)
    if not isinstance(value, pydantic.BaseModel):
        return
    kind = type(value).__name__
    more = set(value.model_extra) - UNDESCRIBED.get(kind, set())
    assert not more, f"{where} has {sorted(more)}, which {kind} has not"
    missing = set(required.get(kind, ())) - value.model_fields_set
    assert not missing, f"{where} lacks {sorted(missing)}"
    for name in value.model_fields_set:
        _check_closed(getattr(value, name), f"{where}.{name}", required)


def test_the_check_finds_what_it_is_for():
    message = {"role": "assistant", "content": "x", "refusal": None}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    assert check(ChatCompletion, answer)
    for broken in (
        answer | {"id": None},
        answer | {"more": 1},
        answer | {"created": "1"},
        answer | {"choices": [choice | {"finish_reason": "end_turn"}]},
        answer | {"choices": [choice | {"message": message | {"more": 1}}]},
        answer | {"choices": [choice | {"message": {"role": "assistant", "content": "x"}}]},
    ):
        with pytest.raises((AssertionError, pydantic.ValidationError)):
            check(ChatCompletion, broken)


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_answer(self, vendors, vendor, kind):
        status, answer = ask(vendors, "/v1/chat/completions", {"model": vendor, "messages": ASK} | CHATS[kind])
        assert status == 200, answer
        found = check(ChatCompletion, answer, RELAXED if vendor in RELAYED else REQUIRED)
        assert found.usage and len(found.choices) == CHATS[kind].get("n", 1)
        assert [c.index for c in found.choices] == list(range(len(found.choices)))

    @pytest.mark.parametrize("usage", [False, True])
    def test_stream(self, vendors, vendor, kind, usage):
        body = {"model": vendor, "messages": ASK, "stream": True} | CHATS[kind]
        if usage:
            body["stream_options"] = {"include_usage": True}
        events = ask_stream(vendors, "/v1/chat/completions", body)
        assert events[-1] == (None, "[DONE]") and all(name is None for name, _ in events)
        chunks = [check(ChatCompletionChunk, json.loads(data), REQUIRED_IN_CHUNKS) for _, data in events[:-1]]
        assert len({c.id for c in chunks}) == len({c.model for c in chunks}) == len({c.created for c in chunks}) == 1
        choices = [c for chunk in chunks for c in chunk.choices]
        count = CHATS[kind].get("n", 1)
        assert sorted(c.index for c in choices if c.finish_reason) == list(range(count))
        assert sorted(c.index for c in choices if c.delta.role) == list(range(count))
        assert [bool(c.usage) for c in chunks] == [False] * (len(chunks) - 1) + [usage]
        assert not usage or chunks[-1].choices == []


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize("vendor", VENDORS)
class TestResponses:
    def test_answer(self, vendors, vendor, kind):
        status, answer = ask(vendors, "/v1/responses", {"model": vendor, "input": "The tide in Brest?"} | RESPONSES[kind])
        assert status == 200, answer
        found = check(Response, answer)
        assert found.status == ("incomplete" if kind == "cut" else "completed")

    def test_stream(self, vendors, vendor, kind):
        body = {"model": vendor, "input": "The tide in Brest?", "stream": True} | RESPONSES[kind]
        events = [(name, data) for name, data in ask_stream(vendors, "/v1/responses", body) if data != "[DONE]"]
        found = [check(EVENTS[name], json.loads(data)) for name, data in events]
        assert [name for name, _ in events] == [e.type for e in found]
        assert [e.sequence_number for e in found] == list(range(len(found)))
        assert [e.type for e in found[:2]] == ["response.created", "response.in_progress"]
        assert found[-1].type == ("response.incomplete" if kind == "cut" else "response.completed")
        check_items(found)


def check_items(events):
    """Items and their parts open and close in order, and the final answer holds what was streamed."""
    done = {}
    for event in events:
        if event.type == "response.output_item.added":
            assert event.output_index == len(done)
        if event.type == "response.output_item.done":
            assert event.output_index not in done
            done[event.output_index] = event.item
    assert list(done) == list(range(len(done))) and done
    assert events[-1].response.output == list(done.values())
    ids = {event.item_id for event in events if hasattr(event, "item_id")}
    assert ids <= {item.id for item in done.values()}


@pytest.mark.parametrize("vendor", VENDORS)
def test_legacy_completion(vendors, vendor):
    body = {"model": vendor, "prompt": "Once upon a time", "max_tokens": 50}
    status, answer = ask(vendors, "/v1/completions", body)
    assert status == 200, answer
    assert check(Completion, answer).usage
    events = ask_stream(vendors, "/v1/completions", body | {"stream": True})
    assert events[-1] == (None, "[DONE]")
    for _, data in events[:-1]:
        check(Completion, json.loads(data) | {"choices": [c | {"finish_reason": c["finish_reason"] or "stop"} for c in json.loads(data)["choices"]]})


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings(vendors, vendor):
    status, answer = ask(vendors, "/v1/embeddings", {"model": vendor, "input": ["a", "b"]})
    assert status == 200, answer
    check(CreateEmbeddingResponse, answer)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"broken"}))
@pytest.mark.parametrize("vendor", VENDORS)
def test_error(vendors, vendor, fault, path):
    status, answer = ask(vendors, path, {"model": f"{vendor}-{fault}", "messages": ASK, "input": "x"})
    assert status in {"refused": [400], "limited": [429], "failing": [500, 502]}[fault]
    assert list(answer) == ["error"]
    error = answer["error"]
    pydantic.TypeAdapter(ErrorObject).validate_python(error, strict=True)
    assert set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"]


def test_models(vendors):
    status, answer = ask(vendors, "/v1/models")
    assert status == 200 and answer["object"] == "list"
    assert {check(Model, m).id for m in answer["data"]} >= set(VENDORS)
