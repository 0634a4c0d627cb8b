"""LlamaIndex: its clients for OpenAI's Chat Completions and Responses, each to models of every vendor."""

import asyncio

import pydantic
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What is the tide in Brest?")]


class Tide(pydantic.BaseModel):
    """A tide."""

    port: str
    height: float


def get_tide(port: str) -> str:
    """Tide height at a port."""
    return f"3.2 m at {port}"


TOOL = FunctionTool.from_defaults(get_tide)


def chat(url, model):
    return OpenAILike(
        model=model, api_base=url + "/v1", api_key=KEY, is_chat_model=True, is_function_calling_model=True, max_retries=0
    )


def responses(url, model):
    return OpenAIResponses(model=model, api_base=url + "/v1", api_key=KEY, context_window=8000, max_retries=0)


@pytest.fixture
def model(vendors, client, vendor):
    return client(vendors.url, vendor)


@pytest.mark.parametrize("client", [chat, responses])
@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, model):
        plain = model.chat(ASK)
        assert plain.message.content.startswith("[simulated]")
        pieces = [piece.delta or "" for piece in model.stream_chat(ASK)]
        assert "".join(pieces) == plain.message.content
        assert len([p for p in pieces if p]) > 3, "a stream in one piece"

    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, model, vendor, streamed):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            asked = {"tools": [TOOL], "chat_history": messages, "tool_required": True}
            said = [*model.stream_chat_with_tools(**asked)][-1] if streamed else model.chat_with_tools(**asked)
            [call] = model.get_tool_calls_from_response(said)
            assert call.tool_name == "get_tide" and set(call.tool_kwargs) == {"port"}
            result = ChatMessage(role="tool", content=f"{round_}.2 m", additional_kwargs={"tool_call_id": call.tool_id})
            messages += [said.message, result]
        final = model.chat_with_tools(tools=[TOOL], chat_history=messages)
        assert final.message.content or model.get_tool_calls_from_response(final, error_on_no_tool_call=False)

    def test_structured_output(self, model, vendor):
        needs_forcing(vendor)  # it asks for a call of a tool
        assert isinstance(model.as_structured_llm(Tide).chat(ASK).raw, Tide)


def test_its_own_agent_runs_tools_until_there_is_an_answer(vendors):
    async def run(vendor):
        agent = FunctionAgent(tools=[get_tide], llm=chat(vendors.url, vendor), system_prompt="Be brief.", initial_tool_choice="get_tide")
        answer = await agent.run("What is the tide in Brest?")
        return [call.tool_name for call in answer.tool_calls], answer.response.content

    for vendor in ("anthropic", "gemini", "mistral", "openai"):
        called, answer = asyncio.run(run(vendor))
        assert called and set(called) == {"get_tide"} and answer, vendor
