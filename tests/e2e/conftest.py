"""Fixtures: one gateway for the tests that only use it, and a maker of others for those that change or break it."""

import json
import os
import sys
import urllib.request

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from gateway import Gateway  # noqa: E402  (found through the line above)


@pytest.fixture(scope="session")
def gateway():
    g = Gateway()
    yield g
    g.stop()


@pytest.fixture
def make_gateway():
    made = []

    def make(**options):
        made.append(Gateway(**options))
        return made[-1]

    yield make
    for g in made:
        g.stop()


@pytest.fixture
def base_url(gateway):
    return gateway.url + "/v1"


def provider_stats(gateway):
    with urllib.request.urlopen(gateway.provider.url + "/sim/stats", timeout=5) as answer:
        return json.load(answer)


def metrics(gateway):
    with urllib.request.urlopen(gateway.url + "/metrics", timeout=5) as answer:
        return answer.read().decode()
