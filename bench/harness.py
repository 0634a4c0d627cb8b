"""
harness - what bench/run and bench/soak share: crossdock, nginx and their upstreams as processes, with what they cost.
"""

import glob
import hashlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "scripts", "lib"))
from ports import free_port  # noqa: E402

BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
CROSSDOCK = os.environ.get("CROSSDOCK") or os.path.join(BUILD, "crossdock")
# Where programs of bench/ are that run code of crossdock in themselves: built as the program is that is measured.
WITHIN = os.path.join(BUILD, "shipped" if os.path.basename(os.path.dirname(CROSSDOCK)) == "shipped" else "release")
KEY = "bench-key-0123456789abcdef"

folder = tempfile.mkdtemp(prefix="crossdock-bench-")
running = []


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- processes -----------------------------------------------------------------------------------------------------


def children(pid):
    """`pid` and all below it."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as f:
                for child in f.read().split():
                    found += children(int(child))
        except OSError:
            pass
    return found


def told(path):
    """A line of /proc."""
    with open(path, encoding="ascii") as f:
        return f.readline().strip()


class Process:
    """A program under test or around it; `cpu` None: any processor."""

    count = 0

    def __init__(self, command, cpu=None, **popen):
        self.command = command
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        self.errors = os.path.join(folder, f"stderr-{Process.count}")
        Process.count += 1
        with open(self.errors, "wb") as errors:
            self.start(command, errors, popen)

    def start(self, command, errors, popen):
        self.began = time.monotonic()
        self.popen = subprocess.Popen(command, stdin=popen.pop("stdin", subprocess.DEVNULL), stderr=errors, **popen)
        running.append(self)

    def pids(self):
        return children(self.popen.pid)

    def cpu_ns(self, thread=None):
        """Processor time of all threads, or of those that have that name."""
        total = 0
        for pid in self.pids():
            for task in glob.glob(f"/proc/{pid}/task/*"):
                if thread and told(task + "/comm") != thread:
                    continue
                total += int(told(task + "/schedstat").split()[0])
        return total

    def rss(self):
        """Resident bytes; memory that several processes share counts once."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
        if len(self.pids()) == 1:
            with open(f"/proc/{self.popen.pid}/smaps_rollup", encoding="ascii") as f:
                total = int(re.search(r"^Rss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
        return total

    def check(self):
        """After the load: was it the work that it should have been? Raises if not."""

    def stop(self):
        if self in running:
            running.remove(self)
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def obituary():
    """Which processes have ended that should be running, and how."""
    told = ""
    for process in running:
        if process.popen.poll() is not None:
            with open(process.errors, encoding="utf-8", errors="replace") as f:
                last = f.read()[-2000:].strip()
            told += f"; {os.path.basename(process.command[0])} has ended with code {process.popen.returncode}: {last}"
    return told


def wait_for_port(port, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port}")


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Sim(Process):
    """The simulated provider, as upstream of plain requests."""

    def __init__(self, cpu, answer_tokens=1, models=None):
        self.port = free_port()
        models = models or f'"*": {{answer_tokens: {answer_tokens}}}'
        scenario = write("scenario.yaml", f"models: {{{models}}}\n")
        super().__init__(
            [CROSSDOCK, "sim", "--listen", f"127.0.0.1:{self.port}", "--scenario", scenario], cpu
        )
        wait_for_port(self.port)


class Pacer(Process):
    """The provider that streams at a fixed pace."""

    def __init__(self, cpu):
        self.port = free_port()
        super().__init__([os.path.join(BUILD, "release", "pacer"), "--listen", f"127.0.0.1:{self.port}"], cpu, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)


class Crossdock(Process):
    """A gateway with everything on that a gateway does."""

    provider = 'base_url: "http://127.0.0.1:{port}/v1"'

    def __init__(self, upstream, workers, cpu, wait=True):
        self.port = free_port()
        name = type(self).__name__.lower()  # of one kind there is one at a time: its configuration is watched
        log = os.path.join(folder, f"{name}.log")
        if os.path.exists(log):
            os.unlink(log)
        config = write(
            f"{name}.yaml",
            f"""
listen: 127.0.0.1:{self.port}
workers: {workers}
log: {{ format: json, access: "{log}" }}
providers:
  sim: {{ {self.provider.format(port=upstream)}, api_key: sk-upstream, max_connections: 50000, proxy: none }}
models:
  chat:
    targets:
      - {{ deployment: sim/chat-model, weight: 3 }}
      - {{ deployment: sim/chat-modem, weight: 1 }}
keys:
  - {{ name: bench, hash: "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", models: [chat] }}
""",
        )
        super().__init__([CROSSDOCK, "serve", "--config", config], cpu)
        if wait:
            wait_for_port(self.port)

    def metric(self, name):
        """The sum of its series."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


class Translating(Crossdock):
    """The same, where the provider speaks Anthropic's dialect and the client OpenAI's."""

    provider = 'dialect: anthropic, base_url: "http://127.0.0.1:{port}/anthropic/v1"'

    def check(self):
        if not self.metric("crossdock_translated_requests_total"):
            raise RuntimeError("what was to be translated passed through")


class Nginx(Process):
    """A plain proxy_pass."""

    buffering = "on"

    def __init__(self, upstream, workers, cpu, wait=True):
        self.port = free_port()
        config = write(
            "nginx.conf",
            f"""
{'user root;' if os.geteuid() == 0 else ''}
daemon off;
worker_processes {workers};
worker_rlimit_nofile {open_files()};
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {max(open_files() - 100, 512)}; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    client_body_buffer_size 128k;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream up {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096 {'reuseport' if workers > 1 else ''};
        location / {{
            proxy_pass http://up;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {self.buffering};
            proxy_read_timeout 300s;
        }}
    }}
}}
""",
        )
        super().__init__(["nginx", "-p", folder, "-c", config, "-e", "stderr"], cpu)
        if wait:
            wait_for_port(self.port)


def open_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


class NginxUnbuffered(Nginx):
    """nginx that passes on at once what it reads, as events need it."""

    buffering = "off"


def question(size):
    """A chat request whose body has about `size` bytes."""
    frame = {
        "model": "chat",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": ""},
        ],
        "temperature": 0.7,
        "max_tokens": 100,
    }
    words = "Goods that reach a cross-dock leave again at once on the next truck without ever being stored. "
    room = size - len(json.dumps(frame))
    frame["messages"][1]["content"] = (words * (room // len(words) + 1))[:room]
    return json.dumps(frame)
