"""Where requests go, with the official SDKs: conditions, abilities, tags, aliases, wildcards and what clients decide by header."""

import base64
import os
import time

import anthropic
import openai
import pytest
import yaml

EXAMPLE = os.path.join(os.path.dirname(__file__), "../../examples/routing-conditions.yaml")
ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
).decode()
SEES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}},
        ],
    }
]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"image": {"type": "string"}}}}}


@pytest.fixture(scope="module")
def routed(request):
    """A gateway with the configuration of the example."""
    from gateway import Gateway

    with open(EXAMPLE, encoding="utf-8") as file:
        config = yaml.safe_load(file) | {"listen": "127.0.0.1:0", "log": {"format": "json", "access": "stdout"}}
    gateway = Gateway(config=config)
    yield gateway
    gateway.stop()


@pytest.fixture
def client(routed):
    with openai.OpenAI(base_url=routed.url + "/v1", api_key="none", max_retries=0) as c:
        yield c


def deployment(client, **options):
    """Where a chat request is answered."""
    options = {"model": "chat", "messages": ASK} | options
    return client.chat.completions.with_raw_response.create(**options).headers["x-crossdock-deployment"]


class TestAbilities:
    def test_what_needs_nothing_goes_to_the_first_target(self, client):
        assert deployment(client) == "virginia/small"

    def test_pictures_go_to_who_can_see(self, client):
        assert deployment(client, messages=SEES) == "virginia/large"

    def test_pictures_of_anthropics_clients_too(self, routed):
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        content = [picture, {"type": "text", "text": "What is this?"}]
        with anthropic.Anthropic(base_url=routed.url, api_key="none", max_retries=0) as c:
            for asked, where in ((content, "virginia/large"), ("What is an image?", "virginia/small")):
                answer = c.messages.with_raw_response.create(
                    model="chat", max_tokens=100, messages=[{"role": "user", "content": asked}]
                )
                assert answer.headers["x-crossdock-deployment"] == where

    def test_tools_go_to_who_can_call_them(self, client):
        assert deployment(client, tools=[TOOL]) == "virginia/large"

    def test_a_stream_is_no_other_request(self, client):
        answer = client.chat.completions.with_raw_response.create(model="chat", messages=SEES, stream=True)
        assert answer.headers["x-crossdock-deployment"] == "virginia/large"
        assert "".join(c.choices[0].delta.content or "" for c in answer.parse() if c.choices)

    def test_long_prompts_go_to_a_long_context(self, client):
        long = [{"role": "user", "content": "tide " * 12000}]
        assert deployment(client, model="default", messages=long) == "virginia/large"

    def test_nobody_left_is_told_with_the_rule_and_the_remedy(self, client):
        huge = [{"role": "user", "content": "tide " * 400000}]
        with pytest.raises(openai.BadRequestError, match="context window .* Shorten it"):
            deployment(client, model="default", messages=huge)


class TestConditions:
    def test_by_the_size_of_the_prompt(self, client):
        assert deployment(client, messages=[{"role": "user", "content": "tide " * 5000}]) == "frankfurt/thinker"

    def test_by_what_the_request_turns_on(self, client):
        assert deployment(client, reasoning_effort="high") == "frankfurt/thinker"

    def test_by_a_header(self, client):
        assert deployment(client, extra_headers={"X-Team": "legal"}) == "local/large"
        assert deployment(client, extra_headers={"X-Team": "sales"}) == "virginia/small"

    def test_by_a_tag_or_by_metadata(self, client):
        assert deployment(client, extra_headers={"x-crossdock-tags": "personal-data"}) == "frankfurt/large"
        assert deployment(client, metadata={"sensitivity": "high"}) == "frankfurt/large"
        assert deployment(client, metadata={"sensitivity": "low"}) == "virginia/small"


class TestData:
    def test_required_tags_hold_for_the_fallback(self, make_gateway):
        """The first target fails; the next fallback is not tagged, and is never asked."""
        gateway = make_gateway(
            scenario={"models": {"*": {}, "failing": {"faults": [{"kind": "status", "status": 500}]}}},
            config={
                "deployments": {
                    "sim/failing": {"tags": "eu"},
                    "sim/elsewhere": {"tags": "us"},
                    "sim/here": {"tags": "eu"},
                },
                "models": {
                    "chat": {"targets": "sim/failing", "fallbacks": ["sim/elsewhere", "sim/here"]},
                    "alone": {"targets": "sim/failing", "fallbacks": "sim/elsewhere"},
                },
            },
        )
        with openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as c:
            eu = {"x-crossdock-require": "eu"}
            assert deployment(c) == "sim/elsewhere"
            assert deployment(c, extra_headers=eu) == "sim/here"
            with pytest.raises(openai.InternalServerError) as failure:
                deployment(c, model="alone", extra_headers=eu)
            assert failure.value.response.headers["x-crossdock-deployment"] == "sim/failing"

    def test_a_tag_that_nobody_has_is_refused(self, client):
        with pytest.raises(openai.PermissionDeniedError, match="x-crossdock-require requires the tag 'mars'"):
            deployment(client, extra_headers={"x-crossdock-require": "mars"})


class TestNames:
    def test_aliases(self, client):
        assert deployment(client, model="gpt-4o-mini") == "virginia/small"
        listed = [model.id for model in client.models.list()]
        assert {"chat", "default", "gpt-4o-mini"} <= set(listed) and "lab/*" not in listed

    def test_wildcards(self, client):
        assert deployment(client, model="lab/llama-9") == "local/llama-9"
        with pytest.raises(openai.NotFoundError):
            deployment(client, model="lab/")


class TestOverrides:
    def test_models(self, client):
        assert deployment(client, extra_headers={"x-crossdock-models": "thinker, chat"}) == "frankfurt/thinker"

    def test_timeout(self, make_gateway):
        gateway = make_gateway(scenario={"models": {"*": {"ttft": "30s"}}})
        with openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as c:
            began = time.monotonic()
            with pytest.raises(openai.APIStatusError) as failure:
                deployment(c, extra_headers={"x-crossdock-timeout": "300ms"})
            assert failure.value.status_code == 504
            assert time.monotonic() - began < 10

    def test_what_is_not_understood_is_an_error(self, client):
        with pytest.raises(openai.BadRequestError, match="x-crossdock-timeout must be a duration such as 20s"):
            deployment(client, extra_headers={"x-crossdock-timeout": "soon"})

    def test_errors_are_in_the_clients_dialect(self, routed):
        with anthropic.Anthropic(base_url=routed.url, api_key="none", max_retries=0) as c:
            with pytest.raises(anthropic.BadRequestError) as failure:
                c.messages.create(
                    model="chat", max_tokens=9, messages=ASK, extra_headers={"x-crossdock-no-fallback": "perhaps"}
                )
            assert failure.value.body["type"] == "error"
            assert "must be true or false" in failure.value.body["error"]["message"]
