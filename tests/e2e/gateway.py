#!/usr/bin/env python3
"""
gateway - a crossdock process for tests: started on free ports, stopped by process id.

As a program: `gateway.py COMMAND...` runs the command with $CROSSDOCK_URL set to a gateway in front of a simulated provider, and with
$CROSSDOCK_VENDORS_URL, $CROSSDOCK_VENDORS, $CROSSDOCK_KEY and $CROSSDOCK_AWS_… set to a gateway in front of several vendors.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

import yaml

PROGRAM = os.environ.get("CROSSDOCK", "build/crossdock")

SCENARIO = {
    "seed": 11,
    "allow_overrides": True,
    "models": {"*": {}, "paced": {"ttft": "20ms", "tokens_per_second": 50, "answer_tokens": 200}},
}

# Vendors that a gateway of `Vendors` has, and a model's name at each by which its simulator knows which rules to keep.
VENDORS = {
    "openai": "gpt-sim",
    "anthropic": "claude-sim",
    "mistral": "mistral-sim",
    "gemini": "gemini-3-sim",
    "cohere": "command-sim",
    "ollama": "llama-sim",
    "bedrock": "anthropic.claude-sim-v1:0",
}
# Vendors that only some of the tests ask: this one does not look at the model's name, so it cannot be told to fail.
MORE_VENDORS = {"tgi": "tgi-sim"}
# Those that can be told to call a tool; Ollama has no such thing, and its simulator then answers with text.
FORCING = [vendor for vendor in VENDORS if vendor != "ollama"]
# Models that fail, one of each kind for each vendor: "openai-limited", ...
FAULTS = {
    "refused": {"kind": "status", "status": 400},
    "limited": {"kind": "rate_limit", "retry_after": "2s"},
    "failing": {"kind": "status", "status": 500},
    "broken": {"kind": "break_stream", "after_tokens": 3},
}
# A model whose name SDKs must code where they put it into a path.
CODED = "eu.anthropic/claude-sim-v1:0"
KEY = "xd-key-of-the-tests"
AWS_KEY = {"aws_access_key_id": "XDTESTS", "aws_secret_access_key": "a-secret-of-the-tests"}


class Process:
    """A crossdock process; `url` is where it serves, `lines` what it has written to stderr."""

    def __init__(self, *arguments, address):
        self.lines = []
        self._known = threading.Event()
        self.url = None
        self._address = re.compile(address)
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.out = []
        threads = [(self.process.stderr, self.lines), (self.process.stdout, self.out)]
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in threads]
        for reader in self._readers:
            reader.start()
        if not self._known.wait(30) or not self.url:
            self.stop()
            raise RuntimeError("crossdock did not start:\n" + "".join(self.lines))

    def _read(self, stream, lines):
        for line in stream:
            lines.append(line)
            found = self._address.search(line)
            if found and not self.url:
                self.url = found.group(1)
                self._known.set()
        self._known.set()

    def wait_for_line(self, text, seconds=10):
        """Wait until stderr has a line with `text` in it; returns whether it came."""
        done = threading.Event()
        for _ in range(int(seconds * 100)):
            if any(text in line for line in self.lines):
                return True
            done.wait(0.01)
        return False

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """End it as an operator would; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self._readers:
            reader.join(5)
        return self.process.returncode


class Gateway:
    """A gateway of its own, in front of a simulated provider in a process of its own. `config` may be made of the provider's URL."""

    def __init__(self, config=None, scenario=None, files=None):
        self.folder = tempfile.TemporaryDirectory(prefix="crossdock-test-")
        scenario_path = self.write("scenario.yaml", yaml.safe_dump(scenario or SCENARIO))
        for name, text in (files or {}).items():
            self.write(name, text)
        self.provider = Process("sim", "--listen", "127.0.0.1:0", "--scenario", scenario_path, address=r"at (http://[^/\s]+)")
        more = config(self.provider.url) if callable(config) else config or {}
        self.config = self.write("crossdock.yaml", yaml.safe_dump(self.default_config() | more))
        self.process = Process("serve", "--config", self.config, address=r"listening url=(https?://[^\s\"]+)")
        self.url = self.process.url

    def default_config(self):
        return {
            "listen": "127.0.0.1:0",
            "workers": 2,
            "log": {"format": "json", "access": "stdout"},
            "admin": "off",
            "providers": {"sim": {"base_url": self.provider.url + "/v1", "api_key": "sk-provider-secret-key", "serves": "*"}},
            "models": {"chat": {"targets": ["sim/chat-model"]}, "paced": {"targets": ["sim/paced"]}},
        }

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def stop(self):
        codes = self.process.stop(), self.provider.stop()
        self.folder.cleanup()
        return codes


class Vendors:
    """A gateway in front of a simulated provider of each vendor. Its models are named as these, and `chat` is the first one's."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="crossdock-test-")
        scenario = self.write("scenario.yaml", {"seed": 7, "models": {"*": {}} | {f: {"faults": [k]} for f, k in FAULTS.items()}})
        path = self.write("crossdock.yaml", self.config(scenario))
        self.process = Process("serve", "--config", path, address=r"listening url=(https?://[^\s\"]+)")
        self.url = self.process.url

    def config(self, scenario):
        models = {v: {"targets": [f"{v}/{name}"]} for v, name in VENDORS.items()}
        models |= {v: {"targets": [f"{v}/{name}"]} for v, name in MORE_VENDORS.items()}
        # What a client is told of one failure: the gateway itself does not try again.
        models |= {f"{v}-{fault}": {"targets": [f"{v}/{fault}"], "retries": 1} for v in VENDORS for fault in FAULTS}
        models[CODED] = models["bedrock"]
        return {
            "listen": "127.0.0.1:0",
            "workers": 2,
            "providers": {v: {"dialect": v, "simulate": scenario} for v in [*VENDORS, *MORE_VENDORS]},
            "models": models,
            "keys": [{"name": "tests", "hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()} | AWS_KEY],
        }

    def write(self, name, tree):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(tree, file)
        return path

    def stop(self):
        code = self.process.stop()
        self.folder.cleanup()
        return code


def main():
    gateway = Gateway()
    vendors = Vendors()
    environment = {
        "CROSSDOCK_URL": gateway.url,
        "CROSSDOCK_VENDORS_URL": vendors.url,
        "CROSSDOCK_VENDORS": " ".join(VENDORS),
        "CROSSDOCK_FORCING": " ".join(FORCING),
        "CROSSDOCK_CODED": CODED,
        "CROSSDOCK_KEY": KEY,
        "CROSSDOCK_AWS_ACCESS_KEY_ID": AWS_KEY["aws_access_key_id"],
        "CROSSDOCK_AWS_SECRET_ACCESS_KEY": AWS_KEY["aws_secret_access_key"],
    }
    try:
        status = subprocess.run(sys.argv[1:], env=os.environ | environment, check=False).returncode
    finally:
        vendors.stop()
        gateway.stop()
    sys.exit(status)


if __name__ == "__main__":
    main()
