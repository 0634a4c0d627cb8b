/*
 * dialect_house.c - clients that speak any dialect and know the right answer, and providers that misbehave in any dialect.
 */
#include "sim/dialect_house.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json_scan.h"
#include "fleet/config.h"
#include "llm/answer.h"
#include "llm/dialect.h"
#include "llm/vendor.h"
#include "net/dns.h"
#include "net/iobuf.h"
#include "rt/loop.h"
#include "store/blobs.h"

enum { BODY_MAX = 4 << 20, TEXT_MAX = 1 << 16, KEPT_BYTES = 1 << 20 };

#define CONNECT_BY (rt_now() + 10 * NS_SEC)

/* --- the configuration --- */

const char *const house_providers[] = {"openai", "groq", "anthropic", "gemini", "cohere", "ollama"};
static const char *const provider_paths[] = {"/v1",     "/groq/v1", "/anthropic/v1", "/gemini/v1beta",
                                             "/cohere", "/ollama"};

/*
 * good    in the pace of a model
 * bad     everything goes wrong at times
 * early   always fails before the first event of its answer
 * broken  a stream always breaks, in one of several ways, after its first events
 * torn    a stream often breaks, somewhere in its content; asked to go on, it gives the rest of the same answer
 * silent  falls silent in the middle for a while, then goes on
 * dumb    falls silent in the middle for good
 * gemini-3  signs its calls, and wants the signatures back
 * long    has more to say than anybody waits for
 */
static const char behaviours[] =
    "seed: 1\n"
    "models:\n"
    "  good: { answer_tokens: {distribution: uniform, min: 8, max: 60}, ttft: 30ms, tokens_per_second: 200 }\n"
    "  bad:\n"
    "    answer_tokens: {distribution: uniform, min: 8, max: 60}\n"
    "    ttft: 30ms\n"
    "    tokens_per_second: 200\n"
    "    faults:\n"
    "      - {kind: status, status: 500, weight: 5%}\n"
    "      - {kind: rate_limit, retry_after: 2s, weight: 5%}\n"
    "      - {kind: hang, duration: 60s, weight: 5%}\n"
    "      - {kind: reset_before_headers, weight: 5%}\n"
    "      - {kind: reset_after_headers, weight: 5%}\n"
    "      - {kind: break_stream, after_tokens: 4, weight: 10%}\n"
    "      - {kind: stall, after_tokens: 4, duration: 60s, weight: 5%}\n"
    "      - {kind: malformed_json, after_tokens: 4, weight: 10%}\n"
    "      - {kind: truncated_sse, after_tokens: 4, weight: 10%}\n"
    "      - {kind: error_event, after_tokens: 4, weight: 10%}\n"
    "      - {kind: slow_trickle, bytes: 40, every: 200ms, weight: 5%}\n"
    "  early:\n"
    "    answer_tokens: 20\n"
    "    faults:\n"
    "      - {kind: status, status: 503, weight: 15%}\n"
    "      - {kind: rate_limit, weight: 15%}\n"
    "      - {kind: reset_before_headers, weight: 15%}\n"
    "      - {kind: reset_after_headers, weight: 15%}\n"
    "      - {kind: error_event, after_tokens: 0, weight: 15%}\n"
    "      - {kind: break_stream, after_tokens: 0, weight: 10%}\n"
    "      - {kind: malformed_json, after_tokens: 0, weight: 15%}\n"
    "  broken:\n"
    "    answer_tokens: 40\n"
    "    tokens_per_second: 200\n"
    "    faults:\n"
    "      - {kind: break_stream, after_tokens: 8, weight: 25%}\n"
    "      - {kind: malformed_json, after_tokens: 8, weight: 25%}\n"
    "      - {kind: truncated_sse, after_tokens: 8, weight: 25%}\n"
    "      - {kind: error_event, after_tokens: 8, weight: 25%}\n"
    "  torn:\n"
    "    answer_tokens: 40\n"
    "    tokens_per_second: 200\n"
    "    faults:\n"
    "      - {kind: break_stream, after_tokens: 3, weight: 8%}\n"
    "      - {kind: break_stream, after_tokens: 20, weight: 8%}\n"
    "      - {kind: malformed_json, after_tokens: 11, weight: 8%}\n"
    "      - {kind: truncated_sse, after_tokens: 17, weight: 8%}\n"
    "      - {kind: error_event, after_tokens: 7, weight: 5%}\n"
    "      - {kind: stall, after_tokens: 13, duration: 60s, weight: 3%}\n"
    "  silent: { answer_tokens: 30, tokens_per_second: 200, faults: [ {kind: stall, after_tokens: 8, duration: 50s} ] "
    "}\n"
    "  dumb: { answer_tokens: 30, tokens_per_second: 200, faults: [ {kind: stall, after_tokens: 8} ] }\n"
    "  gemini-3: { answer_tokens: 30 }\n"
    "  long: { answer_tokens: 2000, tokens_per_second: 50 }\n";

static const char *const behaviour_names[] = {"good", "bad", "early", "broken", "silent", "dumb", "long", "gemini-3"};

static void add_models(struct buf *yaml, const char *provider)
{
    for (size_t i = 0; i < ARRAY_LEN(behaviour_names); i++) {
        const char *name = behaviour_names[i];
        const char *more = strcmp(name, "silent") == 0 ? ", timeouts: { between_bytes: 60s, total: 200s }" : "";
        buf_addf(yaml, "  %s-%s: { targets: [ %s/%s ], retries: 1%s }\n", provider, name, provider, name, more);
    }
    for (size_t i = 0; i < HOUSE_PROVIDERS; i++)
        buf_addf(
            yaml,
            "  %s-torn-%s: { targets: [ %s/torn ], fallbacks: [ %s/torn ], stream_failover: true, ejection: false }\n",
            provider, house_providers[i], provider, house_providers[i]);
    for (size_t i = 0; i < HOUSE_PROVIDERS; i++)
        buf_addf(yaml, "  %s-else-%s: { targets: [ %s/early ], fallbacks: [ %s/good ], retries: 1, ejection: false }\n",
                 provider, house_providers[i], provider, house_providers[i]);
}

static err_t make_snapshot(struct snapshot **ret)
{
    struct buf yaml CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct arena arena CLEANUP(arena_release);
    struct problems problems = {.arena = &arena};
    struct catalog *catalog;

    arena_init(&arena, 1 << 22);
    buf_add_lit(&yaml,
                "listen: 127.0.0.1:80\n"
                "timeouts: { connect: 2s, first_byte: 5s, between_bytes: 4s, total: 20s }\n"
                "fetch: { enabled: true, time: 3s, allow_http: true, allow_ports: true, networks: [ 127.0.0.1 ] }\n"
                "providers:\n");
    for (size_t i = 0; i < HOUSE_PROVIDERS; i++)
        buf_addf(&yaml, "  %s: { dialect: %s, base_url: 'http://127.0.0.1:%d%s', api_key: sk-secret }\n",
                 house_providers[i], house_providers[i], SIMULATOR_PORT, provider_paths[i]);
    buf_addf(&yaml, "  odd: { dialect: custom, base_url: 'http://127.0.0.1:%d/v1', api_key: sk-secret }\n",
             SCRIPT_PORT);
    buf_add_lit(&yaml, "models:\n  odd: { targets: [ odd/odd ] }\n");
    for (size_t i = 0; i < HOUSE_PROVIDERS; i++)
        add_models(&yaml, house_providers[i]);
    TRY(config_load("-", buf_str(&yaml), config_env_real(), &problems, &catalog));
    return snapshot_make(catalog, NULL, ret);
}

/* --- the scripted provider --- */

static const char scripted_whole[] =
    "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"odd\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"" HOUSE_SCRIPTED_TEXT "\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":4,\"total_tokens\":5}}";

static const char scripted_events[] =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"" HOUSE_SCRIPTED_TEXT
    "\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";

static SUSPENDS err_t send_whole(struct http_request *r, const char *type, struct str body)
{
    struct http_header header = {STR("content-type"), str_from_c(type)};
    struct http_reply reply = {.status = 200, .headers = &header, .count = 1, .length = (int64_t)body.n};

    return http_reply_whole(r, &reply, body);
}

/* Something, however little, often enough for the limit between bytes, and never an event. */
static SUSPENDS err_t send_comments(struct http_request *r)
{
    struct http_header header = {STR("content-type"), STR("text/event-stream")};
    struct http_reply reply = {.status = 200, .headers = &header, .count = 1, .length = -1};
    struct str comment = STR(": still here\n\n");

    TRY(http_reply_begin(r, &reply));
    for (;;) {
        TRY(http_reply_write(r, &comment, 1));
        TRY(http_reply_flush(r));
        TRY(fiber_sleep_until(rt_now() + NS_SEC));
    }
}

static err_t scripted_handle(struct http_request *r, void *ctx)
{
    struct dialect_house *h = ctx;
    struct str body;

    TRY(http_body_all(r, BODY_MAX, &body));
    switch (h->script != SCRIPT_DRAWN ? h->script : 1 + (enum script)prng_below(&h->prng, SCRIPTS - 1)) {
    case SCRIPT_WHOLE:
        return send_whole(r, "application/json", str_from_c(scripted_whole));
    case SCRIPT_EVENTS_AND_MORE:
        return send_whole(r, "text/event-stream",
                          arena_join(r->arena, str_from_c(scripted_events),
                                     STR("data: {\"choices\":[{\"index\":0,"
                                         "\"delta\":{\"content\":\"more\"}}]}\n\n")));
    case SCRIPT_EMPTY:
        return send_whole(r, "application/json", STR_NONE);
    case SCRIPT_NO_EVENTS:
        return send_whole(r, "text/event-stream", STR_NONE);
    case SCRIPT_COMMENTS:
        return send_comments(r);
    case SCRIPT_PAGE:
        return send_whole(r, "text/html", STR("<html><body>Welcome to the captive portal!</body></html>"));
    case SCRIPT_DRAWN:
    case SCRIPTS:
        break;
    }
    return fail(E_UNSUPPORTED, "no such script");
}

/* --- a server of pictures: /<client> --- */

/* A dot. */
#define PICTURE STR("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")

static SUSPENDS err_t send_half(struct http_request *r, struct str body)
{
    struct http_header header = {STR("content-type"), STR("image/png")};
    struct http_reply reply = {.status = 200, .headers = &header, .count = 1, .length = (int64_t)body.n};
    struct str half = str_slice(body, 0, body.n / 2);

    TRY(http_reply_begin(r, &reply));
    TRY(http_reply_write(r, &half, 1));
    http_reply_abort(r);
    return OK;
}

static err_t pictures_handle(struct http_request *r, void *ctx)
{
    struct dialect_house *h = ctx;
    struct buf picture CLEANUP(buf_release) = BUF_INIT(4096);
    struct http_reply missing = {.status = 404};
    uint64_t client;

    TRY(base64_decode(&picture, PICTURE, BASE64));
    if (!str_to_u64(str_slice(r->head.path, 1, r->head.path.n), DIALECT_CLIENTS - 1, &client))
        return http_reply_whole(r, &missing, STR_NONE);
    switch (prng_below(&h->prng, 6)) {
    case 0:
        return http_reply_whole(r, &missing, STR_NONE);
    case 1:
        return send_half(r, buf_str(&picture));
    case 2:
        return fiber_sleep_until(NS_NEVER);
    default:
        break;
    }
    h->pictured[client] = true; /* whether it arrives is the network's affair */
    return send_whole(r, "image/png", buf_str(&picture));
}

/* --- who asks --- */

struct client_form {
    const char *dialect, *vendor, *base;
    bool keeps_alive; /* does its framing allow for signs of life? */
};

static const struct client_form forms[SPEAKERS] = {
    [BY_OPENAI] = {"openai", "openai", "/v1", true},
    [BY_RESPONSES] = {"responses", "openai", "/v1", true},
    [BY_ANTHROPIC] = {"anthropic", "anthropic", "/v1", true},
    [BY_CLAUDE_ON_BEDROCK] = {"anthropic", "anthropic-bedrock", "", false},
    [BY_GEMINI] = {"gemini", "gemini", "/v1beta", false},
    [BY_GEMINI_ARRAY] = {"gemini", "gemini", "/v1beta", false},
    [BY_OLLAMA] = {"ollama", "ollama", "", false},
};

bool speaker_is_kept_alive(enum speaker by)
{
    return forms[by].keeps_alive;
}

void asking_init(struct asking *q, enum speaker by, struct str model, struct said *said, bool stream,
                 struct arena *arena)
{
    *q = (struct asking){.speaker = by, .model = model, .said = said, .said_count = 1};
    q->chat.stream = stream;
    q->chat.reasoning.budget = -1;
    q->chat.max_output.text = STR("4000");
    struct turn *t = chat_add_turn(&q->chat, arena, CHAT_USER, JSON_ABSENT);
    chat_add_block(&t->blocks, arena, BLOCK_TEXT, JSON_ABSENT)->text = said->text;
    said->role = "user";
}

/* --- hearing an answer --- */

struct ear {
    struct client *client;
    struct asking *q;
    struct hearing *ret;
    enum framing framing;
    const struct provider_side *side; /* of the client's dialect: it reads */
    void *reader;
    struct framer *framer;
    struct arena scratch;
    struct answer_builder *builder;
    struct chat_sink whole;
    enum block_kind kinds[HOUSE_CHOICES]; /* of the block being told, per choice */
    unsigned last_words;                  /* frames that say that it is over      */
    bool last_word;                       /* the last frame was such a one        */
    bool ended, failed;
};

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct ear *ear = ctx;

    if (EXPECT(e->choice < HOUSE_CHOICES, "choice %u of nothing that was asked for", e->choice)) {
        if (e->kind == CHAT_BLOCK_START)
            ear->kinds[e->choice] = e->block_kind;
        if (e->kind == CHAT_TEXT && ear->kinds[e->choice] == BLOCK_TEXT)
            buf_add(&ear->ret->texts[e->choice], e->text);
    }
    ear->ended |= e->kind == CHAT_END;
    ear->failed |= e->kind == CHAT_ERROR;
    return chat_tell(&ear->whole, e);
}

/* Does this frame say that the stream is over, for better or worse? Told from the bytes, not by our own readers. */
static bool is_last_word(enum speaker by, const struct frame *f)
{
    struct str type = json_find(f->data, STR("type")), candidate;
    size_t at = 0;
    bool done = false;

    switch (by) {
    case BY_OPENAI:
        return str_eq(f->data, STR("[DONE]")) || json_find(f->data, STR("error")).p;
    case BY_RESPONSES:
        return json_string_is(type, STR("response.completed")) || json_string_is(type, STR("response.incomplete")) ||
               json_string_is(type, STR("response.failed")) || json_string_is(type, STR("error"));
    case BY_ANTHROPIC:
    case BY_CLAUDE_ON_BEDROCK:
        return f->exception || json_string_is(type, STR("message_stop")) || json_string_is(type, STR("error"));
    case BY_GEMINI:
    case BY_GEMINI_ARRAY:
        candidate = json_next_element(json_find(f->data, STR("candidates")), &at);
        return json_find(f->data, STR("error")).p || json_find(candidate, STR("finishReason")).p;
    case BY_OLLAMA:
        return json_find(f->data, STR("error")).p || (json_to_bool(json_find(f->data, STR("done")), &done) && done);
    case SPEAKERS:
        break;
    }
    return false;
}

/* Bedrock wraps Anthropic's events: {"bytes":"<base64>"}. What a frame tells, in the arena. */
static struct frame unwrapped(const struct frame *f, struct arena *arena)
{
    struct buf bytes CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct frame inner = *f;
    struct str text;

    if (json_string_value(json_find(f->data, STR("bytes")), arena, &text) == OK &&
        EXPECT(base64_decode(&bytes, text, BASE64) == OK, "a frame is not base64"))
        inner.data = arena_str(arena, buf_str(&bytes));
    return inner;
}

static bool is_sign_of_life(const struct frame *f)
{
    return !f->data.n || json_string_is(json_find(f->data, STR("type")), STR("ping"));
}

static err_t hear_frame(struct ear *ear, const struct frame *f)
{
    unsigned i = ear->client->index;
    struct frame inner = unwrapped(f, &ear->scratch);

    if (is_sign_of_life(&inner)) {
        EXPECT(forms[ear->q->speaker].keeps_alive, "client %u cannot know this sign of life", i);
        ear->ret->signs++;
        return OK;
    }
    EXPECT(str_eq(f->data, STR("[DONE]")) || json_valid(f->data, 0), "client %u (%s, by %.*s) got no JSON: %.*s", i,
           forms[ear->q->speaker].dialect, STR_ARG(ear->ret->deployment), STR_ARG(f->data));
    EXPECT(str_find(f->data, STR("sk-")) == f->data.n, "client %u was shown a provider's key", i);
    ear->last_word = is_last_word(ear->q->speaker, &inner);
    ear->last_words += ear->last_word;
    err_t e = ear->side->reader_frame(ear->reader, f, &ear->scratch, &(struct chat_sink){hear, ear});
    arena_clear(&ear->scratch);
    return ear->failed ? OK : e;
}

static err_t hear_piece(struct ear *ear, struct str piece)
{
    struct frame f;
    bool got = true;

    for (;;) {
        TRY(framer_next(ear->framer, &piece, &got, &f));
        if (!got)
            return OK;
        TRY(hear_frame(ear, &f));
    }
}

static err_t hear_end(struct ear *ear)
{
    struct frame f;
    bool got, told = ear->ended || ear->failed;

    TRY(framer_end(ear->framer, &got, &f));
    EXPECT(!got || !f.data.n, "client %u got half a frame: %.*s", ear->client->index, STR_ARG(f.data));
    if (told)
        return OK;
    err_t e = ear->side->reader_end(ear->reader, &(struct chat_sink){hear, ear});
    EXPECT(!ear->failed, "client %u: a broken stream ended as if it were whole", ear->client->index);
    return e;
}

/* Ollama also takes OpenAI's and other requests, which pass as they are. */
static bool is_asked_by_ollama(const struct ear *ear, struct str provider)
{
    struct str asked = str_from_c(forms[ear->q->speaker].dialect), ollama = STR("ollama");

    return str_eq(provider, ollama) &&
           (str_eq(asked, ollama) || !vendor_speaks(vendor_find(ollama), dialect_find(asked)));
}

/* The right text of a choice; empty if nobody can know it. */
static struct str truth(struct ear *ear, unsigned choice)
{
    struct dialect_house *h = ear->client->arg;
    struct str model = ear->ret->deployment, provider = str_cut(&model, '/'), text = STR_NONE;
    bool by_ollama = is_asked_by_ollama(ear, provider);
    bool native = str_eq(provider, STR("openai")) || str_eq(provider, STR("gemini")) ||
                  (str_eq(provider, STR("ollama")) && !by_ollama);
    unsigned choices = native && ear->q->choices ? ear->q->choices : 1;

    if (ear->q->scripted)
        return str_from_c(ear->q->scripted);
    if (!ear->q->said)
        return STR_NONE;
    err_t e = simulator_truth(h->simulator, model, ear->q->said, ear->q->said_count, by_ollama, choices,
                              choices > 1 ? choice : 0, &ear->ret->arena, &text);
    EXPECT(e == OK, "no truth about %.*s: %s", STR_ARG(ear->ret->deployment), err_detail(e));
    return text;
}

/* What was heard is the beginning of the truth, and all of it if it is to be whole. */
static void check_texts(struct ear *ear)
{
    for (unsigned i = 0; i < (ear->q->choices ? ear->q->choices : 1); i++) {
        struct str right = truth(ear, i), heard = buf_str(&ear->ret->texts[i]);
        if (!right.n)
            continue;
        EXPECT(str_starts(right, heard), "client %u heard '%.*s' of %.*s, choice %u is '%.*s'", ear->client->index,
               STR_ARG(heard), STR_ARG(ear->ret->deployment), i, STR_ARG(right));
        EXPECT(!ear->ret->whole || heard.n == right.n, "client %u was told that %zu of %zu bytes were all",
               ear->client->index, heard.n, right.n);
    }
}

static err_t conclude(struct ear *ear)
{
    struct hearing *ret = ear->ret;

    ret->whole = ear->ended && !ear->failed;
    ret->refused = ear->failed;
    ear->client->outcome->complete = ret->whole;
    check_texts(ear);
    if (ret->whole)
        return OK;
    const struct api_error *error = answer_error(ear->builder);
    struct str words = error ? error->message : STR_NONE;
    return ear->failed ? fail(E_UPSTREAM, "%s was told of %.*s: %.*s", forms[ear->q->speaker].dialect,
                              STR_ARG(ret->deployment), STR_ARG(words))
                       : fail(E_EOF, "broken off");
}

static SUSPENDS err_t hear_pieces(struct ear *ear, struct http_call *call, bool *ret_left)
{
    struct dialect_house *h = ear->client->arg;
    struct str piece;

    for (;;) {
        TRY(http_call_next(call, NS_NEVER, &piece));
        if (!piece.p)
            return hear_end(ear);
        TRY(hear_piece(ear, piece));
        *ret_left = ear->q->leaves && ear->ret->texts[0].n > 20;
        if (*ret_left) {
            h->left_at = rt_now();
            return OK;
        }
    }
}

static SUSPENDS err_t hear_stream(struct ear *ear, struct http_call *call)
{
    bool left = false;

    ear->framer = framer_new(&ear->ret->arena, ear->framing, 0);
    ear->reader = arena_zalloc(&ear->ret->arena, ear->side->reader_size);
    TRY(ear->side->reader_begin(ear->reader, &ear->ret->arena));
    err_t e = hear_pieces(ear, call, &left);
    unsigned i = ear->client->index;
    EXPECT(e != E_PROTOCOL && e != E_PARSE && e != E_TOO_LARGE, "client %u cannot read its stream: %s", i,
           err_detail(e));
    /* Gemini has no last word but that the transport ends; an error may come behind what looks like the end */
    bool once = ear->side != &dialect_find(STR("gemini"))->provider;
    if (e == OK && !left)
        EXPECT(ear->last_word && (!once || ear->last_words == 1), "client %u (%s) heard its stream end %u times", i,
               forms[ear->q->speaker].dialect, ear->last_words);
    err_t end = conclude(ear);
    return e != OK || left ? e : end;
}

static SUSPENDS err_t hear_plain(struct ear *ear, struct http_call *call)
{
    struct hearing *ret = ear->ret;
    struct str body;

    TRY(http_call_all(call, NS_NEVER, BODY_MAX, &body));
    ret->body = arena_str(&ret->arena, body);
    if (ret->status < 200 || ret->status > 299) {
        house_check_error(ear->client, ear->q->speaker, ret->status, ret->body);
        ret->refused = true;
        return fail(E_UPSTREAM, "status %d: %.*s", ret->status, (int)(ret->body.n > 100 ? 100 : ret->body.n),
                    ret->body.p);
    }
    err_t e = ear->side->read_answer(&ret->arena, ret->body, &(struct chat_sink){hear, ear});
    EXPECT(e == OK && ear->ended, "client %u got a plain answer that is none: %.*s", ear->client->index,
           STR_ARG(ret->body));
    return conclude(ear);
}

/* --- errors --- */

void house_check_error(struct client *c, enum speaker by, int status, struct str body)
{
    unsigned i = c->index;
    struct str error = json_find(body, STR("error"));
    bool good = false;

    EXPECT(json_valid(body, 0), "client %u got a whole error that is not JSON: %.*s", i, STR_ARG(body));
    EXPECT(str_find(body, STR("sk-secret")) == body.n, "client %u was shown a provider's key", i);
    EXPECT(str_find(body, STR("127.0.0.1:9000")) == body.n, "client %u was shown a provider's address: %.*s", i,
           STR_ARG(body));
    switch (by) {
    case BY_OPENAI:
    case BY_RESPONSES:
        good = json_find(error, STR("message")).p && json_find(error, STR("type")).p;
        break;
    case BY_ANTHROPIC:
        good = json_string_is(json_find(body, STR("type")), STR("error")) && json_find(error, STR("type")).p &&
               json_find(error, STR("message")).p;
        break;
    case BY_CLAUDE_ON_BEDROCK:
        good = json_find(body, STR("message")).p && !error.p;
        break;
    case BY_GEMINI:
    case BY_GEMINI_ARRAY:
        if (json_kind_of(body) == JSON_ARRAY) {
            size_t at = 0;
            error = json_find(json_next_element(body, &at), STR("error"));
        }
        good =
            json_find(error, STR("code")).p && json_find(error, STR("status")).p && json_find(error, STR("message")).p;
        break;
    case BY_OLLAMA:
        good = json_kind_of(error) == JSON_STRING;
        break;
    case SPEAKERS:
        break;
    }
    /* a head that comes too slowly, or meets the limit of memory in a sweep: nobody knows the dialect yet */
    bool early = status == 408 || (status == 413 && c->world->scenario->may_fail);
    good |= early && json_find(error, STR("message")).p;
    EXPECT(good, "client %u: status %d in another dialect: %.*s", i, status, STR_ARG(body));
}

/* --- asking --- */

/* One long array instead of events. */
static struct str without_alt(struct str path)
{
    size_t at = str_find(path, STR("?alt=sse"));

    return str_slice(path, 0, at);
}

static err_t write_request(struct asking *q, struct arena *arena, struct losses *losses, struct provider_call *call)
{
    const struct client_form *form = &forms[q->speaker];
    struct translation *t = arena_new(arena, struct translation);

    losses_init(losses, arena);
    *t = (struct translation){.arena = arena,
                              .client = dialect_find(str_from_c(form->dialect)),
                              .provider = dialect_find(str_from_c(form->dialect)),
                              .vendor = vendor_find(str_from_c(form->vendor)),
                              .model = q->model,
                              .default_max_output = 4000,
                              .losses = losses,
                              .unique = 1};
    if (q->choices)
        q->chat.n.text = arena_printf(arena, "%u", q->choices);
    call->stream = q->chat.stream;
    TRY(t->provider->provider.write_chat(t, &q->chat, call));
    call->path = arena_join(arena, str_from_c(form->base), call->path);
    if (q->speaker == BY_GEMINI_ARRAY) {
        call->path = without_alt(call->path);
        call->framing = FRAMING_ARRAY;
    }
    return OK;
}

static SUSPENDS err_t open_call(struct client *c, const struct provider_call *call, struct arena *arena,
                                struct http_call **ret)
{
    struct dialect_house *h = c->arg;
    struct http_header headers[CALL_HEADERS_MAX + 1] = {{STR("content-type"), STR("application/json")}};
    struct str body = buf_str(call->body);
    struct http_call_options o = {.method = STR("POST"),
                                  .target = call->path,
                                  .headers = headers,
                                  .count = 1,
                                  .body = &body,
                                  .body_parts = 1,
                                  .connect_by = CONNECT_BY,
                                  .first_byte_by = NS_NEVER};

    for (size_t i = 0; i < call->header_count; i++)
        headers[o.count++] = (struct http_header){call->headers[i].name, call->headers[i].value};
    h->requests++;
    return http_call_open(h->to_gateway, arena, &o, NULL, ret);
}

static struct str kept_header(struct hearing *h, const struct http_head *head, const char *name)
{
    return arena_str(&h->arena, http_head_find(head, str_from_c(name)));
}

static SUSPENDS err_t hear_call(struct ear *ear, const struct provider_call *said)
{
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct hearing *ret = ear->ret;

    TRY(open_call(ear->client, said, &ret->arena, &call));
    const struct http_head *head = http_call_head(call);
    ear->client->outcome->status = ret->status = head->status;
    ret->deployment = kept_header(ret, head, "x-crossdock-deployment");
    ret->attempts = kept_header(ret, head, "x-crossdock-attempts");
    ret->dropped = kept_header(ret, head, "x-crossdock-dropped");
    ret->emulated = kept_header(ret, head, "x-crossdock-emulated");
    bool good = head->status >= 200 && head->status < 300;
    if (good && ear->q->chat.stream)
        EXPECT(str_starts(http_head_get(head, HDR_CONTENT_TYPE), framing_type(said->framing)),
               "client %u got a stream of another type: %.*s", ear->client->index,
               STR_ARG(http_head_get(head, HDR_CONTENT_TYPE)));
    return good && ear->q->chat.stream ? hear_stream(ear, call) : hear_plain(ear, call);
}

err_t house_hear(struct client *c, struct asking *q, struct hearing *ret)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct losses losses;
    struct provider_call call = {.body = &body};

    *ret = (struct hearing){.status = 0};
    arena_init(&ret->arena, 64 << 20);
    for (unsigned i = 0; i < HOUSE_CHOICES; i++)
        buf_init(&ret->texts[i], TEXT_MAX);
    TRY(write_request(q, &ret->arena, &losses, &call));
    ret->answer = arena_new(&ret->arena, struct answer);
    struct ear ear = {.client = c,
                      .q = q,
                      .ret = ret,
                      .framing = call.framing,
                      .side = &dialect_find(str_from_c(forms[q->speaker].dialect))->provider,
                      .builder = answer_builder_new(&ret->arena, ret->answer)};
    ear.whole = answer_sink(ear.builder);
    arena_init(&ear.scratch, BODY_MAX);
    err_t e = hear_call(&ear, &call);
    arena_release(&ear.scratch);
    return e;
}

void hearing_release(struct hearing *h)
{
    for (unsigned i = 0; i < HOUSE_CHOICES; i++)
        buf_release(&h->texts[i]);
    arena_release(&h->arena);
}

err_t house_request(struct client *c, const char *method, struct str target, struct str body, struct arena *arena,
                    int *ret_status, struct str *ret_body)
{
    struct dialect_house *h = c->arg;
    struct http_call *call CLEANUP(http_call_close_p) = NULL;
    struct http_header type = {STR("content-type"), STR("application/json")};
    struct http_call_options o = {.method = str_from_c(method),
                                  .target = target,
                                  .headers = &type,
                                  .count = body.n ? 1 : 0,
                                  .body = &body,
                                  .body_parts = body.n ? 1 : 0,
                                  .connect_by = CONNECT_BY,
                                  .first_byte_by = NS_NEVER};
    struct str text;

    h->requests++;
    TRY(http_call_open(h->to_gateway, arena, &o, NULL, &call));
    c->outcome->status = *ret_status = http_call_head(call)->status;
    TRY(http_call_all(call, NS_NEVER, BODY_MAX, &text));
    *ret_body = arena_str(arena, text);
    return OK;
}

/* --- the house --- */

/* Of an answer that went on elsewhere, usage is that of the attempt that broke off and of those behind it. */
static void check_usage(const struct facts *f)
{
    uint64_t input = 0, output = 0;

    for (size_t i = 0; i < f->tried_count; i++) {
        if (i + 1 < f->tried_count && f->tried[i].role != ROLE_CONTINUATION &&
            f->tried[i + 1].role != ROLE_CONTINUATION)
            continue;
        input += f->tried[i].usage.input;
        output += f->tried[i].usage.output;
    }
    EXPECT(!f->continued || (input == f->usage.input && output == f->usage.output),
           "attempts used %llu and %llu tokens, the answer %llu and %llu", (unsigned long long)input,
           (unsigned long long)output, (unsigned long long)f->usage.input, (unsigned long long)f->usage.output);
    EXPECT(!f->continued || f->tried[f->tried_count - 1].role == ROLE_CONTINUATION,
           "the last attempt is of another kind");
}

static void count_facts(void *ctx, const struct facts *f)
{
    struct dialect_house *h = ctx;

    h->recorded++;
    h->blamed += f->error != OK;
    EXPECT(f->status != 0, "a request was recorded without a status");
    check_usage(f);
    EXPECT(f->total <= h->longest + HOUSE_SLACK, "a request took %lld ms", (long long)(f->total / NS_MS));
}

static err_t open_house(struct dialect_house *h, struct world *w, const struct dialect_plan *plan)
{
    *h = (struct dialect_house){
        .world = w, .script = plan->script, .longest = plan->longest ? plan->longest : HOUSE_TOTAL};
    prng_seed(&h->prng, w->seed * 31 + 7);
    TRY(make_snapshot(&h->snapshot));
    TRY(simulator_new(str_from_c(behaviours), w->seed, &h->simulator));
    h->kept = memory_blobs_new(KEPT_BYTES, 3600 * NS_SEC);
    struct gateway_options go = {.snapshot = h->snapshot, .kept = h->kept, .on_facts = count_facts, .facts_ctx = h};
    h->gateway = gateway_new(&go);
    struct http_server_options so = {
        .limits = http_limits_default(), .handler = gateway_handle, .ctx = h->gateway, .refusal = gateway_refusal};
    h->server = http_server_new(&so);
    so =
        (struct http_server_options){.limits = http_limits_default(), .handler = simulator_handle, .ctx = h->simulator};
    h->provider = http_server_new(&so);
    so.handler = scripted_handle;
    so.ctx = h;
    h->scripted = http_server_new(&so);
    so.handler = pictures_handle;
    h->pictures = http_server_new(&so);
    struct upstream_options uo = {.host = STR("127.0.0.1"), .port = DIALECT_GATEWAY_PORT};
    h->to_gateway = upstream_new(&uo);
    return OK;
}

static void close_house(struct dialect_house *h)
{
    upstream_free(h->to_gateway);
    http_server_free(h->server);
    http_server_free(h->provider);
    http_server_free(h->scripted);
    http_server_free(h->pictures);
    gateway_free(h->gateway);
    EXPECT(!h->snapshot || h->snapshot->refs_ == 1, "a request holds the configuration still");
    simulator_free(h->simulator);
    blobs_free(h->kept);
    snapshot_unref(h->snapshot);
    dns_drain();
    iobuf_drain();
}

static SUSPENDS err_t serve(void *server)
{
    return http_server_run(server);
}

static SUSPENDS err_t open_door(struct scope *s, struct http_server *server, uint16_t port, const char *name)
{
    struct addr at = world_addr(port), bound;

    TRY(http_server_listen(server, &at, LISTEN_ALONE, NULL, &bound));
    (void)scope_spawn(s, name, serve, server);
    return OK;
}

static void check_all(struct dialect_house *h, const struct outcome *o, unsigned n)
{
    struct gauges g = {0};
    struct simulator_tally t = simulator_tally(h->simulator);

    gateway_gauges(h->gateway, &g);
    EXPECT(g.in_flight == 0, "%llu requests are still in flight", (unsigned long long)g.in_flight);
    EXPECT(t.refused == 0, "a provider refused %llu requests as malformed", (unsigned long long)t.refused);
    EXPECT(!world_is_calm(h->world) || t.running == 0, "%llu requests still run at the provider",
           (unsigned long long)t.running);
    EXPECT(!world_is_calm(h->world) || h->recorded == h->requests, "%u requests were sent, %u recorded", h->requests,
           h->recorded);
    for (unsigned i = 0; i < n; i++)
        EXPECT(o[i].ended != 0, "client %u did not end", i);
}

static SUSPENDS err_t run_clients(struct dialect_house *h, const struct dialect_plan *plan)
{
    SCOPE(doors, NS_NEVER);
    TRY(open_door(&doors, h->server, DIALECT_GATEWAY_PORT, "gateway"));
    TRY(open_door(&doors, h->provider, SIMULATOR_PORT, "provider"));
    TRY(open_door(&doors, h->scripted, SCRIPT_PORT, "provider"));
    TRY(open_door(&doors, h->pictures, PICTURES_PORT, "pictures"));
    TRY(fiber_sleep_until(rt_now() + NS_MS));
    const struct outcome *o = world_clients(h->world, plan->clients, NS_SEC, plan->fn, h);
    TRY(fiber_sleep_until(rt_now() + HOUSE_SLACK));
    check_all(h, o, plan->clients);
    if (plan->check)
        plan->check(h, o);
    return OK;
}

err_t dialect_house_run(struct world *w, const struct dialect_plan *plan)
{
    struct dialect_house *h = NEW(struct dialect_house);
    err_t e = open_house(h, w, plan);

    if (e == OK)
        e = run_clients(h, plan);
    close_house(h);
    mem_free(h);
    return e;
}
