"""LangChain's clients for OpenAI, Anthropic and Google, each to models of every vendor: what an application does that only changes a base URL."""

import pydantic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_openai import ChatOpenAI

from conftest import needs_forcing
from gateway import KEY, VENDORS


@tool
def get_tide(port: str) -> str:
    """Tide height at a port."""
    return f"3.2 m at {port}"


class Tide(pydantic.BaseModel):
    """A tide."""

    port: str
    height: float


def openai(url, model):
    return ChatOpenAI(base_url=url + "/v1", api_key=KEY, model=model, max_retries=0)


def openai_responses(url, model):
    return ChatOpenAI(base_url=url + "/v1", api_key=KEY, model=model, max_retries=0, use_responses_api=True)


def anthropic(url, model):
    return ChatAnthropic(base_url=url, api_key=KEY, model=model, max_tokens=500, max_retries=0)


def google(url, model):
    return ChatGoogleGenerativeAI(base_url=url, api_key=KEY, model=model, max_retries=1)


@pytest.fixture
def model(vendors, client, vendor):
    return client(vendors.url, vendor)


@pytest.mark.parametrize("client", [openai, openai_responses, anthropic, google])
@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, model):
        plain = model.invoke("What is the tide?")
        assert plain.text.startswith("[simulated]")
        assert plain.usage_metadata["output_tokens"] > 5
        assert "".join(chunk.text for chunk in model.stream("What is the tide?")) == plain.text

    def test_agent(self, model, vendor):
        needs_forcing(vendor)
        messages = [HumanMessage("What is the tide in Brest?")]
        said = model.bind_tools([get_tide], tool_choice="any").invoke(messages)
        assert isinstance(said, AIMessage) and [c["name"] for c in said.tool_calls] == ["get_tide"]
        result = get_tide.invoke(said.tool_calls[0])
        assert isinstance(result, ToolMessage)
        final = model.bind_tools([get_tide]).invoke([*messages, said, result])
        assert final.text or final.tool_calls

    def test_agent_streamed(self, model, vendor):
        needs_forcing(vendor)
        messages = [HumanMessage("What is the tide in Brest?")]
        whole = None
        for chunk in model.bind_tools([get_tide], tool_choice="any").stream(messages):
            whole = chunk if whole is None else whole + chunk
        assert [c["name"] for c in whole.tool_calls] == ["get_tide"] and "port" in whole.tool_calls[0]["args"]
        result = get_tide.invoke(whole.tool_calls[0])
        assert model.bind_tools([get_tide]).invoke([*messages, whole, result])

    def test_structured_output(self, client, model, vendor):
        if client is anthropic:
            needs_forcing(vendor)
        assert isinstance(model.with_structured_output(Tide).invoke("Brest?"), Tide)


def test_google_embeddings(vendors):
    for vendor in ("openai", "gemini"):
        embeddings = GoogleGenerativeAIEmbeddings(base_url=vendors.url, api_key=KEY, model=vendor)
        a, b = embeddings.embed_documents(["a", "b"])
        assert a != b and embeddings.embed_query("a")
