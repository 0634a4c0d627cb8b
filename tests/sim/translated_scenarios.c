/*
 * translated_scenarios.c - clients of one dialect, providers of another, and all that goes wrong between them.
 *
 * The oracle (dialect_house.c): every request ends exactly once, with the right whole text or an error in the client's own dialect; a stream
 * that broke never ends as if it were whole; what was heard of an answer is right as far as it goes; nothing waits past its deadline; no
 * provider is asked anything that it must refuse.
 */
#include "codec/json_scan.h"
#include "llm/answer.h"
#include "rt/loop.h"
#include "sim/dialect_house.h"

#include <string.h>

static struct str any_model(struct client *c, const char *behaviour, struct arena *arena)
{
    return arena_printf(arena, "%s-%s", house_providers[prng_below(&c->prng, HOUSE_PROVIDERS)], behaviour);
}

static enum speaker any_speaker(struct client *c)
{
    return (enum speaker)prng_below(&c->prng, SPEAKERS);
}

/* Ask one question of a client's own; *ret_h to be released. */
static SUSPENDS err_t ask_model(struct client *c, enum speaker by, struct str model, bool stream, bool leaves,
                                struct hearing *ret_h)
{
    struct arena arena CLEANUP(arena_release);
    struct asking q;

    arena_init(&arena, 1 << 20);
    struct said said = {.text = arena_printf(&arena, "Client %u wants to know about harbours.", c->index)};
    asking_init(&q, by, model, &said, stream, &arena);
    q.leaves = leaves;
    return house_hear(c, &q, ret_h);
}

static SUSPENDS err_t ask_any(struct client *c, const char *behaviour)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);

    arena_init(&arena, 1 << 16);
    return ask_model(c, any_speaker(c), any_model(c, behaviour, &arena), prng_below(&c->prng, 4) > 0,
                     prng_below(&c->prng, 8) == 0, &h);
}

/* --- any dialect, any provider --- */

static err_t ask_the_good(struct client *c)
{
    return ask_any(c, "good");
}

static void check_first(struct dialect_house *h, const struct outcome *o, unsigned n)
{
    for (unsigned i = 0; world_is_calm(h->world) && i < n; i++)
        /* tiny buffers and long ways may use a limit up */
        EXPECT(o[i].result == OK || o[i].ended - o[i].began >= HOUSE_BETWEEN, "in calm weather client %u failed: %s", i,
               o[i].text);
}

static void check_good(struct dialect_house *h, const struct outcome *o)
{
    check_first(h, o, DIALECT_CLIENTS);
}

SCENARIO(translated_answers_of_good_providers_are_whole)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_the_good, .check = check_good});
}

static void check_half_good(struct dialect_house *h, const struct outcome *o)
{
    check_first(h, o, DIALECT_CLIENTS / 2);
}

static err_t ask_the_bad(struct client *c)
{
    return ask_any(c, "bad");
}

SCENARIO(translated_answers_of_bad_providers_are_whole_or_an_error)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_the_bad});
}

/* Whatever breaks, the client's stream ends in its own dialect's error, and the transport ends in order. */
static err_t ask_the_broken(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);

    arena_init(&arena, 1 << 16);
    err_t e = ask_model(c, any_speaker(c), any_model(c, "broken", &arena), true, false, &h);
    EXPECT(!h.whole, "client %u got a whole answer from a stream that always breaks", c->index);
    return e;
}

static void wide_lines(struct sim_options *o, struct prng *p)
{
    (void)p;
    o->socket_buffer = 64 * 1024;
}

SCENARIO(translated_streams_that_break_end_in_an_error, .weather = WEATHER_CALM, .prepare = wide_lines)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_the_broken});
}

/* --- falling back --- */

/* Text in "x-else-y": another deployment has answered, and the client has seen nothing of the first. */
static err_t ask_with_fallback(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    enum speaker by = any_speaker(c);

    arena_init(&arena, 1 << 16);
    const char *first = house_providers[prng_below(&c->prng, HOUSE_PROVIDERS)];
    const char *second = house_providers[prng_below(&c->prng, HOUSE_PROVIDERS)];
    struct said said = {.text = arena_printf(&arena, "Client %u wants to know about harbours.", c->index)};
    struct asking q;
    asking_init(&q, by, arena_printf(&arena, "%s-else-%s", first, second), &said, prng_below(&c->prng, 4) > 0, &arena);
    if (by == BY_OPENAI) /* Anthropic cannot be told */
        q.chat.presence_penalty.text = STR("0.5");
    bool own_relay = (by == BY_OPENAI && (strcmp(first, "openai") == 0 || strcmp(first, "groq") == 0)) ||
                     (by == BY_RESPONSES && strcmp(first, "openai") == 0);
    c->outcome->sent = own_relay && q.chat.stream;
    err_t e = house_hear(c, &q, &h);
    if (h.whole && by == BY_OPENAI)
        EXPECT((h.dropped.n > 0) == (strcmp(second, "anthropic") == 0),
               "client %u was told that %s was not told '%.*s', after %s", c->index, second, STR_ARG(h.dropped), first);
    if (h.whole) /* in one attempt: another client's met the limits of the first a moment ago */
        EXPECT(str_eq(h.deployment, arena_printf(&arena, "%s/good", second)) &&
                   (str_eq(h.attempts, STR("2")) || str_eq(h.attempts, STR("1"))),
               "client %u was answered by %.*s in %.*s attempts", c->index, STR_ARG(h.deployment), STR_ARG(h.attempts));
    return e;
}

/* OpenAI's own streams are judged by their first read, which nearly always holds a whole event: not more than one of a world's may get away. */
static void check_mended(struct dialect_house *h, const struct outcome *o)
{
    unsigned missed = 0;

    for (unsigned i = 0; world_is_calm(h->world) && i < DIALECT_CLIENTS; i++) {
        bool failed = o[i].result != OK && o[i].ended - o[i].began < HOUSE_BETWEEN;
        missed += failed && o[i].sent;
        EXPECT(!failed || (o[i].sent && missed == 1), "in calm weather client %u failed: %s", i, o[i].text);
    }
}

SCENARIO(a_failure_before_the_first_event_is_mended_by_a_provider_of_another_dialect, .prepare = wide_lines)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_with_fallback, .check = check_mended});
}

/* OpenAI's own relay alone, so that it shows apart from the others. */
static err_t ask_own_with_fallback(struct client *c)
{
    struct hearing h CLEANUP(hearing_release);

    return ask_model(c, BY_OPENAI, STR("openai-else-anthropic"), true, false, &h);
}

static void check_own_mended(struct dialect_house *h, const struct outcome *o)
{
    unsigned whole = world_count(o, DIALECT_CLIENTS, OK);

    (void)h;
    EXPECT(whole == DIALECT_CLIENTS, "only %u streams were mended", whole);
}

SCENARIO(a_stream_of_openais_own_that_begins_with_an_error_is_mended, .weather = WEATHER_CALM, .prepare = wide_lines,
         .thin = 4)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_own_with_fallback, .check = check_own_mended});
}

/* --- leaving --- */

static err_t ask_and_leave(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);

    arena_init(&arena, 1 << 16);
    err_t e = ask_model(c, any_speaker(c), any_model(c, "long", &arena), true, true, &h);
    return e;
}

static void check_left(struct dialect_house *h, const struct outcome *o)
{
    ns_t way = h->world->options.latency_max;
    struct simulator_tally t = simulator_tally(h->simulator);

    EXPECT(o[0].result == OK && h->left_at, "the client did not leave: %s", o[0].text);
    EXPECT(t.cancelled == 1 && t.completed == 0, "%u requests were cancelled at the provider", t.cancelled);
    /* there and on, each behind what is still under way on the line */
    EXPECT(t.cancelled_at - h->left_at <= 2 * way + 2 * NS_MS,
           "the provider heard after %lld us that the client had left",
           (long long)((t.cancelled_at - h->left_at) / NS_US));
}

SCENARIO(a_client_that_leaves_a_translated_stream_cancels_the_providers_call, .weather = WEATHER_CALM,
         .prepare = wide_lines)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = 1, .fn = ask_and_leave, .check = check_left});
}

/* --- silence --- */

/* 50 s of silence: a sign after 15, 30 and 45. */
static err_t ask_the_silent(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    enum speaker by = (enum speaker)(c->index % SPEAKERS);

    arena_init(&arena, 1 << 16);
    /* Bytes that pass through are watched as well, by either relay. */
    static const char *const watched[] = {"anthropic", "gemini", "cohere", "ollama", "openai"};
    const char *provider = watched[prng_below(&c->prng, ARRAY_LEN(watched))];
    err_t e = ask_model(c, by, arena_printf(&arena, "%s-silent", provider), true, false, &h);
    bool pings =
        by == BY_ANTHROPIC && str_eq(h.deployment, STR("anthropic/silent")); /* the provider's own, which passes */
    EXPECT(e != OK || h.signs == (speaker_is_kept_alive(by) ? 3U + pings : 0U), "client %u heard %u signs of life",
           c->index, h.signs);
    return e;
}

static void check_silent(struct dialect_house *h, const struct outcome *o)
{
    (void)h;
    for (unsigned i = 0; i < DIALECT_CLIENTS; i++)
        EXPECT(o[i].result == OK && o[i].ended - o[i].began >= 50 * NS_SEC, "client %u did not sit the silence out: %s",
               i, o[i].text);
}

SCENARIO(a_silent_stream_is_kept_alive_where_its_framing_allows_it, .weather = WEATHER_CALM, .prepare = wide_lines)
{
    return dialect_house_run(
        w, &(struct dialect_plan){
               .clients = DIALECT_CLIENTS, .fn = ask_the_silent, .longest = 200 * NS_SEC, .check = check_silent});
}

static err_t ask_the_dumb(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    enum speaker by = any_speaker(c);

    arena_init(&arena, 1 << 16);
    err_t e = ask_model(c, by, any_model(c, "dumb", &arena), prng_below(&c->prng, 4) > 0, false, &h);
    EXPECT(!h.whole, "client %u got a whole answer from a provider that stops", c->index);
    return e;
}

static void check_dumb(struct dialect_house *h, const struct outcome *o)
{
    (void)h;
    for (unsigned i = 0; i < DIALECT_CLIENTS; i++) {
        ns_t took = o[i].ended - o[i].began;
        EXPECT(o[i].result == E_UPSTREAM && took >= HOUSE_BETWEEN && took < HOUSE_BETWEEN * 2,
               "client %u was told after %lld ms: %s", i, (long long)(took / NS_MS), o[i].text);
    }
}

SCENARIO(a_translated_answer_that_stalls_is_given_up_at_the_limit_between_bytes, .weather = WEATHER_CALM,
         .prepare = wide_lines, .thin = 4)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_the_dumb, .check = check_dumb});
}

/* --- answers of the wrong form --- */

static err_t ask_the_odd(struct client *c)
{
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct said said = {.text = STR("What does the script say?")};
    struct asking q;

    arena_init(&arena, 1 << 16);
    asking_init(&q, (enum speaker)(1 + prng_below(&c->prng, SPEAKERS - 1)), STR("odd"), &said, prng_below(&c->prng, 2),
                &arena);
    q.scripted = HOUSE_SCRIPTED_TEXT;
    return house_hear(c, &q, &h);
}

SCENARIO(answers_of_the_wrong_form_are_told_right_or_refused)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_the_odd});
}

/* --- several choices --- */

static SUSPENDS err_t ask_several(struct client *c, const char *behaviour)
{
    static const enum speaker can[] = {BY_OPENAI, BY_GEMINI, BY_GEMINI_ARRAY};
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct said said;
    struct asking q;

    arena_init(&arena, 1 << 16);
    said.text = arena_printf(&arena, "Client %u wants several opinions.", c->index);
    asking_init(&q, can[prng_below(&c->prng, ARRAY_LEN(can))], any_model(c, behaviour, &arena), &said,
                prng_below(&c->prng, 2), &arena);
    q.choices = 2 + (unsigned)prng_below(&c->prng, HOUSE_CHOICES - 1);
    err_t e = house_hear(c, &q, &h);
    EXPECT(!h.whole || h.answer->choice_count == q.choices, "client %u got %zu of %u choices", c->index,
           h.answer->choice_count, q.choices);
    return e;
}

static err_t ask_several_of_the_good(struct client *c)
{
    return ask_several(c, "good");
}

SCENARIO(several_choices_are_all_there)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_several_of_the_good, .check = check_good});
}

static err_t ask_several_of_the_bad(struct client *c)
{
    return ask_several(c, "bad");
}

SCENARIO(several_choices_of_bad_providers_are_all_there_or_an_error)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_several_of_the_bad});
}

/* --- embeddings in batches --- */

enum { INPUTS_MAX = 350, DIMENSIONS = 4 }; /* Gemini takes 100 at once */

static struct str input_text(struct client *c, size_t i, struct arena *arena)
{
    return arena_printf(arena, "input %zu of client %u", i, c->index);
}

static void check_vectors(struct client *c, const char *behaviour, struct str body, size_t count, struct arena *arena)
{
    struct dialect_house *h = c->arg;
    struct buf right CLEANUP(buf_release) = BUF_INIT(4096);
    struct str list = json_find(body, STR("data")), one;
    size_t at = 0, n = 0;

    while ((one = json_next_element(list, &at)).p) {
        buf_clear(&right);
        simulator_vector(h->simulator, str_from_c(behaviour), input_text(c, n, arena), DIMENSIONS, &right);
        EXPECT(str_eq(json_find(one, STR("embedding")), buf_str(&right)), "client %u: vector %zu is %.*s, not %.*s",
               c->index, n, STR_ARG(json_find(one, STR("embedding"))), STR_ARG(buf_str(&right)));
        n++;
    }
    EXPECT(n == count, "client %u got %zu of %zu vectors", c->index, n, count);
    c->outcome->complete = true;
}

static SUSPENDS err_t embed(struct client *c, const char *behaviour)
{
    struct arena arena CLEANUP(arena_release);
    struct buf body CLEANUP(buf_release) = BUF_INIT(1 << 20);
    size_t count = 1 + prng_below(&c->prng, INPUTS_MAX);
    struct str answer;
    int status;

    arena_init(&arena, 4 << 20);
    buf_addf(&body, "{\"model\":\"gemini-%s\",\"dimensions\":%d,\"input\":[", behaviour, DIMENSIONS);
    for (size_t i = 0; i < count; i++)
        buf_addf(&body, "%s\"%.*s\"", i ? "," : "", STR_ARG(input_text(c, i, &arena)));
    buf_add_lit(&body, "]}");
    TRY(house_request(c, "POST", STR("/v1/embeddings"), buf_str(&body), &arena, &status, &answer));
    if (status != 200) {
        house_check_error(c, BY_OPENAI, status, answer);
        return fail(E_UPSTREAM, "status %d: %.*s", status, STR_ARG(answer));
    }
    check_vectors(c, behaviour, answer, count, &arena);
    return OK;
}

static err_t embed_at_the_good(struct client *c)
{
    return embed(c, "good");
}

SCENARIO(embeddings_in_batches_come_back_in_order, .prepare = wide_lines, .thin = 4)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS / 2, .fn = embed_at_the_good, .check = check_half_good});
}

static err_t embed_at_the_bad(struct client *c)
{
    return embed(c, "bad");
}

SCENARIO(embeddings_in_batches_of_bad_providers_are_whole_or_an_error, .prepare = wide_lines, .thin = 4)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS / 2, .fn = embed_at_the_bad});
}

/* --- responses that are kept --- */

/* Where lines stall, a head may come too slowly to be answered otherwise. */
static SUSPENDS err_t call_kept(struct client *c, const char *method, struct str target, struct str body,
                                struct arena *arena, int *ret_status, struct str *ret_answer)
{
    const struct sim_faults *f = &c->world->options.faults;

    TRY(house_request(c, method, target, body, arena, ret_status, ret_answer));
    return *ret_status == 408 && (f->stall || f->slow_peer) ? fail(E_DEADLINE, "the request came too slowly") : OK;
}

/* Ask on, with the conversation so far left to the gateway. */
static SUSPENDS err_t continue_response(struct client *c, struct str model, struct str id, struct said *said,
                                        struct arena *arena)
{
    struct dialect_house *h = c->arg;
    struct str body = arena_printf(arena, "{\"model\":\"%.*s\",\"previous_response_id\":\"%.*s\",\"input\":\"%.*s\"}",
                                   STR_ARG(model), STR_ARG(id), STR_ARG(said[2].text));
    struct str answer, text, right;
    size_t at = 0;
    int status;

    TRY(call_kept(c, "POST", STR("/v1/responses"), body, arena, &status, &answer));
    if (status != 200) {
        house_check_error(c, BY_RESPONSES, status, answer);
        EXPECT(status >= 500, "client %u cannot continue %.*s of %.*s, which was kept: %.*s", c->index, STR_ARG(id),
               STR_ARG(model), STR_ARG(answer));
        return fail(E_UPSTREAM, "status %d", status);
    }
    struct str item = json_next_element(json_find(answer, STR("output")), &at), part;
    at = 0;
    part = json_next_element(json_find(item, STR("content")), &at);
    TRY(json_string_value(json_find(part, STR("text")), arena, &text));
    TRY(simulator_truth(h->simulator, STR("good"), said, 3, false, 1, 0, arena, &right));
    EXPECT(str_eq(text, right), "client %u: the answer is '%.*s', not '%.*s'", c->index, STR_ARG(text), STR_ARG(right));
    return OK;
}

/* It is there, then it is deleted, then it is neither there nor can it be continued. */
static SUSPENDS err_t delete_response(struct client *c, struct str model, struct str id, struct arena *arena)
{
    struct str target = arena_printf(arena, "/v1/responses/%.*s", STR_ARG(id)), answer;
    struct str body = arena_printf(arena, "{\"model\":\"%.*s\",\"previous_response_id\":\"%.*s\",\"input\":\"And?\"}",
                                   STR_ARG(model), STR_ARG(id));
    int status;

    TRY(call_kept(c, "GET", target, STR_NONE, arena, &status, &answer));
    EXPECT(status == 200 && json_string_is(json_find(answer, STR("id")), id), "client %u: kept, but status %d: %.*s",
           c->index, status, STR_ARG(answer));
    TRY(call_kept(c, "DELETE", target, STR_NONE, arena, &status, &answer));
    /* one whose answer was lost is sent again, and then there is nothing to delete */
    EXPECT((status == 200 && json_find(answer, STR("deleted")).p) || !world_is_harmless(c->world),
           "client %u: not deleted: %.*s", c->index, STR_ARG(answer));
    TRY(call_kept(c, "GET", target, STR_NONE, arena, &status, &answer));
    EXPECT(status >= 400, "client %u: deleted, but status %d", c->index, status); /* a provider is asked: it may fail */
    house_check_error(c, BY_RESPONSES, status, answer);
    TRY(call_kept(c, "POST", STR("/v1/responses"), body, arena, &status, &answer));
    EXPECT(status >= 400 && status < 500, "client %u: continued what was deleted: %d %.*s", c->index, status,
           STR_ARG(answer));
    house_check_error(c, BY_RESPONSES, status, answer);
    return OK;
}

static err_t keep_and_continue(struct client *c)
{
    static const char *const foreign[] = {"groq-good", "anthropic-good", "gemini-good"};
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct str model = str_from_c(foreign[prng_below(&c->prng, ARRAY_LEN(foreign))]);
    struct said said[3] = {{.text = STR_NONE}};
    struct asking q;

    arena_init(&arena, 4 << 20);
    said[0].text = arena_printf(&arena, "Client %u is keeping a log.", c->index);
    asking_init(&q, BY_RESPONSES, model, said, prng_below(&c->prng, 2), &arena);
    q.chat.store.is = YES;
    TRY(house_hear(c, &q, &h));
    /* in Gemini's words an assistant is a model */
    said[1] = (struct said){str_starts(model, STR("gemini")) ? "model" : "assistant",
                            arena_str(&arena, buf_str(&h.texts[0]))};
    said[2] = (struct said){"user", STR("What was that about?")};
    struct str id = arena_str(&arena, h.answer->id);
    c->outcome->complete = false;
    TRY(continue_response(c, model, id, said, &arena));
    TRY(delete_response(c, model, id, &arena));
    c->outcome->complete = true;
    return OK;
}

SCENARIO(responses_over_foreign_providers_are_kept_continued_and_deleted)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS / 2, .fn = keep_and_continue, .check = check_half_good});
}

/* --- thoughts --- */

static void add_tool(struct chat_request *q, struct arena *arena)
{
    struct tool *t = chat_add_tool(q, arena, TOOL_FUNCTION, JSON_ABSENT);

    t->name = STR("get_tide");
    t->description = STR("Look it up.");
    t->parameters =
        STR("{\"type\":\"object\",\"properties\":{\"port\":{\"type\":\"string\"}},\"required\":[\"port\"]}");
}

/* What a client sends back that knows of no thoughts: the calls, and what came of them. Returns how many. */
static unsigned answer_calls(struct chat_request *q, const struct answer *a, struct arena *arena)
{
    struct turn *calls = chat_add_turn(q, arena, CHAT_ASSISTANT, JSON_ABSENT), *results;
    unsigned n = 0;

    for (const struct block *b = a->choices[0].blocks; b; b = b->next)
        if (b->kind == BLOCK_TOOL_CALL) {
            struct block *copy = chat_add_block(&calls->blocks, arena, BLOCK_TOOL_CALL, JSON_ABSENT);
            copy->id = b->id;
            copy->name = b->name;
            copy->arguments = b->arguments;
            n++;
        }
    results = chat_add_turn(q, arena, CHAT_USER, JSON_ABSENT);
    for (const struct block *b = calls->blocks; b; b = b->next) {
        struct block *r = chat_add_block(&results->blocks, arena, BLOCK_TOOL_RESULT, JSON_ABSENT);
        r->id = b->id;
        r->name = b->name;
        chat_add_block(&r->content, arena, BLOCK_TEXT, JSON_ABSENT)->text = STR("12 knots");
    }
    return n;
}

/* The provider refuses calls that come back without the thoughts that led to them (and a refusal fails the world): the gateway puts them back. */
static err_t ask_with_tools(struct client *c)
{
    static const char *const thinkers[] = {"anthropic-good", "gemini-gemini-3"};
    struct arena arena CLEANUP(arena_release);
    struct hearing first CLEANUP(hearing_release), second = {.status = 0};
    enum speaker by = prng_below(&c->prng, 2) ? BY_OPENAI : BY_RESPONSES;
    struct said said = {.text = STR("Please call get_tide for Brest.")};
    struct asking q;

    arena_init(&arena, 4 << 20);
    asking_init(&q, by, str_from_c(thinkers[prng_below(&c->prng, ARRAY_LEN(thinkers))]), &said, prng_below(&c->prng, 2),
                &arena);
    q.said = NULL;
    add_tool(&q.chat, &arena);
    q.chat.reasoning = (struct reasoning){.on = YES, .effort = EFFORT_LOW, .budget = -1};
    TRY(house_hear(c, &q, &first));
    c->outcome->complete = false;
    if (!EXPECT(answer_calls(&q.chat, first.answer, &arena) > 0, "client %u's tool was not called", c->index))
        return OK;
    err_t e = house_hear(c, &q, &second);
    EXPECT(!second.whole || str_find(buf_str(&second.texts[0]), STR("The tool said")) < second.texts[0].n,
           "client %u: the result is not in '%.*s'", c->index, STR_ARG(buf_str(&second.texts[0])));
    hearing_release(&second);
    return e;
}

SCENARIO(thoughts_that_a_client_cannot_carry_are_restored)
{
    return dialect_house_run(
        w, &(struct dialect_plan){.clients = DIALECT_CLIENTS / 2, .fn = ask_with_tools, .check = check_half_good});
}

/* --- pictures by URL --- */

/* Ollama's models take bytes only, so the gateway gets what the client names; from the inner network it gets nothing. */
static err_t ask_about_a_picture(struct client *c)
{
    static const enum speaker can[] = {BY_RESPONSES, BY_ANTHROPIC, BY_GEMINI, BY_GEMINI_ARRAY};
    struct dialect_house *house = c->arg;
    struct arena arena CLEANUP(arena_release);
    struct hearing h CLEANUP(hearing_release);
    struct said said = {.text = STR("What is on it?")};
    bool inner = prng_below(&c->prng, 4) == 0;
    struct asking q;

    arena_init(&arena, 1 << 16);
    asking_init(&q, can[prng_below(&c->prng, ARRAY_LEN(can))], STR("ollama-good"), &said, prng_below(&c->prng, 2),
                &arena);
    q.said = NULL;
    struct block *b = chat_add_block(&q.chat.turns->blocks, &arena, BLOCK_IMAGE, JSON_ABSENT);
    b->media.source = MEDIA_URL;
    b->media.type = STR("image/png");
    b->media.data =
        arena_printf(&arena, "http://%s:%d/%u", inner ? "169.254.169.254" : "127.0.0.1", PICTURES_PORT, c->index);
    err_t e = house_hear(c, &q, &h);
    EXPECT(!h.whole || (!inner && house->pictured[c->index]), "client %u was told about a picture that nobody has",
           c->index);
    EXPECT(!inner || !h.status || h.status == 400 || h.status == 408, "client %u asked for what is within: status %d",
           c->index, h.status);
    EXPECT(!h.dropped.n || h.refused, "client %u's picture was dropped: %.*s", c->index, STR_ARG(h.dropped));
    return e;
}

SCENARIO(pictures_that_clients_name_are_fetched_or_the_request_is_refused)
{
    return dialect_house_run(w, &(struct dialect_plan){.clients = DIALECT_CLIENTS, .fn = ask_about_a_picture});
}
