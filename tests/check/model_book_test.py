"""gen-model-book: a good book becomes a table, and each kind of bad entry is found with its place."""

from sample import Sample, finds, passes

HEAD = "# A book.\nvendors: [openai, azure]\nsource: https://example.org/pricing\nmodels:\n"
ENTRY = "  - id: m-1\n    as_of: 2026-01-31\n    input: 2.50\n    output: 10\n"


def book(text, **more):
    with Sample({"book.yaml": text, **more}) as tree:
        tree.copy("scripts/gen-model-book")
        status, output = tree.run("scripts/gen-model-book", "table.c", "book.yaml", *more)
        if status == 0:
            with open(f"{tree.root}/table.c", encoding="utf-8") as f:
                output += f.read()
        return status, output


def entry(*lines):
    return book(HEAD + ENTRY + "".join(f"    {line}\n" for line in lines))


def holds(result, *texts):
    passes(result)
    for text in texts:
        assert text in result[1], f"{text!r} is not in:\n{result[1]}"


def test_book_becomes_a_table():
    holds(
        entry("cached_input: 0.0375", "batch: 0.5", "batch_cached: 1", "context: 128000", "without: [audio, json]",
              "above:", "  - {tokens: 200000, input: 5}", "also: [m-2, n-*]"),
        ".input = 2500000000U, .cached_input = 37500000U", ".output = 10000000000U", ".reasoning = PRICE_UNSET",
        ".permille[PRICE_BATCH] = 500", ".cached_permille[PRICE_BATCH] = 1000", ".context_tokens = 128000",
        "NEED_AUDIO | NEED_JSON", "{200000, {.input = 5000000000U, .cached_input = 37500000U", 'STR_INIT("2026-01-31")',
        '{STR_INIT("azure"), STR_INIT("m-1"), false, &facts_0}', '{STR_INIT("openai"), STR_INIT("n-"), true, &facts_0}',
    )  # fmt: skip


def test_book_amounts_are_exact():
    for written, nano in (("0.000000001", "1"), ("0.1", "100000000"), ("1234567.123456789", "1234567123456789"), ("0", "0")):
        holds(book(HEAD + ENTRY.replace("2.50", written)), f".input = {nano}U,")


def test_book_of_what_is_free_needs_no_page():
    holds(book("vendors: [openai]\nsource: a server of your own\nmodels:\n  - id: \"*\"\n    as_of: 2026-01-31\n    price: free\n"),
          "{.step_count = 0}", '{STR_INIT("openai"), STR_INIT(""), true, &facts_0}')  # fmt: skip


def test_book_finds_a_bad_date():
    for day in ("2026-13-01", "2026-02-30", "2026-00-10", "31.1.2026", "1999-01-01", "2026-1-31"):
        finds(book(HEAD + ENTRY.replace("2026-01-31", day)), r"book\.yaml:6: \"as_of\" must be a day")


def test_book_finds_a_missing_date_or_source():
    finds(book(HEAD + ENTRY.replace("    as_of: 2026-01-31\n", "")), r"book\.yaml:5: \"as_of\" is missing")
    finds(book(HEAD.replace("source: https://example.org/pricing\n", "") + ENTRY), r"book\.yaml:4: \"source\" must be the https")
    finds(entry("source: http://example.org/"), r"book\.yaml:5: \"source\" must be the https")


def test_book_finds_a_bad_amount():
    for amount in ("2,50", "-1", "1e3", ".5", "$2", "0.0000000001", "12345678", "01", "", "2.", "~"):
        finds(book(HEAD + ENTRY.replace("2.50", amount)), r"book\.yaml:5: \"input\" (must be an amount|is out of range)")


def test_book_finds_a_missing_price():
    finds(book(HEAD + "  - id: m\n    as_of: 2026-01-31\n    output: 1\n"), r"book\.yaml:5: \"input\" is missing")


def test_book_finds_a_price_of_what_is_free():
    finds(entry("price: free"), r"book\.yaml:5: \"input\" of a model that is free")
    finds(entry("price: cheap"), r"book\.yaml:5: \"price\" can only be free")


def test_book_finds_an_unknown_field():
    finds(entry("inptu: 1"), r"book\.yaml:9: unknown field \"inptu\"")
    finds(entry("above:", "  - {tokens: 5, inptu: 1, input: 2}"), r"book\.yaml:10: unknown field \"inptu\" of a step")
    finds(entry("without: [audoi]"), r"book\.yaml:5: unknown ability \"audoi\"")


def test_book_finds_a_field_twice():
    finds(entry("input: 3"), r"book\.yaml:9: \"input\" is there twice")
    finds(entry("above:", "  - {tokens: 5, input: 1, input: 2}"), r"book\.yaml:10: \"input\" is there twice")


def test_book_finds_an_id_twice():
    finds(entry("also: [m-1]"), r"book\.yaml:5: \"m-1\" of azure is there twice: also at book\.yaml:5")
    finds(book(HEAD + ENTRY, **{"other.yaml": HEAD + ENTRY}), r"\"m-1\" of openai is there twice: also at book\.yaml:5")
    finds(entry("also: [\"m-1*\"]"), r"is there twice")


def test_book_finds_disorder():
    finds(book(HEAD + ENTRY + ENTRY.replace("m-1", "a-1")), r"book\.yaml:9: entries must be in the order of their ids")
    finds(entry("above:", "  - {tokens: 5, input: 1}", "  - {tokens: 5, input: 2}"), r"book\.yaml:11: steps must be in ascending order")


def test_book_finds_a_bad_step():
    finds(entry("above:", "  - {input: 1}"), r"book\.yaml:10: a step needs \"tokens\" and \"input\"")
    finds(entry("above:", "  - tokens: 5"), r"book\.yaml:10: a step must be on one line")
    finds(entry("above:", "  - {tokens: 5k, input: 1}"), r"book\.yaml:10: \"tokens\" must be a number of tokens")


def test_book_finds_a_bad_id_or_list():
    finds(book(HEAD + ENTRY.replace("m-1", "m 1")), r"no id of a model: \"m 1\"")
    finds(entry("also: [a*b]"), r"no id of a model: \"a\*b\"")
    finds(entry("also: m-2"), r"must be a list in brackets")
    finds(entry("context: 128k"), r"\"context\" must be a number of tokens")


def test_book_finds_what_it_does_not_understand():
    finds(book("vendors: [openai]\nmodel:\n"), r"book\.yaml:2: this line is not understood")
    finds(book("models:\n" + ENTRY), r"book\.yaml:1: \"vendors\" is missing")
    finds(entry("\tinput: 1"), r"book\.yaml:9: a tab")
    finds(book(HEAD + ENTRY + "      cached_input: 1\n"), r"book\.yaml:9: this line is not understood")


def test_book_says_all_that_is_wrong_and_leaves_the_table():
    status, output = entry("inptu: 1", "without: [audoi]", "context: x")
    assert status != 0 and output.count("book.yaml:") == 3, output


def test_shipped_books_are_right():
    import glob
    import os

    from sample import TOP

    books = sorted(glob.glob(f"{TOP}/src/fleet/prices/*.yaml"))
    with Sample({}) as tree:
        passes(tree.run(f"{TOP}/scripts/gen-model-book", "table.c", *books))
        assert os.path.getsize(f"{tree.root}/table.c") > 100000
