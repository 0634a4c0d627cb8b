"""The official Anthropic SDK for Python, to models of every vendor, with nothing changed but base URL, key and model."""

import json

import anthropic
import pydantic
import pytest

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
TOOL = {
    "name": "get_tide",
    "description": "Tide height",
    "input_schema": {
        "type": "object",
        "properties": {"port": {"type": "string"}, "metres": {"type": "boolean"}},
        "required": ["port", "metres"],
        "additionalProperties": False,
    },
}


class Tide(pydantic.BaseModel):
    port: str
    height: float
    rising: bool


@pytest.fixture
def client(vendors):
    with anthropic.Anthropic(base_url=vendors.url, api_key=KEY, max_retries=0) as c:
        yield c


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("vendor", VENDORS)
class TestMessages:
    def test_plain(self, client, vendor):
        answer = client.messages.create(model=vendor, max_tokens=500, system="Be brief.", messages=ASK)
        assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
        assert text_of(answer).startswith("[simulated]") and "What is the tide in Brest?" in text_of(answer)
        assert answer.stop_reason == "end_turn" and answer.stop_sequence is None
        assert answer.usage.input_tokens > 5 and answer.usage.output_tokens > 5
        assert answer._request_id

    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.messages.create(model=vendor, max_tokens=500, messages=ASK)
        with client.messages.stream(model=vendor, max_tokens=500, messages=ASK) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text == text_of(final) == text_of(plain)
        assert final.stop_reason == "end_turn"
        assert final.usage.output_tokens == plain.usage.output_tokens > 5

    def test_events_come_in_the_documented_order(self, client, vendor):
        types = [e.type for e in client.messages.create(model=vendor, max_tokens=500, messages=ASK, stream=True)]
        types = [t for t in types if t != "ping"]
        assert types[:2] == ["message_start", "content_block_start"] and types.count("message_start") == 1
        assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert types.count("content_block_start") == types.count("content_block_stop")

    def test_a_cut_answer_says_so(self, client, vendor):
        assert client.messages.create(model=vendor, max_tokens=5, messages=ASK).stop_reason == "max_tokens"

    def test_stop_sequence(self, client, vendor):
        answer = client.messages.create(model=vendor, max_tokens=500, messages=ASK, stop_sequences=["tide"])
        assert "tide" not in text_of(answer) and text_of(answer)
        assert answer.stop_reason in ("stop_sequence", "end_turn")

    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, client, vendor, streamed):
        needs_forcing(vendor)
        def say(**more):
            asked = {"model": vendor, "max_tokens": 500, "messages": messages, "tools": [TOOL]} | more
            if not streamed:
                return client.messages.create(**asked)
            with client.messages.stream(**asked) as stream:
                return stream.get_final_message()

        messages = list(ASK)
        for round_ in range(2):
            said = say(tool_choice={"type": "any"})
            assert said.stop_reason == "tool_use"
            use = next(block for block in said.content if block.type == "tool_use")
            assert use.name == "get_tide" and set(use.input) == {"port", "metres"}
            result = {"type": "tool_result", "tool_use_id": use.id, "content": f"{round_}.2 m"}
            messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        final = say(tool_choice={"type": "none"})
        assert final.stop_reason == "end_turn" and text_of(final)

    def test_failed_tool_results_reach_the_model(self, client, vendor):
        use = {"type": "tool_use", "id": "toolu_01", "name": "get_tide", "input": {"port": "Brest", "metres": True}}
        result = {"type": "tool_result", "tool_use_id": "toolu_01", "is_error": True, "content": [{"type": "text", "text": "no"}]}
        messages = ASK + [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        assert text_of(client.messages.create(model=vendor, max_tokens=500, messages=messages, tools=[TOOL]))

    def test_structured_output(self, client, vendor):
        answer = client.messages.parse(model=vendor, max_tokens=500, messages=ASK, output_format=Tide)
        assert isinstance(answer.parsed_output, Tide) and answer.stop_reason == "end_turn"

    @pytest.mark.parametrize(
        "fault, error, type_",
        [
            ("refused", anthropic.BadRequestError, "invalid_request_error"),
            ("limited", anthropic.RateLimitError, "rate_limit_error"),
            ("failing", anthropic.InternalServerError, "api_error"),
        ],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_have_their_class(self, client, vendor, fault, error, type_, stream):
        with pytest.raises(error) as caught:
            client.messages.create(model=f"{vendor}-{fault}", max_tokens=100, messages=ASK, stream=stream)
        assert caught.value.body["type"] == "error" and caught.value.body["error"]["type"] == type_
        assert caught.value.body["error"]["message"] and caught.value.request_id
        if vendor != "anthropic":  # whose own bodies pass as they are
            assert caught.value.body["request_id"] == caught.value.request_id
        if fault == "limited" and vendor != "bedrock":  # which cannot say when to come back
            assert caught.value.response.headers["retry-after"] in {"1", "2"}  # less where another test was told already

    def test_a_stream_that_breaks_raises(self, client, vendor):
        types = []
        with pytest.raises(anthropic.APIError):
            for event in client.messages.create(model=f"{vendor}-broken", max_tokens=100, messages=ASK, stream=True):
                types.append(event.type)
        assert "message_stop" not in types and "message_delta" not in types

    def test_count_tokens(self, client, vendor):
        if vendor == "bedrock":
            pytest.skip("counts at the provider, and the simulated one does not")
        few = client.messages.count_tokens(model=vendor, messages=ASK).input_tokens
        many = client.messages.count_tokens(model=vendor, messages=ASK, system="Be brief. " * 50, tools=[TOOL]).input_tokens
        assert 0 < few < 60 < many


def test_the_tool_runner_ends_with_an_answer(client):
    calls = []

    @anthropic.beta_tool
    def get_tide(port: str) -> str:
        """Tide height at a port.

        Args:
            port: its name
        """
        calls.append(port)
        return "3.2 m"

    for vendor in VENDORS:
        calls.clear()
        runner = client.beta.messages.tool_runner(
            model=vendor, max_tokens=500, messages=ASK, tools=[get_tide], tool_choice={"type": "auto"}, max_iterations=4
        )
        assert text_of(runner.until_done()), vendor


def test_thinking_survives_the_way_back(client):
    """What Claude thought comes back signed on the next turn; its simulator verifies that."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    said = client.messages.create(model="anthropic", max_tokens=4000, messages=ASK, thinking=thinking, tools=[TOOL])
    assert said.content[0].type == "thinking" and said.content[0].signature
    messages = ASK + [{"role": "assistant", "content": said.content}]
    uses = [block for block in said.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "3.2 m"} for use in uses]
    messages.append({"role": "user", "content": results or "And tomorrow?"})
    again = client.messages.create(model="anthropic", max_tokens=4000, messages=messages, thinking=thinking, tools=[TOOL])
    assert again.content


def test_foreign_thinking_is_shown_as_thinking(client):
    for vendor in set(VENDORS) & {"gemini", "bedrock", "cohere", "ollama"}:
        said = client.messages.create(
            model=vendor, max_tokens=4000, messages=ASK, thinking={"type": "enabled", "budget_tokens": 2048}
        )
        assert [b.type for b in said.content] == ["thinking", "text"], vendor
        follow = ASK + [{"role": "assistant", "content": said.content}, {"role": "user", "content": "And tomorrow?"}]
        assert text_of(client.messages.create(model=vendor, max_tokens=4000, messages=follow)), vendor


def test_a_wrong_key_is_an_authentication_error(vendors):
    for credential in ({"api_key": "wrong"}, {"auth_token": "wrong", "api_key": None}):
        with anthropic.Anthropic(base_url=vendors.url, max_retries=0, **credential) as c:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                c.messages.create(model="openai", max_tokens=9, messages=ASK)
            assert caught.value.body["error"]["type"] == "authentication_error"


def test_a_bearer_token_is_taken_as_well(vendors):
    with anthropic.Anthropic(base_url=vendors.url, auth_token=KEY, api_key=None, max_retries=0) as c:
        assert text_of(c.messages.create(model="openai", max_tokens=100, messages=ASK))


def test_an_unknown_model_is_not_found(client):
    for ask in (
        lambda: client.messages.create(model="nope", max_tokens=9, messages=ASK),
        lambda: client.messages.count_tokens(model="nope", messages=ASK),
        lambda: client.models.retrieve("nope"),
    ):
        with pytest.raises(anthropic.NotFoundError) as caught:
            ask()
        assert caught.value.body["error"]["type"] == "not_found_error"


def test_models_are_listed_in_pages(client):
    ids = [m.id for m in client.models.list(limit=2)]
    assert set(VENDORS) <= set(ids) and len(ids) == len(set(ids))
    model = client.models.retrieve("openai")
    assert model.id == "openai" and model.type == "model" and model.display_name


@pytest.mark.parametrize("vendor", VENDORS)
def test_answers_are_of_the_published_types(client, vendor):
    """As strictly as the SDK's own models can say: its events are closed, and every member that it requires is there."""
    raw = client.messages.with_raw_response.create(model=vendor, max_tokens=500, messages=ASK).http_response.text
    check(anthropic.types.Message, json.loads(raw))
    with client.messages.with_streaming_response.create(model=vendor, max_tokens=500, messages=ASK, stream=True) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines]
    for event in events:
        if event["type"] != "ping":
            check(anthropic.types.RawMessageStreamEvent, event)
    assert events[-1]["type"] == "message_stop"


def check(type_, tree):
    found = pydantic.TypeAdapter(type_).validate_python(tree, strict=True)
    extras(found, "answer")


# What the service has in a message's usage, it also has in a stream's.
UNDESCRIBED = {"MessageDeltaUsage": {"cache_creation", "service_tier", "inference_geo"}}


def extras(value, where):
    for i, item in enumerate(value if isinstance(value, list) else []):
        extras(item, f"{where}[{i}]")
    if isinstance(value, pydantic.BaseModel):
        more = set(value.model_extra) - UNDESCRIBED.get(type(value).__name__, set())
        assert not more, f"{where} has {sorted(more)}, which {type(value).__name__} has not"
        for name in value.model_fields_set:
            extras(getattr(value, name), f"{where}.{name}")
