/*
 * jq.c - talks with a process of jq.
 *
 * Each document goes out as {"n":N,"d":DOCUMENT}. The program is put between words that run it on `.d`, and answer with a line
 * {"v":RESULT} for each result, {"e":ERROR} if it failed, and {"end":N} at last; so results are never taken for those of another document.
 * What would look beyond the document (`input`, `env`, modules) is defined away, before the process's limits would have to stop it.
 *
 * A process that took too long, too much, or ended by itself is replaced when the next document comes. What it does not do: run several
 * documents at a time; who wants that has several.
 */
#include "jq/jq.h"

#include "base/arena.h"
#include "base/err.h"
#include "codec/json_tree.h"
#include "rt/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPLAINTS_MAX = 4096,
    TOLD_MAX = 300, /* bytes of its complaints in an error */
    ARGUMENTS_MAX = 3 * JQ_NAMED_MAX + 8,
    SIGNALS_FROM = 256, /* child_stop()                    */
    PIECE = 64 * 1024,  /* beyond a limit, before it is met */
};

struct jq {
    struct arena arena;
    struct jq_limits limits;
    const char *argv[ARGUMENTS_MAX];
    struct child child;
    uint64_t documents;
};

/* What a document's program must not reach. On the first line, so that the lines of jq's messages are the program's. */
static const char prelude[] =
    "def input: error(\"there is no more input\"); def inputs: empty; def env: {}; def debug: .; def debug(f): .; def "
    "stderr: .; "
    "def input_filename: null; def input_line_number: 0; def modulemeta: error(\"there are no modules\"); "
    "def get_search_list: []; .n as $__n | .d | (try ((";
static const char postlude[] = "\n) | {v: .}) catch {e: .}), {end: $__n}";

/* --- the process --- */

static struct str first_line(const struct buf *complaints)
{
    struct str text = str_trim(buf_str(complaints));

    text = str_slice(text, 0, str_find(text, STR("\n")));
    return str_slice(text, 0, text.n < TOLD_MAX ? text.n : TOLD_MAX);
}

/* It has closed its stdout: why? */
static err_t ended(struct jq *jq, struct buf *complaints)
{
    int code = child_stop(&jq->child, complaints);
    struct str why = first_line(complaints);

    if (code > SIGNALS_FROM || str_find(why, STR("allocate")) < why.n)
        return fail(E_TOO_LARGE, "jq needs more memory than the %zu MiB it may take", jq->limits.memory >> 20);
    return fail(E_PARSE, "jq has ended with code %d%s%.*s", code, why.n ? ": " : "", STR_ARG(why));
}

static err_t start(struct jq *jq)
{
    const struct child_limits limits = {.memory = jq->limits.memory};

    return jq->child.pid ? OK : child_start(&jq->child, jq->argv, &limits);
}

/* With no document at all it ends well, unless it does not compile. */
static err_t check(struct jq *jq)
{
    struct buf got CLEANUP(buf_release) = BUF_INIT(2 * PIECE),
                   complaints CLEANUP(buf_release) = BUF_INIT(COMPLAINTS_MAX);
    ns_t until = child_now() + jq->limits.time;
    struct str nothing = STR_NONE;
    err_t e;

    TRY(start(jq));
    child_allow(&jq->child, jq->limits.time);
    child_end_input(&jq->child);
    do
        e = child_talk(&jq->child, &nothing, &got, &complaints, until);
    while (!e);
    if (e != E_UPSTREAM) {
        (void)child_stop(&jq->child, NULL);
        return e;
    }
    int code = child_stop(&jq->child, &complaints);
    return code ? fail(E_PARSE, "%.*s", STR_ARG(first_line(&complaints))) : OK;
}

/* --- a document --- */

/* Lines of an answer up to its end; what came before an error counts for nothing. */
static err_t read_answer(struct jq *jq, struct str answer, struct buf *b)
{
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;

    arena_init(&arena, jq->limits.memory);
    while (answer.n) {
        struct str line = str_cut(&answer, '\n'), text;
        err_t e = json_tree_parse(&arena, line, &tree);
        if (e == E_PARSE)
            return fail(E_PARSE, "the result is no JSON: it has numbers that are none, or text that is no UTF-8");
        TRY(e);
        struct json_node root = json_tree_root(tree), error = json_node_get(root, STR("e")),
                         result = json_node_get(root, STR("v"));
        text = json_node_is(error, JSON_STRING) ? json_node_text(error, &arena) : json_node_raw(error);
        if (!json_is_absent(error))
            return fail(E_PARSE, "%.*s", (int)(text.n < TOLD_MAX ? text.n : TOLD_MAX), text.p);
        if (!json_is_absent(result)) {
            TRY(buf_add(b, json_node_raw(result)));
            TRY(buf_add_char(b, '\n'));
        }
        arena_clear(&arena);
    }
    return OK;
}

/* Is the last line there? */
static bool is_whole(const struct buf *got, struct str last)
{
    return str_ends(buf_str(got), last) && (got->n == last.n || got->p[got->n - last.n - 1] == '\n');
}

static err_t exchange(struct jq *jq, struct str question, struct str last, struct buf *got)
{
    struct buf complaints CLEANUP(buf_release) = BUF_INIT(COMPLAINTS_MAX);
    ns_t until = child_now() + jq->limits.time;

    TRY(start(jq));
    child_allow(&jq->child, jq->limits.time);
    while (!is_whole(got, last)) {
        err_t e = child_talk(&jq->child, &question, got, &complaints, until);
        if (e == E_UPSTREAM)
            return ended(jq, &complaints);
        if (e == E_DEADLINE)
            return fail(E_DEADLINE, "jq takes longer than the %lld ms it may", (long long)(jq->limits.time / NS_MS));
        TRY(e);
    }
    return OK;
}

err_t jq_run(struct jq *jq, struct str document, struct buf *b)
{
    struct buf question CLEANUP(buf_release) = BUF_INIT(document.n + 100),
                        got CLEANUP(buf_release) = BUF_INIT(jq->limits.output + PIECE);
    struct arena arena CLEANUP(arena_release);
    const struct json_tree *tree;
    size_t before = b->n;
    char last[40];

    arena_init(&arena, SIZE_MAX / 4);
    TRY(json_tree_parse(&arena, document, &tree));
    jq->documents++;
    TRY(buf_addf(&question, "{\"n\":%llu,\"d\":", (unsigned long long)jq->documents));
    TRY(buf_add(&question, document));
    TRY(buf_add(&question, STR("}\n")));
    (void)snprintf(last, sizeof last, "{\"end\":%llu}\n", (unsigned long long)jq->documents);
    err_t e = exchange(jq, buf_str(&question), str_from_c(last), &got);
    if (e) {
        (void)child_stop(&jq->child, NULL);
        return e;
    }
    e = read_answer(jq, buf_str(&got), b);
    if (e)
        b->n = before;
    return e;
}

/* --- making one --- */

err_t jq_new(struct str program, const struct jq_named *named, size_t named_count, const struct jq_limits *limits,
             struct jq **ret_jq)
{
    if (program.n > JQ_PROGRAM_MAX || named_count > JQ_NAMED_MAX)
        return fail(E_TOO_LARGE, "the program is longer than %d bytes, or has more than %d named values",
                    JQ_PROGRAM_MAX, JQ_NAMED_MAX);
    if (program.n && memchr(program.p, '\0', program.n))
        return fail(E_PARSE, "the program has a byte that is 0");
    struct jq *jq = calloc(1, sizeof *jq);
    if (!jq)
        die("no memory");
    size_t n = 0;
    arena_init(&jq->arena, SIZE_MAX / 4);
    jq->limits = *limits;
    jq->argv[n++] = "jq";
    jq->argv[n++] = "-c";
    jq->argv[n++] = "--unbuffered";
    for (size_t i = 0; i < named_count; i++) {
        jq->argv[n++] = "--argjson";
        jq->argv[n++] = arena_printf(&jq->arena, "%s%c", named[i].name, '\0').p;
        jq->argv[n++] = arena_printf(&jq->arena, "%s%c", named[i].json, '\0').p;
    }
    jq->argv[n] = arena_printf(&jq->arena, "%s%.*s%s%c", prelude, STR_ARG(program), postlude, '\0').p;
    err_t e = check(jq);
    if (e) {
        jq_free(jq);
        return e;
    }
    *ret_jq = jq;
    return OK;
}

void jq_free(struct jq *jq)
{
    if (!jq)
        return;
    (void)child_stop(&jq->child, NULL);
    arena_release(&jq->arena);
    free(jq);
}
