"""
run_jq.py FOLDER COUNT - a release of jq that is a Python package, as if it were the program: for each number below COUNT run
FOLDER/N.jq on the documents of FOLDER/N.json, a line each, and write what it yields to FOLDER/N.out, a line each.

What does not compile leaves an empty file and says why in FOLDER/N.err. expr_oracle_test.c runs it.
"""

import json
import sys

import jq


def answer(program, documents):
    compiled = jq.compile(program)
    lines = []
    for document in documents:
        lines += [json.dumps(value) for value in compiled.input_text(document)]
    return "".join(line + "\n" for line in lines)


def main(folder, count):
    for number in range(int(count)):
        base = f"{folder}/{number}"
        with open(base + ".jq", encoding="utf-8") as program, open(base + ".json", encoding="utf-8") as documents:
            try:
                text, why = answer(program.read(), documents.read().splitlines()), ""
            except ValueError as error:
                text, why = "", str(error)
        with open(base + ".out", "w", encoding="utf-8") as out, open(base + ".err", "w", encoding="utf-8") as err:
            out.write(text)
            err.write(why)


if __name__ == "__main__":
    main(*sys.argv[1:])
