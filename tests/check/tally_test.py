"""tally and the test runner: nothing that went wrong is counted as passed."""

import os
import subprocess

from sample import TOP, Sample, finds, passes

TALLY = os.path.join(TOP, "scripts/tally")


def tally(*suites, **files):
    with Sample({name.replace("_xml", ".xml") if name.endswith("_xml") else f"{name}.tap": text
                 for name, text in files.items()}) as tree:  # fmt: skip
        return tree.run(TALLY, ".", *suites)


def last(result, words):
    line = result[1].splitlines()[-1]
    assert line == words, f"last line is '{line}', not '{words}':\n{result[1]}"


def test_tally_adds_up_what_passed():
    said = tally("unit", "sim", unit="1..2\nok 1 - a\nok 2 - b\n# exit 0\n", sim="1..1\nok 1 - c\n# exit 0\n")
    passes(said)
    last(said, "3 passed, 0 failed")


def test_tally_counts_failures():
    said = tally("unit", unit="1..2\n# why\nnot ok 1 - a\nok 2 - b\n\n# exit 1\n")
    finds(said, r"FAILED unit: a")
    last(said, "1 passed, 1 failed")


def test_tally_fails_a_suite_that_was_not_run():
    said = tally("unit", "golden", unit="1..1\nok 1 - a\n# exit 0\n")
    finds(said, r"FAILED golden: was not run")
    last(said, "1 passed, 1 failed")


def test_tally_fails_a_suite_that_crashed():
    said = tally("unit", unit="1..3\nok 1 - a\n\nBail out! crashed in b\n# exit 139\n")
    finds(said, r"crashed in b", r"3 tests were planned, 1 reported")


def test_tally_fails_a_suite_that_died_after_its_last_test():
    finds(tally("unit", unit="1..1\nok 1 - a\n# exit 23\n"), r"exit status 23, although no test failed")


def test_tally_fails_a_suite_that_was_stopped():
    finds(tally("unit", unit="ok 1 - a\n# exit 124\n"), r"took too long")


def test_tally_fails_a_suite_without_tests():
    finds(tally("unit", unit="1..0\n# exit 0\n"), r"ran no test")
    finds(tally("unit", unit="1..1\nok 1 - a # SKIP no network\n# exit 0\n"), r"ran no test")


def test_tally_fails_without_suites():
    last(tally(), "0 passed, 1 failed")


def test_tally_counts_skipped_tests_as_neither():
    said = tally("unit", unit="1..2\nok 1 - a\nok 2 - b # SKIP no network\n# exit 0\n")
    passes(said)
    last(said, "1 passed, 0 failed")


def test_tally_leaves_nested_results_to_their_parents():
    last(tally("e2e", e2e="    ok 1 - inner\nok 1 - outer\n1..1\n# exit 0\n"), "1 passed, 0 failed")


JUNIT = """<testsuites><testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"><failure message="no">x
</failure></testcase><testcase classname="t" name="c"><skipped message="later"/></testcase></testsuite></testsuites>"""


def test_tally_reads_junit_reports():
    said = tally("e2e", e2e="=== 1 failed, 1 passed, 1 skipped in 2.3s ===\n# exit 1\n", e2e_xml=JUNIT)
    finds(said, r"FAILED e2e: t\.b")
    last(said, "1 passed, 1 failed")


def test_tally_fails_a_broken_junit_report():
    finds(tally("e2e", e2e="# exit 0\n", e2e_xml="<testsuites><testsuite>"), r"FAILED e2e: .*e2e\.xml")


def test_tally_reads_the_closing_line_of_pytest():
    last(tally("e2e", e2e="x\n===== 12 passed, 1 skipped in 3.20s =====\n# exit 0\n"), "12 passed, 0 failed")
    last(tally("e2e", e2e="===== 2 failed, 12 passed, 1 error in 3.20s =====\n# exit 1\n"), "12 passed, 3 failed")


# ---- the C runner

TESTS = """#include "unit/test.h"
#include <stdlib.h>
static void helper(int x) { CHECK_EQ(x, 2); }
TEST(good) { CHECK_EQ(1 + 1, 2); CHECK_STR(STR("a"), "a"); CHECK_LT(-1, 1u); CHECK_NE(-1, 0xffffffffu); }
TEST(bad_number) { CHECK_EQ((size_t)70000, 3); exit(9); }
TEST(bad_text) { test_context("round %d", 7); CHECK_STR(STR("hello\\n"), "hella"); }
TEST(bad_helper) { helper(1); CHECK(test_failed()); }
TEST(seeded) { CHECK_EQ(test_seed(), 42); CHECK_EQ(test_rounds(9), 9); CHECK_EQ(test_step(), 5); }
TEST(skipped) { test_skip("no %s", "disk"); }
TEST(crash) { if (getenv("CRASH")) abort(); }
"""
# What the runner takes from base/, in small: these tests are about the runner, not about that.
STUBS = """#include "base/err.h"
const char *err_name(err_t e) { return e ? "BAD" : "OK"; }
const char *err_detail(err_t e) { return err_name(e); }
void die_(const char *f, int l, const char *fmt, ...) { (void)f; (void)l; (void)fmt; __builtin_abort(); }
"""


def runner(*arguments, **environment):
    with Sample({"a_test.c": TESTS, "stubs.c": STUBS}) as tree:
        subprocess.run(
            ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{TOP}/src", f"-I{TOP}/tests", "-o", "run",
             "a_test.c", "stubs.c", f"{TOP}/tests/unit/runner.c"],
            cwd=tree.root, check=True,
        )  # fmt: skip
        return tree.run("./run", *arguments, env={**os.environ, **environment})


def test_runner_tells_good_from_bad():
    said = runner("--seed", "42", "--step", "5")
    finds(said, r"^TAP version 13\n1\.\.7\n", r"ok 1 - good", r"\nnot ok 2 - bad_number", r"got 70000 \(0x11170\), against 3",
          r"\nnot ok 3 - bad_text", r'differs at byte 4', r"got  6 bytes: \"hello\\n\"", r"with round 7", r"\nnot ok 4 - bad_helper",
          r"\nok 5 - seeded", r"\nok 6 - skipped # SKIP no disk", r"\nok 7 - crash", r"repeat with --seed 42")  # fmt: skip


def test_runner_runs_what_is_asked_for():
    said = passes(runner("good"))
    assert "1..1\n" in said and "ok 1 - good" in said, said
    finds(runner("no-such-test"), r"no test has such a name")
    assert passes(runner("--list")).split()[:2] == ["good", "bad_number"]


def test_runner_names_the_test_that_crashed():
    status, output = runner("crash", CRASH="1")
    assert status < 0 and "Bail out! crashed in crash" in output and "\nok" not in output, (status, output)


def test_runner_refuses_a_bad_option():
    finds(runner("--seed", "x"), r"--seed needs a number")
    finds(runner("--rounds", "0"), r"--rounds needs a number from 1 up")
