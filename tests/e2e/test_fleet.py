"""A fleet that fails: what clients with the official SDKs see of it, which is nothing, and what operators do."""

import json
import signal
import threading

import anthropic
import openai
import pytest
from gateway import Gateway, Process
from test_credentials import KEYS
from test_explain import ADMIN, at, command

ASK = [{"role": "user", "content": "Which ships lie in the harbour of Calais tonight?"}]
FAST = {"answer_tokens": 8}
SCENARIO = {
    "models": {
        "*": {"answer_tokens": 40},
        "quick": FAST,
        "tail": FAST | {"schedule": [{"first_request": 21, "ttft": "30s"}]},
        "small": {"faults": [{"kind": "context_length"}]},
        "breaks": {"answer_tokens": 40, "faults": [{"kind": "break_stream", "after_tokens": 9}]},
        "stormy": {"faults": [{"kind": "rate_limit", "retry_after": "1h"}], "schedule": [{"first_request": 2, "faults": []}]},
    }
}


def other_provider(folder):
    """A second provider in a process of its own, that can be killed."""
    path = f"{folder}/other.yaml"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(SCENARIO, file)
    return Process("sim", "--listen", "127.0.0.1:0", "--scenario", path, address=r"at (http://[^/\s]+)")


class Fleet(Gateway):
    """Two providers, and a model for each way to fail."""

    def __init__(self, workers):
        super().__init__(scenario=SCENARIO, config={"admin": ADMIN, "workers": workers})

    def default_config(self):
        self.other = other_provider(self.folder.name)
        own, other = f"{self.provider.url}/v1", f"{self.other.url}/v1"
        providers = {
            "sim": {"base_url": own, "api_key": "sk-one"},
            "other": {"base_url": other, "api_key": "sk-two"},
            "keys": {"base_url": own, "api_keys": KEYS, "health": {"probe": "off"}},  # every attempt is counted
        }
        hedge = {"enabled": True, "samples": 10, "requests": 0.5, "spend": 0.5}
        models = {
            "both": {"targets": ["sim/chat-model", "other/chat-model"], "strategy": "round-robin"},
            "stormy": {"targets": ["keys/stormy"]},
            "long": {"targets": ["sim/small"], "fallbacks": {"context_length": "sim/large", "any": "sim/wrong"}},
            "whole": {"targets": ["sim/quay"]},
            "broken": {"targets": ["sim/breaks"], "fallbacks": "sim/quay", "stream_failover": True},
            "late": {"targets": ["sim/tail", "sim/quick"], "strategy": "round-robin", "hedge": hedge},
        }
        return super().default_config() | {"providers": providers, "models": models}

    def stop(self):
        self.other.stop()
        return super().stop()


@pytest.fixture(params=[1, 2, 4], ids="workers-{}".format)
def fleet(request):
    f = Fleet(request.param)
    yield f
    f.stop()


def openai_client(fleet, **options):
    return openai.OpenAI(base_url=fleet.url + "/v1", api_key="x", max_retries=0, **options)


def anthropic_client(fleet):
    return anthropic.Anthropic(base_url=fleet.url, api_key="x", max_retries=0)


def ask_raw(client, model):
    """The answer, and its headers."""
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK)
    return raw.parse(), raw.headers


def story(fleet, headers):
    return json.loads(command("why", headers["x-request-id"], "--json", *at(fleet)).stdout)


def deployment(fleet, name):
    told = json.loads(command("fleet", "--json", *at(fleet)).stdout)
    return next(d for d in told["deployments"] if d["deployment"] == name)


def test_a_provider_that_is_killed_in_the_middle_of_traffic_costs_no_request(fleet):
    failed, answered, dead = [], [], threading.Event()

    def traffic(ask):
        after = 0
        while after < 12:  # requests that begin behind its death
            after += dead.is_set()
            try:
                answered.append(ask())
            except (openai.APIError, anthropic.APIError) as error:
                failed.append(error)

    with openai_client(fleet) as one, anthropic_client(fleet) as two:
        asks = [
            lambda: one.chat.completions.create(model="both", messages=ASK).choices[0].message.content,
            lambda: two.messages.create(model="both", messages=ASK, max_tokens=200).content[0].text,
        ]
        clients = [threading.Thread(target=traffic, args=(ask,)) for ask in asks]
        for client in clients:
            client.start()
        while len(answered) < 20 and not failed:
            dead.wait(0.01)
        fleet.other.signal(signal.SIGKILL)
        fleet.other.process.wait()
        dead.set()
        for client in clients:
            client.join(30)
        assert not failed and all(text.startswith("[simulated]") for text in answered)
        last, headers = ask_raw(one, "both")
    row = next(line for line in command("fleet", *at(fleet)).stdout.splitlines() if line.startswith("other/chat-model"))
    assert "ejected" in row, row
    assert deployment(fleet, "sim/chat-model")["state"] == "in use"
    assert last.choices and headers["x-crossdock-deployment"] == "sim/chat-model" and headers["x-crossdock-attempts"] == "1"
    text = command("why", headers["x-request-id"], *at(fleet)).stdout
    assert "other/chat-model: left out, it was ejected for ill health" in text and "Attempt 1 at sim/chat-model" in text


def test_a_storm_of_429_on_one_credential_is_no_illness_and_no_error(fleet):
    with openai_client(fleet) as client:
        first, headers = ask_raw(client, "stormy")
        assert first.choices and headers["x-crossdock-attempts"] == "2"
        assert [a["cause"] for a in story(fleet, headers)["attempts"]] == ["rate_limited", "ok"]
        for _ in range(20):  # the credential rests: each of these is answered with the other one, at once
            answer, headers = ask_raw(client, "stormy")
            assert answer.choices and headers["x-crossdock-attempts"] == "1"
    told = deployment(fleet, "keys/stormy")
    assert told["state"] == "in use" and told["ended"] == {"rate_limited": 1, "ok": 21}


def test_a_prompt_that_is_too_long_goes_to_the_model_for_long_ones(fleet):
    with openai_client(fleet) as client:
        answer, headers = ask_raw(client, "long")
    assert answer.choices[0].message.content.startswith("[simulated]")
    assert headers["x-crossdock-deployment"] == "sim/large"
    assert headers["x-crossdock-reason"] == "fallback: context_length at sim/small"
    with anthropic_client(fleet) as client:
        raw = client.messages.with_raw_response.create(model="long", messages=ASK, max_tokens=200)
    assert raw.headers["x-crossdock-deployment"] == "sim/large" and raw.parse().content[0].text
    told = story(fleet, headers)
    assert [d["pool"] for d in told["decisions"]] == ["targets", "fallbacks.context_length"]


def test_a_stream_that_breaks_in_the_middle_comes_whole(fleet):
    with openai_client(fleet) as client:
        whole = client.chat.completions.create(model="whole", messages=ASK).choices[0].message.content
        raw = client.chat.completions.with_raw_response.create(model="broken", messages=ASK, stream=True)
        headers, chunks = raw.headers, list(raw.parse())
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole
    with anthropic_client(fleet) as client, client.messages.stream(model="broken", messages=ASK, max_tokens=200) as stream:
        assert "".join(stream.text_stream) == whole
    told = story(fleet, headers)
    assert [a["role"] for a in told["attempts"]] == ["first", "continuation"]
    assert told["request"]["continued"] and told["request"]["status"] == 200


def test_a_late_stream_is_hedged_and_the_first_to_answer_wins(fleet):
    hedged = []
    with openai_client(fleet, timeout=20) as client:  # the late one would take longer
        for _ in range(46):
            raw = client.chat.completions.with_raw_response.create(model="late", messages=ASK, stream=True)
            assert "".join(c.choices[0].delta.content or "" for c in raw.parse() if c.choices).startswith("[simulated]")
            if raw.headers["x-crossdock-attempts"] == "2":
                hedged.append(raw.headers)
    assert hedged and all(h["x-crossdock-deployment"] == "sim/quick" for h in hedged)
    first, second = story(fleet, hedged[0])["attempts"]
    assert (first["deployment"], first["role"], first["cause"]) == ("sim/tail", "first", "superseded")
    assert (second["deployment"], second["role"], second["cause"]) == ("sim/quick", "hedge", "ok")
