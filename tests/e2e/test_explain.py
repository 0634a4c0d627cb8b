"""What operators ask: why a request went as it did, how the fleet fares, what the log of facts holds, also after kill -9."""

import json
import os
import re
import signal
import stat
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from gateway import PROGRAM, SCENARIO, Process
from test_server import get, key_hash, post

ADMIN = {"listen": "127.0.0.1:0", "key_file": "admin.key"}


def admin_url(g):
    assert g.process.wait_for_line("operators admin=")
    return next(m.group(1) for line in g.process.lines if (m := re.search(r"admin=(http://[^\s\"]+)", line)))


def ask_admin(g, path, key):
    request = urllib.request.Request(admin_url(g) + path, headers={"authorization": "Bearer " + key} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def command(*arguments, env=None):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, env=os.environ | (env or {}))


def key_file(g):
    return os.path.join(g.folder.name, "admin.key")


def at(g):
    return ["--admin", admin_url(g), "--key-file", key_file(g)]


def ask(g, name, model="chat"):
    return post(g.url, {"model": model, "messages": [{"role": "user", "content": "hi"}]}, {"x-request-id": name})[0]


def facts(folder, *arguments):
    result = command("facts", "--dir", folder, *arguments)
    return [json.loads(line) for line in result.stdout.splitlines()]


def wait_until(condition, seconds=15):
    """Ask until it holds; returns whether it does."""
    done = threading.Event()
    for _ in range(int(seconds * 20)):
        if condition():
            return True
        done.wait(0.05)
    return False


FAILING = SCENARIO | {"models": SCENARIO["models"] | {"broken": {"faults": [{"kind": "status", "status": 500}]}}}
FALLBACK = {"chat": {"targets": ["sim/broken"], "fallbacks": ["sim/chat-model"]}}


def test_why_tells_the_story_of_a_request_on_whichever_loop_it_was(make_gateway):
    g = make_gateway(config={"admin": ADMIN, "models": FALLBACK}, scenario=FAILING)
    for i in range(4):  # after a fifth failure in a row it would be ejected
        assert ask(g, f"told-{i}") == 200
    for i in range(4):
        result = command("why", f"told-{i}", *at(g))
        assert result.returncode == 0, result.stderr
        assert f"Request told-{i} came at" in result.stdout and 'for the model "chat"' in result.stdout
        assert "answered with status 200" in result.stdout
        assert "Attempt 1 at sim/broken" in result.stdout and "the provider failed (status 500)" in result.stdout
        assert "Attempt 2 at sim/chat-model" in result.stdout
    told = json.loads(command("why", "told-3", "--json", *at(g)).stdout)
    assert told["request"]["request"] == "told-3" and told["request"]["status"] == 200
    assert [a["cause"] for a in told["attempts"]] == ["server_error", "ok"]
    assert told["attempts"][1]["role"] == "fallback" and told["decisions"] and len(told["story"]) >= 4


def test_why_says_that_a_deployment_was_left_out_and_fleet_says_since_when(make_gateway):
    g = make_gateway(config={"admin": ADMIN, "models": {"chat": {"targets": ["sim/broken", "sim/chat-model"]}}}, scenario=FAILING)
    names = [f"r-{i}" for i in range(60)]
    assert all(ask(g, name) == 200 for name in names)
    story = command("why", names[-1], *at(g)).stdout
    assert "sim/broken: left out, it was ejected for ill health" in story and "Attempt 1 at sim/chat-model" in story
    table = command("fleet", *at(g)).stdout
    row = next(line for line in table.splitlines() if line.startswith("sim/broken"))
    assert "ejected" in row and "failures in a row; a probe in" in row
    page = get(admin_url(g) + "/metrics")[1]
    assert 'crossdock_deployment_state{deployment="sim/broken",provider="sim",state="ejected"} 1' in page
    assert 'crossdock_deployment_state{deployment="sim/chat-model",provider="sim",state="in use"} 1' in page
    assert 'crossdock_deployment_ejections_total{deployment="sim/broken",provider="sim"} 1' in page
    assert 'rule="ejected"' in page and 'cause="server_error"' in page


def test_why_of_a_request_that_nobody_knows_says_where_was_looked(make_gateway):
    g = make_gateway(config={"admin": ADMIN})
    result = command("why", "never", *at(g))
    assert result.returncode == 1 and not result.stdout
    assert "'never' is not among the latest, and there is no log on disk (facts.dir)" in result.stderr


def test_fleet_shows_every_deployment(make_gateway):
    g = make_gateway(config={"admin": ADMIN})
    assert ask(g, "one") == 200
    table = command("fleet", *at(g))
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    assert lines[0].startswith("DEPLOYMENT") and any(line.startswith("sim/chat-model") and "in use" in line for line in lines)
    fleet = json.loads(command("fleet", "--json", *at(g)).stdout)
    one = next(d for d in fleet["deployments"] if d["deployment"] == "sim/chat-model")
    assert one["sent"] == 1 and one["ended"] == {"ok": 1} and one["routes"] == ["chat"] and one["in_flight"] == 0


def test_why_of_an_id_that_several_had_tells_the_latest_and_how_many(make_gateway, tmp_path):
    g = make_gateway(config={"admin": ADMIN, "facts": {"dir": str(tmp_path / "facts")}, "models": FALLBACK}, scenario=FAILING)
    assert ask(g, "same") == 200 and ask(g, "same") == 200 and ask(g, "same", model="unknown") == 404
    told = json.loads(command("why", "same", "--json", *at(g)).stdout)
    assert told["found"] == 3 and told["request"]["status"] == 404 and told["attempts"] == []
    assert told["story"][0] == "At least 3 requests had this id; this is the latest of them."
    assert ask(g, "once") == 200
    told = json.loads(command("why", "once", "--json", *at(g)).stdout)
    assert told["found"] == 1 and told["story"][0].startswith("Request once came at")


def test_probes_are_attempts_in_the_log_of_facts(make_gateway, tmp_path):
    folder = str(tmp_path / "facts")
    first = make_gateway()
    provider = {"base_url": first.provider.url + "/v1", "api_key": "x", "health": {"probe": "token", "interval": "100ms", "spend": 1}}
    make_gateway(config={"facts": folder, "providers": {"one": provider}, "models": {"chat": {"targets": ["one/gpt-4o"]}}})
    assert wait_until(lambda: len(facts(folder, "--type", "attempt")) >= 2)
    probe = facts(folder, "--type", "attempt")[0]
    assert probe["role"] == "probe" and probe["request"] == "" and probe["deployment"] == "one/gpt-4o" and probe["cause"] == "ok"
    assert probe["price_nanodollars"] > 0 and facts(folder, "--type", "request") == []


def test_fleet_tells_prices_credentials_limits_and_what_is_next(make_gateway):
    priced = {"sim/chat-model": {"price": {"input": 2.5, "output": 10}}}
    g = make_gateway(config={"admin": ADMIN, "deployments": priced})
    assert ask(g, "one") == 200
    one = next(d for d in ask_admin(g, "/admin/fleet", open(key_file(g), encoding="utf-8").read().strip())[1]["deployments"]
               if d["deployment"] == "sim/chat-model")
    assert one["price_per_million"] == {"input": 2.5, "output": 10} and one["price_as_of"] == ""
    assert one["waiting"] == 0 and one["server"] is None and one["concurrency"] is None
    (credential,) = one["credentials"]
    assert credential["state"] == "open" and credential["headroom"] == 1 and credential["sent"] == 1 and credential["until_ms"] is None
    assert "2.5 / 10" in command("fleet", *at(g)).stdout


def test_a_page_of_metrics_has_each_family_once_and_each_series_once(make_gateway):
    g = make_gateway(config={"admin": ADMIN, "models": FALLBACK}, scenario=FAILING)
    for i in range(8):
        assert ask(g, f"counted-{i}") == 200
    families, series, family = {}, set(), None
    for line in get(admin_url(g) + "/metrics")[1].splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in families, line
            families[family] = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == family and families[family] is None and kind in ("counter", "gauge", "histogram"), line
            families[family] = kind
        else:
            sample = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (\S+)', line)
            assert sample, line
            suffixes = ["_bucket", "_sum", "_count"] if families[family] == "histogram" else [""]
            assert sample[1] in [family + suffix for suffix in suffixes], line
            assert families[family] != "counter" or family.endswith("_total"), line
            key = (sample[1], sample[2])
            assert key not in series, line
            series.add(key)
            float(sample[3])
    assert len(families) > 30 and len(series) > 60


def test_admin_endpoints_take_an_admin_key_and_their_own_address(make_gateway):
    keys = {"keys": [{"name": "app", "hash": key_hash("xd-app")}]}
    g = make_gateway(config=keys | {"admin": ADMIN | {"keys": [{"name": "ops", "hash": key_hash("xd-ops")}]}})
    for path in ["/admin/fleet", "/admin/decisions/x", "/admin", "/nothing"]:
        for key in [None, "xd-app", "xd-opsx", "xd-op"]:
            status, body = ask_admin(g, path, key)
            assert status == 401 and "admin key is needed" in body["error"]["message"]
    assert ask_admin(g, "/admin/fleet", "xd-ops")[0] == 200
    assert ask_admin(g, "/admin/nothing", "xd-ops")[0] == 404
    assert ask_admin(g, "/admin/decisions/", "xd-ops")[0] == 400
    with open(key_file(g), encoding="utf-8") as file:
        made = file.read().strip()
    assert ask_admin(g, "/admin/fleet", made)[0] == 200
    assert stat.S_IMODE(os.stat(key_file(g)).st_mode) == 0o600
    assert command("fleet", "--admin", admin_url(g), env={"CROSSDOCK_ADMIN_KEY": "xd-ops"}).returncode == 0
    # an operator's key asks no model, and clients find no endpoint of operators
    assert post(g.url, headers={"authorization": "Bearer xd-ops"})[0] == 401
    assert get(g.url + "/admin/fleet")[0] in (401, 404)
    assert get(admin_url(g) + "/healthz") == (200, "ok\n") and get(admin_url(g) + "/metrics")[0] == 200
    assert post(admin_url(g))[0] == 401


def test_the_made_key_goes_with_the_server(make_gateway):
    g = make_gateway(config={"admin": ADMIN})
    assert wait_until(lambda: os.path.exists(key_file(g)))
    assert g.process.stop() == 0
    assert not os.path.exists(key_file(g))


def test_commands_find_the_key_of_a_server_on_this_machine(make_gateway, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    g = make_gateway(config={"admin": "127.0.0.1:0"})
    url = admin_url(g)
    assert os.listdir(tmp_path) == [f"crossdock-admin-{url.rsplit(':', 1)[1]}.key"]
    assert command("fleet", env={"CROSSDOCK_ADMIN": url}).returncode == 0
    result = command("fleet", env={"CROSSDOCK_ADMIN": url, "XDG_RUNTIME_DIR": "/nowhere", "HOME": "/nowhere"})
    assert result.returncode == 1 and "CROSSDOCK_ADMIN_KEY" in result.stderr


def test_an_admin_address_that_was_asked_for_must_be_free(make_gateway):
    g = make_gateway(config={"admin": ADMIN})
    path = g.write("other.yaml", json.dumps({"listen": "127.0.0.1:0", "providers": {"p": {"simulate": True}}, "admin": admin_url(g)[7:]}))
    result = command("serve", "--config", path)
    assert result.returncode == 1 and "admin.listen" in result.stderr
    assert os.path.exists(key_file(g))  # the first one's key is as it was
    assert command("fleet", *at(g)).returncode == 0


def test_facts_survive_kill_9_and_are_found_again(make_gateway, tmp_path):
    folder = str(tmp_path / "facts")
    config = {"admin": ADMIN, "facts": {"dir": folder, "recent": 0}, "models": FALLBACK}
    g = make_gateway(config=config, scenario=FAILING)
    names = [f"kept-{i}" for i in range(40)]
    assert all(ask(g, name) == 200 for name in names)
    assert wait_until(lambda: len(facts(folder, "--type", "request")) == len(names))
    g.process.signal(signal.SIGKILL)
    g.process.process.wait()
    kept = facts(folder, "--type", "request")
    assert sorted(f["request"] for f in kept) == sorted(names) and all(f["status"] == 200 for f in kept)
    again = facts(folder, "--request", "kept-3", "--since", "1h")
    assert [f["type"] for f in again if f["type"] != "decision"] == ["attempt", "attempt", "request"]
    # a new process goes on behind it, and tells of what the old one did
    g.process = Process("serve", "--config", g.config, address=r"listening url=(https?://[^\s\"]+)")
    g.url = g.process.url
    assert ask(g, "after") == 200
    assert wait_until(lambda: len(facts(folder, "--type", "request")) == len(names) + 1)
    for name in ["kept-0", "kept-39", "after"]:
        assert f"Request {name} came at" in command("why", name, *at(g)).stdout
    assert "nor in the log on disk" in command("why", "never", *at(g)).stderr


def test_facts_can_be_followed(make_gateway, tmp_path):
    folder = str(tmp_path / "facts")
    g = make_gateway(config={"facts": folder})
    assert ask(g, "before") == 200
    assert wait_until(lambda: len(facts(folder, "--type", "request")) == 1)
    follower = subprocess.Popen(
        [PROGRAM, "facts", "--dir", folder, "--type", "request", "--follow"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert json.loads(follower.stdout.readline())["request"] == "before"
        for i in range(3):
            assert ask(g, f"then-{i}") == 200
            assert json.loads(follower.stdout.readline())["request"] == f"then-{i}"
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_facts_says_what_to_name_when_there_is_no_log(make_gateway):
    g = make_gateway()
    result = command("facts", "--config", g.config)
    assert result.returncode == 3 and "facts.dir" in result.stderr
    assert command("facts", "--dir", "/nowhere/at/all").returncode == 1


@pytest.mark.parametrize("explain", [True, False])
def test_headers_that_explain_can_be_switched_off(make_gateway, explain):
    g = make_gateway(config={"explain_headers": explain, "models": FALLBACK}, scenario=FAILING)
    request = urllib.request.Request(
        g.url + "/v1/chat/completions",
        json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}]}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        got = {name: answer.headers["x-crossdock-" + name] for name in ["route", "deployment", "attempts", "reason", "model"]}
    assert got.pop("model") == "chat"
    if explain:
        assert got == {
            "route": "chat",
            "deployment": "sim/chat-model",
            "attempts": "2",
            "reason": "fallback: server_error at sim/broken",
        }
    else:
        assert set(got.values()) == {None}
