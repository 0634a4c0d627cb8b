"""
pipelines - the figures of bench/run that are about pipelines: Kafka to Kafka, from model to model, and very many messages that wait.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import time
import urllib.request

from harness import BUILD, CROSSDOCK, ROOT, Process, Sim, folder, free_port, obituary, wait_for_port, write
from table import Series, absolute, fine_ms, mib, per_second, rows, us

LOOP = os.path.join(BUILD, "release", "kafka_loop")
HOP = os.path.join(BUILD, "release", "hop")
PATIENCE = 600  # seconds, for what takes long where others compile


def disk():
    """A folder for journals, on the disk that the build is on: what is durable must not be in memory."""
    return made(os.path.join(BUILD, os.path.basename(folder)))


def made(path):
    os.makedirs(path, exist_ok=True)
    return path


# ---- Kafka to Kafka ------------------------------------------------------------------------------------------------


class Broker:
    """Kafka, on this machine; None if it cannot be had."""

    def __enter__(self):
        self.folder = os.path.join(disk(), "kafka")
        self.address = os.environ.get("KAFKA_BROKERS")
        self.is_ours = not self.address
        if self.is_ours:
            os.makedirs(self.folder)
            out = self.script("start")
            self.address = out.stdout.strip() if out.returncode == 0 else None
        return self

    def script(self, what):
        # Not through a pipe for its errors: the server has them open as long as it lives.
        return subprocess.run([os.path.join(ROOT, "scripts", "brokers"), what, "kafka", self.folder],
                              stdout=subprocess.PIPE, text=True, check=False)  # fmt: skip

    def __exit__(self, *_):
        if self.is_ours and self.address:
            self.script("kill")
        if self.is_ours:
            shutil.rmtree(self.folder, ignore_errors=True)

    def loop(self, *arguments):
        """One of kafka_loop's commands, to its end."""
        command = [LOOP, arguments[0], self.address, *map(str, arguments[1:])]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout

    def watch(self, subject, *arguments):
        """Records a second that the group gets through, and the processor time of each in microseconds."""
        command = [LOOP, "watch", self.address, *map(str, arguments)]
        with Process(command, stdout=subprocess.PIPE, text=True) as watch:
            if watch.popen.stdout.readline() != "begun\n":
                raise RuntimeError(f"nothing was copied{obituary()}")
            before = subject.cpu_ns()
            found = watch.popen.stdout.readline().split()
            if not found:
                raise RuntimeError(f"watching broke off{obituary()}")
            count, took = int(found[0]), float(found[1])
            return count / took, (subject.cpu_ns() - before) / count / 1e3


class KafkaRuns:
    """One batch size: our pipeline, and the loop with and without transactions, in turn from the same topic."""

    PARTITIONS, BATCH, LINGER_MS = 4, 1000, 100

    def __init__(self, broker, records):
        self.broker, self.records, self.runs = broker, records, 0
        self.name = os.path.basename(folder)  # the broker may be somebody else's, and know what came before
        broker.loop("fill", self.name, self.PARTITIONS, records, 1024)

    def command(self, kind, name):
        if kind != "pipeline":
            return [LOOP, "run", self.broker.address, self.name, name, name, str(self.BATCH), str(self.LINGER_MS), kind]
        file = write(f"{name}.yaml", json.dumps({
            "pipeline": name,
            "connections": {"kafka": {"url": f"kafka://{self.broker.address}"}},
            "sources": {"in": {"kafka": {"topic": self.name, "group": name}}},
            "nodes": {"add": {"from": "in", "map": ". + {seen: true}"}},
            "sinks": {"out": {"from": "add", "kafka": name, "batch": {"max": self.BATCH, "linger": f"{self.LINGER_MS}ms"}}},
        }))  # fmt: skip
        return [CROSSDOCK, "pipeline", "run", file, "--journal", os.path.join(disk(), f"{name}.db")]

    def run(self, kind):
        self.runs += 1
        name = f"{self.name}-{kind}-{self.runs}"
        self.broker.loop("make", name, self.PARTITIONS)
        with Process(self.command(kind, name), stdout=subprocess.DEVNULL) as subject:
            got = self.broker.watch(subject, self.name, self.PARTITIONS, self.records, name)
        there = int(self.broker.loop("count", name, self.PARTITIONS)) if kind != "plain" else self.records
        if there != self.records:
            raise RuntimeError(f"{kind}: {there} records instead of {self.records}")
        return got


# ---- model to model ------------------------------------------------------------------------------------------------


class Hops(Process):
    """A gateway with a pipeline of two models, in front of bench/hop.c."""

    def __init__(self, journals, provider):
        self.port = free_port()
        ask = {"model": {"route": "hop", "prompt": "When? {{.question}}"}, "out": {"text": {"max_tokens": 64}}}
        config = write("hop.yaml", json.dumps({
            "listen": f"127.0.0.1:{self.port}",
            "workers": 1,
            "admin": "off",
            "log": {"format": "json", "access": "off"},
            "providers": {"sim": {"dialect": "openai", "base_url": f"http://127.0.0.1:{provider}/v1", "api_key": "sk", "proxy": "none"}},
            "models": {"hop": {"targets": ["sim/hop"]}},
            "journal": os.path.join(journals, f"hop-{self.port}.db"),
            "pipelines": [{
                "pipeline": "hop",
                "sources": {"in": {"http": {"path": "/hop", "mode": "reply", "auth": "none"}}},
                "nodes": {
                    "first": ask | {"from": "in", "concurrency": 256},
                    "second": {"from": "first", "model": {"route": "hop", "prompt": "Then? {{.}}"}, "concurrency": 256,
                               "out": {"text": {"max_tokens": 64}}},
                },
                "sinks": {"back": {"from": "second", "reply": "."}},
            }],
        }))  # fmt: skip
        super().__init__([CROSSDOCK, "serve", "--config", config])
        wait_for_port(self.port, PATIENCE)


def hop(journals, rate, count, connections=64):
    """What bench/hop.c found: a dictionary."""
    provider = free_port()
    with Hops(journals, provider) as gateway:
        command = [HOP, "--listen", f"127.0.0.1:{provider}", "--to", f"127.0.0.1:{gateway.port}"]
        for name, value in (("rate", rate), ("count", count), ("connections", connections)):
            command += ["--" + name, str(value)]
        with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            if load.popen.stdout.readline() != "ready\n":
                raise RuntimeError(f"hop is not ready{obituary()}")
            load.popen.stdin.write("go\n")
            load.popen.stdin.flush()
            line = load.popen.stdout.readline()
            if not line.startswith("{"):
                raise RuntimeError(f"hop broke off{obituary()}")
    found = json.loads(line)
    if found["failed"] or found["hop"]["n"] != count:
        raise RuntimeError(f"messages failed: {found}")
    return found


def sync_ms(journals):
    """How long this disk takes to have 4 KiB: the median of some."""
    path, times = os.path.join(journals, "probe"), []
    with open(path, "wb") as f:
        for _ in range(50):
            began = time.monotonic()
            f.write(bytes(4096))
            f.flush()
            os.fdatasync(f.fileno())
            times.append((time.monotonic() - began) * 1e3)
    os.unlink(path)
    return sorted(times)[len(times) // 2]


# ---- very many messages --------------------------------------------------------------------------------------------


class Crowd(Process):
    """A gateway with many pipelines that ask a slow model, and one that only maps. All read files, which grow when they are told to."""

    def __init__(self, pipelines, provider):
        self.port, self.pipelines, self.path = free_port(), pipelines, made(os.path.join(disk(), "crowd"))
        slow = [{
            "pipeline": f"slow-{i}",
            "sources": {"in": {"files": {"path": self.file(f"slow-{i}")}}},
            "nodes": {"ask": {"from": "in", "model": {"route": "slow", "prompt": "{{.note}}"}, "concurrency": 1}},
            "sinks": {"out": {"from": "ask", "file": {"path": self.file(f"slow-{i}.out")}}},
        } for i in range(pipelines)]  # fmt: skip
        quick = {
            "pipeline": "quick",
            "sources": {"in": {"files": {"path": self.file("quick"), "poll": "10ms"}}},
            "nodes": {"add": {"from": "in", "map": ". + {seen: true}"}},
            "sinks": {"out": {"from": "add", "file": {"path": self.file("quick.out")}}},
        }
        for spec in (*slow, quick):
            self.append(spec["pipeline"], 0)
        config = write("crowd.yaml", json.dumps({
            "listen": f"127.0.0.1:{self.port}",
            "workers": 1,
            "log": {"format": "json", "access": "off"},
            "providers": {"sim": {"dialect": "openai", "base_url": f"http://127.0.0.1:{provider}/v1", "api_key": "sk", "proxy": "none"}},
            "models": {"slow": {"targets": ["sim/slow"]}},
            "journal": self.file("journal.db"),
            "pipelines": [quick, *slow],
        }))  # fmt: skip
        super().__init__([CROSSDOCK, "serve", "--config", config])
        wait_for_port(self.port, PATIENCE)

    def file(self, name):
        return os.path.join(self.path, name)

    def append(self, name, count):
        line = json.dumps({"id": 1, "customer": {"id": "c_1", "tier": "gold"}, "note": ""})
        line = line[:-2] + "x" * (1023 - len(line)) + '"}\n'
        with open(self.file(name), "a", encoding="ascii") as f:
            f.write(line * count)

    def metric(self, name, pipeline=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        label = re.escape(pipeline) if pipeline else "slow-[0-9]+|other"  # series are bounded: the last pipelines are one
        return sum(int(n) for n in re.findall(rf'^crossdock_pipeline_{name}{{pipeline="(?:{label})"}} ([0-9]+)$', text, re.M))

    def until(self, count, name, pipeline=None):
        end = time.monotonic() + PATIENCE
        while self.metric(name, pipeline) < count:
            if time.monotonic() > end or self.popen.poll() is not None:
                raise RuntimeError(f"{name} never came to {count}{obituary()}")
            time.sleep(0.5)

    def wait(self, messages):
        """Let so many messages come to each slow pipeline, and there wait."""
        for i in range(self.pipelines):
            self.append(f"slow-{i}", messages)
        self.until(messages * self.pipelines, "messages_under_way")

    def cost(self, count):
        """
        Processor time of a record of the quick pipeline, in microseconds, less what the process takes of itself meanwhile: of the journal's thread, and of
        all others.
        """
        came = self.file("quick.out")
        before_it = self.rate()
        with open(came, "ab+") as lines:
            began, before = time.monotonic(), self.used()
            self.append("quick", count)
            there = 0
            while there < count:  # in its file: metrics of a thousand pipelines cost more than what is measured
                time.sleep(0.1)
                there += lines.read().count(b"\n")
                if time.monotonic() - began > PATIENCE or self.popen.poll() is not None:
                    raise RuntimeError(f"{there} records of {count} came{obituary()}")
            passed, after = time.monotonic() - began, self.used()
        of_itself = [(a + b) / 2 * passed for a, b in zip(before_it, self.rate())]
        journal, every = ((b - a - own) / count / 1e3 for a, b, own in zip(before, after, of_itself))
        return journal, every - journal

    def used(self):
        """Processor time so far, in nanoseconds: of the journal's thread, and of all."""
        return self.cpu_ns("sqlite"), self.cpu_ns()

    def rate(self):
        """The same per second, while nothing is to be done."""
        began, before = time.monotonic(), self.used()
        time.sleep(3)
        return [(b - a) / (time.monotonic() - began) for a, b in zip(before, self.used())]


# ---- figures -------------------------------------------------------------------------------------------------------


class Pipelines:
    """Of class Bench in bench/run, which has `pairs` and `scale`."""

    programs = (LOOP, HOP)

    def figure_17(self):
        rate, cost, plain = Series(), Series(), Series()
        with Broker() as broker:
            if not broker.address:
                raise RuntimeError("there is no Kafka")
            runs = KafkaRuns(broker, max(20000, int(200000 * self.scale)))
            for _ in range(self.pairs):
                ours, theirs, free = (runs.run(kind) for kind in ("pipeline", "transactions", "plain"))
                rate.add(ours[0], theirs[0])
                cost.add(ours[1], theirs[1])
                plain.add(ours[0], free[0])
        rate.row(17, "Kafka -> map -> Kafka, exactly once, 1 KB; beside a loop with transactions", per_second, 0.7, False)
        cost.row(17, "  processor time per record", us, None)
        plain.row(17, "  beside a loop without transactions, which promises nothing", per_second, None, False)

    def figure_18(self):
        for where, journals in (("on this disk", disk()), ("in memory (/dev/shm)", made(os.path.join("/dev/shm", os.path.basename(folder))))):
            try:
                self.hops(where, journals)
            finally:
                shutil.rmtree(journals, ignore_errors=True)

    def hops(self, where, journals):
        full, found, syncs = [], [], []
        for _ in range(self.pairs):
            syncs.append(sync_ms(journals))
            most = hop(journals, 0, max(500, int(5000 * self.scale)))
            full.append(most["done"] / most["seconds"])
            rate = max(1, int(full[-1] / 2))
            found.append(hop(journals, rate, max(300, int(15 * self.scale * rate)))["hop"])
        rows.append((18, f"two models and a reply, journal {where}: messages/s that saturate it", "-",
                     f"{min(full):,.0f} .. {max(full):,.0f}", per_second(full), "-", "-", None))  # fmt: skip
        for name, quantile, bar in (("p50", "p50", 0.5), ("p99", "p99", 2), ("p99.9", "p999", 10)):
            middle = statistics.median(f[quantile] / 1e3 for f in found)
            absolute(18, f"  model to model at half of it: {name}; beside a write of 4 KiB to it", middle, statistics.median(syncs), fine_ms, bar, "ms")

    def figure_19(self):
        pipelines, each, quick = 1000, 100, max(2000, int(20000 * self.scale))
        with Sim(None, models='"*": {ttft: 1h}') as sim, Crowd(pipelines, sim.port) as crowd:
            empty = crowd.rss()
            crowd.cost(quick)  # to warm up
            without = [crowd.cost(quick) for _ in range(self.pairs)]
            before = crowd.rss()
            crowd.wait(each)
            full = crowd.rss()
            beside = [crowd.cost(quick) for _ in range(self.pairs)]
        shutil.rmtree(crowd.path, ignore_errors=True)
        count = pipelines * each
        absolute(19, f"{pipelines:,} pipelines, {count:,} messages of 1 KB that wait: resident", full / 2**20, None, mib, 1500e6 / 2**20, "MiB")
        absolute(19, "  of this, the process with its pipelines", empty / 2**20, None, mib, None, "MiB")
        absolute(19, "  a message that waits", (full - before) / count / 1024, None, kib, None, "KiB")
        journal, scheduling = Series(), Series()
        for many, none in zip(beside, without):
            journal.add(many[0], none[0])
            scheduling.add(many[1], none[1])
        scheduling.row(19, "  a record of another pipeline, processor time but the journal's; beside the same when none wait", us, 1.1)
        journal.row(19, "  the same of the journal's thread, whose database has them all", us, None)


def kib(values):
    return f"{statistics.median(values):.1f} KiB"
