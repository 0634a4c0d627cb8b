"""check-layers, check-banned, check-thread-locals, check-catalog, check-format, check-warnings."""

from sample import TOP, Sample, finds, finds_nothing_about, passes

import os
import subprocess


# ---- layers


def layers(files):
    with Sample(files) as tree:
        return tree.check("check-layers")


def test_layers_pass_downward_includes():
    passes(layers({
        "src/base/str.h": "",
        "src/net/tls.h": '#include "base/str.h"\n#include <openssl/ssl.h>\n',
        "src/net/tls.c": '#include "net/tls.h"\n// #include "gateway/x.h"\n/* #include "admin/y.h" */\n',
        "src/main.c": '#include "net/tls.h"\n#include "version.h"\n',
    }))  # fmt: skip


def test_layers_find_an_upward_include():
    files = {"src/net/tls.h": "", "src/base/str.c": '\n#include "net/tls.h"\n'}
    finds(layers(files), r"src/base/str\.c:2: base/ includes net/tls\.h, but net/ is a higher layer")


def test_layers_find_io_in_pure_translation():
    files = {"src/rt/fiber.h": "", "src/llm/dialect/openai.c": '#include "rt/fiber.h"\n'}
    finds(layers(files), r"llm/ includes rt/fiber\.h, but may include only base, codec and itself")


def test_layers_find_fibers_in_policy():
    files = {"src/rt/fiber.h": "", "src/policy/retry.c": '#include "rt/fiber.h"\n'}
    finds(layers(files), r"policy/ includes rt/fiber\.h, but rt/ is a higher layer")


def test_layers_pass_rooms_of_one_layer_one_way():
    passes(layers({"src/observe/facts.h": "", "src/fleet/health.c": '#include "observe/facts.h"\n'}))


def test_layers_find_rooms_of_one_layer_in_a_circle():
    files = {
        "src/observe/facts.h": '#include "fleet/health.h"\n',
        "src/fleet/health.h": "",
        "src/fleet/health.c": '#include "observe/facts.h"\n',
    }
    finds(layers(files), r"circle: fleet -> observe \(src/fleet/health\.c:1\), observe -> fleet")


def test_layers_find_a_room_without_a_place():
    finds(layers({"src/attic/x.c": ""}), r"room 'attic' has no place")


def test_layers_find_an_include_that_is_not_rooted_at_src():
    files = {"src/net/tls.h": "", "src/net/tls.c": '#include "tls.h"\n'}
    finds(layers(files), r"src/net/tls\.c:1: no src/tls\.h")


# ---- banned names


def banned(text, allow=None, path="src/net/a.c"):
    files = {path: text}
    if allow is not None:
        files["scripts/allow/banned"] = allow
    with Sample(files) as tree:
        return tree.check("check-banned")


def test_banned_names_in_comments_strings_and_members_pass():
    passes(banned('/* strcpy */ // atoi(x)\nconst char *s = "sprintf(";\nint f(struct a *a) { return a->rand() + a.sleep(); }\n'))


def test_banned_names_are_found():
    said = banned('#include <string.h>\nvoid f(char *a) {\n    strcpy(a, "x");\n}\nint (*g)(const char *) = atoi;\n')
    finds(said, r"src/net/a\.c:3: strcpy", r"src/net/a\.c:5: atoi")


def test_banned_headers_are_found_in_headers():
    finds(banned("static inline void f(void) { longjmp(b, 1); }\n", path="src/base/x.h"), r"src/base/x\.h:1: longjmp")


def test_banned_blocking_calls_are_found():
    finds(banned("void f(void) { usleep(1); }\n"), r"usleep: may block the loop")


def test_banned_blocking_words_pass_as_names():
    passes(banned("int wait;\nint f(int poll) { return wait + poll; }\nvoid sock_poll(void);\n"))


def test_banned_names_are_excused_for_their_owner():
    passes(banned("void f(void) { getaddrinfo(); }\n", "src/net/a.c getaddrinfo runs on a worker\n"))


def test_banned_excuse_without_a_reason_is_found():
    finds(banned("void f(void) { getaddrinfo(); }\n", "src/net/a.c getaddrinfo\n"), r"needs a path, names and a reason")


def test_banned_excuse_that_nothing_needs_is_found():
    finds(banned("void f(void) {}\n", "src/net/a.c getaddrinfo runs on a worker\n"), r"allow/banned:1: nothing in")


def test_banned_header_makes_uses_compile_errors():
    header = os.path.join(TOP, "src/base/banned.h")
    use = "#include <stdlib.h>\n#include <string.h>\nint f(char *a) {{ {} return 0; }}\n"
    for statement, is_banned in (('strcpy(a, "x");', True), ("return atoi(a);", True), ("memset(a, 0, 1);", False)):
        for compiler in ("gcc", "clang"):
            done = subprocess.run(
                [compiler, "-O2", "-include", header, "-x", "c", "-c", "-o", "/dev/null", "-"],
                input=use.format(statement), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode != 0) == is_banned, f"{compiler}, {statement}\n{done.stderr}"


# ---- thread-locals


def test_thread_locals_are_found_outside_rt():
    with Sample({"src/net/a.c": "\nstatic __thread int x;\n", "src/codec/b.c": "_Thread_local int y;\n"}) as tree:
        finds(tree.check("check-thread-locals"), r"src/net/a\.c:2: __thread", r"src/codec/b\.c:1: _Thread_local")


def test_thread_locals_pass_in_rt():
    with Sample({"src/rt/loop.c": "static __thread int x;\n", "src/net/a.c": "/* no __thread here */\n"}) as tree:
        passes(tree.check("check-thread-locals"))


# ---- catalogs

ENTRY = 'const struct dialect dialect_{} = {{\n    .name = "{}",\n}};\n'
MAKEFILE = "CATALOGS := dialect:llm/dialect:llm/dialect.h\n"


def catalog(files, **changes):
    files = {"Makefile": MAKEFILE, "src/llm/dialect/helper.c": "int x;\n", **files}
    with Sample(files) as tree:
        tree.copy("scripts/gen-catalog")
        status, output = tree.run(
            "scripts/gen-catalog", "dialect", "src/llm/dialect", "llm/dialect.h", "build/gen/dialect_catalog.c"
        )
        assert status == 0, output
        for path, text in changes.items():
            tree.write(path.replace("__", "/") + ".c", text)
        with open(os.path.join(tree.root, "build/gen/dialect_catalog.c"), encoding="utf-8") as f:
            return tree.check("check-catalog"), f.read()


def test_catalog_lists_entries_sorted_and_leaves_helpers_out():
    names = ("openai", "anthropic", "open_ai2")
    result, text = catalog({f"src/llm/dialect/{n}.c": ENTRY.format(n, n.replace("_", "-")) for n in names})
    passes(result)
    places = [text.find(f"    &dialect_{name},\n") for name in ("anthropic", "open_ai2", "openai")]
    assert -1 not in places and places == sorted(places), text
    assert "helper" not in text and "    NULL,\n" in text, text


def test_catalog_finds_an_entry_called_unlike_its_file():
    result, _ = catalog({"src/llm/dialect/openai.c": ENTRY.format("opneai", "openai")})
    finds(result, r"defines dialect_opneai, but its file name asks for dialect_openai")


def test_catalog_finds_a_name_unlike_the_file():
    result, _ = catalog({"src/llm/dialect/openai.c": ENTRY.format("openai", "open-ai")})
    finds(result, r'\.name is "open-ai", but the file is called openai\.c')


def test_catalog_finds_an_entry_that_is_static():
    result, _ = catalog({"src/llm/dialect/openai.c": "static " + ENTRY.format("openai", "openai")})
    finds(result, r"dialect_openai is static")


def test_catalog_finds_a_generated_list_that_is_out_of_date():
    result, _ = catalog({"src/llm/dialect/a.c": ENTRY.format("a", "a")}, src__llm__dialect__b=ENTRY.format("b", "b"))
    finds(result, r"lists \['a'\], but src/llm/dialect has \['a', 'b'\]")


# ---- format, warnings


def formatted(text):
    with Sample({"src/a.c": text}) as tree:
        tree.copy("scripts/format", "scripts/requirements.txt", ".clang-format")
        os.makedirs(os.path.join(tree.root, "build"))
        os.symlink(os.path.join(TOP, "build/venv"), os.path.join(tree.root, "build/venv"))
        return tree.run("scripts/format", "--check")


def test_format_passes_formatted_code():
    passes(formatted("int f(int a)\n{\n    return a;\n}\n"))


def test_format_finds_code_that_is_not():
    finds(formatted("int f(int a) { return a; }\n"), r"src/a\.c:1:\d+: error")


def test_warnings_of_earlier_compilations_are_found():
    files = {"src/a.c": "", "build/release/src/a.o.warnings": "a.c:1: warning: unused\n", "build/clean/x.o": ""}
    with Sample({**files, "build/release/src/gone.o.warnings": "gone.c:1: warning: unused\n"}) as tree:
        tree.copy("scripts/check-warnings")
        said = tree.run("scripts/check-warnings", "build/release")
        finds(said, r"a\.c:1: warning: unused")
        finds_nothing_about(said, r"gone\.c")
        passes(tree.run("scripts/check-warnings", "build/clean"))


def test_layers_sample_violations_do_not_leak():
    # The samples above live outside the tree: the tree's own sources must not be what the checks looked at.
    finds_nothing_about(layers({"src/base/str.h": ""}), r"src/net")
