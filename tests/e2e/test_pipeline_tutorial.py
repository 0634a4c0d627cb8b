"""The tutorial of docs/pipelines.md, pasted into a shell as it stands there: each block prints what stands below it."""

import os
import re
import subprocess

from gateway import PROGRAM
from ports import free_port

PAGE = os.path.join(os.path.dirname(__file__), "../../docs/pipelines.md")
PORT = "9090"
MARK = "--- end of a block ---"


def blocks():
    """Pairs of commands and what they print, or None where the page does not say."""
    with open(PAGE, encoding="utf-8") as file:
        tutorial = re.search(r"^## Tutorial\n(.*?)^## ", file.read(), re.S | re.M).group(1)
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", tutorial, re.S | re.M)
    following = [*fenced[1:], ("", "")]
    return [(text, after[1] if after[0] == "text" else None) for (kind, text), after in zip(fenced, following) if kind == "sh"]


def fits(wanted, printed):
    """`…` stands for any text, on a line of its own for any lines."""
    lines = ["(?:.*\n)*?" if line == "…" else ".*?".join(map(re.escape, line.split("…"))) + "\n" for line in wanted.splitlines()]
    return re.fullmatch("".join(lines), printed)


def test_the_tutorial_does_what_it_says(tmp_path):
    pasted = blocks()
    assert len(pasted) > 5
    script = f"\necho '{MARK}'\n".join(text for text, _ in pasted).replace(PORT, str(free_port()))
    path = os.path.dirname(os.path.abspath(PROGRAM)) + os.pathsep + os.environ["PATH"]
    run = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, env=dict(os.environ, PATH=path), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)  # fmt: skip
    assert run.returncode == 0, run.stdout
    printed = run.stdout.split(MARK + "\n")
    for (text, wanted), out in zip(pasted, printed):
        assert wanted is None or fits(wanted, out), f"{text}\nprinted\n{out}\nand not\n{wanted}"
