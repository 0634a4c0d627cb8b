"""AWS's SDK for Python (boto3) with the Converse API of Bedrock, to models of every vendor: requests signed, or with an API key."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from conftest import ask, needs_forcing
from gateway import AWS_KEY, VENDORS

ASK = [{"role": "user", "content": [{"text": "What is the tide in Brest?"}]}]
SCHEMA = {
    "type": "object",
    "properties": {"port": {"type": "string"}, "metres": {"type": "boolean"}},
    "required": ["port", "metres"],
    "additionalProperties": False,
}
TOOL = {"toolSpec": {"name": "get_tide", "description": "Tide height", "inputSchema": {"json": SCHEMA}}}


def connect(vendors, **credentials):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(
        "bedrock-runtime", endpoint_url=vendors.url, region_name="eu-west-1", config=config, **(credentials or AWS_KEY)
    )


@pytest.fixture
def client(vendors):
    return connect(vendors)


def text_of(message):
    return "".join(block.get("text", "") for block in message["content"])


def gather(stream):
    """A stream's message, as its events tell it, its reason to stop and its usage."""
    blocks, reason, usage = {}, None, None
    for event in stream:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": dict(start["start"]["toolUse"], input="")}
        if "contentBlockDelta" in event:
            at, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            if "text" in delta:
                block = blocks.setdefault(at, {"text": ""})
                block["text"] += delta["text"]
            if "toolUse" in delta:
                blocks[at]["toolUse"]["input"] += delta["toolUse"]["input"]
        if "messageStop" in event:
            reason = event["messageStop"]["stopReason"]
        if "metadata" in event:
            usage = event["metadata"]["usage"]
    return {"role": "assistant", "content": [blocks[at] for at in sorted(blocks)]}, reason, usage


@pytest.mark.parametrize("vendor", VENDORS)
class TestConverse:
    def test_stream_is_the_plain_answer(self, client, vendor):
        asked = {"modelId": vendor, "messages": ASK, "system": [{"text": "Be brief."}], "inferenceConfig": {"maxTokens": 500}}
        plain = client.converse(**asked)
        assert text_of(plain["output"]["message"]).startswith("[simulated]") and plain["stopReason"] == "end_turn"
        assert plain["usage"]["totalTokens"] >= plain["usage"]["inputTokens"] + plain["usage"]["outputTokens"] > 10
        message, reason, usage = gather(client.converse_stream(**asked)["stream"])
        assert text_of(message) == text_of(plain["output"]["message"])
        assert reason == "end_turn" and usage["outputTokens"] == plain["usage"]["outputTokens"]

    def test_a_cut_answer_says_so(self, client, vendor):
        answer = client.converse(modelId=vendor, messages=ASK, inferenceConfig={"maxTokens": 5})
        assert answer["stopReason"] == "max_tokens"

    def test_agent_of_two_rounds(self, client, vendor):
        needs_forcing(vendor)
        messages = list(ASK)
        for round_ in range(2):
            said = client.converse(modelId=vendor, messages=messages, toolConfig={"tools": [TOOL], "toolChoice": {"any": {}}})
            assert said["stopReason"] == "tool_use"
            use = next(b["toolUse"] for b in said["output"]["message"]["content"] if "toolUse" in b)
            assert use["name"] == "get_tide" and set(use["input"]) == {"port", "metres"}
            result = {"toolUseId": use["toolUseId"], "content": [{"text": f"{round_}.2 m"}]}
            messages += [said["output"]["message"], {"role": "user", "content": [{"toolResult": result}]}]
        final = client.converse(modelId=vendor, messages=messages, toolConfig={"tools": [TOOL]})
        assert final["stopReason"] in ("end_turn", "tool_use")

    def test_streamed_tool_call(self, client, vendor):
        needs_forcing(vendor)
        stream = client.converse_stream(modelId=vendor, messages=ASK, toolConfig={"tools": [TOOL], "toolChoice": {"any": {}}})
        message, reason, _ = gather(stream["stream"])
        use = next(b["toolUse"] for b in message["content"] if "toolUse" in b)
        assert reason == "tool_use" and use["name"] == "get_tide" and '"port"' in use["input"]

    @pytest.mark.parametrize(
        "fault, code",
        [
            ("refused", {"ValidationException"}),
            ("limited", {"ThrottlingException"}),
            ("failing", {"InternalServerException", "ModelErrorException", "ServiceUnavailableException"}),
        ],
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_have_their_class(self, client, vendor, fault, code, stream):
        with pytest.raises(ClientError) as caught:
            (client.converse_stream if stream else client.converse)(modelId=f"{vendor}-{fault}", messages=ASK)
        assert caught.value.response["Error"]["Code"] in code and caught.value.response["Error"]["Message"]
        assert hasattr(client.exceptions, caught.value.response["Error"]["Code"])

    def test_a_stream_that_breaks_raises(self, client, vendor):
        events = []
        with pytest.raises(EventStreamError):
            for event in client.converse_stream(modelId=f"{vendor}-broken", messages=ASK)["stream"]:
                events += event
        assert "messageStop" not in events


def test_signatures_are_verified(vendors):
    for wrong in (
        {"aws_access_key_id": "NOBODY", "aws_secret_access_key": AWS_KEY["aws_secret_access_key"]},
        {"aws_access_key_id": AWS_KEY["aws_access_key_id"], "aws_secret_access_key": "wrong"},
    ):
        with pytest.raises(ClientError) as caught:
            connect(vendors, **wrong).converse(modelId="openai", messages=ASK)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)


def test_an_api_key_is_taken_as_well(vendors):
    """boto3 sends one over TLS only, so this is what it would send."""
    body = {"messages": ASK, "inferenceConfig": {"maxTokens": 500}}
    status, answer = ask(vendors, "/model/openai/converse", body)
    assert status == 200 and text_of(answer["output"]["message"]).startswith("[simulated]")
    status, answer = ask(vendors, "/model/openai/converse", body, key="wrong")
    assert status in (401, 403) and answer["message"]


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.converse(modelId="nope", messages=ASK)


def test_a_model_whose_name_must_be_coded(client):
    """boto3 codes colons in the path, and signs that path."""
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.converse(modelId="vendor.no-such-model-v1:0", messages=ASK)
