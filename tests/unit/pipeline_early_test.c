/*
 * pipeline_early_test.c - what goes on of an answer while it comes, in virtual time: when, once, with the same ids, and what a crash or a failure leaves.
 *
 * The model `tell` says a text word by word, one every 100 ms; `say` takes 10 ms for each piece.
 */
#include "pipeline/run/run.h"
#include "pipeline/run/shard_int.h"
#include "unit/pipeline_world.h"

static const char text[] =
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"
    "nodes:\n"
    "  tell: {from: s, model: {route: m, prompt: x, stream: true}, retry: {max: 3, on: [5xx]}}\n"
    "  parts: {from: tell, chunk: sentence}\n"
    "  say: {from: parts, model: {route: m, prompt: x}}\n"
    "sinks: {out: {from: say, file: /out}}\n";

/* The same, of elements of a document, at a path of plain members and at another one. */
static const char document_text[] =
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"
    "nodes:\n"
    "  tell: {from: s, model: {route: m, prompt: x, stream: true}}\n"
    "  parts: {from: tell, chunk: {on: json, path: .items}}\n"
    "  late: {from: tell, chunk: {on: json, path: '[.items[0]]'}}\n"
    "sinks: {out: {from: parts, file: /out}, whole: {from: late, file: /whole}}\n";

/* What the models are to do. */
static struct {
    const char *words[16];
    unsigned fail_at;  /* this word breaks the first `failures` answers off; 0: none */
    unsigned failures; /* to come                                                   */
    bool varies;       /* each answer begins with its own number                     */
    unsigned told;     /* answers begun                                              */
    unsigned said;     /* pieces that were worked on                                 */
    bool is_silent;    /* the first answer goes on with nothing                      */
    ns_t cut_at;       /* it was broken off then, since the world began; 0: it was not */
} script;

/* Nothing more comes, ever. */
static SUSPENDS err_t fall_silent(void)
{
    script.is_silent = false;
    err_t e = fiber_park("the next piece", NS_NEVER);
    script.cut_at = rt_now() - the_world->born;
    return e;
}

static SUSPENDS err_t tell(struct step *s)
{
    struct buf said CLEANUP(buf_release) = BUF_INIT(1 << 16);

    script.told++;
    if (script.varies)
        (void)buf_addf(&said, "Answer %u. ", script.told);
    for (size_t i = 0; script.words[i]; i++) {
        TRY(fiber_sleep_until(rt_now() + 100 * NS_MS));
        if (script.failures && script.fail_at == i + 1) {
            script.failures--;
            return fail(E_UPSTREAM, "it broke off");
        }
        (void)buf_addf(&said, "%s ", script.words[i]);
        TRY(step_send_early(s, buf_str(&said)));
        if (script.is_silent)
            TRY(fall_silent());
    }
    return step_send(s, expr_string(arena_str(step_arena(s), buf_str(&said))));
}

static SUSPENDS err_t say(struct step *s)
{
    script.said++;
    TRY(fiber_sleep_until(rt_now() + 10 * NS_MS));
    return step_send(s, s->in->value);
}

static void put_models(struct world *w, struct pipeline_spec *spec)
{
    static const struct node_run runs[] = {{.call = tell}, {.call = say}};

    for (uint16_t i = 0; i < spec->node_count; i++) {
        struct pipeline_node *n = spec->nodes[i];
        bool tells = str_eq(n->name, STR("tell"));
        if (!tells && !str_eq(n->name, STR("say")))
            continue;
        struct node_kind *kind = arena_new(&w->arena, struct node_kind);
        *kind = *n->node;
        kind->run = &runs[!tells];
        n->node = kind;
    }
}

static const struct letter one_letter[] = {{.when = 0, .at = NS_NEVER, .body = "{}"}};

static SUSPENDS void begin_with(struct world *w, const char *of)
{
    memset(&script, 0, sizeof script);
    CHECK_OK(world_open(w, of, NULL, 0));
    put_models(w, w->spec);
    w->letters = one_letter;
    w->letter_count = 1;
}

static SUSPENDS void begin(struct world *w)
{
    begin_with(w, text);
}

static SUSPENDS void pieces_go_on_while_the_answer_comes(void)
{
    struct world *w = NEW(struct world);

    begin(w);
    memcpy(script.words, (const char *[]){"One", "two.", "Three.", "Four", "five."}, 5 * sizeof(char *));
    CHECK_OK(world_run(w));
    CHECK_STR(world_lines(w, "out"), "\"One two.\"\n\"Three.\"\n\"Four five.\"\n");
    CHECK_LT(w->sunk[0].when, 300 * NS_MS); /* the answer ends after 500 */
    CHECK_LT(w->sunk[1].when, 400 * NS_MS);
    CHECK_GT(w->sunk[2].when, 500 * NS_MS);
    CHECK_EQ(script.said, 3);
    CHECK_EQ(w->stats.dead, 0);
    CHECK_EQ(w->stats.completed, 1);
    world_close(w);
    mem_free(w);
}

static SUSPENDS void what_was_handed_on_is_not_asked_again(void)
{
    struct world *w = NEW(struct world);

    begin(w);
    memcpy(script.words, (const char *[]){"One", "two.", "Three.", "Four"}, 4 * sizeof(char *));
    script.fail_at = 4;
    script.failures = 1;
    CHECK_OK(world_run(w));
    CHECK_EQ(script.told, 1);
    CHECK_EQ(w->stats.dead, 1);
    CHECK_EQ(w->stats.completed, 1);
    CHECK_STR(world_lines(w, "out"), "\"One two.\"\n\"Three.\"\n");
    world_close(w);

    begin(w);
    memcpy(script.words, (const char *[]){"One", "two."}, 2 * sizeof(char *));
    script.fail_at = 2;
    script.failures = 2;
    CHECK_OK(world_run(w)); /* no sentence was complete: nothing was handed on */
    CHECK_EQ(script.told, 3);
    CHECK_EQ(w->stats.dead, 0);
    CHECK_STR(world_lines(w, "out"), "\"One two.\"\n");
    world_close(w);
    mem_free(w);
}

/* At every wait: pieces of the answer that counts are all there, and each piece once; what was said of one is its own. */
static SUSPENDS void a_crash_leaves_pieces_of_the_answer_that_counts(void)
{
    struct world *w = NEW(struct world);

    for (unsigned at = 0;; at++) {
        begin(w);
        memcpy(script.words, (const char *[]){"One", "two.", "Three."}, 3 * sizeof(char *));
        script.varies = true;
        w->waits_left = at;
        CHECK_OK(world_run(w));
        unsigned crashes = w->crashes;
        struct str out = world_lines(w, "out"), last = arena_printf(&w->arena, "\"Answer %u.\"\n", script.told);
        CHECK_MSG(str_find(out, last) < out.n || script.told == 0, "crash at wait %u: %.*s", at, STR_ARG(out));
        CHECK_EQ(w->stats.dead, 0);
        for (size_t i = 0; i < w->sunk_count; i++)
            for (size_t k = 0; k < i;
                 k++) /* the same words of another answer are the same piece only at the same place */
                CHECK_MSG(strcmp(w->sunk[i].text, w->sunk[k].text) != 0, "crash at wait %u: twice %s", at,
                          w->sunk[i].text);
        world_close(w);
        if (!crashes)
            break;
    }
    mem_free(w);
}

/* Two messages; the partition of the first is lost while its answer is under way. */
static SUSPENDS err_t lose_the_first(struct intake *in, const struct pipeline_node *source)
{
    struct message m = {.body = STR("{}"), .at = rt_wall()};

    (void)source;
    TRY(intake_put(in, &m, 1, STR("1")));
    m.partition = 1;
    TRY(intake_put(in, &m, 1, STR("1")));
    TRY(fiber_sleep_until(the_world->born + 150 * NS_MS));
    intake_lose(in, 0);
    return OK;
}

static void put_source(struct world *w)
{
    static const struct source_run run = {.run = lose_the_first};

    for (uint16_t i = 0; i < w->spec->node_count; i++)
        if (w->spec->nodes[i]->role == PIPELINE_SOURCE) {
            struct source_kind *kind = arena_new(&w->arena, struct source_kind);
            *kind = *w->spec->nodes[i]->source;
            kind->run = &run;
            w->spec->nodes[i]->source = kind;
        }
}

/* The second is asked for only when the first has ended. */
static SUSPENDS void check_broken_off(struct world *w, const char *want)
{
    put_source(w);
    memcpy(script.words, (const char *[]){"One", "two."}, 2 * sizeof(char *));
    script.is_silent = true;
    CHECK_OK(world_run(w));
    CHECK_EQ(script.cut_at / NS_MS, 150);
    CHECK_EQ(script.told, 2);
    CHECK_STR(world_lines(w, "out"), want);
    CHECK_EQ(w->stats.dead, 0);
    CHECK_EQ(w->stats.completed, 1);
    CHECK_EQ(w->stats.under_way, 0);
}

static const char one_at_a_time[] =
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"
    "nodes:\n"
    "  tell: {from: s, model: {route: m, prompt: x, stream: true}, concurrency: 1}\n"
    "  parts: {from: tell, chunk: sentence}\n"
    "sinks: {out: {from: parts, file: /out}}\n";

static SUSPENDS void silent_answers_end_with_their_root(void)
{
    struct world *w = NEW(struct world);

    memset(&script, 0, sizeof script);
    CHECK_OK(world_open(w, one_at_a_time, NULL, 0));
    put_models(w, w->spec);
    check_broken_off(w, "\"One two.\"\n");
    world_close(w);
    mem_free(w);
}

static SUSPENDS void elements_go_on_while_the_document_comes(void)
{
    struct world *w = NEW(struct world);

    begin_with(w, document_text);
    memcpy(script.words, (const char *[]){"{\"items\": [{\"n\":", "1}, \"b", "c\", 3", "]", "}"}, 5 * sizeof(char *));
    CHECK_OK(world_run(w));
    CHECK_STR(world_lines(w, "out"), "{\"n\": 1}\n\"b c\"\n3\n");
    CHECK_STR(world_lines(w, "whole"), "{\"n\": 1}\n");
    for (size_t i = 0; i < w->sunk_count; i++) {
        bool is_first = str_eq(w->sunk[i].sink->name, STR("out")) && strcmp(w->sunk[i].text, "{\"n\": 1}") == 0;
        if (is_first)
            CHECK_LT(w->sunk[i].when, 300 * NS_MS); /* the document ends after 500 */
        else if (strcmp(w->sunk[i].text, "\"b c\"") == 0)
            CHECK_LT(w->sunk[i].when, 400 * NS_MS);
        else if (str_eq(w->sunk[i].sink->name, STR("whole")))
            CHECK_GT(w->sunk[i].when, 500 * NS_MS);
    }
    CHECK_EQ(w->stats.dead, 0);
    world_close(w);

    begin_with(w, document_text); /* what turns out to be no document is a dead letter of each reader */
    memcpy(script.words, (const char *[]){"{\"items\": [1, 2,", "oh"}, 2 * sizeof(char *));
    CHECK_OK(world_run(w));
    CHECK_STR(world_lines(w, "out"), "1\n2\n");
    CHECK_STR(world_lines(w, "whole"), "");
    CHECK_EQ(w->stats.dead, 2);
    world_close(w);
    mem_free(w);
}

TEST(early_answer_that_falls_silent_ends_with_its_root)
{
    in_sim(silent_answers_end_with_their_root);
}

static const char looping[] =
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {files: /in}}\n"
    "nodes:\n"
    "  n: {from: s, loop: {pipeline: body.yaml, until: 'true', max: 1, deadline: 10m}}\n"
    "sinks: {out: {from: n, file: /out}}\n";

static const struct world_file body = {
    "body.yaml", "pipeline: body\nversion: 1\ninput: {}\noutput: tell\nnodes:\n"
                 "  tell: {from: input, model: {route: m, prompt: x, stream: true}, concurrency: 1}\n"};

static SUSPENDS void silent_answers_in_bodies_end_with_their_root(void)
{
    struct world *w = NEW(struct world);

    memset(&script, 0, sizeof script);
    CHECK_OK(world_open(w, looping, &body, 1));
    for (uint16_t i = 0; i < w->spec->node_count; i++)
        if (w->spec->nodes[i]->body)
            put_models(w, w->spec->nodes[i]->body);
    check_broken_off(w, "\"One two. \"\n");
    world_close(w);
    mem_free(w);
}

TEST(early_answer_within_a_body_ends_with_the_root_it_is_for)
{
    in_sim(silent_answers_in_bodies_end_with_their_root);
}

TEST(early_elements_go_on_while_the_document_comes)
{
    in_sim(elements_go_on_while_the_document_comes);
}

TEST(early_pieces_go_on_while_the_answer_comes)
{
    in_sim(pieces_go_on_while_the_answer_comes);
}

TEST(early_what_was_handed_on_is_not_asked_again)
{
    in_sim(what_was_handed_on_is_not_asked_again);
}

TEST(early_a_crash_leaves_pieces_of_the_answer_that_counts)
{
    in_sim(a_crash_leaves_pieces_of_the_answer_that_counts);
}
