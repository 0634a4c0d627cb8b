"""Answers of models that go on to the next node while they are written."""

import json
import threading
import time

import pytest
import yaml
from test_pipeline_models import Provider, Run, chat, said

HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def event(text=None, finish=None):
    return "data: " + json.dumps({**HEAD, "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}) + "\n\n"


END = [event(finish="stop"), "data: [DONE]\n\n"]


def chain(folder, provider, messages, **more):
    """in -> ask (streamed) -> sentences -> say (a model) -> out"""
    run = Run(folder, {"p": provider}, {"model": {"route": "m", "prompt": "Tell {{.n}}", "stream": True}} | more.pop("ask", {}), messages, more or None)
    path = folder / "p.yaml"
    pipeline = yaml.safe_load(path.read_text(encoding="utf-8"))
    pipeline["delivery"] = "at_least_once"
    pipeline["nodes"] = {
        "ask": pipeline["nodes"]["ask"],
        "parts": {"from": "ask", "chunk": "sentence"},
        "say": {"from": "parts", "model": {"route": "m", "prompt": "Say {{.}}"}, "concurrency": 4},
        "whole": {"from": "ask", "map": "{whole: .}"},
    }
    pipeline["sinks"]["out"]["from"] = ["say", "whole"]
    path.write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    return run


def test_the_next_model_begins_before_the_first_has_ended(tmp_path):
    said_first = threading.Event()

    def answer(_, document, __):
        if not document.get("stream"):
            said_first.set()
            return 200, chat("said " + said(document)[4:])

        def pieces():
            yield event("One fi")
            yield event("rst. Two")
            assert said_first.wait(30), "the next model was not asked while this one wrote"
            yield event(" then.")
            yield from END

        return 200, pieces()

    with Provider(answer) as p:
        run = chain(tmp_path, p, [{"n": 1}]).finish()
        out = run.out()
    assert sorted(map(str, out)) == sorted(["said One first.", "said Two then.", str({"whole": "One first. Two then."})])
    assert len(p.asked) == 3


def test_a_stream_that_breaks_off_is_asked_again_only_if_nothing_was_handed_on(tmp_path):
    handed_on = threading.Event()

    def broken_off():
        yield event("A sentence. And")
        handed_on.wait(10)  # an error that comes with the text is seen before the text is believed
        yield 'data: {"error":{"message":"down","type":"server_error"}}\n\n'

    def answer(_, document, number):
        if not document.get("stream"):
            if said(document) == "Say A sentence.":
                handed_on.set()
            return 200, chat(said(document))
        if said(document) == "Tell 1" and number == 1:
            return 200, [event("Not a sentence"), 'data: {"error":{"message":"down","type":"server_error"}}\n\n']
        if said(document) == "Tell 2":
            return 200, broken_off()
        return 200, [event("Fine now."), *END]

    for n, wanted, dead in ((1, ["Say Fine now.", {"whole": "Fine now."}], 0), (2, ["Say A sentence."], 1)):
        folder = tmp_path / str(n)
        folder.mkdir()
        with Provider(answer) as p:
            run = chain(folder, p, [{"n": n}], ask={"retry": {"max": 2, "on": ["5xx", "transport"]}, "concurrency": 1}).finish()
            assert sorted(map(str, run.out())) == sorted(map(str, wanted))
            assert f"{dead} dead letters" in run.told or not dead
            assert sum(bool(d.get("stream")) for _, d, _ in p.asked) == (2 if n == 1 else 1)


def test_the_deadline_ends_the_providers_stream(tmp_path):
    def answer(_, document, __):
        def endless():
            while True:
                yield event("and so on ")
                time.sleep(0.02)

        return 200, endless() if document.get("stream") else chat("x")

    with Provider(answer) as p:
        run = chain(tmp_path, p, [{"n": 1}], ask={"budget": "1s"}).finish()
        assert "1 dead letters" in run.told
        assert p.left.wait(10), "the provider went on for nobody"


@pytest.mark.parametrize("seed", [3])
def test_after_a_crash_nothing_is_made_of_another_answer(tmp_path, seed):
    """Each answer is another one. What was said of a sentence is of the very answer whose sentence it was, and a whole answer's sentences are all there."""

    def answer(_, document, number):
        if not document.get("stream"):
            return 200, chat("said " + said(document)[4:])

        def pieces():
            for part in range(4):
                yield event(f"Part {part} of {said(document)[5:]} in {number}. ")
                time.sleep(0.02)
            yield from END

        return 200, pieces()

    with Provider(answer) as p:
        run = chain(tmp_path, p, [{"n": n} for n in range(40)])
        kills = 0
        while True:
            process = run.start()
            try:
                _, told = process.communicate(timeout=0.4 + 0.05 * seed * (kills % 5))
                assert process.returncode == 0, told
                break
            except Exception:  # noqa: BLE001
                if process.poll() is None:
                    process.kill()
                process.communicate()
                kills += 1
                assert kills < 100
        out = run.out()
    assert kills > 0
    wholes = [r["whole"] for r in out if isinstance(r, dict)]
    spoken = [r for r in out if isinstance(r, str)]
    assert len(wholes) == len(set(wholes)) == 40
    for whole in wholes:
        for sentence in whole.strip().split(". "):
            assert f"said {sentence.rstrip('.')}." in spoken, (sentence, kills)
