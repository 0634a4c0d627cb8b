"""Ollama's SDK for Python, to models of every vendor."""

import ollama
import pydantic
import pytest

from gateway import KEY, VENDORS

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
EMBEDDERS = [v for v in ("openai", "mistral", "gemini", "cohere", "ollama") if v in VENDORS]


class Tide(pydantic.BaseModel):
    port: str
    height: float


def get_tide(port: str) -> str:
    """Tide height at a port.

    Args:
        port: its name
    """
    return f"3.2 m at {port}"


@pytest.fixture
def client(vendors):
    return ollama.Client(host=vendors.url, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.chat(model=vendor, messages=ASK)
        assert plain.message.content.startswith("[simulated]") and plain.done and plain.done_reason == "stop"
        assert plain.eval_count > 5 and plain.prompt_eval_count > 5
        pieces = list(client.chat(model=vendor, messages=ASK, stream=True))
        assert "".join(p.message.content or "" for p in pieces) == plain.message.content
        assert [p.done for p in pieces] == [False] * (len(pieces) - 1) + [True]
        assert pieces[-1].done_reason == "stop" and len(pieces) > 3

    def test_a_cut_answer_says_so(self, client, vendor):
        assert client.chat(model=vendor, messages=ASK, options={"num_predict": 5}).done_reason == "length"

    def test_generate(self, client, vendor):
        plain = client.generate(model=vendor, prompt="Once upon a time")
        assert plain.response
        assert "".join(p.response for p in client.generate(model=vendor, prompt="Once upon a time", stream=True)) == plain.response

    def test_tool_results_are_answered(self, client, vendor):
        """Nothing in this dialect forces a call, so the first one is given."""
        call = {"function": {"name": "get_tide", "arguments": {"port": "Brest"}}}
        messages = ASK + [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_name": "get_tide", "content": get_tide("Brest")},
        ]
        said = client.chat(model=vendor, messages=messages, tools=[get_tide]).message
        assert said.content or said.tool_calls

    def test_structured_output(self, client, vendor):
        answer = client.chat(model=vendor, messages=ASK, format=Tide.model_json_schema())
        assert isinstance(Tide.model_validate_json(answer.message.content), Tide)

    @pytest.mark.parametrize("fault, status", [("refused", 400), ("limited", 429), ("failing", 500)])
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_have_their_status(self, client, vendor, fault, status, stream):
        with pytest.raises(ollama.ResponseError) as caught:
            answer = client.chat(model=f"{vendor}-{fault}", messages=ASK, stream=stream)
            list(answer)
        assert caught.value.status_code in (status, 502 if status == 500 else status) and caught.value.error

    def test_a_stream_that_breaks_raises(self, client, vendor):
        done = []
        with pytest.raises((ollama.ResponseError, ConnectionError)):
            done += [p.done for p in client.chat(model=f"{vendor}-broken", messages=ASK, stream=True)]
        assert not any(done)


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings(client, vendor):
    a, b, again = client.embed(model=vendor, input=["a", "b", "a"]).embeddings
    assert a == again != b
    assert client.embeddings(model=vendor, prompt="a").embedding


def test_a_wrong_key_and_an_unknown_model(vendors, client):
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client(host=vendors.url, headers={"authorization": "Bearer wrong"}).chat(model="openai", messages=ASK)
    assert caught.value.status_code == 401
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat(model="nope", messages=ASK)
    assert caught.value.status_code == 404


def test_models(client):
    assert set(VENDORS) <= {m.model for m in client.list().models}
    assert client.show("openai")
