"""Mistral's SDK for Python, to models of every vendor."""

import json

import httpx
import pydantic
import pytest
from mistralai.client import Mistral, errors

from conftest import needs_forcing
from gateway import KEY, VENDORS

EMBEDDERS = [v for v in ("openai", "mistral", "gemini", "cohere", "ollama") if v in VENDORS]
ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_tide",
        "description": "Tide height",
        "parameters": {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]},
    },
}


class Tide(pydantic.BaseModel):
    port: str
    height: float


@pytest.fixture
def client(vendors):
    with Mistral(server_url=vendors.url, api_key=KEY) as c:
        yield c


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.chat.complete(model=vendor, messages=ASK, max_tokens=500)
        assert plain.choices[0].message.content.startswith("[simulated]")
        assert plain.choices[0].finish_reason == "stop"
        chunks = [event.data for event in client.chat.stream(model=vendor, messages=ASK, max_tokens=500)]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == plain.choices[0].message.content
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"

    def test_agent_of_two_rounds(self, client, vendor):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            said = client.chat.complete(model=vendor, messages=messages, tools=[TOOL], tool_choice="required")
            assert said.choices[0].finish_reason == "tool_calls"
            call = said.choices[0].message.tool_calls[0]
            assert call.function.name == "get_tide" and set(json.loads(call.function.arguments)) == {"port"}
            result = {"role": "tool", "name": "get_tide", "tool_call_id": call.id, "content": f"{round_}.2 m"}
            messages += [said.choices[0].message, result]
        final = client.chat.complete(model=vendor, messages=messages, tools=[TOOL], tool_choice="none")
        assert final.choices[0].message.content and final.choices[0].finish_reason == "stop"

    def test_any_tool_is_a_tool(self, client, vendor):
        needs_forcing(vendor)
        said = client.chat.complete(model=vendor, messages=ASK, tools=[TOOL], tool_choice="any", random_seed=7)
        assert said.choices[0].message.tool_calls[0].function.name == "get_tide"

    def test_structured_output(self, client, vendor):
        answer = client.chat.parse(Tide, model=vendor, messages=ASK)
        assert isinstance(answer.choices[0].message.parsed, Tide)

    @pytest.mark.parametrize("fault, status", [("refused", 400), ("limited", 429), ("failing", 500)])
    def test_errors_have_their_status(self, client, vendor, fault, status):
        with pytest.raises(errors.MistralError) as caught:
            client.chat.complete(model=f"{vendor}-{fault}", messages=ASK)
        assert caught.value.status_code in (status, 502 if status == 500 else status)
        assert json.loads(caught.value.body)["error"]["message"]

    def test_a_broken_stream_never_ends_well(self, client, vendor):
        reasons = []
        with pytest.raises((errors.MistralError, httpx.HTTPError, pydantic.ValidationError)):
            for event in client.chat.stream(model=f"{vendor}-broken", messages=ASK):
                reasons += [c.finish_reason for c in event.data.choices if c.finish_reason]
        assert not reasons


def test_a_wrong_key_and_an_unknown_model(vendors, client):
    with Mistral(server_url=vendors.url, api_key="wrong") as c:
        with pytest.raises(errors.MistralError) as caught:
            c.chat.complete(model="openai", messages=ASK)
    assert caught.value.status_code == 401
    with pytest.raises(errors.MistralError) as caught:
        client.chat.complete(model="nope", messages=ASK)
    assert caught.value.status_code == 404


def test_models_are_cards(client):
    listed = {card.id: card for card in client.models.list().data}
    assert set(VENDORS) <= set(listed)
    one = client.models.retrieve(model_id="openai")
    assert listed["openai"].type == one.type == "base" and one.capabilities.completion_chat


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings(client, vendor):
    answer = client.embeddings.create(model=vendor, inputs=["a", "b", "a"])
    a, b, again = (item.embedding for item in answer.data)
    assert a == again != b and answer.id and answer.usage
