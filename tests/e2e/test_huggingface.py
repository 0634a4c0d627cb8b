"""Hugging Face's Inference client for Python, to models of every vendor."""

import json

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_tide",
        "description": "Tide height",
        "parameters": {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]},
    },
}


@pytest.fixture
def client(vendors):
    with InferenceClient(base_url=vendors.url + "/v1", api_key=KEY) as c:
        yield c


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.chat_completion(ASK, model=vendor, max_tokens=500)
        assert plain.choices[0].message.content.startswith("[simulated]")
        chunks = list(client.chat_completion(ASK, model=vendor, max_tokens=500, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == plain.choices[0].message.content
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"

    def test_agent_of_two_rounds(self, client, vendor):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            said = client.chat_completion(messages, model=vendor, tools=[TOOL], tool_choice="required")
            call = said.choices[0].message.tool_calls[0]
            assert call.function.name == "get_tide" and set(json.loads(call.function.arguments)) == {"port"}
            messages.append({"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": dict(call.function)}]})
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{round_}.2 m"})
        final = client.chat_completion(messages, model=vendor, tools=[TOOL], tool_choice="none")
        assert final.choices[0].message.content and final.choices[0].finish_reason == "stop"

    @pytest.mark.parametrize("fault, status", [("refused", 400), ("limited", 429)])
    def test_errors_have_their_status(self, client, vendor, fault, status):
        with pytest.raises(HfHubHTTPError) as caught:
            client.chat_completion(ASK, model=f"{vendor}-{fault}")
        assert caught.value.response.status_code == status


def test_a_wrong_key_and_an_unknown_model(vendors, client):
    with InferenceClient(base_url=vendors.url + "/v1", api_key="wrong") as c:
        with pytest.raises(HfHubHTTPError) as caught:
            c.chat_completion(ASK, model="openai")
    assert caught.value.response.status_code == 401
    with pytest.raises(HfHubHTTPError) as caught:
        client.chat_completion(ASK, model="nope")
    assert caught.value.response.status_code == 404
