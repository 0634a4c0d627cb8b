"""LangChain's clients, each to models of every vendor: what an application does that only changes a base URL. Cohere's is in openai2/."""

import pydantic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

from conftest import needs_forcing
from gateway import AWS_KEY, KEY, VENDORS


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


def bedrock(url, model):
    # What it cannot know of such models.
    return ChatBedrockConverse(
        base_url=url,
        model=model,
        provider="anthropic",
        region_name="eu-west-1",
        max_tokens=500,
        supports_tool_choice_values=("auto", "any", "tool"),
        disable_streaming=False,
        **AWS_KEY,
    )


def mistral(url, model):
    return ChatMistralAI(base_url=url + "/v1", api_key=KEY, model=model, max_retries=1)


def ollama(url, model):
    return ChatOllama(base_url=url, model=model, client_kwargs={"headers": {"authorization": f"Bearer {KEY}"}})


CLIENTS = [openai, openai_responses, anthropic, google, bedrock, mistral, ollama]
# Ollama has no word for a forced call.
FORCING_CLIENTS = [c for c in CLIENTS if c is not ollama]


@pytest.fixture
def model(vendors, client, vendor):
    return client(vendors.url, vendor)


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    @pytest.mark.parametrize("client", CLIENTS)
    def test_stream_is_the_plain_answer(self, model):
        plain = model.invoke("What is the tide?")
        assert plain.text.startswith("[simulated]")
        assert plain.usage_metadata["output_tokens"] > 5
        pieces = [chunk.text for chunk in model.stream("What is the tide?")]
        assert "".join(pieces) == plain.text
        assert len([p for p in pieces if p]) > 2, "a stream in one piece"

    @pytest.mark.parametrize("client", FORCING_CLIENTS)
    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, client, model, vendor, streamed):
        needs_forcing(vendor)
        if streamed and client is mistral:
            pytest.skip("Mistral streams a call in one piece, and this client cannot put pieces together")
        forced = model.bind_tools([get_tide], tool_choice="any")
        messages = [HumanMessage("What is the tide in Brest?")]
        for _ in range(2):
            said = forced.invoke(messages) if not streamed else sum_of(forced.stream(messages))
            assert isinstance(said, AIMessage) and [c["name"] for c in said.tool_calls] == ["get_tide"]
            assert set(said.tool_calls[0]["args"]) == {"port"}
            result = get_tide.invoke(said.tool_calls[0])
            assert isinstance(result, ToolMessage)
            messages += [said, result]
        final = model.bind_tools([get_tide]).invoke(messages)
        assert final.text or final.tool_calls

    @pytest.mark.parametrize("client", CLIENTS)
    def test_results_of_a_tool_are_answered(self, client, model, vendor):
        """Of a call that is given: nothing forces one here."""
        if client is google and vendor == "gemini":
            pytest.skip("Gemini takes only calls that it has signed, and its own clients' requests pass as they are")
        said = AIMessage("", tool_calls=[{"name": "get_tide", "args": {"port": "Brest"}, "id": "call00001"}])
        messages = [HumanMessage("What is the tide in Brest?"), said, get_tide.invoke(said.tool_calls[0])]
        final = model.bind_tools([get_tide]).invoke(messages)
        assert final.text or final.tool_calls

    @pytest.mark.parametrize("client", CLIENTS)
    def test_structured_output(self, client, model, vendor):
        if client in (anthropic, bedrock, mistral):  # they ask for a call of a tool
            needs_forcing(vendor)
        assert isinstance(model.with_structured_output(Tide).invoke("Brest?"), Tide)


def sum_of(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


def test_google_embeddings(vendors):
    for vendor in ("openai", "gemini"):
        embeddings = GoogleGenerativeAIEmbeddings(base_url=vendors.url, api_key=KEY, model=vendor)
        a, b = embeddings.embed_documents(["a", "b"])
        assert a != b and embeddings.embed_query("a")
