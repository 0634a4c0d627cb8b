/*
 * Fuzz target: pipeline files. Whatever they say: loading ends, and either tells what is wrong or gives a pipeline whose graph is in order, whose names are found, and
 * which can be explained, shown and drawn; one that was shown and is loaded again is the same. A file that it names is the input again, so pipelines
 * may call themselves.
 */
#include "pipeline/spec/draw.h"
#include "pipeline/spec/explain.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

const char *__lsan_default_suppressions(void);

/* libfyaml 0.7 loses a little memory for some malformed texts. Ours is watched all the same. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

#define REQUIRE(cond)                                                                                                  \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { OUTPUT_MAX = 1 << 24, READS_MAX = 200 };

static struct str input, shown;
static unsigned reads;

static const char *no_variable(const char *name)
{
    return strcmp(name, "SET") == 0 ? "a value" : NULL;
}

static err_t read_input(const char *path, size_t max, struct buf *to)
{
    struct str text = strcmp(path, "shown.yaml") == 0 ? shown : input;

    if (text.n > max || ++reads > READS_MAX)
        return fail(E_TOO_LARGE, "too much");
    return buf_add(to, text);
}

static const struct config_env env = {.getenv = no_variable, .read_file = read_input};
static const struct pipeline_world world = {.env = &env};

static struct pipeline_spec *load(const char *path)
{
    struct arena arena CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf report CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);
    struct problems problems = {.arena = &arena};
    struct pipeline_spec *s = NULL;

    reads = 0;
    err_t e = pipeline_load(str_from_c(path), NULL, &world, &problems, &s);
    REQUIRE((e == OK) == (problems.errors == 0) && (e == OK) == (s != NULL));
    REQUIRE(e == OK || e == E_CONFIG);
    problems_print(&problems, &report);
    return s;
}

static void check(const struct pipeline_spec *s, struct buf *text)
{
    for (uint16_t i = 0; i < s->node_count; i++) {
        const struct pipeline_node *each = s->nodes[i];
        REQUIRE(each->index == i && pipeline_find(s, each->name) == each);
        for (size_t k = 0; k < each->input_count; k++)
            REQUIRE(each->inputs[k].node < i && s->graph.edges[each->inputs[k].edge].to == i);
        for (size_t k = 0; k < each->target_count; k++)
            REQUIRE(each->targets[k].node > i && s->graph.edges[each->targets[k].edge].from == i);
    }
    REQUIRE(pipeline_explain(s, text) == OK);
    buf_clear(text);
    err_t e = draw_svg(s, text);
    REQUIRE(e == OK || e == E_TOO_LARGE);
    buf_clear(text);
    e = draw_text(s, false, text);
    REQUIRE(e == OK || e == E_TOO_LARGE);
    buf_clear(text);
    REQUIRE(pipeline_show(s, text) == OK);
}

/* Can what is shown be loaded again? Not with nodes of calls in it, whose names no file may have, nor with what was hidden. */
static bool can_return(const struct pipeline_spec *s, struct str text)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (str_find_char(s->nodes[i]->name, '/') < s->nodes[i]->name.n || s->nodes[i]->body)
            return false;
    return !s->output && str_find(text, STR("***")) == text.n && str_find(text, STR("${")) == text.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf first CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX), second CLEANUP(buf_release) = BUF_INIT(OUTPUT_MAX);

    input = str_of((const char *)data, n);
    struct pipeline_spec *s = load("input.yaml");
    if (!s)
        return 0;
    check(s, &first);
    if (can_return(s, buf_str(&first))) {
        shown = buf_str(&first);
        struct pipeline_spec *again = load("shown.yaml");
        REQUIRE(again);
        REQUIRE(pipeline_show(again, &second) == OK);
        REQUIRE(str_eq(buf_str(&first), buf_str(&second)));
        pipeline_unref(again);
    }
    pipeline_unref(s);
    return 0;
}
