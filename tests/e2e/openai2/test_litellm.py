"""
LiteLLM as a client: its ways to speak to a vendor, each with nothing but base URL and key changed, to models of every vendor. It knows errors,
finish reasons and tool calls by its own names, which it makes of each vendor's.
"""

import json
import os

import pydantic
import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it fetches one when it is imported

import litellm  # noqa: E402  (after the setting that it reads)
import openai  # noqa: E402

from conftest import needs_forcing  # noqa: E402
from gateway import AWS_KEY, KEY, VENDORS  # noqa: E402

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the tide in Brest?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"port": {"type": "string"}, "metres": {"type": "boolean"}},
    "required": ["port", "metres"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_tide", "description": "Tide height", "parameters": PARAMETERS}}
# Where each of its ways asks, below the gateway's URL, and how it shows who it is. Not Cohere's: this release of it reads no server-sent events
# there, which is what Cohere sends, and knows no finish reason but one.
WAYS = {
    "openai": {"api_base": "/v1", "api_key": KEY},
    "anthropic": {"api_base": "", "api_key": KEY},
    "gemini": {"api_base": "/v1beta", "api_key": KEY},
    "mistral": {"api_base": "/v1", "api_key": KEY},
    "ollama_chat": {"api_base": "", "api_key": KEY},
    "bedrock/converse": {"aws_bedrock_runtime_endpoint": "", "aws_region_name": "eu-west-1"} | AWS_KEY,
}
# Ollama has no word for a forced call.
CALLING = [way for way in WAYS if way != "ollama_chat"]
# By the others it describes the schema in the prompt, for models that it does not know.
SCHEMED = ["openai", "anthropic", "mistral", "ollama_chat"]
class Tide(pydantic.BaseModel):
    port: str
    height: float


@pytest.fixture
def complete(vendors, way, vendor):
    """Asks the vendor's model by this way."""
    where = {k: vendors.url + v if "base" in k or "endpoint" in k else v for k, v in WAYS[way].items()}

    def ask(messages, fault="", **more):
        more = {"max_tokens": 500, "max_retries": 0} | where | more
        return litellm.completion(f"{way}/{vendor}{fault}", messages, **more)

    return ask


@pytest.mark.parametrize("vendor", VENDORS)
class TestCompletion:
    @pytest.mark.parametrize("way", WAYS)
    def test_plain(self, complete):
        answer = complete(ASK)
        assert answer.choices[0].message.content.startswith("[simulated]") and answer.choices[0].finish_reason == "stop"
        assert answer.usage.prompt_tokens > 5 and answer.usage.completion_tokens > 5
        assert complete(ASK, max_tokens=5).choices[0].finish_reason == "length"

    @pytest.mark.parametrize("way", WAYS)
    def test_stream_is_the_plain_answer(self, complete):
        chunks = list(complete(ASK, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == complete(ASK).choices[0].message.content
        assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
        assert len(chunks) > 3, "a stream in one piece"

    @pytest.mark.parametrize("way", CALLING)
    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, complete, vendor, streamed):
        needs_forcing(vendor)

        def say(choice):
            # On Bedrock it would leave the tools away, which it does not know such a model to have.
            answer = complete(messages, tools=[TOOL], tool_choice=choice, stream=streamed, allowed_openai_params=["tools", "tool_choice"])
            return (litellm.stream_chunk_builder(list(answer)) if streamed else answer).choices[0]

        messages = list(ASK)
        for round_ in range(2):
            said = say("required")
            assert said.finish_reason == "tool_calls"
            call = said.message.tool_calls[0]
            assert call.function.name == "get_tide" and set(json.loads(call.function.arguments)) == {"port", "metres"}
            messages += [said.message, {"role": "tool", "tool_call_id": call.id, "name": "get_tide", "content": f"{round_}.2 m"}]
        final = say("auto")
        assert final.message.content or final.message.tool_calls

    @pytest.mark.parametrize("way", SCHEMED)
    def test_structured_output(self, complete, way, vendor):
        if way == "anthropic":
            needs_forcing(vendor)
        assert Tide.model_validate_json(complete(ASK, response_format=Tide).choices[0].message.content)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(
        "fault, error",
        [
            ("-refused", litellm.BadRequestError),
            ("-limited", litellm.RateLimitError),
            # Bedrock has a status of its own, 424, for a model that fails; to this client that is the request's fault.
            ("-failing", (litellm.InternalServerError, litellm.ServiceUnavailableError, litellm.BadGatewayError, litellm.BadRequestError)),
        ],
    )
    def test_errors_have_their_class(self, complete, fault, error, stream):
        with pytest.raises(openai.APIError) as caught:
            list(complete(ASK, fault, stream=stream))
        # Its iterators wrap what comes before the first chunk.
        assert isinstance(getattr(caught.value, "original_exception", None) or caught.value, error)
