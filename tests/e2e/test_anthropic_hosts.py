"""
Anthropic's SDK for Python as it speaks to those that host Claude (Amazon Bedrock, Vertex AI, Microsoft Foundry, Claude on AWS), to models of
every vendor, with nothing but the base URL changed: other paths, other credentials, and on Bedrock other frames of a stream.
"""

import anthropic
import httpx2
import pytest
from test_anthropic import ASK, TOOL, Tide, text_of

from conftest import needs_forcing
from gateway import AWS_KEY, CODED, KEY, VENDORS

SIGNED = {"aws_access_key": AWS_KEY["aws_access_key_id"], "aws_secret_key": AWS_KEY["aws_secret_access_key"], "aws_region": "eu-west-1"}


def bedrock(url, **more):
    return anthropic.AnthropicBedrock(base_url=url, max_retries=0, **(SIGNED | more))


def bedrock_key(url, key=KEY):
    return anthropic.AnthropicBedrock(base_url=url, aws_region="eu-west-1", api_key=key, max_retries=0)


def vertex(url, key=KEY):
    return anthropic.AnthropicVertex(base_url=url + "/v1", project_id="p", region="europe-west1", access_token=key, max_retries=0)


def foundry(url, key=KEY):
    return anthropic.AnthropicFoundry(base_url=url + "/anthropic", api_key=key, max_retries=0)


def aws(url, **more):
    return anthropic.AnthropicAWS(base_url=url, workspace_id="wrkspc_1", max_retries=0, **(SIGNED | more))


HOSTS = [bedrock, vertex, foundry, aws]


@pytest.fixture
def client(vendors, host):
    with host(vendors.url) as c:
        yield c


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("vendor", VENDORS)
class TestMessages:
    def test_stream_is_the_plain_answer(self, client, vendor):
        asked = {"model": vendor, "max_tokens": 500, "system": "Be brief.", "messages": ASK}
        plain = client.messages.create(**asked)
        assert text_of(plain).startswith("[simulated]") and plain.stop_reason == "end_turn" and plain.usage.output_tokens > 5
        with client.messages.stream(**asked) as stream:
            types = [e.type for e in stream]
            final = stream.get_final_message()
        assert types[0] == "message_start" and types[-1] == "message_stop" and types.count("content_block_stop") == 1
        assert types.count("text") > 2, "a stream in one piece"
        assert text_of(final) == text_of(plain) and final.stop_reason == "end_turn"
        assert final.usage.output_tokens == plain.usage.output_tokens

    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, client, vendor, streamed):
        needs_forcing(vendor)
        asked = {"model": vendor, "max_tokens": 500, "tools": [TOOL]}

        def say(**more):
            if not streamed:
                return client.messages.create(**asked, messages=messages, **more)
            with client.messages.stream(**asked, messages=messages, **more) as stream:
                return stream.get_final_message()

        messages = list(ASK)
        for round_ in range(2):
            said = say(tool_choice={"type": "any"})
            use = next(block for block in said.content if block.type == "tool_use")
            assert said.stop_reason == "tool_use" and use.name == "get_tide" and set(use.input) == {"port", "metres"}
            result = {"type": "tool_result", "tool_use_id": use.id, "content": f"{round_}.2 m"}
            messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        final = say(tool_choice={"type": "none"})
        assert final.stop_reason == "end_turn" and text_of(final)

    def test_structured_output(self, client, vendor):
        assert isinstance(client.messages.parse(model=vendor, max_tokens=500, messages=ASK, output_format=Tide).parsed_output, Tide)

    @pytest.mark.parametrize(
        "fault, error",
        [
            ("refused", anthropic.BadRequestError),
            ("limited", anthropic.RateLimitError),
            ("failing", anthropic.InternalServerError),
        ],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_have_their_class(self, client, vendor, fault, error, stream):
        with pytest.raises(error) as caught:
            client.messages.create(model=f"{vendor}-{fault}", max_tokens=100, messages=ASK, stream=stream)
        assert caught.value.message

    def test_a_stream_that_breaks_raises(self, client, vendor):
        types = []
        with pytest.raises((anthropic.APIError, httpx2.HTTPError)):
            for event in client.messages.create(model=f"{vendor}-broken", max_tokens=100, messages=ASK, stream=True):
                types.append(event.type)
        assert "message_stop" not in types and "message_delta" not in types


@pytest.mark.parametrize("host", [vertex, foundry, aws])
def test_count_tokens(client):
    few = client.messages.count_tokens(model="openai", messages=ASK).input_tokens
    assert 0 < few < client.messages.count_tokens(model="openai", messages=ASK, system="Be brief. " * 50).input_tokens


@pytest.mark.parametrize("host", HOSTS)
def test_the_tool_runner_ends_with_an_answer(client):
    @anthropic.beta_tool
    def get_tide(port: str) -> str:
        """Tide height at a port.

        Args:
            port: its name
        """
        return f"3.2 m at {port}"

    for vendor in ("openai", "gemini", "cohere"):
        runner = client.beta.messages.tool_runner(model=vendor, max_tokens=500, messages=ASK, tools=[get_tide], max_iterations=4)
        assert text_of(runner.until_done()), vendor


@pytest.mark.parametrize("host", HOSTS)
def test_a_model_whose_name_must_be_coded(client):
    """Each of these SDKs does that in its own manner, and those of AWS sign what comes of it."""
    assert text_of(client.messages.create(model=CODED, max_tokens=99, messages=ASK))
    with client.messages.stream(model=CODED, max_tokens=99, messages=ASK) as stream:
        assert "".join(stream.text_stream)
    with pytest.raises(anthropic.NotFoundError, match="no such model;v=1"):
        client.messages.create(model="no such model;v=1", max_tokens=9, messages=ASK)


def test_bedrocks_api_key_is_taken_instead_of_a_signature(vendors):
    with bedrock_key(vendors.url) as c:
        assert text_of(c.messages.create(model="openai", max_tokens=100, messages=ASK))


@pytest.mark.parametrize(
    "connect",
    [
        lambda url: bedrock(url, aws_secret_key="wrong"),
        lambda url: bedrock(url, aws_access_key="NOBODY"),
        lambda url: bedrock_key(url, "wrong"),
        lambda url: vertex(url, "wrong"),
        lambda url: foundry(url, "wrong"),
        lambda url: aws(url, aws_secret_key="wrong"),
    ],
)
def test_a_wrong_credential_is_refused(vendors, connect):
    with connect(vendors.url) as c, pytest.raises((anthropic.AuthenticationError, anthropic.PermissionDeniedError)):
        c.messages.create(model="openai", max_tokens=9, messages=ASK)
