"""
table - what bench/run has measured: pairs and their ratios, bars, and the table that is printed.
"""

import statistics

rows = []


class Series:
    """Pairs (crossdock, nginx) of one quantity; or of crossdock at two kinds of work."""

    def __init__(self):
        self.ours, self.theirs = [], []

    def add(self, ours, theirs):
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratios(self):
        return [a / b for a, b in zip(self.ours, self.theirs) if b > 0]

    def row(self, number, what, form, bar, at_most=True):
        ratios = self.ratios()
        if not ratios:
            rows.append((number, what, "-", "-", form(self.ours), form(self.theirs), bar_text(bar, at_most, "x"), None))
            return
        ratio = statistics.median(ratios)
        spread = f"{min(ratios):.2f} .. {max(ratios):.2f}"
        passed = None if bar is None else ratio <= bar if at_most else ratio >= bar
        rows.append((number, what, f"{ratio:.2f}", spread, form(self.ours), form(self.theirs), bar_text(bar, at_most, "x"), passed))


def bar_text(bar, at_most, unit):
    if bar is None:
        return "-"
    return f"{'<=' if at_most else '>='} {bar:g} {unit}".strip()


def absolute(number, what, ours, theirs, form, bar, unit, at_most=True):
    """A figure with a bar of its own; nginx, where there is one, to compare with."""
    ratio = f"{ours / theirs:.2f}" if theirs else "-"
    passed = None if bar is None else ours <= bar if at_most else ours >= bar
    rows.append((number, what, ratio, "-", form([ours]), form([theirs]) if theirs else "-", bar_text(bar, at_most, unit), passed))


def us(values):
    return f"{statistics.median(values):.1f} us"


def per_second(values):
    return f"{statistics.median(values):,.0f}/s"


def mb_per_second(values):
    return f"{statistics.median(values):,.0f} MB/s"


def mib(values):
    return f"{statistics.median(values):.1f} MiB"


def ms(values):
    return f"{statistics.median(values):.1f} ms"


def fine_ms(values):
    return f"{statistics.median(values):.2f} ms"


def print_table(markdown):
    heads = ("#", "figure", "ratio", "spread", "crossdock", "beside it", "bar", "")
    lines = [(*(str(c) for c in row[:-1]), {True: "pass", False: "MISS", None: ""}[row[-1]]) for row in rows]
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    for at, line in enumerate([heads, *lines]):
        cells = [cell.ljust(width) for cell, width in zip(line, widths)]
        print(("| " + " | ".join(cells) + " |") if markdown else "  ".join(cells).rstrip())
        if at == 0 and markdown:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
