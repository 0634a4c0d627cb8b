"""A throw-away source tree with chosen files, and our scripts run on it."""

import os
import re
import shutil
import subprocess
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


class Sample:
    """Use as `with Sample({"src/base/a.c": "..."}) as tree:`."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.root = tempfile.mkdtemp(prefix="check-")
        for path, text in self.files.items():
            self.write(path, text)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def copy(self, *paths):
        """Files of the real tree, as they are."""
        for path in paths:
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            shutil.copy(os.path.join(TOP, path), full)

    def compile(self):
        """Objects of all .c files, where the Makefile would put them."""
        for folder, _, files in os.walk(os.path.join(self.root, "src")):
            for name in files:
                if name.endswith(".c"):
                    source = os.path.relpath(os.path.join(folder, name), self.root)
                    target = os.path.join(self.root, "build/release", source[:-2] + ".o")
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    subprocess.run(
                        ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Isrc", "-c", source, "-o", target],
                        cwd=self.root, check=True,
                    )  # fmt: skip

    def run(self, *command, **options):
        """(exit status, output) of a command in the sample tree."""
        done = subprocess.run(
            command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
        )
        return done.returncode, done.stdout

    def check(self, name, *arguments):
        """(exit status, output) of scripts/<name> on this tree."""
        script = os.path.join(TOP, "scripts", name)
        return self.run(script, "--root", self.root, *arguments)


def passes(result):
    status, output = result
    assert status == 0, f"should have passed, but exit status {status}:\n{output}"
    return output


def finds(result, *patterns):
    """The check failed, and said each of these (regular expressions, each in one line)."""
    status, output = result
    assert status != 0, f"should have failed, but passed:\n{output}"
    for pattern in patterns:
        assert re.search(pattern, output), f"did not say /{pattern}/:\n{output}"
    return output


def finds_nothing_about(result, *patterns):
    _, output = result
    for pattern in patterns:
        assert not re.search(pattern, output), f"should not have said /{pattern}/:\n{output}"
