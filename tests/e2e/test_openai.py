"""The official OpenAI SDK for Python, with nothing changed but the base URL."""

import asyncio
import base64
import json
import struct
import time

import openai
import pydantic
import pytest

from conftest import metrics, provider_stats

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_tide",
        "description": "Tide height",
        "parameters": {
            "type": "object",
            "properties": {"port": {"type": "string"}, "metres": {"type": "boolean"}},
            "required": ["port"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def client(base_url):
    with openai.OpenAI(base_url=base_url, api_key="anything", max_retries=0) as c:
        yield c


def test_chat_plain(client):
    answer = client.chat.completions.create(model="chat", messages=ASK)
    assert answer.choices[0].message.content.startswith("[simulated]")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id.startswith("req_")


def test_chat_stream_is_the_plain_answer(client):
    plain = client.chat.completions.create(model="chat", messages=ASK).choices[0].message.content
    chunks = list(client.chat.completions.create(model="chat", messages=ASK, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == plain
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks), "usage that nobody asked for"
    assert "usage" not in chunks[0].model_fields_set


def test_chat_stream_with_usage(client):
    chunks = list(
        client.chat.completions.create(model="chat", messages=ASK, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0


def test_several_choices_interleave(client):
    chunks = client.chat.completions.create(model="chat", messages=ASK, stream=True, n=3)
    finished = {c.choices[0].index for c in chunks if c.choices and c.choices[0].finish_reason}
    assert finished == {0, 1, 2}


def test_headers_name_model_deployment_and_attempts(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=ASK)
    assert raw.headers["x-crossdock-model"] == "chat"
    assert raw.headers["x-crossdock-deployment"] == "sim/chat-model"
    assert raw.headers["x-crossdock-attempts"] == "1"
    assert 0 <= int(raw.headers["x-crossdock-overhead-us"]) < 1_000_000
    assert raw.parse().model == "chat-model"


def test_a_clients_own_request_id_is_kept(client):
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=ASK, extra_headers={"x-request-id": "mine-7"})
    assert raw.headers["x-request-id"] == "mine-7"


def test_async(base_url):
    async def ask():
        async with openai.AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0) as c:
            plain = [c.chat.completions.create(model="chat", messages=ASK) for _ in range(20)]
            answers = await asyncio.gather(*plain)
            stream = await c.chat.completions.create(model="chat", messages=ASK, stream=True)
            text = "".join([(chunk.choices[0].delta.content or "") async for chunk in stream])
            return {a.choices[0].message.content for a in answers} | {text}

    assert len(asyncio.run(ask())) == 1


def test_tool_call_result_and_final_answer(client):
    first = client.chat.completions.create(model="chat", messages=ASK, tools=[TOOL], tool_choice="required")
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "get_tide"
    assert isinstance(json.loads(call.function.arguments)["port"], str)
    assert first.choices[0].finish_reason == "tool_calls"
    messages = ASK + [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "3.2 m"}]
    final = client.chat.completions.create(model="chat", messages=messages, tools=[TOOL])
    assert final.choices[0].message.content


def test_tool_call_streamed(client):
    parts = {}
    for chunk in client.chat.completions.create(model="chat", messages=ASK, tools=[TOOL], tool_choice="required", stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            parts[call.index] = parts.get(call.index, "") + (call.function.arguments or "")
    assert "port" in json.loads(parts[0])


def test_structured_output(client):
    class Tide(pydantic.BaseModel):
        port: str
        height: float
        rising: bool

    answer = client.chat.completions.parse(model="chat", messages=ASK, response_format=Tide)
    assert isinstance(answer.choices[0].message.parsed, Tide)


def test_legacy_completions(client):
    assert client.completions.create(model="chat", prompt="Once").choices[0].text
    assert "".join(c.choices[0].text for c in client.completions.create(model="chat", prompt="Once", stream=True) if c.choices)


def test_responses(client):
    answer = client.responses.create(model="chat", input="What is the tide?")
    assert answer.output_text.startswith("[simulated]")
    assert answer.usage.input_tokens > 0


def test_responses_stream(client):
    types, text = [], ""
    with client.responses.stream(model="chat", input="What is the tide?") as stream:
        for event in stream:
            types.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        final = stream.get_final_response()
    assert types[0] == "response.created" and types[-1] == "response.completed"
    assert final.output_text == text


def test_embeddings_floats_and_base64_agree(client):
    # the SDK asks for base64 by itself and decodes it
    decoded = client.embeddings.create(model="chat", input=["a", "b"]).data[0].embedding
    floats = client.embeddings.create(model="chat", input=["a", "b"], encoding_format="float").data[0].embedding
    raw = client.embeddings.create(model="chat", input=["a", "b"], encoding_format="base64").data[0].embedding
    bytes_ = base64.b64decode(raw)
    assert struct.unpack(f"<{len(bytes_) // 4}f", bytes_) == pytest.approx(floats, rel=1e-5)
    assert decoded == pytest.approx(floats, rel=1e-5)


def test_models(client):
    assert {"chat", "paced"} <= {m.id for m in client.models.list()}
    assert client.models.retrieve("chat").owned_by == "crossdock"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_a_served_model_by_its_providers_name(client):
    raw = client.chat.completions.with_raw_response.create(model="sim/any/thing", messages=ASK)
    assert raw.headers["x-crossdock-deployment"] == "sim/any/thing"
    assert raw.parse().model == "any/thing"


@pytest.mark.parametrize(
    "fault, error",
    [
        ("status;status=400", openai.BadRequestError),
        ("status;status=401", openai.AuthenticationError),
        ("status;status=403", openai.PermissionDeniedError),
        ("status;status=404", openai.NotFoundError),
        ("status;status=409", openai.ConflictError),
        ("status;status=422", openai.UnprocessableEntityError),
        ("rate_limit;retry_after=2s", openai.RateLimitError),
        ("status;status=500", openai.InternalServerError),
        ("status;status=503", openai.InternalServerError),
        ("reset_before_headers", openai.InternalServerError),
        ("reset_after_headers", openai.InternalServerError),
        ("malformed_json", openai.InternalServerError),
    ],
)
def test_errors_keep_their_class(client, fault, error):
    with pytest.raises(error) as caught:
        client.chat.completions.create(
            model="sim/" + fault.replace(";", "-"),  # of its own: what is at its limits is not asked for a while
            messages=ASK,
            extra_headers={"x-sim": "fault=" + fault},
        )
    assert isinstance(caught.value.body, dict) and caught.value.body["message"]
    assert "sk-provider" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
    assert caught.value.request_id
    if error is openai.RateLimitError:
        assert caught.value.response.headers["retry-after"] == "2"


def test_the_sdk_retries_what_the_gateway_hands_on(gateway, base_url):
    def asked():
        return provider_stats(gateway)["models"].get("limited", {}).get("requests", 0)

    before = asked()  # of a model that no other test uses: the credential rests for it, until the second is over
    with openai.OpenAI(base_url=base_url, api_key="x", max_retries=2) as c:
        with pytest.raises(openai.RateLimitError):
            c.chat.completions.create(model="sim/limited", messages=ASK, extra_headers={"x-sim": "fault=rate_limit;retry_after=1s"})
    assert 3 <= asked() - before <= 9  # the gateway tries, too, as far as its retry budget goes


@pytest.mark.parametrize("fault", ["break_stream", "truncated_sse", "error_event", "reset_after_headers"])
def test_a_stream_that_breaks_is_an_error_never_an_end(client, fault):
    received = ""
    with pytest.raises(openai.APIError):
        stream = client.chat.completions.create(
            model="chat", messages=ASK, stream=True, extra_headers={"x-sim": f"fault={fault};after_tokens=3"}
        )
        for chunk in stream:
            received += chunk.choices[0].delta.content or ""
    assert "[simulated]".startswith(received[:4])


def test_unknown_model_names_the_nearest(client):
    with pytest.raises(openai.NotFoundError, match="Did you mean 'chat'"):
        client.chat.completions.create(model="chatt", messages=ASK)


def test_a_client_that_leaves_cancels_the_provider(gateway, client):
    before = provider_stats(gateway)["models"].get("paced", {}).get("cancelled", 0)
    stream = client.chat.completions.create(model="paced", messages=ASK, stream=True)
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + 20
    while provider_stats(gateway)["models"]["paced"]["cancelled"] == before:
        assert time.monotonic() < deadline, "the provider was never told"


def test_big_bodies(client):
    big = "abc " * 2_000_000
    answer = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": big}])
    assert answer.usage.prompt_tokens > 1_000_000


def test_too_big_a_body_is_refused_with_words(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * (65 << 20)}])
    assert caught.value.status_code == 413


def test_files_and_audio_pass_through(client, tmp_path):
    path = tmp_path / "batch.jsonl"
    path.write_bytes(b'{"custom_id":"1"}\n' * 1000)
    uploaded = client.files.create(file=path, purpose="batch")
    assert client.files.content(uploaded.id).read() == path.read_bytes()
    assert client.files.delete(uploaded.id).deleted
    speech = client.audio.speech.create(model="tts", voice="alloy", input="hello", response_format="wav")
    assert speech.read()[:4] == b"RIFF"
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-nope")


@pytest.mark.parametrize("kind", ["image", "speech", "moderation", "upload", "upload, file first"])
def test_media_go_where_their_model_says(gateway, client, kind):
    name = f"media-{kind[:3]}-{len(kind)}"
    model, sound = "sim/" + name, ("a.wav", b"RIFF" + bytes(100_000))
    if kind == "image":
        client.images.generate(model=model, prompt="a boat")
    elif kind == "speech":
        client.audio.speech.create(model=model, voice="alloy", input="hello", response_format="wav")
    elif kind == "moderation":
        client.moderations.create(model=model, input="a boat")
    else:  # the field and the file in either order
        parts = [("model", (None, model)), ("file", sound)]
        answer = client._client.post(
            client.base_url.join("audio/transcriptions"),
            headers={"authorization": f"Bearer {client.api_key}"},
            files=parts if kind == "upload" else parts[::-1],
        )
        assert answer.status_code == 200 and answer.headers["x-crossdock-deployment"] == model
        assert "100004 bytes" in answer.json()["text"]
    assert provider_stats(gateway)["models"][name]["requests"] == 1  # by the provider's own name of it


def test_moderation_without_a_model_passes_through(client):
    assert client.moderations.create(input="a boat").results[0].flagged is False


def test_tokens_and_requests_are_counted(gateway, client):
    answer = client.chat.completions.create(model="sim/counted", messages=ASK)
    page = metrics(gateway)
    labels = 'endpoint="chat",model="sim/*",deployment="sim/*"'
    assert f'crossdock_requests_total{{{labels},status="200"}}' in page
    assert f'crossdock_tokens_total{{{labels},kind="output"}}' in page
    assert answer.usage.completion_tokens > 0
