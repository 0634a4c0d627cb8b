"""The official OpenAI SDK for Python, to models of every vendor: what was asked in OpenAI's words is answered in them, whoever answers."""

import json

import openai
import pydantic
import pytest

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the tide in Brest?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"port": {"type": "string"}, "metres": {"type": "boolean"}},
    "required": ["port", "metres"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_tide", "description": "Tide height", "parameters": PARAMETERS}}
RESPONSES_TOOL = {"type": "function", "name": "get_tide", "description": "Tide height", "parameters": PARAMETERS, "strict": True}
EMBEDDERS = [v for v in ("openai", "mistral", "gemini", "cohere", "ollama") if v in VENDORS]


class Tide(pydantic.BaseModel):
    port: str
    height: float
    rising: bool


@pytest.fixture
def client(vendors):
    with openai.OpenAI(base_url=vendors.url + "/v1", api_key=KEY, max_retries=0) as c:
        yield c


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_plain(self, client, vendor):
        answer = client.chat.completions.create(model=vendor, messages=ASK, max_tokens=500)
        assert answer.choices[0].message.content.startswith("[simulated]")
        assert "What is the tide in Brest?" in answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens > 5 and answer.usage.completion_tokens > 5
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens

    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.chat.completions.create(model=vendor, messages=ASK)
        stream = client.chat.completions.create(
            model=vendor, messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == plain.choices[0].message.content
        assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
        assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage
        assert len(chunks) > 4, "a stream in one piece"

    def test_a_cut_answer_says_so(self, client, vendor):
        answer = client.chat.completions.create(model=vendor, messages=ASK, max_tokens=5)
        assert answer.choices[0].finish_reason == "length"

    def test_agent_of_two_rounds(self, client, vendor):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            said = client.chat.completions.create(model=vendor, messages=messages, tools=[TOOL], tool_choice="required")
            assert said.choices[0].finish_reason == "tool_calls", round_
            call = said.choices[0].message.tool_calls[0]
            assert call.function.name == "get_tide"
            assert set(json.loads(call.function.arguments)) == {"port", "metres"}
            messages += [said.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": f"{round_}.2 m"}]
        final = client.chat.completions.create(model=vendor, messages=messages, tools=[TOOL], tool_choice="none")
        assert final.choices[0].finish_reason == "stop"
        assert final.choices[0].message.content and not final.choices[0].message.tool_calls

    def test_streamed_tool_call_can_be_answered(self, client, vendor):
        needs_forcing(vendor)
        with client.chat.completions.stream(model=vendor, messages=ASK, tools=[TOOL], tool_choice="required") as stream:
            done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
            message = stream.get_final_completion().choices[0].message
        assert done[0].name == "get_tide" and set(done[0].parsed_arguments or json.loads(done[0].arguments)) == {"port", "metres"}
        call = message.tool_calls[0]
        messages = ASK + [
            {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": dict(call.function.to_dict(), parsed_arguments=None)}]},
            {"role": "tool", "tool_call_id": call.id, "content": "3.2 m"},
        ]
        messages[-2]["tool_calls"][0]["function"].pop("parsed_arguments")
        assert client.chat.completions.create(model=vendor, messages=messages, tools=[TOOL]).choices[0].message.content

    def test_structured_output(self, client, vendor):
        answer = client.chat.completions.parse(model=vendor, messages=ASK, response_format=Tide)
        assert isinstance(answer.choices[0].message.parsed, Tide)
        assert answer.choices[0].finish_reason == "stop" and not answer.choices[0].message.tool_calls

    @pytest.mark.parametrize(
        "fault, error",
        [("refused", openai.BadRequestError), ("limited", openai.RateLimitError), ("failing", openai.InternalServerError)],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_have_their_class(self, client, vendor, fault, error, stream):
        with pytest.raises(error) as caught:
            client.chat.completions.create(model=f"{vendor}-{fault}", messages=ASK, stream=stream)
        assert isinstance(caught.value.body, dict) and caught.value.body["message"]
        assert caught.value.request_id
        if fault == "limited" and vendor != "bedrock":  # which cannot say when to come back
            assert caught.value.response.headers["retry-after"] in {"1", "2"}  # less where another test was told already

    def test_a_stream_that_breaks_raises(self, client, vendor):
        received = ""
        with pytest.raises(openai.APIError):
            for chunk in client.chat.completions.create(model=f"{vendor}-broken", messages=ASK, stream=True):
                received += chunk.choices[0].delta.content or ""
                assert not chunk.choices[0].finish_reason
        assert "[simulated]".startswith(received[:4])

    def test_completions_of_several_prompts(self, client, vendor):
        answer = client.completions.create(model=vendor, prompt=["Once upon a time", "Twice"], n=2, max_tokens=200, echo=True)
        assert [c.index for c in answer.choices] == [0, 1, 2, 3]
        begins = ["Once upon a time", "Once upon a time", "Twice", "Twice"]
        for choice, begin in zip(answer.choices, begins, strict=True):
            assert choice.text.startswith(begin) and len(choice.text) > len(begin)

    def test_legacy_completion(self, client, vendor):
        plain = client.completions.create(model=vendor, prompt="Once upon a time", max_tokens=200)
        chunks = client.completions.create(model=vendor, prompt="Once upon a time", max_tokens=200, stream=True)
        assert plain.choices[0].text
        assert "".join(c.choices[0].text for c in chunks if c.choices) == plain.choices[0].text


@pytest.mark.parametrize("vendor", VENDORS)
class TestResponses:
    def test_plain(self, client, vendor):
        answer = client.responses.create(model=vendor, input="What is the tide?", instructions="Be brief.")
        assert answer.output_text.startswith("[simulated]")
        assert answer.status == "completed"
        assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 5

    def test_stream(self, client, vendor):
        plain = client.responses.create(model=vendor, input="What is the tide?")
        with client.responses.stream(model=vendor, input="What is the tide?") as stream:
            events = list(stream)
            final = stream.get_final_response()
        assert [e.sequence_number for e in events] == list(range(len(events)))
        assert events[0].type == "response.created" and events[-1].type == "response.completed"
        deltas = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        assert deltas == final.output_text == plain.output_text

    @pytest.mark.parametrize("history", ["whole", "previous"])
    def test_agent_of_two_rounds(self, client, vendor, history):
        needs_forcing(vendor)
        if (vendor, history) == ("openai", "previous"):
            pytest.skip("a provider of this API keeps its own; the simulated one does so for each event loop apart")
        new = [{"role": "user", "content": "What is the tide in Brest?"}]
        asked, previous = [], {}
        for result in ("3.2 m", "4.1 m"):
            asked = asked + new if history == "whole" else new
            said = client.responses.create(model=vendor, input=asked, tools=[RESPONSES_TOOL], tool_choice="required", **previous)
            call = next(item for item in said.output if item.type == "function_call")
            assert set(json.loads(call.arguments)) == {"port", "metres"}
            new = [{"type": "function_call_output", "call_id": call.call_id, "output": result}]
            if history == "whole":
                asked = asked + [item.to_dict() for item in said.output]
            else:
                previous = {"previous_response_id": said.id}
        asked = asked + new if history == "whole" else new
        final = client.responses.create(model=vendor, input=asked, tools=[RESPONSES_TOOL], tool_choice="none", **previous)
        assert final.status == "completed" and "4.1 m" in final.output_text

    def test_an_item_can_be_referred_to_by_its_id(self, client, vendor):
        needs_forcing(vendor)
        if vendor == "openai":
            pytest.skip("a provider of this API keeps its own; the simulated one keeps no items")
        first = client.responses.create(model=vendor, input="Brest?", tools=[RESPONSES_TOOL], tool_choice="required")
        call = next(item for item in first.output if item.type == "function_call")
        asked = [
            {"role": "user", "content": "Brest?"},
            {"type": "item_reference", "id": call.id},
            {"type": "function_call_output", "call_id": call.call_id, "output": "3.2 m"},
        ]
        final = client.responses.create(model=vendor, input=asked, tools=[RESPONSES_TOOL], tool_choice="none")
        assert final.output_text
        client.responses.delete(first.id)
        with pytest.raises(openai.BadRequestError, match="not known"):
            client.responses.create(model=vendor, input=asked, tools=[RESPONSES_TOOL])

    def test_structured_output(self, client, vendor):
        assert isinstance(client.responses.parse(model=vendor, input="Brest?", text_format=Tide).output_parsed, Tide)

    def test_a_stream_that_breaks_raises_or_fails(self, client, vendor):
        types = []
        with pytest.raises(openai.APIError):
            for event in client.responses.create(model=f"{vendor}-broken", input="Brest?", stream=True):
                types.append(event.type)
                if event.type in ("response.failed", "error"):
                    raise openai.APIError("told by an event", request=None, body=None)
        assert "response.completed" not in types


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings_floats_and_base64_agree(client, vendor):
    decoded = client.embeddings.create(model=vendor, input=["a", "b"])
    floats = client.embeddings.create(model=vendor, input=["a", "b"], encoding_format="float")
    assert [d.index for d in floats.data] == [0, 1]
    assert floats.data[0].embedding != floats.data[1].embedding
    for one, other in zip(decoded.data, floats.data):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-5)
    assert floats.usage.prompt_tokens > 0 or vendor == "gemini", "which does not count them"


def test_a_wrong_key_is_an_authentication_error(vendors):
    with openai.OpenAI(base_url=vendors.url + "/v1", api_key="wrong", max_retries=0) as c:
        with pytest.raises(openai.AuthenticationError):
            c.chat.completions.create(model="openai", messages=ASK)
        with pytest.raises(openai.AuthenticationError):
            c.models.list()


def test_an_unknown_model_is_not_found(client):
    for ask in (
        lambda: client.chat.completions.create(model="nope", messages=ASK),
        lambda: client.responses.create(model="nope", input="?"),
        lambda: client.embeddings.create(model="nope", input="?"),
        lambda: client.models.retrieve("nope"),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()


def test_models_of_all_vendors_are_listed(client):
    assert set(VENDORS) <= {m.id for m in client.models.list()}
