"""Prices at work: the cheapest of several models answers, by the book or by what the configuration says."""

import json
import urllib.request

import pytest

from gateway import Gateway


def ask(gateway, model):
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    request = urllib.request.Request(gateway.url + "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["model"]


CHEAPEST = {
    "providers": {"a": {"simulate": True}, "b": {"simulate": True, "dialect": "custom"}},
    "models": {
        "by-the-book": {"strategy": "lowest-cost", "targets": ["a/gpt-5.4", "a/gpt-5.4-nano", "a/gpt-5.4-pro"]},
        "unknown-is-dearest": {"strategy": "lowest-cost", "targets": ["b/nobody-knows", "a/gpt-5.4-pro"]},
        "as-configured": {"strategy": "lowest-cost", "targets": ["a/gpt-5.4-nano", "b/house"]},
    },
    "deployments": {"b/house": {"price": {"input": 0.01, "output": 0.02}}},
}


@pytest.fixture(scope="module")
def cheap():
    gateway = Gateway(config=CHEAPEST)
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("model, chosen", [("by-the-book", "gpt-5.4-nano"), ("unknown-is-dearest", "gpt-5.4-pro"), ("as-configured", "house")])
def test_the_cheapest_answers(cheap, model, chosen):
    assert {ask(cheap, model) for _ in range(5)} == {chosen}
