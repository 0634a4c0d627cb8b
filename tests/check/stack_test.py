"""scripts/stack, the part that reads call graphs."""

import os

from sample import TOP, Sample

HELPER = "void scope_spawn(int *s, const char *name, void (*f)(void), ...);\nvoid use(char *p);\n"


def chains(files):
    """What it says of these sources, and its exit status."""
    with Sample(files) as tree:
        for path in files:
            target = os.path.join(tree.root, "graph", os.path.basename(path)[:-2] + ".s")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            status, output = tree.run("gcc", "-O1", "-fcallgraph-info=su", "-S", path, "-o", target)
            assert status == 0, output
        return tree.run(os.path.join(TOP, "scripts/stack"), "graph")


def fiber_chains(files):
    """The lines about functions that fibers are spawned with: what is before the five deepest of all."""
    status, output = chains(files)
    assert status == 0, output
    lines = output.split("deepest chains")[1].split("recursions")[0].splitlines()[1:]
    return lines[:-5]


def body(name, size):
    """A function whose frame is at least so large."""
    return f"static void {name}(void)\n{{\n    char room[{size}];\n    use(room);\n}}\n"


FIBER = HELPER + body("run", 1000) + "void start(int *s)\n{\n    scope_spawn(s, \"a\", run, 0);\n}\n"
# With a caller each, so that the five deepest of all are there.
OTHERS = HELPER + body("run", 5000) + "void (*const runs[])(void) = {run};\n" + "".join(
    f"void other_{i}(void)\n{{\n    runs[0]();\n}}\n" for i in range(5)
)


def test_a_function_that_is_spawned_is_a_fibers():
    lines = fiber_chains({"src/rt/a.c": FIBER, "src/rt/b.c": OTHERS})
    assert len(lines) == 1 and "run" in lines[0], lines


def test_a_static_function_of_the_same_name_elsewhere_is_not():
    lines = fiber_chains({"src/rt/a.c": FIBER, "src/rt/b.c": OTHERS})
    assert not any(int(line.split()[0]) > 5000 for line in lines), lines


def test_an_exported_function_may_be_spawned_from_another_file():
    exported = HELPER + body("run", 1000).replace("static ", "")
    start = HELPER + "void run(void);\nvoid start(int *s)\n{\n    scope_spawn(s, \"a\", run, 0);\n}\n"
    lines = fiber_chains({"src/rt/a.c": exported, "src/rt/start.c": start, "src/rt/b.c": OTHERS})
    assert len(lines) == 1 and "run" in lines[0], lines


def test_a_chain_of_more_than_half_a_stack_fails():
    status, output = chains({"src/rt/a.c": FIBER.replace("1000", str(140 * 1024)), "src/rt/b.c": OTHERS})
    assert status != 0 and "more than half of a fiber's stack: run" in output, output
