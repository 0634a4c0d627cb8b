"""Streams that break off in their content and go on at another deployment: what the vendors' SDKs make of them."""

import json
import socket
import subprocess
import urllib.request
from urllib.parse import urlsplit

import anthropic
import openai
import pytest
import yaml
from gateway import Gateway

ASK = [{"role": "user", "content": "What of the harbour of Dover?"}]
FAULTS = ["break_stream", "truncated_sse", "malformed_json", "error_event"]
# Who breaks off, and who goes on: the same dialect or another, by prefill or by a turn.
PAIRS = [("openai", "anthropic"), ("anthropic", "openai"), ("openai", "openai"), ("anthropic", "anthropic"), ("gemini", "mistral")]


class Fleet(Gateway):
    """Models "<first>-<second>-<fault>", whose first provider breaks off and whose second would say the same; "whole-<vendor>"."""

    def __init__(self):
        scenario = {"seed": 5, "models": {"*": {"answer_tokens": 60}}}
        faults = {fault: {"faults": [{"kind": fault, "after_tokens": 21}], "answer_tokens": 60} for fault in FAULTS}
        files = {"good.yaml": yaml.safe_dump(scenario)}
        for fault in FAULTS:
            files[f"{fault}.yaml"] = yaml.safe_dump({"seed": 5, "models": {"m": faults[fault]}})
        super().__init__(files=files)

    def default_config(self):
        folder = self.folder.name
        vendors = sorted({vendor for pair in PAIRS for vendor in pair})
        providers = {f"{v}-good": {"dialect": v, "simulate": f"{folder}/good.yaml"} for v in vendors}
        providers |= {f"{v}-{f}": {"dialect": v, "simulate": f"{folder}/{f}.yaml"} for v in vendors for f in FAULTS}
        models = {f"whole-{v}": {"targets": f"{v}-good/m"} for v in vendors}
        models |= {
            f"{a}-{b}-{f}": {"targets": f"{a}-{f}/m", "fallbacks": f"{b}-good/m", "stream_failover": True, "ejection": False}
            for a, b in PAIRS
            for f in FAULTS
        }
        return super().default_config() | {"providers": providers, "models": models}


@pytest.fixture(scope="module")
def fleet():
    f = Fleet()
    yield f
    f.stop()


CASES = [pytest.param(*pair, fault, id="-".join([*pair, fault])) for pair in PAIRS for fault in FAULTS]


@pytest.mark.parametrize(("first", "second", "fault"), CASES)
def test_openai_reads_one_answer(fleet, first, second, fault):
    with openai.OpenAI(base_url=fleet.url + "/v1", api_key="x", max_retries=0) as client:
        whole = client.chat.completions.create(model=f"whole-{second}", messages=ASK, max_tokens=1000)
        chunks = list(
            client.chat.completions.create(
                model=f"{first}-{second}-{fault}",
                messages=ASK,
                max_tokens=1000,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    told = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert told == whole.choices[0].message.content
    assert len({c.id for c in chunks}) == 1 and len({c.model for c in chunks}) == 1 and len({c.created for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usage = [c.usage for c in chunks if c.usage]
    assert len(usage) == 1 and usage[0].prompt_tokens > whole.usage.prompt_tokens


@pytest.mark.parametrize(("first", "second", "fault"), CASES)
def test_responses_are_one_response(fleet, first, second, fault):
    with openai.OpenAI(base_url=fleet.url + "/v1", api_key="x", max_retries=0) as client:
        whole = client.responses.create(model=f"whole-{second}", input=ASK[0]["content"])
        with client.responses.stream(model=f"{first}-{second}-{fault}", input=ASK[0]["content"]) as stream:
            events = list(stream)
            final = stream.get_final_response()
    assert final.output_text == whole.output_text and final.status == "completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert len({e.item_id for e in events if e.type == "response.output_text.delta"}) == 1


@pytest.mark.parametrize(("first", "second", "fault"), CASES)
def test_anthropic_reads_one_message(fleet, first, second, fault):
    with anthropic.Anthropic(base_url=fleet.url, api_key="x", max_retries=0) as client:
        whole = client.messages.create(model=f"whole-{second}", messages=ASK, max_tokens=1000)
        with client.messages.stream(model=f"{first}-{second}-{fault}", messages=ASK, max_tokens=1000) as stream:
            told = "".join(stream.text_stream)
            final = stream.get_final_message()
    assert told == whole.content[0].text
    assert [block.text for block in final.content] == [told]
    assert final.stop_reason == "end_turn"


def test_a_call_that_broke_off_is_an_error(fleet):
    tools = [
        {
            "type": "function",
            "function": {
                "name": "get_tide",
                "parameters": {
                    "type": "object",
                    "properties": {"harbour": {"type": "string", "minLength": 200}},
                    "required": ["harbour"],
                },
            },
        }
    ]
    with openai.OpenAI(base_url=fleet.url + "/v1", api_key="x", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="openai-anthropic-break_stream", messages=ASK, tools=tools, tool_choice="required", stream=True
        )
        with pytest.raises(openai.APIError, match="incomplete"):
            list(stream)


def test_the_client_can_see_where_it_went_on(fleet):
    body = b'{"model":"openai-anthropic-break_stream","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
    request = urllib.request.Request(fleet.url + "/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read().decode()
    assert text.count(": crossdock continued at anthropic-good/m\n\n") == 1


BODY = '{"model":"openai-anthropic-break_stream","stream":true,"messages":[{"role":"user","content":"Hello"}]}'
BEHIND = {
    "x-crossdock-attempts": "2",
    "x-crossdock-reason": "continuation: broken at openai-break_stream/m",
    "x-crossdock-continued": "anthropic-good/m",
}


def over_socket(url, te):
    """The answer's bytes as they come over HTTP/1.1, on a connection that is closed behind it."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=20) as s:
        s.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close{', te' if te else ''}\r\n{te}"
            f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}".encode()
        )
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def test_http_1_1_tells_it_behind_the_last_chunk(fleet):
    head, _, body = over_socket(fleet.url, "te: trailers\r\n").partition("\r\n\r\n")
    assert "\r\ntrailer: x-crossdock-attempts, x-crossdock-reason, x-crossdock-continued\r\n" in head
    fields = body.rpartition("\r\n0\r\n")[2]
    assert fields.endswith("\r\n\r\n")
    assert dict(line.split(": ", 1) for line in fields.strip().split("\r\n")) == BEHIND


def test_who_does_not_ask_sees_none_of_it(fleet):
    head, _, body = over_socket(fleet.url, "").partition("\r\n\r\n")
    assert "\r\ntrailer:" not in head
    assert body.endswith("data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_curl_reads_trailer_fields(fleet, tmp_path, version, path):
    body = json.loads(BODY) | ({"input": "Hello"} if path == "/v1/responses" else {"max_tokens": 1000})
    if path == "/v1/responses":
        del body["messages"]
    heads = tmp_path / "heads"
    curl = ["curl", "-sS", version, "-D", str(heads), "-o", "/dev/null", "-H", "te: trailers", "-H", "content-type: application/json"]
    subprocess.run([*curl, "-d", json.dumps(body), fleet.url + path], check=True, timeout=30)
    _, _, behind = heads.read_text().replace("\r\n", "\n").partition("\n\n")
    assert dict(line.split(": ", 1) for line in behind.strip().split("\n")) == BEHIND


NODE = """
import http from "node:http";
const [url, body] = process.argv.slice(1);
const headers = { "content-type": "application/json", te: "trailers" };
const answer = await fetch(url, { method: "POST", headers, body });
const fetched = await answer.text();
const request = http.request(url, { method: "POST", headers });
request.end(body);
const [response] = await import("node:events").then(({ once }) => once(request, "response"));
let read = "";
for await (const piece of response) read += piece;
console.log(JSON.stringify({ fetched: fetched.trimEnd().split("\\n").at(-1), read: read.trimEnd().split("\\n").at(-1), trailers: response.trailers }));
"""


def test_node_reads_trailer_fields_and_fetch_ignores_them(fleet):
    node = ["node", "--input-type=module", "-e", NODE, fleet.url + "/v1/chat/completions", BODY]
    told = json.loads(subprocess.run(node, check=True, capture_output=True, text=True, timeout=30).stdout)
    assert told == {"fetched": "data: [DONE]", "read": "data: [DONE]", "trailers": BEHIND}
