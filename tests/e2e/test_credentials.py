"""Several credentials of one provider: rotation, limits learned before the 429, refused keys; with the official SDKs."""

import json
import urllib.request

import anthropic
import openai
import pytest

from conftest import metrics

ASK = [{"role": "user", "content": "What is the tide in Brest?"}]
KEYS = ["sk-first-credential", "sk-second-credential"]


def config(url, keys):
    return {
        "providers": {
            "sim": {"base_url": url + "/v1", "api_keys": keys},
            "claude": {"dialect": "anthropic", "base_url": url + "/v1", "api_keys": keys},
        },
        "models": {"chat": {"targets": ["sim/limited"]}, "claude": {"targets": ["claude/limited"]}},
    }


@pytest.fixture
def make(make_gateway):
    """A gateway with these credentials, in front of a provider that behaves so."""

    def start(keys, **scenario):
        return make_gateway(
            scenario={"models": {"limited": {"limits": {"requests": 3, "window": "1h"}}, "*": {}}} | scenario,
            config=lambda url: config(url, keys),
        )

    return start


def clients(gateway):
    return (
        openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0),
        anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0),
    )


def provider_stats(gateway):
    """As its own customer sees them: that needs a key, too."""
    request = urllib.request.Request(gateway.provider.url + "/sim/stats", headers={"authorization": f"Bearer {KEYS[0]}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def ask_openai(client):
    return client.chat.completions.create(model="chat", messages=ASK).choices[0].message.content


def ask_anthropic(client):
    return client.messages.create(model="claude", max_tokens=50, messages=ASK).content[0].text


def test_what_headers_tell_is_heeded_before_there_is_a_429(make):
    gateway = make(KEYS)
    client, _ = clients(gateway)
    for _ in range(6):
        assert ask_openai(client).startswith("[simulated]")
    with pytest.raises(openai.RateLimitError) as refusal:
        ask_openai(client)
    assert refusal.value.status_code == 429
    assert 3500 < int(refusal.value.response.headers["retry-after"]) <= 3600
    assert refusal.value.code == "rate_limit_exceeded"
    stats = provider_stats(gateway)["models"]["limited"]
    assert stats["requests"] == 6 and stats["rate_limited"] == 0


def test_anthropics_headers_and_words(make):
    gateway = make(KEYS)
    _, client = clients(gateway)
    for _ in range(6):
        assert ask_anthropic(client).startswith("[simulated]")
    with pytest.raises(anthropic.RateLimitError) as refusal:
        ask_anthropic(client)
    assert refusal.value.body["error"]["type"] == "rate_limit_error"
    assert 3500 < int(refusal.value.response.headers["retry-after"]) <= 3601  # its resets are whole seconds
    assert provider_stats(gateway)["models"]["limited"]["rate_limited"] == 0


def test_a_refused_key_is_retired_with_one_alarm_and_no_client_notices(make):
    gateway = make([KEYS[0], {"name": "old", "key": "sk-revoked-credential"}], api_keys=KEYS, models={"*": {}})
    client, other = clients(gateway)
    for _ in range(20):
        assert ask_openai(client).startswith("[simulated]")
        assert ask_anthropic(other).startswith("[simulated]")
    assert gateway.process.wait_for_line("refuses credential old")
    alarms = [line for line in gateway.process.lines if "refuses credential" in line]
    assert len(alarms) == 2 and all('"warn"' in line for line in alarms), alarms  # one for each of the two providers
    assert provider_stats(gateway)["other"]["refused"] == 2
    assert not any("sk-revoked" in line for line in gateway.process.lines + gateway.process.out)
    page = metrics(gateway)
    assert 'crossdock_credential_usable{provider="sim",credential="old"} 0\n' in page
    assert 'crossdock_credential_usable{provider="sim",credential="1"} 1\n' in page
    assert 'crossdock_credential_refused_total{provider="sim",credential="old"} 1\n' in page


def test_a_replaced_key_is_used_at_once(make):
    gateway = make(["sk-revoked-credential"], api_keys=KEYS, models={"*": {}})
    client, _ = clients(gateway)
    for _ in range(3):  # there is no other: each tries whether it still is refused
        with pytest.raises(openai.AuthenticationError) as refusal:
            ask_openai(client)
        assert refusal.value.code == "provider_credential_refused" and "sk-revoked" not in str(refusal.value)
    assert 'crossdock_credential_usable{provider="sim",credential="1"} 0\n' in metrics(gateway)
    assert len([line for line in gateway.process.lines if "refuses credential" in line]) == 1
    with open(gateway.config, encoding="utf-8") as file:
        gateway.write("crossdock.yaml", file.read().replace("sk-revoked-credential", KEYS[1]))
    assert gateway.process.wait_for_line("configuration installed revision=2")
    assert ask_openai(client).startswith("[simulated]")
