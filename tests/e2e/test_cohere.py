"""Cohere's SDK for Python (API v2), to models of every vendor."""

import json

import cohere
import httpx
import pytest
from cohere.core.api_error import ApiError

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
PARAMETERS = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_tide", "description": "Tide height", "parameters": PARAMETERS}}
EMBEDDERS = [v for v in ("openai", "mistral", "gemini", "cohere", "ollama") if v in VENDORS]


@pytest.fixture
def client(vendors):
    return cohere.ClientV2(base_url=vendors.url, api_key=KEY, max_retries=0)


def text_of(message):
    return "".join(part.text for part in message.content or [] if part.type == "text")


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.chat(model=vendor, messages=ASK, max_tokens=500)
        assert text_of(plain.message).startswith("[simulated]")
        assert plain.finish_reason == "COMPLETE" and plain.usage.tokens.output_tokens > 5
        events = list(client.chat_stream(model=vendor, messages=ASK, max_tokens=500))
        deltas = [e.delta.message.content for e in events if e.type == "content-delta"]
        assert "".join(c.text or "" for c in deltas) == text_of(plain.message)
        assert events[0].type == "message-start" and events[-1].type == "message-end"
        assert events[-1].delta.finish_reason == "COMPLETE" and events[-1].delta.usage.tokens.output_tokens > 5

    def test_agent_of_two_rounds(self, client, vendor):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            said = client.chat(model=vendor, messages=messages, tools=[TOOL], tool_choice="REQUIRED")
            assert said.finish_reason == "TOOL_CALL"
            call = said.message.tool_calls[0]
            assert call.function.name == "get_tide" and set(json.loads(call.function.arguments)) == {"port"}
            messages += [
                {"role": "assistant", "tool_calls": said.message.tool_calls, "tool_plan": said.message.tool_plan},
                {"role": "tool", "tool_call_id": call.id, "content": f"{round_}.2 m"},
            ]
        final = client.chat(model=vendor, messages=messages, tools=[TOOL], tool_choice="NONE")
        assert text_of(final.message) and final.finish_reason == "COMPLETE"

    def test_streamed_tool_call(self, client, vendor):
        needs_forcing(vendor)
        events = list(client.chat_stream(model=vendor, messages=ASK, tools=[TOOL], tool_choice="REQUIRED"))
        starts = [e.delta.message.tool_calls for e in events if e.type == "tool-call-start"]
        pieces = [e.delta.message.tool_calls.function.arguments for e in events if e.type == "tool-call-delta"]
        assert [s.function.name for s in starts] == ["get_tide"]
        assert set(json.loads((starts[0].function.arguments or "") + "".join(pieces))) == {"port"}
        assert events[-1].delta.finish_reason == "TOOL_CALL"

    def test_structured_output(self, client, vendor):
        format_ = {"type": "json_object", "json_schema": PARAMETERS}
        assert set(json.loads(text_of(client.chat(model=vendor, messages=ASK, response_format=format_).message))) == {"port"}

    @pytest.mark.parametrize(
        "fault, error",
        [
            ("refused", cohere.BadRequestError),
            ("limited", cohere.TooManyRequestsError),
            ("failing", (cohere.InternalServerError, ApiError)),
        ],
    )
    def test_errors_have_their_class(self, client, vendor, fault, error):
        with pytest.raises(error) as caught:
            client.chat(model=f"{vendor}-{fault}", messages=ASK)
        assert caught.value.body["message"]
        if fault == "failing":
            assert caught.value.status_code >= 500

    def test_a_broken_stream_never_ends_well(self, client, vendor):
        finish = []
        try:
            for event in client.chat_stream(model=f"{vendor}-broken", messages=ASK):
                finish += [event.delta.finish_reason] if event.type == "message-end" else []
        except (httpx.HTTPError, ApiError):
            finish.append("raised")
        assert finish in (["raised"], ["ERROR"], ["ERROR", "raised"])


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings(client, vendor):
    answer = client.embed(
        model=vendor, texts=["a", "b", "a"], input_type="search_document", embedding_types=["float"]
    )
    a, b, again = answer.embeddings.float_
    assert a == again != b


def test_rerank(client):
    found = client.rerank(model="cohere", query="the tide in Brest", documents=["a cake", "the tide in Brest"], top_n=1)
    assert [r.index for r in found.results] == [1] and 0 <= found.results[0].relevance_score <= 1


def test_a_wrong_key_and_an_unknown_model(vendors, client):
    stranger = cohere.ClientV2(base_url=vendors.url, api_key="wrong", max_retries=0)
    with pytest.raises(cohere.UnauthorizedError):
        stranger.chat(model="openai", messages=ASK)
    with pytest.raises(cohere.NotFoundError):
        client.chat(model="nope", messages=ASK)


def test_models_and_tokens(client):
    assert set(VENDORS) <= {m.name for m in client.models.list(page_size=1000).models}
    assert client.tokenize(text="What is the tide?", model="cohere", offline=False).tokens
