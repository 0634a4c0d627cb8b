/*
 * expr_oracle_test.c - expressions against jq itself: programs written by hand (tests/unit/expr/programs.txt) and programs made by a
 * grammar, on a set of inputs. Outputs are compared as JSON values, errors with errors.
 *
 * One run of jq takes many programs and all inputs: each program stands in a `try` that reports its output or that it failed, on a line
 * of its own. Where jq and the language differ on purpose, docs/expressions.md says so, and the programs here stay away from it.
 */
#include "expr/expr.h"

#include "base/prng.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

enum { TEXT_MAX = 64 * 1024 * 1024, PROGRAM_MAX = 2000, BATCH = 200 }; /* jq bounds the size of a program */

static const char *const inputs[] = {
    "null",
    "{\"a\":1,\"b\":\"text\",\"c\":[1,2,3],\"d\":{\"e\":null,\"f\":true},\"n\":-2.5}",
    "{\"a\":\"7\",\"b\":null,\"c\":[\"x\",\"y\",\"x\"],\"d\":{\"e\":[],\"f\":{\"g\":\"A b,C\"}},\"n\":0}",
    "[3,1,null,\"b\",[2],{\"a\":1},true]",
    "\"h\\u00e9llo w\\u00f6rld, hello\"",
    "12",
};

struct job {
    struct str program;
    const struct expr *expr; /* NULL: it was refused */
};

static bool have_jq(void)
{
    return system("command -v jq >/dev/null") == 0;
}

static void write_file(const char *path, struct str text)
{
    FILE *f = fopen(path, "w");

    CHECK(f);
    CHECK_EQ(fwrite(text.p, 1, text.n, f), text.n);
    CHECK_EQ(fclose(f), 0);
}

/* What jq prints for the programs: a line each, for one input after the other. */
static void ask_jq(const char *folder, struct buf *program, struct buf *ret_lines)
{
    char path[600], command[1500], piece[4096];
    size_t n;

    (void)snprintf(path, sizeof path, "%s/program.jq", folder);
    write_file(path, buf_str(program));
    (void)snprintf(path, sizeof path, "%s/input.json", folder);
    struct buf all CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        (void)buf_addf(&all, "%s\n", inputs[i]);
    write_file(path, buf_str(&all));
    (void)snprintf(command, sizeof command, "jq -c -f %s/program.jq %s/input.json 2>%s/errors", folder, folder, folder);
    FILE *jq = popen(command, "r");
    CHECK(jq);
    while ((n = fread(piece, 1, sizeof piece, jq)) > 0)
        (void)buf_add(ret_lines, str_of(piece, n));
    CHECK_MSG(pclose(jq) == 0, "jq failed: see %s/errors", folder);
}

/* {"v":[…]} or {"e":1}, as jq's wrapper prints it. */
static void ask_expr(const struct job *job, const struct json_tree *tree, struct buf *ret)
{
    struct arena arena CLEANUP(arena_release);
    struct expr_input input = {.root = expr_json(json_tree_root(tree))};
    struct expr_value value;

    arena_init(&arena, 16 << 20);
    err_t e = job->expr ? expr_eval(job->expr, &arena, &input, &expr_limits_default, &value) : E_PARSE;
    CHECK_MSG(!e || e == E_PARSE, "%.*s: %s", STR_ARG(job->program), err_detail(e));
    if (e) {
        (void)buf_add_lit(ret, "{\"e\":1}");
        return;
    }
    (void)buf_add_lit(ret, "{\"v\":");
    CHECK_OK(expr_value_print(value, ret));
    (void)buf_add_char(ret, '}');
}

static bool numbers_equal(yyjson_val *x, yyjson_val *y)
{
    double in_x = yyjson_get_num(x), in_y = yyjson_get_num(y), size = in_x < 0 ? -in_x : in_x;
    double difference = in_x < in_y ? in_y - in_x : in_x - in_y;

    return difference <= size * 1e-15;
}

static bool values_equal(yyjson_val *x, yyjson_val *y)
{
    size_t i, n;
    yyjson_val *key, *item;

    if (yyjson_is_num(x) && yyjson_is_num(y))
        return numbers_equal(x, y);
    if (yyjson_get_type(x) != yyjson_get_type(y) || (!yyjson_is_ctn(x) && !yyjson_equals(x, y)))
        return false;
    if (yyjson_is_ctn(x) && yyjson_get_len(x) != yyjson_get_len(y))
        return false;
    if (yyjson_is_arr(x)) {
        yyjson_arr_foreach(x, i, n, item)
        {
            if (!values_equal(item, yyjson_arr_get(y, i)))
                return false;
        }
    } else if (yyjson_is_obj(x)) {
        yyjson_obj_foreach(x, i, n, key, item)
        {
            yyjson_val *other = yyjson_obj_getn(y, yyjson_get_str(key), yyjson_get_len(key));
            if (!other || !values_equal(item, other))
                return false;
        }
    }
    return true;
}

static bool texts_equal(struct str x, struct str y)
{
    yyjson_doc *doc_x = yyjson_read(x.p, x.n, 0), *doc_y = yyjson_read(y.p, y.n, 0);
    bool equal = doc_x && doc_y && values_equal(yyjson_doc_get_root(doc_x), yyjson_doc_get_root(doc_y));

    yyjson_doc_free(doc_x);
    yyjson_doc_free(doc_y);
    return equal;
}

/* What jq printed for the jobs on one input, against ours. */
static void compare(const struct job *jobs, size_t n, const char *input, struct str *lines, unsigned *ret_differences)
{
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&arena, 1 << 20);
    CHECK_OK(json_tree_parse(&arena, str_from_c(input), &tree));
    for (size_t i = 0; i < n && !test_failed(); i++) {
        struct buf ours CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
        struct str theirs = str_cut(lines, '\n');
        ask_expr(&jobs[i], tree, &ours);
        if (!texts_equal(buf_str(&ours), theirs) && ++*ret_differences <= 20)
            (void)printf("# %.*s\n#   on   %s\n#   ours %.*s\n#   jq   %.*s\n", STR_ARG(jobs[i].program), input,
                         STR_ARG(buf_str(&ours)), STR_ARG(theirs));
    }
}

static void compare_batch(const struct job *jobs, size_t n, unsigned *ret_differences)
{
    struct buf program CLEANUP(buf_release) = BUF_INIT(TEXT_MAX), lines CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    char folder[] = "/tmp/expr-oracle-XXXXXX", command[100];

    CHECK(mkdtemp(folder));
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(&program, "%s(try {v: (%.*s)} catch {e: 1})\n", i ? "," : "", STR_ARG(jobs[i].program));
    ask_jq(folder, &program, &lines);
    if (test_failed())
        return;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQ(system(command), 0);
    struct str rest = buf_str(&lines);
    for (size_t i = 0; i < ARRAY_LEN(inputs) && !test_failed(); i++)
        compare(jobs, n, inputs[i], &rest, ret_differences);
    CHECK_MSG(rest.n == 0, "jq printed more than one line for a program");
}

static void compare_all(const struct job *jobs, size_t n)
{
    unsigned differences = 0;

    for (size_t from = 0; from < n && !test_failed(); from += BATCH)
        compare_batch(jobs + from, n - from < BATCH ? n - from : BATCH, &differences);
    CHECK_MSG(differences == 0, "%u of %zu results differ from jq's", differences, n * ARRAY_LEN(inputs));
}

/* --- by hand --- */

static struct str read_programs(struct arena *arena)
{
    char path[600];
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    char piece[4096];
    size_t n;

    (void)snprintf(path, sizeof path, "%s/tests/unit/expr/programs.txt", test_root());
    FILE *f = fopen(path, "r");
    if (!f)
        return STR_NONE;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(&text, str_of(piece, n));
    (void)fclose(f);
    return arena_str(arena, buf_str(&text));
}

TEST(expr_agrees_with_jq_on_programs_written_by_hand)
{
    struct arena arena CLEANUP(arena_release);
    struct job jobs[PROGRAM_MAX];
    size_t n = 0;

    if (!have_jq()) {
        test_skip("jq is not installed: scripts/deps test installs it");
        return;
    }
    arena_init(&arena, SIZE_MAX / 4);
    struct str rest = read_programs(&arena);
    CHECK(rest.n);
    while (rest.n) {
        struct str line = str_trim(str_cut(&rest, '\n'));
        struct expr_problem problem;
        if (!line.n || line.p[0] == '#')
            continue;
        CHECK_LT(n, PROGRAM_MAX);
        jobs[n].program = line;
        CHECK_MSG(expr_compile(&arena, line, &(struct expr_env){0}, &jobs[n].expr, &problem) == OK,
                  "%.*s: column %zu: %.*s", STR_ARG(line), problem.column, STR_ARG(problem.text));
        n++;
    }
    CHECK_GE(n, 200);
    compare_all(jobs, n);
}

/* --- by a grammar --- */

struct maker {
    struct prng prng;
    struct buf text;
    unsigned vars; /* $v0 … are bound */
};

static void say(struct maker *m, const char *text)
{
    (void)buf_add(&m->text, str_from_c(text));
}

static const char *pick(struct maker *m, const char *const *words, size_t n)
{
    return words[prng_below(&m->prng, n)];
}
#define PICK(m, ...)                                                                                                   \
    pick(m, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void make_one(struct maker *m, unsigned depth);

/* Text with `%` in places where a part is to be. */
static void make_form(struct maker *m, const char *form, unsigned depth, void (*part)(struct maker *m, unsigned depth))
{
    for (; *form; form++)
        if (*form == '%')
            part(m, depth);
        else
            (void)buf_add_char(&m->text, *form);
}

static void make_leaf(struct maker *m, unsigned depth)
{
    (void)depth;
    if (m->vars && prng_below(&m->prng, 4) == 0)
        (void)buf_addf(&m->text, "$v%u", (unsigned)prng_below(&m->prng, m->vars));
    else
        say(m, PICK(m, ".", ".", ".a?", ".b?", ".c?", ".d?", ".a", ".b", ".c", ".d.e", ".d.f.g?", ".c[0]?", ".c[-1]?",
                    ".n?", "0", "1", "2", "3", "-1", "0.5", "\"a\"", "\"x\"", "\"\"", "\"A b,C\"", "null", "true",
                    "false", "[]", "{}", "[1,2]", "{\"a\":1}"));
}

/* Several values, where something collects them. */
static void make_many(struct maker *m, unsigned depth)
{
    if (depth == 0) {
        say(m, PICK(m, ".[]?", ".c[]?", ".[]", "(1,2)", "empty", "range(3)", "1", "(.a?,.b?)", ".d[]?"));
        return;
    }
    if (prng_below(&m->prng, 3) == 0)
        make_form(m, PICK(m, "(% | %)", "(%, %)", "(% // %)", "limit(2; %)"), depth - 1, make_many);
    else
        make_form(m,
                  PICK(m, "(.[]? | %)", "(.c[]? | %)", "(range(3) | %)", "select(%)", "(% | select(. != null))",
                       "(try % catch \"caught\")", "(%)?", "(% | strings)", "(% | values)", "((1,2) | [., %])",
                       "(if % then (1,2) else . end)", "(foreach .[]? as $i (0; . + 1; [., %]))",
                       "(label $out | (1,2,3) | if . == 2 then break $out else % end)", "(% | .[]?)", "paths"),
                  depth - 1, make_one);
}

static void make_binding(struct maker *m, unsigned depth)
{
    say(m, "(");
    make_one(m, depth);
    (void)buf_addf(&m->text, " as $v%u | ", m->vars++);
    make_one(m, depth);
    say(m, ")");
    m->vars--;
}

static void make_operator(struct maker *m, unsigned depth)
{
    say(m, "(");
    make_one(m, depth);
    (void)buf_addf(&m->text, " %s ",
                   PICK(m, "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//", "|"));
    make_one(m, depth);
    say(m, ")");
}

static void make_call(struct maker *m, unsigned depth)
{
    make_form(m,
              PICK(m, "(% | length)", "(% | keys)", "(% | type)", "(% | not)", "(% | tojson)", "(% | add)",
                   "(% | sort)", "(% | unique)", "(% | min)", "(% | max)", "([%, 1] | reverse)", "(% | to_entries)",
                   "(% | first)", "(% | last)", "(% | flatten)", "(% | ascii_downcase)", "(% | ascii_upcase)",
                   "(% | explode)", "(% | any)", "(% | all)", "(% | floor)", "(% | has(%))", "(% | contains(%))",
                   "(% | inside(%))", "(% | startswith(%))", "(% | endswith(%))", "(% | ltrimstr(%))",
                   "(% | split(\",\"))", "(% | join(\"-\"))", "(% | map(%))", "(% | map(select(%)))",
                   "(% | sort_by(%))", "(% | group_by(%))", "(% | unique_by(%))", "(% | min_by(%))", "(% | max_by(%))",
                   "(% | map_values([%]))", "(% | objects | with_entries(.value |= %))", "(% | test(\"[a-l]+\"))",
                   "(% | [match(\"o|l\"; \"g\").offset])", "(% | [scan(\"[a-z]\")])", "(% | gsub(\"l\"; \"<l>\"))",
                   "(% | tonumber)", "(% | getpath([\"a\"]))", "(% | del(.a?))", "(% | .a = %)", "(% | .[0] = %)",
                   "(% | .a |= %)", "(% | .d.e += %)", "([%] | error)", "(% | transpose)", "(% | @json)",
                   "(% | @base64)", "(% | @sh)", "(% | @csv)", "([%] | indices(1))", "([%] | index(\"x\"))",
                   "(% | [paths])", "(% | [..])", "(% | tostring | length)", "(% | nth(1))", "(% | utf8bytelength)"),
              depth, make_one);
}

static void make_one(struct maker *m, unsigned depth)
{
    if (depth == 0) {
        make_leaf(m, 0);
        return;
    }
    switch (prng_below(&m->prng, 14)) {
    case 0:
    case 1:
        make_operator(m, depth - 1);
        return;
    case 2:
        make_form(m,
                  PICK(m, "(if % then % else % end)", "(try % catch 0)", "((%)? // %)", "{a: (%), \"b\": (%)}",
                       "{(\"k\\(1)\"): (%)}", "[%, %]", "-(%)", "\"s\\(%)-\\(%)\"", "(% | .[1:]?) ", "(%)[\"a\"]",
                       "(%)[0]"),
                  depth - 1, make_one);
        return;
    case 3:
    case 4:
        make_form(m,
                  PICK(m, "[%]", "[%]", "(first(%) // \"none\")", "any(%; . == 1)", "all(%; . != null)",
                       "(reduce (%) as $x (0; [., $x]))", "([%] | length)", "isempty(%)", "[limit(3; %)]", "[first(%)]",
                       "(reduce (%) as [$x] (null; [$x]))"),
                  depth - 1, make_many);
        return;
    case 5:
        make_binding(m, depth - 1);
        return;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        make_call(m, depth - 1);
        return;
    default:
        make_leaf(m, 0);
    }
}

/* Before 1.7, a `try` of jq also catches errors and breaks of what comes behind it. */
static bool jq_is_old(void)
{
    char version[64] = "";
    FILE *jq = popen("jq --version", "r");

    if (jq) {
        (void)!fgets(version, sizeof version, jq);
        (void)pclose(jq);
    }
    return str_starts(str_from_c(version), STR("jq-1.5")) || str_starts(str_from_c(version), STR("jq-1.6"));
}

/* jq looks at constants when it compiles; one division by a constant zero would take all other programs with it. */
static bool jq_compiles(struct str program, bool is_old)
{
    if (is_old && (str_find(program, STR("try")) < program.n || str_find(program, STR(")?")) < program.n))
        return false;
    return str_find(program, STR("/ 0")) == program.n && str_find(program, STR("% 0")) == program.n &&
           str_find(program, STR("/ (0")) == program.n && str_find(program, STR("% (0")) == program.n;
}

TEST(expr_agrees_with_jq_on_programs_made_by_a_grammar)
{
    enum { WANTED = 1500, TRIES = 20000 };
    struct arena arena CLEANUP(arena_release);
    static struct job jobs[WANTED];
    size_t n = 0, tried = 0;
    bool is_old = jq_is_old();

    if (!have_jq()) {
        test_skip("jq is not installed: scripts/deps test installs it");
        return;
    }
    arena_init(&arena, SIZE_MAX / 4);
    for (; n < test_rounds(WANTED) && n < WANTED && tried < TRIES; tried++) {
        struct maker m = {.text = BUF_INIT(1 << 20)};
        prng_seed(&m.prng, test_seed() + tried);
        make_one(&m, 1 + (unsigned)prng_below(&m.prng, 4));
        jobs[n].program = arena_str(&arena, buf_str(&m.text));
        buf_release(&m.text);
        /* What types show to fail is not compiled: jq fails later, or not at all. */
        if (jobs[n].program.n < 400 && jq_compiles(jobs[n].program, is_old) &&
            expr_compile(&arena, jobs[n].program, &(struct expr_env){0}, &jobs[n].expr, NULL) == OK)
            n++;
    }
    CHECK_MSG(n * 6 > tried, "only %zu of %zu programs compile", n, tried);
    compare_all(jobs, n);
}

/* --- patterns --- */

static void make_pattern(struct maker *m, unsigned depth);

/* False: it is not to be repeated. Which turn of a repeated group that can match nothing is captured is a matter of backtracking. */
static bool make_atom(struct maker *m, unsigned depth)
{
    if (depth == 0 || prng_below(&m->prng, 2) == 0) {
        say(m, PICK(m, "a", "b", "c", ".", "[ab]", "[^a]", "\\\\w", "\\\\d", "\\\\b", "^", "$", "[a-c]", "é", " ",
                    "\\\\s", "[[:alpha:]]", "(ab)", "(a|b)", "(?:c|bc)", "(?i:A)", "((a)|b)"));
        return true;
    }
    say(m, PICK(m, "(", "(?:", "(?i:"));
    make_pattern(m, depth - 1);
    say(m, ")");
    return false;
}

static void make_pattern(struct maker *m, unsigned depth)
{
    for (uint64_t n = 1 + prng_below(&m->prng, 3); n > 0; n--) {
        bool may_repeat = make_atom(m, depth);
        if (may_repeat && prng_below(&m->prng, 3) == 0)
            say(m, PICK(m, "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{2,}"));
    }
    if (depth && prng_below(&m->prng, 3) == 0) {
        say(m, "|");
        make_pattern(m, depth - 1);
    }
}

/* An empty match has no captures in jq before 1.7: of those only the place is compared. */
TEST(expr_patterns_agree_with_jq)
{
    enum { WANTED = 1000 };
    struct arena arena CLEANUP(arena_release);
    static struct job jobs[WANTED];
    size_t n = 0, tried = 0;

    if (!have_jq()) {
        test_skip("jq is not installed: scripts/deps test installs it");
        return;
    }
    arena_init(&arena, SIZE_MAX / 4);
    for (; n < WANTED && tried < 4 * WANTED; tried++) {
        struct maker m = {.text = BUF_INIT(1 << 20)};
        prng_seed(&m.prng, test_seed() + tried);
        say(&m, PICK(&m, "\"abcab\"", "\"aab bAa\"", "\"\"", "\"_ a1\\nb\"", "\"cccba\"", "\"a\\n\""));
        say(&m, " | [match(\"");
        make_pattern(&m, 2);
        say(&m,
            "\") | [.offset, .string, (if .length > 0 then .captures | map([.offset, .length, .string]) else 0 end)]]");
        jobs[n].program = arena_str(&arena, buf_str(&m.text));
        buf_release(&m.text);
        n += expr_compile(&arena, jobs[n].program, &(struct expr_env){0}, &jobs[n].expr, NULL) == OK;
    }
    CHECK_EQ(n, WANTED);
    compare_all(jobs, n);
}
