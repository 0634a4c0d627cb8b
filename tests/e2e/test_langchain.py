"""LangChain's OpenAI client."""

import asyncio

import pydantic
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@pytest.fixture
def model(base_url):
    return ChatOpenAI(base_url=base_url, api_key="x", model="chat", max_retries=0)


@tool
def get_tide(port: str) -> str:
    """Tide height at a port."""
    return f"3.2 m at {port}"


def test_invoke_and_stream_agree(model):
    plain = model.invoke("What is the tide?")
    assert plain.content.startswith("[simulated]")
    assert plain.usage_metadata["total_tokens"] > 0
    assert "".join(chunk.content for chunk in model.stream("What is the tide?")) == plain.content


def test_async_batch(model):
    answers = asyncio.run(model.abatch(["one", "two", "three"]))
    assert len({a.content for a in answers}) == 3


def test_agent_loop(model):
    bound = model.bind_tools([get_tide], tool_choice="any")
    first = bound.invoke("What is the tide in Brest?")
    call = first.tool_calls[0]
    assert call["name"] == "get_tide"
    result = get_tide.invoke(call)
    assert model.invoke([("user", "What is the tide in Brest?"), first, result]).content


def test_structured_output(model):
    class Tide(pydantic.BaseModel):
        """A tide."""

        port: str
        height: float

    assert isinstance(model.with_structured_output(Tide).invoke("Brest?"), Tide)


def test_embeddings(base_url):
    embeddings = OpenAIEmbeddings(base_url=base_url, api_key="x", model="chat", check_embedding_ctx_length=False)
    vectors = embeddings.embed_documents(["a", "b", "a"])
    assert vectors[0] == vectors[2] != vectors[1]
