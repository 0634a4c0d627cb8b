"""check-suspends: who may suspend says so."""

from sample import Sample, finds, finds_nothing_about, passes

RT = """#include "base/attr.h"
typedef int fiber_fn(void *arg);
struct scope { int x; };
void scope_open(struct scope *s);
void scope_close(struct scope *s) SUSPENDS;
void scope_spawn(struct scope *s, fiber_fn *fn, void *arg);
int fiber_park(void) SUSPENDS;
#define SCOPE(var) struct scope var CLEANUP(scope_close); scope_open(&var)
struct ops {
    int (*wait)(int) SUSPENDS;
    int (*size)(int);
};
"""
RT_C = """#include "rt/fiber.h"
void scope_open(struct scope *s) { s->x = 1; }
void scope_close(struct scope *s) { s->x = fiber_park(); }
void scope_spawn(struct scope *s, fiber_fn *fn, void *arg) { (void)s; (void)fn; (void)arg; }
int fiber_park(void) { return 1; }
"""


def suspends(text):
    with Sample({"src/rt/fiber.h": RT, "src/rt/fiber.c": RT_C, "src/net/a.c": '#include "rt/fiber.h"\n' + text}) as tree:
        tree.copy("src/base/attr.h")
        result = tree.check("check-suspends")
        # Once more, from the cache: it must say the same.
        assert tree.check("check-suspends") == result
        return result


def test_suspends_passes_marked_callers():
    passes(suspends("static SUSPENDS int f(void) { return fiber_park(); }\nint g(void) SUSPENDS;\nint g(void) { return f(); }\n"))


def test_suspends_finds_an_unmarked_caller():
    said = suspends("int f(void);\nint f(void)\n{\n    return 1 + fiber_park();\n}\n")
    finds(said, r"src/net/a\.c:5: f\(\) calls fiber_park\(\), which may suspend, but is not marked SUSPENDS")


def test_suspends_finds_callers_of_unmarked_callers_at_once():
    text = "static int f(void) { return fiber_park(); }\nstatic int g(void) { return f(); }\nint h(void) SUSPENDS;\n"
    said = suspends(text + "int h(void) { return g(); }\n")
    finds(said, r"f\(\) calls fiber_park\(\)", r"g\(\) calls f\(\), which may suspend")
    finds_nothing_about(said, r"\bh\(\)")


def test_suspends_finds_a_call_inside_a_macro_and_a_condition():
    text = "#define WAIT (fiber_park())\nint f(int x);\nint f(int x) { return x && WAIT ? 1 : 2; }\n"
    finds(suspends(text), r"f\(\) calls fiber_park\(\)")


def test_suspends_finds_a_call_through_a_marked_member():
    finds(suspends("int f(struct ops *o);\nint f(struct ops *o) { return o->wait(1); }\n"), r"f\(\) calls through ops\.wait")


def test_suspends_passes_a_call_through_an_unmarked_member():
    passes(suspends("int f(struct ops *o);\nint f(struct ops *o) { return o->size(1); }\n"))


def test_suspends_finds_a_scope_left_by_an_unmarked_function():
    finds(suspends("void f(void);\nvoid f(void) { SCOPE(s); }\n"), r"f\(\) leaves a variable to scope_close\(\)")


def test_suspends_passes_a_cleanup_that_does_not_suspend():
    text = "static void drop(int *p) { *p = 0; }\nvoid f(void);\nvoid f(void) { int x CLEANUP(drop) = 1; x++; }\n"
    passes(suspends(text))


def test_suspends_finds_a_function_hidden_in_an_unmarked_member():
    text = "static SUSPENDS int w(int x) { return fiber_park() + x; }\nextern const struct ops t;\nconst struct ops t = {.size = w};\n"
    finds(suspends(text), r"w\(\) may suspend, but ops\.size, which takes it, is not marked")


def test_suspends_takes_what_a_call_yields_for_no_function():
    text = "_Bool ok(void) SUSPENDS;\n_Bool ok(void) { return fiber_park(); }\nstruct s { int n; long m; };\nint f(struct s *p) SUSPENDS;\n"
    passes(suspends(text + "int f(struct s *p) { p->m = fiber_park(); return p->n || ok(); }\n"))


def test_suspends_passes_a_function_in_a_marked_member():
    text = "static SUSPENDS int w(int x) { return fiber_park() + x; }\nextern const struct ops t;\nconst struct ops t = {.wait = w};\n"
    passes(suspends(text))


def test_suspends_finds_a_callback_given_to_a_library():
    text = (
        "#include <stdlib.h>\nstatic SUSPENDS int cmp(const void *a, const void *b) { (void)a; (void)b; return fiber_park(); }\n"
        "void f(int *v);\nvoid f(int *v) { qsort(v, 1, 4, cmp); }\n"
    )
    finds(suspends(text), r"cmp\(\) may suspend, but qsort\(.*\), which takes it, is not marked")


def test_suspends_passes_fiber_functions_to_spawn():
    text = (
        "static SUSPENDS int entry(void *arg) { (void)arg; return fiber_park(); }\n"
        "void f(void) SUSPENDS;\nvoid f(void) { SCOPE(s); scope_spawn(&s, entry, 0); }\n"
    )
    passes(suspends(text))


def test_suspends_finds_marks_that_nothing_needs():
    finds(suspends("static SUSPENDS int f(void) { return 1; }\nint g(void) SUSPENDS;\nint g(void) { return f(); }\n"),
          r"f\(\) is marked SUSPENDS, but calls nothing that suspends")  # fmt: skip


def test_suspends_passes_a_root():
    passes(suspends('void f(void) SUSPENDS_ROOT("the loop");\nvoid f(void) { fiber_park(); }\n'))


def test_suspends_tells_static_functions_of_one_name_apart():
    text = "static int poll_it(void) { return 1; }\nint f(void);\nint f(void) { return poll_it(); }\n"
    with Sample({"src/rt/fiber.h": RT, "src/rt/fiber.c": RT_C, "src/net/a.c": '#include "rt/fiber.h"\n' + text}) as tree:
        tree.copy("src/base/attr.h")
        tree.write("src/net/b.c", '#include "rt/fiber.h"\nstatic SUSPENDS int poll_it(void) { return fiber_park(); }\n'
                   "int g(void) SUSPENDS;\nint g(void) { return poll_it(); }\n")  # fmt: skip
        passes(tree.check("check-suspends"))


def test_suspends_sees_a_mark_appear_in_a_header():
    # The cache must know the headers: the caller's own file stays as it was.
    text = '#include "rt/fiber.h"\nint f(struct ops *o);\nint f(struct ops *o) { return o->size(1); }\n'
    with Sample({"src/rt/fiber.h": RT, "src/rt/fiber.c": RT_C, "src/net/a.c": text}) as tree:
        tree.copy("src/base/attr.h")
        passes(tree.check("check-suspends"))
        tree.write("src/rt/fiber.h", RT.replace("(*size)(int);", "(*size)(int) SUSPENDS;"))
        finds(tree.check("check-suspends"), r"f\(\) calls through ops\.size")


def test_suspends_finds_a_file_that_clang_cannot_read():
    finds(suspends("int f(void) { return no_such_type x; }\n"), r"clang cannot read .*src/net/a\.c")


def test_suspends_says_nothing_about_correct_neighbours():
    said = suspends("static int good(void) { return 1; }\nint bad(void);\nint bad(void) { return good() + fiber_park(); }\n")
    finds(said, r"bad\(\)")
    finds_nothing_about(said, r"good\(\)")


def test_suspends_writes_the_missing_marks():
    text = "static int f(void) { return fiber_park(); }\nint g(int a,\n      int b);\nint g(int a, int b) { return f() + a + b; }\n"
    with Sample({"src/rt/fiber.h": RT, "src/rt/fiber.c": RT_C, "src/net/a.c": '#include "rt/fiber.h"\n' + text}) as tree:
        tree.copy("src/base/attr.h")
        finds(tree.check("check-suspends"), r"f\(\) calls", r"g\(\) calls")
        passes(tree.check("check-suspends", "--fix"))
        passes(tree.check("check-suspends"))
        _, now = tree.run("cat", "src/net/a.c")
        assert "static SUSPENDS int f(void) {" in now and "int b) SUSPENDS;" in now, now
