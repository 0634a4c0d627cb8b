"""Google's Gen AI SDK for Python, to models of every vendor: with an API key, and as if it were Vertex AI."""

import pydantic
import pytest
from google import genai
from google.genai import errors, types

from conftest import needs_forcing
from gateway import KEY, VENDORS

ASK = "What is the tide in Brest?"
EMBEDDERS = [v for v in ("openai", "mistral", "gemini", "cohere", "ollama") if v in VENDORS]
DECLARATION = types.FunctionDeclaration(
    name="get_tide",
    description="Tide height",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={"port": types.Schema(type=types.Type.STRING), "metres": types.Schema(type=types.Type.BOOLEAN)},
        required=["port", "metres"],
    ),
)


class Tide(pydantic.BaseModel):
    port: str
    height: float
    rising: bool


def connect(vendors, key=KEY, **options):
    http = types.HttpOptions(base_url=vendors.url, retry_options=types.HttpRetryOptions(attempts=1), **options)
    return genai.Client(api_key=key, http_options=http)


@pytest.fixture
def client(vendors):
    with connect(vendors) as c:
        yield c


def config(**more):
    return types.GenerateContentConfig(automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **more)


def forced(mode):
    return config(
        tools=[types.Tool(function_declarations=[DECLARATION])],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode)),
    )


def test_every_version_of_the_api_has_its_paths(vendors):
    """The SDK's own choice is v1beta; live and preview features are documented with v1alpha."""
    for version in ("v1alpha", "v1beta", "v1"):
        with connect(vendors, api_version=version) as c:
            assert ASK in c.models.generate_content(model="openai", contents=ASK).text


@pytest.mark.parametrize("vendor", VENDORS)
class TestGenerate:
    def test_plain(self, client, vendor):
        answer = client.models.generate_content(
            model=vendor, contents=ASK, config=config(system_instruction="Be brief.", max_output_tokens=500)
        )
        assert answer.text.startswith("[simulated]") and ASK in answer.text
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        usage = answer.usage_metadata
        assert usage.prompt_token_count > 5 and usage.candidates_token_count > 5
        assert usage.total_token_count == (
            usage.prompt_token_count + usage.candidates_token_count + (usage.thoughts_token_count or 0)
        )

    def test_stream_is_the_plain_answer(self, client, vendor):
        plain = client.models.generate_content(model=vendor, contents=ASK)
        chunks = list(client.models.generate_content_stream(model=vendor, contents=ASK))
        assert "".join(c.text or "" for c in chunks) == plain.text
        assert [c.candidates[0].finish_reason for c in chunks if c.candidates and c.candidates[0].finish_reason] == [
            types.FinishReason.STOP
        ]
        assert chunks[-1].usage_metadata.total_token_count == plain.usage_metadata.total_token_count
        assert len(chunks) > 3, "a stream in one piece"

    def test_a_cut_answer_says_so(self, client, vendor):
        answer = client.models.generate_content(model=vendor, contents=ASK, config=config(max_output_tokens=5))
        assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS

    @pytest.mark.parametrize("streamed", [False, True])
    def test_agent_of_two_rounds(self, client, vendor, streamed):
        needs_forcing(vendor)
        def say(config_):
            if not streamed:
                answer = client.models.generate_content(model=vendor, contents=contents, config=config_)
                return answer.candidates[0].content
            chunks = client.models.generate_content_stream(model=vendor, contents=contents, config=config_)
            parts = [p for c in chunks for k in c.candidates or [] for p in (k.content.parts if k.content else None) or []]
            return types.Content(role="model", parts=parts)

        contents = [types.Content(role="user", parts=[types.Part(text=ASK)])]
        for round_ in range(2):
            said = say(forced("ANY"))
            call = next(p.function_call for p in said.parts if p.function_call)
            assert call.name == "get_tide" and set(call.args) == {"port", "metres"}
            result = types.FunctionResponse(id=call.id, name=call.name, response={"metres": round_})
            contents += [said, types.Content(role="user", parts=[types.Part(function_response=result)])]
        final = say(forced("NONE"))
        assert "".join(p.text or "" for p in final.parts) and not any(p.function_call for p in final.parts)

    def test_structured_output(self, client, vendor):
        answer = client.models.generate_content(
            model=vendor, contents=ASK, config=config(response_mime_type="application/json", response_schema=Tide)
        )
        assert isinstance(answer.parsed, Tide)

    @pytest.mark.parametrize(
        "fault, error, code, status",
        [
            ("refused", errors.ClientError, 400, "INVALID_ARGUMENT"),
            ("limited", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
            ("failing", errors.ServerError, 500, "INTERNAL"),
        ],
    )
    @pytest.mark.parametrize("streamed", [False, True])
    def test_errors_have_their_class(self, client, vendor, fault, error, code, status, streamed):
        model = f"{vendor}-{fault}"
        with pytest.raises(error) as caught:
            if streamed:
                list(client.models.generate_content_stream(model=model, contents=ASK))
            else:
                client.models.generate_content(model=model, contents=ASK)
        assert caught.value.code in (code, 502 if code == 500 else code) and caught.value.message
        assert caught.value.status in (status, "UNAVAILABLE" if code == 500 else status)

    def test_a_stream_that_breaks_raises_or_has_no_end(self, client, vendor):
        """Google's format has no event for it, so an error behind the first byte is a chunk that the SDK raises, or a torn connection."""
        reasons = []
        with pytest.raises(Exception) as caught:
            for chunk in client.models.generate_content_stream(model=f"{vendor}-broken", contents=ASK):
                reasons += [c.finish_reason for c in chunk.candidates or [] if c.finish_reason]
        assert not isinstance(caught.value, (AttributeError, TypeError, KeyError)), caught.value
        assert not reasons

    def test_count_tokens(self, client, vendor):
        if vendor == "bedrock":
            pytest.skip("counts at the provider, and the simulated one does not")
        few = client.models.count_tokens(model=vendor, contents=ASK).total_tokens
        many = client.models.count_tokens(model=vendor, contents=ASK * 50).total_tokens
        assert 0 < few < 60 < many


def test_functions_are_called_by_themselves(client):
    """The SDK's own loop: it calls a Python function and sends what came of it until there is an answer."""
    for vendor in VENDORS:
        called = []

        def get_tide(port: str) -> str:
            """Tide height at a port."""
            called.append(port)
            return "3.2 m"

        answer = client.models.generate_content(
            model=vendor, contents=ASK, config=types.GenerateContentConfig(tools=[get_tide])
        )
        assert answer.text, vendor


@pytest.mark.parametrize("vendor", EMBEDDERS)
def test_embeddings(client, vendor):
    a, b, again = client.models.embed_content(model=vendor, contents=["a", "b", "a"]).embeddings
    assert a.values == again.values != b.values and len(a.values) > 8


def test_a_wrong_key_is_a_client_error(vendors):
    with connect(vendors, key="wrong") as c:
        with pytest.raises(errors.ClientError) as caught:
            c.models.generate_content(model="openai", contents=ASK)
    assert caught.value.code in (400, 401) and caught.value.message


def test_an_unknown_model_is_not_found(client):
    for ask in (
        lambda: client.models.generate_content(model="nope", contents=ASK),
        lambda: client.models.count_tokens(model="nope", contents=ASK),
        lambda: client.models.embed_content(model="nope", contents=ASK),
        lambda: client.models.get(model="nope"),
    ):
        with pytest.raises(errors.ClientError) as caught:
            ask()
        assert caught.value.code == 404 and caught.value.status == "NOT_FOUND"


def test_models_are_listed_in_pages(client):
    names = [m.name for m in client.models.list(config={"page_size": 2})]
    assert {f"models/{v}" for v in VENDORS} <= set(names) and len(names) == len(set(names))
    assert client.models.get(model="openai").name == "models/openai"


def test_the_versions_of_the_api_are_alike(vendors):
    for version in ("v1", "v1beta"):
        with connect(vendors, api_version=version) as c:
            assert c.models.generate_content(model="openai", contents=ASK).text, version


def test_vertex_mode(vendors):
    from google.oauth2.credentials import Credentials

    with genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials(token=KEY),
        http_options=types.HttpOptions(base_url=vendors.url),
    ) as c:
        for vendor in VENDORS:
            assert c.models.generate_content(model=vendor, contents=ASK).text.startswith("[simulated]")
            chunks = c.models.generate_content_stream(model=vendor, contents=ASK)
            assert "".join(chunk.text or "" for chunk in chunks).startswith("[simulated]")
