/*
 * expr_oracle_test.c - expressions against jq itself, in several releases: programs written by hand (the .txt files of tests/unit/expr), programs made
 * by a grammar, and patterns. Outputs are compared as JSON values, errors with errors.
 *
 * The system's own jq is one release; two others come as Python packages (scripts/deps test), which tests/unit/expr/run_jq.py makes look like
 * jq. One run takes many programs and all of their inputs: each program stands in a `try` that reports its output or that it failed, on a
 * line of its own. Where jq and the language differ on purpose, or releases of jq among themselves, tests/unit/expr/differences.list has
 * the programs by release: they are asked one by one, and have to differ.
 */
#include "expr/expr.h"

#include "base/prng.h"
#include "test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

enum {
    TEXT_MAX = 64 * 1024 * 1024,
    BATCH = 200, /* jq bounds the size of a program */
    INPUTS_MAX = 16,
    JOBS_MAX = 4000,
    GROUPS_MAX = 400,
    RELEASES_MAX = 3,
    DIFFERENCES_MAX = 400,
};

static const struct str usual_inputs[] = {
    STR_INIT("null"),
    STR_INIT("{\"a\":1,\"b\":\"text\",\"c\":[1,2,3],\"d\":{\"e\":null,\"f\":true},\"n\":-2.5}"),
    STR_INIT("{\"a\":\"7\",\"b\":null,\"c\":[\"x\",\"y\",\"x\"],\"d\":{\"e\":[],\"f\":{\"g\":\"A b,C\"}},\"n\":0}"),
    STR_INIT("[3,1,null,\"b\",[2],{\"a\":1},true]"),
    STR_INIT("\"h\\u00e9llo w\\u00f6rld, hello\""),
    STR_INIT("12"),
};

struct job {
    struct str program;
    const struct expr *expr;
};

/* Programs that are asked about in one run, on the same inputs. */
struct group {
    const struct job *jobs;
    size_t count;
    const struct str *inputs;
    size_t input_count;
};

/* --- releases of jq --- */

struct release {
    char name[8];       /* "1.6" */
    char command[1400]; /* takes a folder and how many questions are in it */
};

static struct release releases[RELEASES_MAX];
static size_t release_count, release_missing;

static void add_release(const char *ask_name, const char *command)
{
    struct release *r = &releases[release_count];
    char version[64] = "";
    FILE *jq = popen(ask_name, "r");

    if (jq) {
        (void)!fgets(version, sizeof version, jq);
        (void)pclose(jq);
    }
    release_missing++;
    if (sscanf(version, "jq-%7[0-9.]", r->name) != 1)
        return;
    release_missing--;
    char *patch = strchr(r->name, '.') ? strchr(strchr(r->name, '.') + 1, '.') : NULL;
    if (patch)
        *patch = '\0';
    for (size_t i = 0; i < release_count; i++)
        if (strcmp(releases[i].name, r->name) == 0)
            return;
    (void)snprintf(r->command, sizeof r->command, "%s", command);
    release_count++;
}

/* False, and the test is skipped (in CI it fails), unless all releases are here: the system's, and those of packages. */
static bool have_jq(void)
{
    const char *ci = getenv("CI"), *const wheels[] = {"1.7", "1.8"};
    char ask_name[700], command[1400];

    if (release_count + release_missing == 0) {
        add_release("jq --version 2>/dev/null",
                    "i=0; while [ $i -lt $2 ]; do jq -c -f $1/$i.jq $1/$i.json >$1/$i.out 2>$1/$i.err; "
                    "i=$((i+1)); done");
        for (size_t i = 0; i < ARRAY_LEN(wheels); i++) {
            (void)snprintf(command, sizeof command, "%s/build/venv-jq-%s/bin/python %s/tests/unit/expr/run_jq.py $1 $2",
                           test_root(), wheels[i], test_root());
            (void)snprintf(ask_name, sizeof ask_name, "test -x %s/build/venv-jq-%s/bin/python && echo jq-%s",
                           test_root(), wheels[i], wheels[i]);
            add_release(ask_name, command);
        }
    }
    bool complete = release_missing == 0;
    if (!complete && ci && strcmp(ci, "true") == 0)
        test_fail_(__FILE__, __LINE__, "%zu releases of jq are not here: scripts/deps test installs them",
                   release_missing);
    else if (!complete)
        test_skip("%zu releases of jq are not here: scripts/deps test installs them", release_missing);
    return complete;
}

/* --- asking --- */

static void write_file(const char *path, struct str text)
{
    FILE *f = fopen(path, "w");

    CHECK(f);
    CHECK_EQ(fwrite(text.p, 1, text.n, f), text.n);
    CHECK_EQ(fclose(f), 0);
}

static void read_file(const char *path, struct buf *ret)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "r");

    CHECK_MSG(f, "there is no %s", path);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        (void)buf_add(ret, str_of(piece, n));
    CHECK_EQ(fclose(f), 0);
}

/* {"v":[…]} or {"e":1}, as jq's wrapper prints it. */
static void ask_expr(const struct job *job, const struct json_tree *tree, struct buf *ret)
{
    struct arena arena CLEANUP(arena_release);
    struct expr_input input = {.root = expr_json(json_tree_root(tree))};
    struct expr_value value;

    arena_init(&arena, 16 << 20);
    err_t e = expr_eval(job->expr, &arena, &input, &expr_limits_default, &value);
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

/* Answers to one group: how many differ, the first few of them told. `lines`: what jq printed. */
static unsigned compare(const struct group *group, const char *release, struct str lines, bool tell)
{
    unsigned differences = 0;
    struct arena arena CLEANUP(arena_release);

    arena_init(&arena, 16 << 20);
    for (size_t i = 0; i < group->input_count && !test_failed(); i++) {
        const struct json_tree *tree;
        if (json_tree_parse(&arena, group->inputs[i], &tree) != OK)
            die("an input is no JSON: %.*s", STR_ARG(group->inputs[i]));
        for (size_t k = 0; k < group->count && !test_failed(); k++) {
            struct buf ours CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
            struct str theirs = str_cut(&lines, '\n');
            ask_expr(&group->jobs[k], tree, &ours);
            if (texts_equal(buf_str(&ours), theirs))
                continue;
            differences++;
            if (tell)
                (void)printf("# jq %s: %.*s\n#   on   %.*s\n#   ours %.*s\n#   jq   %.*s\n", release,
                             STR_ARG(group->jobs[k].program), STR_ARG(group->inputs[i]), STR_ARG(buf_str(&ours)),
                             STR_ARG(theirs));
        }
    }
    return lines.n ? differences + 1 : differences;
}

/* Write one question: its programs as one, and its inputs. */
static void write_question(const char *folder, size_t number, const struct group *group)
{
    struct buf program CLEANUP(buf_release) = BUF_INIT(TEXT_MAX), all CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
    char path[600];

    for (size_t i = 0; i < group->count; i++)
        (void)buf_addf(&program, "%s(try {v: (%.*s\n)} catch {e: 1})\n", i ? "," : "", STR_ARG(group->jobs[i].program));
    (void)snprintf(path, sizeof path, "%s/%zu.jq", folder, number);
    write_file(path, buf_str(&program));
    for (size_t i = 0; i < group->input_count; i++)
        (void)buf_addf(&all, "%.*s\n", STR_ARG(group->inputs[i]));
    (void)snprintf(path, sizeof path, "%s/%zu.json", folder, number);
    write_file(path, buf_str(&all));
}

static void ask_release(const struct release *release, const struct group *groups, size_t n, bool tell,
                        unsigned *ret_differences);

/* One of them does not compile, and takes the others with it: which one? */
static void tell_refused(const struct release *release, const struct group *group)
{
    struct group single[BATCH];
    unsigned differences[BATCH];

    for (size_t i = 0; i < group->count; i++) {
        single[i] = *group;
        single[i].jobs = &group->jobs[i];
        single[i].count = 1;
    }
    ask_release(release, single, group->count, true, differences);
}

/* Ask one release about all groups; *ret_differences by group. */
static void ask_release(const struct release *release, const struct group *groups, size_t n, bool tell,
                        unsigned *ret_differences)
{
    char folder[] = "/tmp/expr-oracle-XXXXXX", command[1600], path[600];
    FILE *script;

    CHECK(mkdtemp(folder));
    for (size_t i = 0; i < n && !test_failed(); i++)
        write_question(folder, i, &groups[i]);
    (void)snprintf(path, sizeof path, "%s/ask", folder);
    script = fopen(path, "w");
    CHECK(script);
    CHECK_GT(fprintf(script, "%s\n", release->command), 0);
    CHECK_EQ(fclose(script), 0);
    (void)snprintf(command, sizeof command, "sh %s %s %zu", path, folder, n);
    (void)!system(command); /* how it ended says nothing: a program that does not compile is one of the answers */
    for (size_t i = 0; i < n && !test_failed(); i++) {
        struct buf lines CLEANUP(buf_release) = BUF_INIT(TEXT_MAX);
        (void)snprintf(path, sizeof path, "%s/%zu.out", folder, i);
        read_file(path, &lines);
        bool refused_all = lines.n == 0 && groups[i].count > 1;
        ret_differences[i] = compare(&groups[i], release->name, buf_str(&lines), tell && !refused_all);
        if (tell && refused_all)
            tell_refused(release, &groups[i]);
    }
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQ(system(command), 0);
}

/* All releases have to agree about the jobs on the usual inputs; those beside the system's own are asked about the first of them. */
static void compare_all(const struct job *jobs, size_t n)
{
    enum { OTHERS = 2 }; /* groups */
    static struct group groups[GROUPS_MAX];
    unsigned differences[GROUPS_MAX] = {0}, sum = 0;
    size_t count = 0;

    for (size_t from = 0; from < n; from += BATCH)
        groups[count++] =
            (struct group){jobs + from, n - from < BATCH ? n - from : BATCH, usual_inputs, ARRAY_LEN(usual_inputs)};
    for (size_t r = 0; r < release_count && !test_failed(); r++) {
        size_t asked = r > 0 && count > OTHERS ? OTHERS : count;
        ask_release(&releases[r], groups, asked, true, differences);
        for (size_t i = 0; i < asked; i++)
            sum += differences[i];
    }
    CHECK_MSG(sum == 0, "%u of %zu results differ from jq's", sum, n * ARRAY_LEN(usual_inputs));
}

/* --- by hand --- */

/* A program that is known to differ, and from which releases. */
struct difference {
    struct str program;
    bool from[RELEASES_MAX];
    bool met;
};

static struct difference known[DIFFERENCES_MAX];
static size_t known_count;

/* Lines "1.6 1.7: why", and programs, indented, that it is about. */
static void read_differences(struct arena *arena)
{
    char path[600];
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    bool from[RELEASES_MAX] = {false};

    known_count = 0;
    (void)snprintf(path, sizeof path, "%s/tests/unit/expr/differences.list", test_root());
    read_file(path, &text);
    struct str rest = arena_str(arena, buf_str(&text));
    while (rest.n && !test_failed()) {
        struct str line = str_cut(&rest, '\n');
        if (!line.n || line.p[0] == '#')
            continue;
        if (line.p[0] == ' ') {
            CHECK_LT(known_count, DIFFERENCES_MAX);
            struct difference *d = &known[known_count++];
            *d = (struct difference){.program = str_trim(line)};
            memcpy(d->from, from, sizeof from);
            continue;
        }
        struct str names = str_slice(line, 0, str_find(line, STR(":")));
        CHECK_MSG(names.n < line.n, "no releases: %.*s", STR_ARG(line));
        for (size_t r = 0; r < RELEASES_MAX; r++)
            from[r] = r < release_count && str_find(names, str_from_c(releases[r].name)) < names.n;
    }
}

static struct difference *find_difference(struct str program)
{
    for (size_t i = 0; i < known_count; i++)
        if (str_eq(known[i].program, program))
            return &known[i];
    return NULL;
}

/* The corpus: groups of programs with their inputs, in the order of the files. */
static struct job jobs[JOBS_MAX];
static struct group groups[GROUPS_MAX];
static struct str inputs[GROUPS_MAX * 4];
static size_t job_count, group_count, input_count, refused;

static void add_program(struct arena *arena, struct str program)
{
    struct expr_problem problem;
    struct job *job = &jobs[job_count++];

    CHECK_LT(job_count, JOBS_MAX);
    if (groups[group_count - 1].count == BATCH) {
        groups[group_count] = groups[group_count - 1];
        groups[group_count].jobs = job;
        groups[group_count++].count = 0;
        CHECK_LT(group_count, GROUPS_MAX);
    }
    job->program = program;
    if (expr_compile(arena, program, &(struct expr_env){0}, &job->expr, &problem) != OK) {
        (void)printf("# %.*s\n#   column %zu: %.*s\n", STR_ARG(program), problem.column, STR_ARG(problem.text));
        job_count--;
        refused++;
        return;
    }
    groups[group_count - 1].count++;
}

/* Lines "< INPUT", as many as are wanted, and programs for these inputs behind them; a program goes on in lines that begin with blanks. */
static void read_corpus(struct arena *arena, const char *path)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(1 << 20);
    bool in_inputs = false;

    read_file(path, &text);
    struct str rest = arena_str(arena, buf_str(&text));
    while (rest.n && !test_failed()) {
        struct str line = str_cut(&rest, '\n');
        if (!line.n || line.p[0] == '#')
            continue;
        while (rest.n && rest.p[0] == ' ') { /* the lines are neighbours: the program is what they are together */
            struct str more = str_cut(&rest, '\n');
            line = str_of(line.p, (size_t)(more.p + more.n - line.p));
        }
        if (!str_starts(line, STR("< "))) {
            CHECK_MSG(group_count, "%s: a program before any input", path);
            in_inputs = false;
            add_program(arena, str_trim(line));
            continue;
        }
        if (!in_inputs) {
            CHECK_LT(group_count, GROUPS_MAX);
            groups[group_count++] = (struct group){.jobs = &jobs[job_count], .inputs = &inputs[input_count]};
        }
        in_inputs = true;
        CHECK_LT(input_count, ARRAY_LEN(inputs));
        inputs[input_count++] = str_trim(str_slice(line, 2, line.n));
        groups[group_count - 1].input_count++;
    }
}

static void read_all(struct arena *arena)
{
    char pattern[600];
    glob_t found;

    job_count = group_count = input_count = refused = 0;
    (void)snprintf(pattern, sizeof pattern, "%s/tests/unit/expr/*.txt", test_root());
    CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && !test_failed(); i++)
        read_corpus(arena, found.gl_pathv[i]);
    globfree(&found);
}

/* For one release: what it is to agree about, and, each by itself, what it is known to differ about. */
static void split_groups(size_t release, struct group *same, size_t *ret_same, struct job *kept, struct group *others,
                         size_t *ret_others)
{
    size_t n = 0, same_count = 0, other_count = 0;

    for (size_t g = 0; g < group_count; g++) {
        same[same_count] = groups[g];
        same[same_count].jobs = &kept[n];
        same[same_count].count = 0;
        for (size_t i = 0; i < groups[g].count; i++) {
            const struct job *job = &groups[g].jobs[i];
            struct difference *d = find_difference(job->program);
            if (d)
                d->met = true;
            if (d && d->from[release]) {
                CHECK_LT(other_count, DIFFERENCES_MAX);
                others[other_count] = groups[g];
                others[other_count].jobs = job;
                others[other_count++].count = 1;
                continue;
            }
            kept[n++] = *job;
            same[same_count].count++;
        }
        same_count += same[same_count].count > 0;
    }
    *ret_same = same_count;
    *ret_others = other_count;
}

TEST(expr_agrees_with_jq_on_programs_written_by_hand)
{
    static struct group same[GROUPS_MAX], others[DIFFERENCES_MAX];
    static struct job kept[JOBS_MAX];
    static unsigned differences[DIFFERENCES_MAX + GROUPS_MAX];
    struct arena arena CLEANUP(arena_release);
    size_t same_count = 0, other_count = 0, pairs = 0, sum = 0;

    arena_init(&arena, SIZE_MAX / 4);
    if (!have_jq())
        return;
    read_differences(&arena);
    read_all(&arena);
    for (size_t g = 0; g < group_count; g++)
        pairs += groups[g].count * groups[g].input_count;
    CHECK_MSG(refused == 0, "%zu programs do not compile", refused);
    CHECK_GE(job_count, 700);
    CHECK_GE(pairs, 3000);
    for (size_t r = 0; r < release_count && !test_failed(); r++) {
        split_groups(r, same, &same_count, kept, others, &other_count);
        ask_release(&releases[r], same, same_count, true, differences);
        for (size_t i = 0; i < same_count; i++)
            sum += differences[i];
        ask_release(&releases[r], others, other_count, false, differences);
        for (size_t i = 0; i < other_count; i++)
            CHECK_MSG(differences[i], "jq %s does not differ: %.*s", releases[r].name,
                      STR_ARG(others[i].jobs->program));
    }
    for (size_t i = 0; i < known_count; i++)
        CHECK_MSG(known[i].met, "differences.list: not in the corpus: %.*s", STR_ARG(known[i].program));
    CHECK_MSG(sum == 0, "%zu of %zu results differ from jq's", sum, pairs * release_count);
    (void)printf("# %zu programs on their inputs: %zu pairs, %zu releases of jq\n", job_count, pairs, release_count);
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
    say(m, "(("); /* before 1.8, `-1 as $x | …` negates what is behind it */
    make_one(m, depth);
    (void)buf_addf(&m->text, ") as $v%u | ", m->vars++);
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
                   "(% | inside(%))", "(% | startswith(%))", "(% | endswith(%))", "(% | tostring | ltrimstr(\"t\"))",
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
    return strcmp(releases[0].name, "1.5") == 0 || strcmp(releases[0].name, "1.6") == 0;
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
    static struct job made[WANTED];
    size_t n = 0, tried = 0;

    arena_init(&arena, SIZE_MAX / 4);
    if (!have_jq())
        return;
    bool is_old = jq_is_old();
    for (; n < test_rounds(WANTED) && n < WANTED && tried < TRIES; tried++) {
        struct maker m = {.text = BUF_INIT(1 << 20)};
        prng_seed(&m.prng, test_seed() + tried);
        make_one(&m, 1 + (unsigned)prng_below(&m.prng, 4));
        made[n].program = arena_str(&arena, buf_str(&m.text));
        buf_release(&m.text);
        /* What types show to fail is not compiled: jq fails later, or not at all. */
        if (made[n].program.n < 400 && jq_compiles(made[n].program, is_old) &&
            expr_compile(&arena, made[n].program, &(struct expr_env){0}, &made[n].expr, NULL) == OK)
            n++;
    }
    CHECK_MSG(n * 6 > tried, "only %zu of %zu programs compile", n, tried);
    compare_all(made, n);
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
    static struct job made[WANTED];
    size_t n = 0, tried = 0;

    arena_init(&arena, SIZE_MAX / 4);
    if (!have_jq())
        return;
    for (; n < WANTED && tried < 4 * WANTED; tried++) {
        struct maker m = {.text = BUF_INIT(1 << 20)};
        prng_seed(&m.prng, test_seed() + tried);
        say(&m, PICK(&m, "\"abcab\"", "\"aab bAa\"", "\"\"", "\"_ a1\\nb\"", "\"cccba\"", "\"a\\n\""));
        say(&m, " | [match(\"");
        make_pattern(&m, 2);
        say(&m,
            "\") | [.offset, .string, (if .length > 0 then .captures | map([.offset, .length, .string]) else 0 end)]]");
        made[n].program = arena_str(&arena, buf_str(&m.text));
        buf_release(&m.text);
        n += expr_compile(&arena, made[n].program, &(struct expr_env){0}, &made[n].expr, NULL) == OK;
    }
    CHECK_EQ(n, WANTED);
    compare_all(made, n);
}
