"""LangChain's client for Cohere, to models of every vendor."""

import pydantic
import pytest
from langchain_cohere import ChatCohere
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

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


@pytest.fixture
def model(vendors, vendor):
    return ChatCohere(base_url=vendors.url, cohere_api_key=KEY, model=vendor)


@pytest.mark.parametrize("vendor", VENDORS)
class TestChat:
    def test_stream_is_the_plain_answer(self, model):
        plain = model.invoke("What is the tide?")
        assert plain.text.startswith("[simulated]") and plain.usage_metadata["output_tokens"] > 5
        pieces = [chunk.text for chunk in model.stream("What is the tide?")]
        assert "".join(pieces) == plain.text
        assert len([p for p in pieces if p]) > 2, "a stream in one piece"

    def test_agent_of_two_rounds(self, model, vendor):
        needs_forcing(vendor)
        forced = model.bind_tools([get_tide], tool_choice="REQUIRED")
        messages = [HumanMessage("What is the tide in Brest?")]
        for _ in range(2):
            said = forced.invoke(messages)
            assert [c["name"] for c in said.tool_calls] == ["get_tide"] and set(said.tool_calls[0]["args"]) == {"port"}
            messages += [said, get_tide.invoke(said.tool_calls[0])]
        final = model.bind_tools([get_tide]).invoke(messages)
        assert final.text or final.tool_calls

    def test_structured_output(self, model, vendor):
        if vendor == "cohere":
            pytest.skip("the client names the schema as Cohere no longer does, and Cohere's own requests pass as they are")
        assert isinstance(model.with_structured_output(Tide, method="json_schema").invoke("Brest?"), Tide)
