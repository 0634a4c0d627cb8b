/*
 * pipeline_aloud_test.c - who asks a pipeline as a model hears its answer while it comes: the real source `chat` and sink `reply`, in virtual time.
 *
 * The model `tell` says a text word by word, one every 100 ms, for 7 tokens in and 3 out.
 */
#include "pipeline/door/doors.h"
#include "pipeline/run/meter.h"
#include "unit/pipeline_world.h"

#define HEAD                                                                                                           \
    "pipeline: p\nversion: 1\ndelivery: at_least_once\njournal: sync\nsources: {s: {chat: {name: m, wait: 10s}}}\n"    \
    "nodes:\n"                                                                                                         \
    "  tell: {from: s, model: {route: m, prompt: x, stream: true}, retry: {max: 3, on: [5xx]}}\n"

static const char plain[] = HEAD "sinks: {out: {from: tell, reply: .}}\n";
static const char mapped[] = HEAD "  parts: {from: tell, chunk: sentence}\n"
                                  "  up: {from: parts, map: ascii_upcase}\n"
                                  "sinks: {out: {from: up, reply: {between: \" / \"}}}\n";

/* What the model is to do. */
static struct {
    const char *words[8];
    unsigned fail_at;  /* this word breaks the first `failures` answers off; 0: none */
    unsigned failures; /* to come                                                   */
    unsigned told;     /* answers begun                                              */
} script;

static SUSPENDS err_t tell(struct step *s)
{
    struct buf said CLEANUP(buf_release) = BUF_INIT(1 << 16);

    script.told++;
    meter_paid(s, &(struct meter_bill){.input_tokens = 7, .output_tokens = 3});
    for (size_t i = 0; script.words[i]; i++) {
        TRY(fiber_sleep_until(rt_now() + 100 * NS_MS));
        if (script.failures && script.fail_at == i + 1) {
            script.failures--;
            return fail(E_UPSTREAM, "it broke off");
        }
        (void)buf_addf(&said, "%s%s", i ? " " : "", script.words[i]);
        TRY(step_send_early(s, buf_str(&said)));
    }
    return step_send(s, expr_string(arena_str(step_arena(s), buf_str(&said))));
}

/* The kinds that the world has replaced are themselves again, but for the model. */
static void put_kinds(struct world *w)
{
    static const struct node_run model = {.call = tell};

    for (uint16_t i = 0; i < w->spec->node_count; i++) {
        struct pipeline_node *n = w->spec->nodes[i];
        for (size_t k = 0; n->role == PIPELINE_SOURCE && k < source_kind_catalog_count; k++)
            if (strcmp(source_kind_catalog[k]->kind.name, n->kind->name) == 0)
                n->source = source_kind_catalog[k];
        for (size_t k = 0; n->role == PIPELINE_SINK && k < sink_kind_catalog_count; k++)
            if (strcmp(sink_kind_catalog[k]->kind.name, n->kind->name) == 0)
                n->sink = sink_kind_catalog[k];
        if (!str_eq(n->name, STR("tell")))
            continue;
        struct node_kind *kind = arena_new(&w->arena, struct node_kind);
        *kind = *n->node;
        kind->run = &model;
        n->node = kind;
    }
}

/* What was heard: each piece with the tenth of a second that it came in, from when it was asked. */
struct heard {
    struct buf pieces;
    ns_t asked;
    bool is_deaf; /* hears the answer only when it is whole */
    err_t leaves; /* after the first piece                  */
    err_t result;
    struct door_answer answer;
};

static SUSPENDS err_t on_piece(void *ctx, struct str piece)
{
    struct heard *h = ctx;

    (void)buf_addf(&h->pieces, "%lld:%.*s|", (long long)((rt_now() - h->asked + 50 * NS_MS) / (100 * NS_MS)),
                   STR_ARG(piece));
    return h->leaves;
}

static SUSPENDS err_t run_it(void *shard)
{
    return shard_run(shard);
}

/* Ask once, and run the pipeline until all of it is done. */
static SUSPENDS void ask(struct world *w, struct heard *h)
{
    struct doors *doors = doors_new();
    struct shard *shard = shard_new(&(struct shard_options){.spec = w->spec, .journal = w->journal, .doors = doors});
    const struct door_message m = {.body = STR("{}")};
    const struct door_listener listener = {.on_piece = on_piece, .ctx = h};
    {
        SCOPE(running, NS_NEVER);
        scope_spawn(&running, "shard", run_it, shard);
        do { /* the source opens the door when the journal has been read */
            CHECK_OK(fiber_sleep_until(rt_now() + 10 * NS_MS));
            h->asked = rt_now();
            h->result = doors_ask(doors, STR("chat/m"), &m, h->is_deaf ? NULL : &listener, &w->arena, &h->answer);
        } while (h->result == E_NOT_FOUND && h->asked < w->born + NS_SEC);
        shard_drain(shard);
        CHECK_OK(scope_wait_all(&running));
    }
    shard_stats(shard, &w->stats);
    shard_free(shard);
    doors_free(doors);
}

static SUSPENDS void begin(struct world *w, const char *text, struct heard *h)
{
    memset(&script, 0, sizeof script);
    memcpy(script.words, (const char *[]){"One", "two.", "Three.", "Four"}, 4 * sizeof(char *));
    CHECK_OK(world_open(w, text, NULL, 0));
    put_kinds(w);
    *h = (struct heard){.pieces = BUF_INIT(1 << 16)};
}

static void end(struct world *w, struct heard *h)
{
    buf_release(&h->pieces);
    world_close(w);
    mem_free(w);
}

static SUSPENDS void an_answer_is_heard_while_the_model_writes(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, plain, &h);
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_STR(buf_str(&h.pieces), "1:One|2: two.|3: Three.|4: Four|");
    CHECK_EQ(h.answer.status, 200);
    CHECK_STR(h.answer.body, "\"One two. Three. Four\"");
    CHECK_EQ(h.answer.input_tokens, 7);
    CHECK_EQ(h.answer.output_tokens, 3);
    end(w, &h);
}

static SUSPENDS void an_answer_that_was_heard_is_not_asked_for_again(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, plain, &h);
    script.fail_at = 3;
    script.failures = 1;
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_STR(buf_str(&h.pieces), "1:One|2: two.|");
    CHECK_EQ(h.answer.status, 500);
    CHECK_EQ(script.told, 1);
    CHECK_EQ(w->stats.dead, 1);
    end(w, &h);
}

static SUSPENDS void who_wants_it_whole_has_it_asked_for_again(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, plain, &h);
    script.fail_at = 3;
    script.failures = 1;
    h.is_deaf = true;
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_EQ(h.answer.status, 200);
    CHECK_STR(h.answer.body, "\"One two. Three. Four\"");
    CHECK_EQ(h.answer.input_tokens, 14); /* both were paid for */
    CHECK_EQ(h.answer.output_tokens, 6);
    CHECK_EQ(script.told, 2);
    CHECK_EQ(w->stats.dead, 0);
    end(w, &h);
}

static SUSPENDS void who_leaves_is_told_nothing_more(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, plain, &h);
    h.leaves = E_CANCELLED;
    ask(w, &h);
    CHECK_EQ(h.result, E_CANCELLED);
    CHECK_STR(buf_str(&h.pieces), "1:One|");
    CHECK_EQ(w->stats.completed, 1);
    end(w, &h);
}

static SUSPENDS void pieces_are_an_answer(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, mapped, &h);
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_STR(buf_str(&h.pieces), "3:ONE TWO.|4: / THREE.|4: / FOUR|");
    CHECK_EQ(h.answer.status, 200);
    CHECK_STR(h.answer.body, "\"ONE TWO. / THREE. / FOUR\"");
    CHECK_EQ(h.answer.input_tokens, 7);
    end(w, &h);

    w = NEW(struct world);
    begin(w, mapped, &h);
    h.is_deaf = true;
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_EQ(h.answer.status, 200);
    CHECK_STR(h.answer.body, "\"ONE TWO. / THREE. / FOUR\"");
    CHECK_EQ(h.answer.output_tokens, 3);
    end(w, &h);
}

static SUSPENDS void pieces_of_an_answer_that_breaks_off_are_none(void)
{
    struct heard h;
    struct world *w = NEW(struct world);

    begin(w, mapped, &h);
    script.fail_at = 4;
    script.failures = 1;
    ask(w, &h);
    CHECK_OK(h.result);
    CHECK_STR(buf_str(&h.pieces), "3:ONE TWO.|");
    CHECK_EQ(h.answer.status, 500);
    CHECK_EQ(script.told, 1);
    end(w, &h);
}

static SUSPENDS void pieces_that_would_overtake_each_other_are_refused(void)
{
#define SAY(rules)                                                                                                     \
    HEAD "  parts: {from: tell, chunk: sentence}\n  say: {from: parts, model: {route: m, prompt: x}" rules             \
         "}\nsinks: {out: {from: say, reply: .}}\n"
    struct world *w = NEW(struct world);
    err_t e = world_open(w, SAY(""), NULL, 0);

    CHECK_EQ(e, E_CONFIG);
    CHECK_MSG(strstr(err_detail(e), "\"concurrency: 1\" keeps their order"), "%s", err_detail(e));
    world_close(w);
    CHECK_OK(world_open(w, SAY(", concurrency: 1"), NULL, 0));
    world_close(w);
    mem_free(w);
}

TEST(aloud_an_answer_is_heard_while_the_model_writes)
{
    in_sim(an_answer_is_heard_while_the_model_writes);
}

TEST(aloud_an_answer_that_was_heard_is_not_asked_for_again)
{
    in_sim(an_answer_that_was_heard_is_not_asked_for_again);
}

TEST(aloud_who_wants_it_whole_has_it_asked_for_again)
{
    in_sim(who_wants_it_whole_has_it_asked_for_again);
}

TEST(aloud_who_leaves_is_told_nothing_more)
{
    in_sim(who_leaves_is_told_nothing_more);
}

TEST(aloud_pieces_are_an_answer)
{
    in_sim(pieces_are_an_answer);
}

TEST(aloud_pieces_of_an_answer_that_breaks_off_are_none)
{
    in_sim(pieces_of_an_answer_that_breaks_off_are_none);
}

TEST(aloud_pieces_that_would_overtake_each_other_are_refused)
{
    in_sim(pieces_that_would_overtake_each_other_are_refused);
}
