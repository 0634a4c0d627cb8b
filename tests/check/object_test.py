"""check-kernel, check-exports: what the compiled objects give away."""

from sample import Sample, finds, finds_nothing_about, passes

# ---- kernel


def kernel(files, allow=None):
    files = dict(files)
    if allow is not None:
        files["scripts/allow/kernel"] = allow
    with Sample(files) as tree:
        tree.compile()
        return tree.check("check-kernel")


READS = "#include <unistd.h>\nlong f(int fd, char *p);\nlong f(int fd, char *p)\n{\n    return read(fd, p, 1);\n}\n"


def test_kernel_calls_are_found_outside_rt():
    finds(kernel({"src/net/a.c": READS}), r"src/net/a\.c:5: read: not a function known as pure")


def test_kernel_calls_pass_in_rt():
    passes(kernel({"src/rt/sock.c": READS}))


def test_kernel_calls_are_found_behind_macros_and_pointers():
    text = "#include <time.h>\n#include <sys/random.h>\n#define NOW time\nlong (*g)(void *, unsigned long, unsigned) = getrandom;\n"
    said = kernel({"src/policy/a.c": text + "long f(void);\nlong f(void) { return NOW(0); }\n"})
    finds(said, r"src/policy/a\.c:3: time", r"src/policy/a\.c:4: getrandom")


def test_kernel_calls_pass_when_pure():
    text = '#include <stdio.h>\n#include <string.h>\nint f(char *p, const char *q);\nint f(char *p, const char *q)\n{\n'
    passes(kernel({"src/codec/a.c": text + '    memcpy(p, q, strlen(q));\n    return snprintf(p, 9, "%s", q);\n}\n'}))


def test_kernel_functions_of_our_own_with_such_names_pass():
    passes(kernel({"src/net/a.c": "int sock_read(int x);\nint sock_read(int x) { return x; }\n"}))


def test_kernel_calls_are_excused_with_a_reason():
    passes(kernel({"src/net/a.c": READS}, "src/net/a.c read start-up only\n"))


def test_kernel_excuse_that_nothing_needs_is_found():
    finds(kernel({"src/net/a.c": "int x;\n"}, "src/net/a.c read start-up only\n"), r"nothing in src/net/a\.c needs 'read'")


def test_kernel_finds_a_source_that_was_not_compiled():
    with Sample({"src/net/a.c": READS}) as tree:
        finds(tree.check("check-kernel"), r"src/net/a\.c: not compiled")


# ---- exports


def exports(files):
    with Sample(files) as tree:
        tree.compile()
        return tree.check("check-exports")


USER = "int helper(void);\nint main(void) { return helper(); }\n"


def test_exports_pass_when_another_file_uses_them():
    passes(exports({"src/base/a.c": "int helper(void);\nint helper(void) { return 1; }\n", "src/main.c": USER}))


def test_exports_used_nowhere_are_found():
    said = exports({
        "src/base/a.c": "int helper(void);\nint helper(void) { return 1; }\n\nint idle(void);\nint idle(void) { return 2; }\n",
        "src/main.c": USER,
    })  # fmt: skip
    finds(said, r"src/base/a\.c:4: idle is used in its own file alone; make it static|src/base/a\.c:4: idle is used nowhere")
    finds_nothing_about(said, r"\bhelper\b")


def test_exports_used_in_their_own_file_alone_are_found():
    text = "int inner(void);\nint inner(void) { return 1; }\nint helper(void);\nint helper(void) { return inner(); }\n"
    finds(exports({"src/base/a.c": text, "src/main.c": USER}), r"inner is used in its own file alone; make it static")


def test_exports_of_data_are_found():
    finds(exports({"src/base/a.c": "const int table[] = {1};\n", "src/main.c": "int main(void) { return 0; }\n"}), r"table")


def test_exports_used_by_tests_alone_pass():
    passes(exports({
        "src/base/a.c": "int idle(void);\nint idle(void) { return 2; }\n",
        "src/main.c": "int main(void) { return 0; }\n",
        "tests/unit/a_test.c": "int idle(void);\nint g(void) { return idle(); }\n",
    }))  # fmt: skip
