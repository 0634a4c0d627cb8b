"""Fibers in gdb: list them, and show the stack of one that does not run.

    (gdb) source tools/gdb/fibers.py
    (gdb) fibers                  every fiber of every loop
    (gdb) fiber 3 bt              backtrace of fiber 3 of that list
    (gdb) fiber 3 bt full         any words after bt go to gdb's own backtrace command

Works on a running process and on a core dump of the kernel. (A gcore file lacks fiber stacks, unless stacks are guarded by
mprotect: struct loop_options, mprotect_guards.)

Fibers are found by walking the scopes: each loop has a root scope, each scope its children, each fiber the scopes it has open. A
parked fiber's registers lie at its saved stack pointer, as src/rt/switch_*.S pushed them. gdb is shown them by an
unwinder that claims that they are the caller of the innermost frame; so frame 0 of `fiber N bt` is the thread's own, and
is left out of what is printed.
"""

import gdb
import gdb.unwinder

STATES = {2: "runnable", 3: "running", 4: "parked", 5: "ended"}

# Register and its place above the saved stack pointer; the last number is where the stack pointer was before.
LAYOUTS = {
    "i386:x86-64": (
        [("r15", 0), ("r14", 8), ("r13", 16), ("r12", 24), ("rbx", 32), ("rbp", 40), ("rip", 48)],
        "rsp",
        56,
    ),
    "aarch64": (
        [("x%d" % (19 + i), 8 * i) for i in range(12)] + [("pc", 88)],
        "sp",
        160,
    ),
}


def container_of(node, type_name, member):
    kind = gdb.lookup_type(type_name)
    for field in kind.fields():
        if field.name == member:
            address = int(node) - field.bitpos // 8
            return gdb.Value(address).cast(kind.pointer())
    raise gdb.GdbError("%s has no member %s" % (type_name, member))


def list_nodes(head):
    """The nodes of a list of base/list.h, given its head as a value."""
    end = int(head.address)
    node = head["next"]
    while int(node) != 0 and int(node) != end:
        yield node
        node = node["next"]


def fibers_of_scope(scope, depth):
    for node in list_nodes(scope["children"]):
        fiber = container_of(node, "struct fiber", "sibling")
        yield fiber, depth
        inner = fiber["scopes"]
        while int(inner) != 0:
            yield from fibers_of_scope(inner.dereference(), depth + 1)
            inner = inner["outer"]


def all_fibers():
    """(loop, fiber, depth) for every fiber, in a stable order."""
    registry = gdb.parse_and_eval("loop_registry")
    first, last = registry.type.range()
    for i in range(first, last + 1):
        loop = registry[i]
        if int(loop) == 0:
            continue
        for fiber, depth in fibers_of_scope(loop["root"], 0):
            yield loop, fiber, depth


def text_of(value):
    return value.string(errors="replace") if int(value) != 0 else ""


class Fibers(gdb.Command):
    """List the fibers of all loops: number, state, name, what it waits for, and for how long."""

    def __init__(self):
        super().__init__("fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for number, (loop, fiber, depth) in enumerate(all_fibers(), 1):
            state = STATES.get(int(fiber["state"]), "?")
            reason = ""
            if state == "parked":
                waited = (int(loop["now"]) - int(fiber["since"])) / 1e9
                reason = " for %s, %.3f s" % (text_of(fiber["reason"]), waited)
            marks = "".join(
                ", " + mark for mark in ("cancelled", "shielded") if int(fiber[mark])
            )
            print(
                "%3d loop %d  %s%s: %s%s%s"
                % (number, int(loop["index"]), "  " * depth, text_of(fiber["name"]), state, reason, marks)
            )


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class FiberUnwinder(gdb.unwinder.Unwinder):
    """While `chosen` is set, claims that the innermost frame was called by the chosen fiber's last one."""

    def __init__(self):
        super().__init__("crossdock-fiber")
        self.chosen = None

    def __call__(self, pending):
        if self.chosen is None or pending.level() != 0:
            return None
        registers, sp_name, size = LAYOUTS[pending.architecture().name()]
        word = gdb.lookup_type("unsigned long")
        saved = int(self.chosen["context"]["sp"])
        # The frame is given a place just below the fiber's: gdb wants callers to lie above.
        here = gdb.Value(saved).cast(word)
        info = pending.create_unwind_info(FrameId(here, pending.read_register("pc")))
        for name, place in registers:
            value = gdb.Value(saved + place).cast(word.pointer()).dereference()
            info.add_saved_register(name, value)
        info.add_saved_register(sp_name, gdb.Value(saved + size).cast(word))
        return info

    def backtrace(self, fiber, options):
        self.chosen = fiber
        gdb.invalidate_cached_frames()
        try:
            text = gdb.execute("bt " + options, to_string=True)
        finally:
            self.chosen = None
            gdb.invalidate_cached_frames()
        print("".join(skip_first_frame(text.splitlines(True))), end="")


def skip_first_frame(lines):
    shown = False
    for line in lines:
        shown = shown or line.startswith("#1 ")
        if shown:
            yield line


UNWINDER = FiberUnwinder()


class Fiber(gdb.Command):
    """fiber N bt [options]: the stack of fiber N of the list that `fibers` prints."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) < 2 or not words[0].isdigit() or words[1] != "bt":
            raise gdb.GdbError("usage: fiber N bt [options]")
        for number, (_, fiber, _) in enumerate(all_fibers(), 1):
            if number != int(words[0]):
                continue
            if STATES.get(int(fiber["state"])) == "running":
                raise gdb.GdbError("fiber %d is running: use bt in its thread" % number)
            UNWINDER.backtrace(fiber, " ".join(words[2:]))
            return
        raise gdb.GdbError("there is no fiber %s" % words[0])


Fibers()
Fiber()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
