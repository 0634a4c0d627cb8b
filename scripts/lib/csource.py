"""What the check scripts share: finding C sources, reading them without comments, allow lists, reporting."""

import argparse
import fnmatch
import os
import re
import signal
import sys

# Comments, string and character literals, in the order in which C reads them.
_NOISE = re.compile(r"/\*.*?\*/|//(?:\\\n|[^\n])*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def blank_comments(text, strings=True):
    """`text` with comments (and the insides of literals) blanked, every line and column where it was."""

    def blank(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            if not strings:
                return piece
            return piece[0] + re.sub(r"[^\n]", " ", piece[1:-1]) + piece[-1]
        return re.sub(r"[^\n]", " ", piece)

    return _NOISE.sub(blank, text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def sources(root, extensions=(".c", ".h"), under="src"):
    """Paths of source files below root/under, relative to root, sorted."""
    found = []
    for folder, dirs, files in os.walk(os.path.join(root, under)):
        dirs[:] = sorted(d for d in dirs if not d.startswith(".") and d not in ("node_modules", "corpus"))
        for name in files:
            if name.endswith(extensions):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class AllowList:
    """
    Exceptions with their reasons. A line is: path-pattern, names (comma-separated), reason.

    An entry that excuses nothing is itself a finding: exceptions must not outlive what they were made for.
    """

    def __init__(self, path):
        self.path = path
        self.entries = []
        self.problems = []
        if not os.path.exists(path):
            return
        for number, line in enumerate(read(path).splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split(None, 2)
            if len(parts) < 3:
                self.problems.append(f"{path}:{number}: an exception needs a path, names and a reason")
                continue
            for name in parts[1].split(","):
                self.entries.append({"glob": parts[0], "name": name, "line": number, "used": False})

    def permits(self, path, name):
        """Is `name` excused in `path`? Marks the entry as used."""
        hit = False
        for entry in self.entries:
            if fnmatch.fnmatch(path, entry["glob"]) and entry["name"] in (name, "*"):
                entry["used"] = hit = True
        return hit

    def stale(self, root):
        """Findings: malformed entries, and entries for files that exist but no longer need them."""
        found = list(self.problems)
        for entry in self.entries:
            # Files that are not there yet (or any more) are named, too, unless nothing was built from their folder.
            if not entry["used"] and os.path.isdir(os.path.join(root, os.path.dirname(entry["glob"]) or ".")):
                where = f"{os.path.relpath(self.path, root)}:{entry['line']}"
                found.append(f"{where}: nothing in {entry['glob']} needs '{entry['name']}' any more; remove it")
        return found


def arguments(description, **extra):
    """Parse the options that all checks have; `extra` maps further option names to add_argument() settings."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `check-x | head` is no accident worth a traceback
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=".", help="top of the tree to look at")
    for name, settings in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), **settings)
    return parser.parse_args()


def finish(problems, summary=""):
    """Print what was found and end the script: 0 for nothing, 1 otherwise."""
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    if summary:
        print(summary)
    sys.exit(0)
