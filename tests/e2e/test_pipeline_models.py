"""Model nodes of pipelines: asked through the gateway's own routes, in the process that runs the pipeline."""

import json
import sqlite3
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from gateway import PROGRAM


class Provider:
    """A provider of OpenAI's dialect on a free port. `answer(path, document, number)` returns a status and a document, or the pieces of a stream."""

    def __init__(self, answer):
        provider = self
        self.asked = []
        self.put = threading.Event()  # somebody has tried to
        self.left = threading.Event()  # somebody did not wait for the end of a stream
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                document = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with provider._lock:
                    provider.asked.append((self.path, document, dict(self.headers)))
                    number = len(provider.asked)
                status, out = answer(self.path, document, number)
                if not isinstance(out, dict):
                    self.stream(status, out)
                    return
                body = json.dumps(out).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self, status, pieces):
                self.send_response(status)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    for piece in pieces:
                        data = piece.encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    self.wfile.write(b"0\r\n\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    provider.left.set()

            def do_PUT(self):
                self.rfile.read(int(self.headers["content-length"]))
                provider.put.set()
                self.send_response(503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def chat(text, **message):
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text} | message}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def error(words):
    return {"error": {"message": words, "type": "server_error"}}


def said(document):
    return document["messages"][-1]["content"]


INTENT = {
    "type": "object",
    "properties": {"label": {"enum": ["refund", "other"]}, "confidence": {"type": "number", "maximum": 1}},
    "required": ["label", "confidence"],
    "additionalProperties": False,
}


class Run:
    """A pipeline in a configuration, run to its end."""

    def __init__(self, folder, providers, node, messages, more=None):
        self.folder = folder
        (folder / "in.ndjson").write_text("".join(json.dumps(m) + "\n" for m in messages), encoding="utf-8")
        (folder / "intent.json").write_text(json.dumps(INTENT), encoding="utf-8")
        pipeline = {
            "pipeline": "p",
            "version": 1,
            "delivery": "exactly_once",
            "journal": "sync",
            "schemas": {"intent": {"file": "intent.json"}},
            "sources": {"in": {"files": {"path": str(folder / "in.ndjson"), "follow": False}}},
            "nodes": {"ask": {"from": "in"} | node, "both": {"join": ["in", "ask"], "by": "root"}},
            "sinks": {"out": {"from": "both", "file": str(folder / "out.ndjson")}},
        }
        (folder / "p.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
        config = {
            "listen": "127.0.0.1:0",
            "providers": {
                name: {"dialect": "openai", "base_url": p.url + "/v1", "api_key": "sk-x", "serves": "*"} for name, p in providers.items()
            },
            "models": {"m": {"targets": [f"{name}/m" for name in providers]}},
            "pipelines": ["p.yaml"],
        } | (more or {})
        self.config = folder / "crossdock.yaml"
        self.config.write_text(yaml.safe_dump(config), encoding="utf-8")

    def start(self):
        journal = self.folder / "journal.db"
        command = [PROGRAM, "pipeline", "run", self.config, "p", "--journal", journal]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def finish(self):
        process = self.start()
        _, self.told = process.communicate(timeout=60)
        assert process.returncode == 0, self.told
        return self

    def out(self):
        path = self.folder / "out.ndjson"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_chat_fails_over_to_another_provider(tmp_path):
    with Provider(lambda *_: (503, error("down"))) as bad, Provider(lambda _, d, n: (200, chat("echo " + said(d)))) as good:
        node = {"model": {"route": "m", "prompt": "Say {{.n}}", "system": "You count."}}
        run = Run(tmp_path, {"bad": bad, "good": good}, node, [{"n": n} for n in range(20)]).finish()
        assert [r["ask"] for r in run.out()] == [f"echo Say {n}" for n in range(20)]
        assert bad.asked, "the first provider was never tried"
        document = good.asked[0][1]
        assert [m["role"] for m in document["messages"]] == ["system", "user"]
        assert len(good.asked) == 20


def test_an_answer_that_breaks_the_schema_goes_back_with_what_is_wrong(tmp_path):
    def answer(_, document, __):
        if len(document["messages"]) == 1:
            return 200, chat('{"label": "maybe", "confidence": 2}')
        return 200, chat('```json\n{"label": "refund", "confidence": 0.5}\n```')

    with Provider(answer) as p:
        node = {"model": {"route": "m", "prompt": "Which?", "output_schema": "intent", "repair": 1}}
        run = Run(tmp_path, {"p": p}, node, [{"n": 1}]).finish()
        assert [r["ask"] for r in run.out()] == [{"label": "refund", "confidence": 0.5}]
        first, second = (d for _, d, _ in p.asked)
        assert first["response_format"]["json_schema"]["schema"] == INTENT
        assert second["messages"][1] == {"role": "assistant", "content": '{"label": "maybe", "confidence": 2}'}
        assert '"/label"' in said(second) and '"/confidence"' in said(second)


def test_an_answer_that_never_fits_becomes_a_dead_letter(tmp_path):
    with Provider(lambda *_: (200, chat("I would say: refund."))) as p:
        node = {"model": {"route": "m", "prompt": "Which?", "output_schema": "intent", "repair": 2}}
        run = Run(tmp_path, {"p": p}, node, [{"n": 1}]).finish()
        assert run.out() == []
        assert len(p.asked) == 3
        assert "1 dead letters" in run.told


def test_a_refusal_is_not_asked_again(tmp_path):
    with Provider(lambda *_: (200, chat(None, refusal="I will not."))) as p:
        node = {
            "model": {"route": "m", "prompt": "Which?", "output_schema": "intent", "repair": 3},
            "retry": {"max": 3, "on": ["timeout", "429", "5xx", "transport", "invalid"]},
        }
        run = Run(tmp_path, {"p": p}, node, [{"n": 1}]).finish()
        assert "1 dead letters" in run.told
        assert len(p.asked) == 1


def test_a_storm_of_429_delays_and_loses_nothing(tmp_path):
    def answer(_, document, number):
        return (429, error("slow down")) if number <= 20 else (200, chat("echo " + said(document)))

    with Provider(answer) as p:
        node = {"model": {"route": "m", "prompt": "{{.n}}"}, "retry": {"max": 10, "on": ["429", "5xx", "timeout"]}, "budget": "20s"}
        run = Run(tmp_path, {"p": p}, node, [{"n": n} for n in range(60)]).finish()
        assert [r["ask"] for r in run.out()] == [f"echo {n}" for n in range(60)]


def test_embeddings_of_several_records_are_one_request(tmp_path):
    def answer(_, document, __):
        data = [{"object": "embedding", "index": i, "embedding": [float(len(t)), float(t[1:])]} for i, t in enumerate(document["input"])]
        data.reverse()  # whose is whose, the index says
        return 200, {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}

    with Provider(answer) as p:
        node = {"model": {"route": "m", "input": '"t\\(.n)"', "batch": 16, "linger": "50ms"}, "concurrency": 64}
        run = Run(tmp_path, {"p": p}, node, [{"n": n} for n in range(200)]).finish()
        assert [r["ask"] for r in run.out()] == [[len(str(n)) + 1, n] for n in range(200)]
        sizes = [len(d["input"]) for _, d, _ in p.asked]
        assert sum(sizes) == 200
        assert max(sizes) == 16
        assert len(sizes) < 60


def test_a_text_that_no_model_takes_fails_its_own_record_only(tmp_path):
    def answer(_, document, __):
        if "t7" in document["input"]:
            return 400, error("t7 is too long")
        data = [{"object": "embedding", "index": i, "embedding": [1.0]} for i, _ in enumerate(document["input"])]
        return 200, {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}

    with Provider(answer) as p:
        node = {"model": {"route": "m", "input": '"t\\(.n)"', "batch": 10, "linger": "50ms"}, "concurrency": 64}
        run = Run(tmp_path, {"p": p}, node, [{"n": n} for n in range(20)]).finish()
        assert [r["in"]["n"] for r in run.out()] == [n for n in range(20) if n != 7]
        assert "1 dead letters" in run.told


def test_a_ranking_comes_with_its_documents(tmp_path):
    def answer(path, document, __):
        assert path.endswith("/rerank")
        scores = sorted(((i, len(d)) for i, d in enumerate(document["documents"])), key=lambda s: -s[1])
        return 200, {"id": "r", "model": "m", "results": [{"index": i, "relevance_score": s / 10} for i, s in scores[: document["top_n"]]]}

    with Provider(answer) as p:
        node = {"model": {"route": "m", "query": ".q", "documents": ".d", "top": 2}}
        provider = {"p": {"dialect": "cohere", "base_url": p.url, "api_key": "sk-x", "serves": "*"}}
        run = Run(tmp_path, {"p": p}, node, [{"q": "long", "d": ["a", "abc", "ab"]}], {"providers": provider}).finish()
        wanted = [{"index": 1, "score": 0.3, "document": "abc"}, {"index": 2, "score": 0.2, "document": "ab"}]
        assert [r["ask"] for r in run.out()] == [wanted]


@pytest.mark.parametrize("seed", [5])
def test_what_a_model_said_is_not_asked_again_after_a_crash(tmp_path, seed):
    """Each message is asked for once, or again only if the answer had not reached the journal; and all that follows is of the same answer."""
    with Provider(lambda _, d, n: (200, chat(f"{said(d)} was number {n}"))) as p:
        node = {"model": {"route": "m", "prompt": "{{.n}}"}, "concurrency": 16}
        run = Run(tmp_path, {"p": p}, node, [{"n": n} for n in range(400)])
        kills = 0
        while True:
            process = run.start()
            try:
                _, told = process.communicate(timeout=0.15 + 0.01 * seed * (kills % 7))
                assert process.returncode == 0, told
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        assert kills > 0
        assert [r["in"]["n"] for r in run.out()] == list(range(400))
        assert all(r["ask"].startswith(f"{r['in']['n']} was number") for r in run.out())
        assert len(p.asked) <= 400 + 16 * kills


def test_where_an_output_came_from_stands_in_the_journal(tmp_path):
    with Provider(lambda *_: (200, chat("yes"))) as p:
        node = {"model": {"route": "m", "prompt": "{{.n}}"}}
        run = Run(tmp_path, {"p": p}, node, [{"n": 1}])
        # A sink that is down keeps the message under way, and its steps in the journal.
        pipeline = yaml.safe_load((tmp_path / "p.yaml").read_text(encoding="utf-8"))
        pipeline["sinks"]["out"] = {"from": "both", "http": {"put": p.url + "/x/{{.in.n}}"}}
        (tmp_path / "p.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
        process = run.start()
        try:
            assert p.put.wait(60), "nothing came to the sink"
        finally:
            process.kill()
            process.communicate()
        db = sqlite3.connect(tmp_path / "journal.db")
        note = json.loads(db.execute("select body from step").fetchone()[0])[-1]
        db.close()
        assert note["provider"] == "p" and note["route"] == "m"
        assert (note["input_tokens"], note["output_tokens"], note["asked"]) == (10, 5, 1)
        assert len(note["prompt"]) == 16


def late(folder, slow, node, count):
    """Messages that all come at once, to a model that cannot do all of them before their deadline, with another one that can."""
    more = {"models": {"m": {"targets": ["p/slow"]}, "quick": {"targets": ["p/quick"]}}}
    run = Run(folder, {"p": slow}, node, [{"n": n} for n in range(count)], more)
    pipeline = yaml.safe_load((folder / "p.yaml").read_text(encoding="utf-8")) | {"deadline": "3s"}
    (folder / "p.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    return run.finish()


def test_messages_that_are_late_go_to_the_quicker_route(tmp_path):
    def answer(_, document, __):
        time.sleep(0.4 if document["model"] == "slow" else 0)
        return 200, chat(document["model"])

    with Provider(answer) as p:
        model = {"route": "m", "degrade": "quick", "prompt": "{{.n}}"}
        run = late(tmp_path, p, {"model": model, "on_late": "degrade", "concurrency": 4}, 34)
        by = [r["ask"] for r in sorted(run.out(), key=lambda r: r["in"]["n"])]
        first = by.index("quick")
        assert len(by) >= 30, "late messages were given up"
        assert first >= 20, "degraded before it was known how long the model takes"
        assert set(by[first:]) == {"quick"}, "went back to the slow route with less time left"


def test_late_texts_are_embedded_apart_from_the_others(tmp_path):
    def answer(_, document, __):
        time.sleep(0.4 if document["model"] == "slow" else 0)
        size = {"slow": 1.0, "quick": 2.0}[document["model"]]
        data = [{"object": "embedding", "index": i, "embedding": [size]} for i, _ in enumerate(document["input"])]
        return 200, {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}

    with Provider(answer) as p:
        model = {"route": "m", "degrade": "quick", "input": '"t\\(.n)"', "batch": 4, "linger": "1ms"}
        run = late(tmp_path, p, {"model": model, "on_late": "degrade", "concurrency": 4}, 34)
        by = [r["ask"] for r in run.out()]
        assert len(by) >= 30 and [1.0] in by and [2.0] in by
