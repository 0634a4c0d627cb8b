"""The Makefile in a fresh clone: nothing is installed, and what installs by itself gets as far as doing it."""

from sample import TOP, Sample, finds, passes

import os
import re

# Stand-ins: libraries that are nowhere, and an installer that says what it was asked for and gives up.
FRESH = {"scripts/deps": '#!/bin/sh\necho "deps asked for $1"\nexit 1\n', "no-libraries": "#!/bin/sh\nexit 1\n"}


def make_in_fresh_clone(goal):
    with Sample(FRESH) as tree:
        tree.copy("Makefile")
        for script in FRESH:
            os.chmod(os.path.join(tree.root, script), 0o755)
        # A make above this one must not tell ours what to do.
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        return tree.run("make", "PKG_CONFIG=./no-libraries", goal, env=env)


def installing_goals():
    """Targets of the real Makefile whose recipes call scripts/deps, with what they ask it for."""
    with open(os.path.join(TOP, "Makefile"), encoding="utf-8") as f:
        found = re.findall(r"^([a-z0-9-]+):[^\n]*\n\t[-+@]*scripts/deps (\w+)", f.read(), re.MULTILINE)
    assert len(found) >= 5, f"too few targets install what they need: {found}"
    return found


def test_makefile_targets_that_install_do_so_in_a_fresh_clone():
    for goal, what in installing_goals():
        finds(make_in_fresh_clone(goal), rf"deps asked for {what}")


def test_makefile_targets_that_build_say_what_is_missing_and_who_installs_it():
    for goal in ("all", "unit", "check"):
        finds(make_in_fresh_clone(goal), r"Libraries are missing.*scripts/deps build.* bench .*soak")


def test_makefile_targets_that_compile_nothing_need_no_library():
    passes(make_in_fresh_clone("help"))
    passes(make_in_fresh_clone("clean"))
