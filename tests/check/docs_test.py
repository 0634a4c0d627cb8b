"""check-docs, check-shell, check-python."""

from sample import Sample, finds, passes

MAKEFILE = "VAR := 1\nall: x ## build\nunit golden: ## tests\n\ttrue\n"


def docs(text, **more):
    files = {"Makefile": MAKEFILE, "README.md": text, "docs/guide.md": "# The guide\n\n## Step `two`: go!\n", **more}
    files.update({"src/main.c": 'const char *flags[] = {"config", "--seed"};\n', "src/rt/loop.c": ""})
    with Sample(files) as tree:
        return tree.check("check-docs")


def test_docs_pass_what_exists():
    passes(docs(
        "# Top\n[a](docs/guide.md) [b](docs/guide.md#step-two-go) [c](#top) [d](https://example.org/x) ![i](docs/guide.md)\n"
        "`make unit T=x`, `make`, `src/rt/loop.c`, `src/*/loop.c`, `src/<room>/x.c`, `crossdock serve --config x --seed 1`\n"
        "```sh\nmake golden   # make nothing of it\ncd x && make all -j2\n```\n"
    ))  # fmt: skip


def test_docs_find_a_dead_link():
    finds(docs("x\n\n[a](docs/nowhere.md)\n"), r"README\.md:3: link to docs/nowhere\.md, which does not exist")


def test_docs_find_a_dead_heading():
    finds(docs("[a](docs/guide.md#step-three)\n"), r"there is no such heading")


def test_docs_find_a_dead_reference_link():
    finds(docs("[a][b]\n\n[b]: docs/gone.md\n"), r"README\.md:3: link to docs/gone\.md")


def test_docs_find_a_missing_make_target():
    finds(docs("Run `make frobnicate`.\n"), r"`make frobnicate`: the Makefile has no such target")
    finds(docs("```sh\nmake unit frob\n```\n"), r"README\.md:1: `make frob`|README\.md:2: `make frob`")


def test_docs_let_make_be_a_verb():
    passes(docs("Do not `try to make sense` of it; we make things.\n\n```text\nthese make trouble\n```\n"))


def test_docs_find_a_missing_path():
    finds(docs("See `src/rt/gone.c`.\n"), r"`src/rt/gone\.c` does not exist")


def test_docs_find_a_missing_flag():
    finds(docs("`crossdock serve --frob`\n"), r"`crossdock --frob`: no such flag")


def test_docs_check_only_links_of_the_past():
    passes(docs("x\n", **{"CHANGELOG.md": "`make frob` and `src/old.c` were removed\n"}))
    finds(docs("x\n", **{"docs/adr/0001.md": "[a](0002.md)\n"}), r"docs/adr/0001\.md:1: link to 0002\.md")


def test_docs_find_two_records_with_one_number():
    one, other = {"docs/adr/0007-one.md": "# 7. One\n"}, {"docs/adr/0008-other.md": "# 8. Other\n"}
    passes(docs("x\n", **one, **other))
    finds(
        docs("x\n", **one, **{"docs/adr/0007-other.md": "# 7. Other\n"}),
        r"docs/adr/0007-other\.md:1: record 7 is 0007-one\.md: take the next number",
    )
    # However the number is padded, and whatever folder its documents are in.
    finds(docs("x\n", **one, **{"docs/adr/007-other.md": "# 7. Other\n"}), r"007-other\.md:1: record 7 is")
    passes(docs("x\n", **one, **{"tools/adr/0007-theirs.md": "# 7. Theirs\n", "docs/steps/0007-x.md": "# x\n"}))


def test_docs_find_a_record_whose_heading_has_another_number():
    words = r"docs/adr/0007-one\.md:1: the heading of record 7 begins with another number, or none"
    finds(docs("x\n", **{"docs/adr/0007-one.md": "# 8. One\n"}), words)
    finds(docs("x\n", **{"docs/adr/0007-one.md": "# One\n"}), words)
    finds(docs("x\n", **{"docs/adr/0007-one.md": "# 70. One\n"}), words)
    passes(docs("x\n", **{"docs/adr/0007-one.md": "# 7: One\n", "docs/adr/README.md": "# Records\n"}))


def shell(text):
    with Sample({"scripts/x": text}) as tree:
        tree.copy("scripts/check-shell")
        return tree.run("scripts/check-shell")


def test_shell_passes_a_sound_script():
    passes(shell('#!/usr/bin/env bash\necho "$1"\n'))


def test_shell_finds_a_mistake():
    finds(shell("#!/bin/sh\ncd $1\nrm *\n"), r"SC2086")


def python(files):
    with Sample(files) as tree:
        return tree.check("check-python")


def test_python_passes_a_sound_program():
    passes(python({"scripts/x": "#!/usr/bin/env python3\nimport os\nprint(os.sep)\n"}))


def test_python_finds_syntax_that_is_too_new():
    finds(python({"scripts/x.py": "match 1:\n    case 1:\n        pass\n"}), r"scripts/x\.py:\d+: .*3\.10")


def test_python_finds_an_unused_import():
    finds(python({"scripts/x": "#!/usr/bin/env python3\nimport os\nimport sys\nprint(os.sep)\n"}), r"scripts/x:3: sys")


def test_python_finds_what_is_not_standard():
    finds(python({"scripts/x.py": "import requests\nprint(requests)\n"}), r"requests is not in Python's standard library")
    passes(python({"tests/e2e/x.py": "import pytest\nprint(pytest)\n"}))
