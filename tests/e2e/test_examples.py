"""The examples, served as they are: each of its models answers the official SDK, and does what the comment at its top says."""

import glob
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import yaml
from gateway import Process

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
ASK = [{"role": "user", "content": "Hello"}]
# Run without an account, a key or a second process; "broken" is there to show what a stream looks like that breaks off.
STRATEGIES = sorted(glob.glob(os.path.join(ROOT, "examples/strategies/*.yaml")))
ALONE = [*STRATEGIES, *(os.path.join(ROOT, "examples", f"{name}.yaml") for name in ("fallbacks-by-cause", "hedging", "stream-failover"))]


class Example:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.config = yaml.safe_load(file)
        self.process = Process("serve", "--config", path, "--listen", "127.0.0.1:0", "--workers", "1", address=r"(http://127[^\s\"]+)")
        self.client = openai.OpenAI(base_url=self.process.url + "/v1", api_key="none", max_retries=0)

    def headers(self, model="chat", messages=ASK, **options):
        """Of a whole answer, which must hold text."""
        answer = self.client.chat.completions.with_raw_response.create(model=model, messages=messages, **options)
        assert answer.parse().choices[0].message.content
        return answer.headers

    def deployment(self, **options):
        return self.headers(**options)["x-crossdock-deployment"]

    def stream(self, model="chat", messages=ASK):
        """The headers and the text of a stream."""
        answer = self.client.chat.completions.with_raw_response.create(model=model, messages=messages, stream=True)
        return answer.headers, "".join(c.choices[0].delta.content or "" for c in answer.parse() if c.choices)

    def stop(self):
        self.client.close()
        assert self.process.stop() == 0


@pytest.fixture
def serve():
    served = []

    def start(name):
        served.append(Example(name if os.path.isabs(name) else os.path.join(ROOT, "examples", name)))
        return served[-1]

    yield start
    for example in served:
        example.stop()


@pytest.mark.parametrize("path", ALONE, ids=lambda path: os.path.basename(path)[: -len(".yaml")])
def test_every_model_of_an_example_answers(serve, path):
    example = serve(path)
    for model in example.config["models"]:
        if model == "broken":
            continue
        named = (t if isinstance(t, str) else t["deployment"] for t in example.config["models"][model]["targets"])
        headers, text = example.stream(model.replace("*", "fine"))
        assert text and headers["x-crossdock-deployment"] in {t.replace("*", "fine") for t in named}
        assert example.headers(model.replace("*", "fine"))["x-crossdock-attempts"] >= "1"


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: os.path.basename(path)[: -len(".yaml")])
def test_an_example_shows_the_strategy_that_it_is_named_after(path):
    with open(path, encoding="utf-8") as file:
        models = yaml.safe_load(file)["models"].values()
    assert {m["strategy"] for m in models} == {os.path.basename(path)[: -len(".yaml")]}


def test_there_is_an_example_of_each_strategy():
    sources = glob.glob(os.path.join(ROOT, "src/policy/strategy/*.c"))
    assert {os.path.basename(s)[:-2].replace("_", "-") for s in sources} == {os.path.basename(e)[: -len(".yaml")] for e in STRATEGIES}


def test_weighted_draws_the_heavy_one_more_often(serve):
    example = serve("strategies/weighted.yaml")
    drawn = Counter(example.deployment() for _ in range(80))
    assert set(drawn) == {"large/chat", "small/chat"} and drawn["large/chat"] > drawn["small/chat"]


def test_round_robin_gives_each_its_turns(serve):
    example = serve("strategies/round-robin.yaml")
    assert Counter(example.deployment() for _ in range(8)) == {"one/chat": 4, "two/chat": 2, "three/chat": 2}


def test_least_busy_spreads_what_comes_together(serve):
    example = serve("strategies/least-busy.yaml")
    with ThreadPoolExecutor(12) as pool:
        spread = Counter(pool.map(lambda _: example.deployment(), range(12)))
    assert len(spread) == 2 and min(spread.values()) >= 2


def test_least_latency_prefers_who_is_near(serve):
    example = serve("strategies/least-latency.yaml")
    for _ in range(6):
        example.stream()
    assert Counter(example.stream()[0]["x-crossdock-deployment"] for _ in range(10))["near/chat"] >= 8


def test_lowest_cost_depends_on_the_request(serve):
    example = serve("strategies/lowest-cost.yaml")
    long_prompt = [{"role": "user", "content": "Sum up: " + " ".join(map(str, range(2000)))}]
    assert example.deployment(max_tokens=4000) == "writer/chat"
    assert example.deployment(max_tokens=20, messages=long_prompt) == "reader/chat"


def test_priority_spills_over_when_the_first_tier_is_full(serve):
    example = serve("strategies/priority.yaml")
    assert example.deployment() == "reserved/chat"
    with ThreadPoolExecutor(6) as pool:
        used = Counter(pool.map(lambda _: example.deployment(), range(6)))
    assert used["reserved/chat"] >= 1 and used["paygo-a/chat"] + used["paygo-b/chat"] >= 1


STAYS = {
    "session": lambda i: {"extra_headers": {"x-crossdock-session": f"session {i}"}},
    "beginning": lambda i: {"messages": [{"role": "user", "content": f"Question {i}"}]},
    "user": lambda i: {"model": "per-user", "user": f"user {i}"},
    "header": lambda i: {"model": "per-tenant", "extra_headers": {"x-tenant": f"tenant {i}"}},
}


@pytest.mark.parametrize("by", STAYS)
def test_sticky_keeps_together_what_belongs_together(serve, by):
    example = serve("strategies/sticky.yaml")
    seen = [{example.deployment(**STAYS[by](i)) for _ in range(3)} for i in range(12)]
    # Who has hardly anything in a cache may move to where it is quicker; by chance eleven of twelve would.
    assert sum(len(homes) > 1 for homes in seen) <= 4
    assert len(set().union(*seen)) > 1


@pytest.mark.parametrize(
    ("model", "deployment", "cause"),
    [
        ("too-long", "spare/long", "context_length"),
        ("filtered", "spare/lenient", "content_filter"),
        ("limited", "spare/paygo", "rate_limited"),
        ("failing", "spare/elsewhere", "server_error"),
        ("silent", "spare/quick", "timeout_first"),
        ("unknown", "spare/last-resort", "not_found"),
    ],
)
def test_each_cause_has_its_fallback(serve, model, deployment, cause):
    headers = serve("fallbacks-by-cause.yaml").headers("chat-" + model)
    assert headers["x-crossdock-deployment"] == deployment
    assert headers["x-crossdock-reason"].startswith(f"fallback: {cause} at main/")


def test_a_late_request_is_hedged(serve):
    example = serve("hedging.yaml")
    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(lambda _: example.stream()[0]["x-crossdock-reason"], range(200)))
    assert any("hedge" in reason for reason in reasons) and not all("hedge" in reason for reason in reasons)


def test_a_stream_that_breaks_goes_on_only_where_that_is_wanted(serve):
    example = serve("stream-failover.yaml")
    headers, text = example.stream()
    assert headers["x-crossdock-deployment"] == "frail/chat" and len(text) > 200
    with pytest.raises(openai.APIError):
        example.stream("broken")
