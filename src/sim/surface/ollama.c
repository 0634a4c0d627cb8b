/*
 * ollama.c - Ollama's surface (Ollama, docs/api.md, version 0.12): chat and generate as lines of JSON that stream unless told not to,
 * embeddings, the lists of models; OpenAI's dialect below /v1.
 *
 * A tool call comes whole, its arguments an object, and done_reason stays "stop". Thoughts come first, if `think` asks for them. The last
 * line has the counts and times. An error in mid-stream is a line {"error":...}, behind which nothing comes. Models are not managed here:
 * pull, push, create, copy and delete are unknown paths.
 */
#include "sim/ollama.h"

#include "base/date.h"
#include "codec/json.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "sim/embeddings.h"
#include "sim/hash.h"
#include "sim/local.h"
#include "sim/lookalike.h"
#include "sim/pieces.h"
#include "sim/sim_provider.h"
#include "sim/text.h"

enum { EMBED_INPUTS_MAX = 2048, EMBED_TOKENS_MAX = 8192, CONTEXT_LENGTH = 8192, CONTEXT_KEPT = 16 };

#define LINES_TYPE STR("application/x-ndjson")

/* What the models are said to be. */
#define DETAILS                                                                                                        \
    "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"simulated\",\"families\":[\"simulated\"],"    \
    "\"parameter_size\":\"0.1B\",\"quantization_level\":\"Q4_0\"}"
static const int64_t MODIFIED = 1767225600; /* 2026-01-01 */

/* Below /v1 it has OpenAI's form. */
static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    bool openai = str_starts(p->r->head.path, STR("/ollama/v1/"));

    style_write_error(openai ? STYLE_ERROR_OPENAI : STYLE_ERROR_TEXT, why, to);
}

/* The time as RFC 3339 with nanoseconds, quoted. */
static void write_time(int64_t seconds, unsigned nanoseconds, struct buf *to)
{
    struct date d = date_of_day(seconds / 86400);
    unsigned rest = (unsigned)(seconds % 86400);

    buf_addf(to, "\"%04d-%02d-%02dT%02u:%02u:%02u.%09uZ\"", d.year, d.month, d.day, rest / 3600, rest / 60 % 60,
             rest % 60, nanoseconds);
}

/* turn_begin(), with Ollama's words for a model that is not there. */
static err_t begin(struct sim_turn *t, struct str model, uint64_t question, bool *ret_over) SUSPENDS;
static err_t begin(struct sim_turn *t, struct str model, uint64_t question, bool *ret_over)
{
    err_t e = turn_begin(t, model, question, ret_over);

    if (e == E_PARSE && t->refusal.status == 404)
        t->refusal.message = arena_printf(t->a, "model '%.*s' not found", STR_ARG(model));
    return e;
}

/* --- chat and generate --- */

struct reply {
    struct sim_feed feed; /* first */
    const struct ollama_request *q;
    const struct sim_answer *answer;
    struct sim_pieces pieces;
    struct arena *a;
    struct str head; /* {"model":...,"created_at":... */
    uint64_t unique;
    ns_t received;
    bool over;
};

static void write_call(const struct reply *r, size_t index, struct buf *to)
{
    const struct sim_call *c = &r->answer->choices[0].calls[index];
    yyjson_val *whole;
    char id[SIM_ID_MAX];

    buf_addf(to, "{\"id\":\"%.*s\",\"function\":{\"index\":%zu,\"name\":\"",
             (int)sim_id(id, "call_", r->unique, 1 + index), id, index);
    buf_add_json(to, c->name);
    buf_add_lit(to, "\",\"arguments\":");
    /* arguments that a limit has cut are no object any more */
    buf_add(to, json_parse(r->a, c->arguments, NULL, 0, &whole) == OK ? c->arguments : STR("{}"));
    buf_add_lit(to, "}}");
}

/* What one line, or the whole answer, says. `calls`: first and number of them. */
struct said {
    struct str thought, text;
    size_t call, call_count;
};

static void add_text(const char *name, struct str text, struct buf *to)
{
    buf_addf(to, "\"%s\":\"", name);
    buf_add_json(to, text);
    buf_add_char(to, '"');
}

static void write_said(const struct reply *r, const struct said *s, struct buf *to)
{
    bool generate = r->q->generate;

    buf_add(to, r->head);
    buf_add(to, generate ? STR(",") : STR(",\"message\":{\"role\":\"assistant\","));
    add_text(generate ? "response" : "content", s->text, to);
    if (s->thought.n > 0) {
        buf_add_char(to, ',');
        add_text("thinking", s->thought, to);
    }
    for (size_t i = 0; i < s->call_count; i++) {
        buf_add(to, i > 0 ? STR(",") : STR(",\"tool_calls\":["));
        write_call(r, s->call + i, to);
    }
    if (s->call_count > 0)
        buf_add_char(to, ']');
    if (!generate)
        buf_add_char(to, '}');
    if (r->q->q.logprobs && s->text.n > 0) {
        buf_add_lit(to, ",\"logprobs\":");
        chat_write_token_logprobs(&r->q->q, s->text, to);
    }
}

/* The members that end the last line. */
static void write_end(const struct reply *r, struct buf *to)
{
    bool cut = r->answer->choices[0].finish == SIM_LENGTH;
    long long total = (long long)(rt_now() - r->received) + 3;

    buf_addf(to, ",\"done\":true,\"done_reason\":\"%s\"", cut ? "length" : "stop");
    if (r->q->generate) {
        buf_add_lit(to, ",\"context\":[");
        for (unsigned i = 0; i < CONTEXT_KEPT; i++)
            buf_addf(to, "%s%u", i > 0 ? "," : "", (unsigned)(sim_hash_u64(r->q->q.hash, i) % 32000));
        buf_add_char(to, ']');
    }
    buf_addf(to,
             ",\"total_duration\":%lld,\"load_duration\":1,\"prompt_eval_count\":%zu,\"prompt_eval_duration\":1,"
             "\"eval_count\":%zu,\"eval_duration\":%lld}",
             total, r->q->q.prompt_tokens, r->answer->tokens, total - 2);
}

static bool next_line(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct reply *r = (struct reply *)f;
    struct said s = {.text = STR("")};
    struct sim_piece p;

    if (r->over)
        return false;
    do {
        (void)sim_pieces_next(&r->pieces, &p); /* the last one comes before it is over */
    } while (p.kind == PIECE_ROLE);
    if (p.kind == PIECE_THOUGHT)
        s.thought = p.text;
    else if (p.kind == PIECE_TEXT)
        s.text = p.text;
    else if (p.kind == PIECE_CALL)
        s = (struct said){.text = STR(""), .call = p.call, .call_count = 1};
    r->over = p.kind == PIECE_FINISH;
    *ret = (struct sim_step){.tokens = p.tokens, .closing = r->over};
    write_said(r, &s, to);
    if (r->over)
        write_end(r, to);
    else
        buf_add_lit(to, ",\"done\":false}");
    buf_add_char(to, '\n');
    return true;
}

static void give_up(struct sim_feed *f, const struct sim_refusal *why, struct buf *to)
{
    (void)f;
    style_write_error(STYLE_ERROR_TEXT, why, to);
    buf_add_char(to, '\n');
}

static struct reply *make_reply(struct sim_turn *t, const struct ollama_request *q, const struct sim_answer *answer)
{
    struct reply *r = arena_new(t->a, struct reply);
    struct buf head CLEANUP(buf_release) = BUF_INIT(4096);

    buf_add_lit(&head, "{\"model\":\"");
    buf_add_json(&head, q->q.model);
    buf_add_lit(&head, "\",\"created_at\":");
    write_time(t->mark.created, (unsigned)(t->mark.unique % 1000000000), &head);
    *r = (struct reply){.feed = {.next = next_line, .give_up = give_up, .type = LINES_TYPE},
                        .q = q,
                        .answer = answer,
                        .a = t->a,
                        .head = arena_str(t->a, buf_str(&head)),
                        .unique = t->mark.unique,
                        .received = t->r->received};
    return r;
}

/* Nothing is asked: the model is loaded, or unloaded. One line, streamed or not. */
static err_t answer_load(struct sim_turn *t, const struct ollama_request *q) SUSPENDS;
static err_t answer_load(struct sim_turn *t, const struct ollama_request *q)
{
    struct reply *r = make_reply(t, q, NULL);

    write_said(r, &(struct said){.text = STR("")}, t->room);
    buf_addf(t->room, ",\"done\":true,\"done_reason\":\"%s\"}", q->unload ? "unload" : "load");
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json; charset=utf-8"), buf_str(t->room), 0);
}

static err_t answer_question(struct sim_turn *t, const struct ollama_request *q) SUSPENDS;
static err_t answer_question(struct sim_turn *t, const struct ollama_request *q)
{
    struct sim_answer *answer = arena_new(t->a, struct sim_answer);

    if (sim_answer_make(t->a, &q->q, t->seed, t->plan.length, answer) != OK)
        return refuse_status(t->a, &t->refusal, 500, NULL, "failed to load model vocabulary required for format");
    turn_count_prompt(t, q->q.prompt_tokens);
    struct reply *r = make_reply(t, q, answer);
    if (q->q.stream) {
        sim_pieces_init(&r->pieces, t->a, answer, true);
        return sim_play_stream(&t->play, &r->feed);
    }
    const struct sim_choice *c = &answer->choices[0];
    struct said all = {.thought = c->thoughts, .text = c->text.p ? c->text : STR(""), .call_count = c->call_count};
    write_said(r, &all, t->room);
    write_end(r, t->room);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json; charset=utf-8"), buf_str(t->room), answer->tokens);
}

static err_t converse(struct sim_turn *t, bool generate) SUSPENDS;
static err_t converse(struct sim_turn *t, bool generate)
{
    struct ollama_request *q = arena_new(t->a, struct ollama_request);
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(ollama_read(t->a, body, generate, q, &t->refusal));
    question_settle(&q->q);
    TRY(begin(t, q->q.model, q->q.hash, &over));
    if (over)
        return OK;
    return q->load ? answer_load(t, q) : answer_question(t, q);
}

static err_t chat_here_endpoint(struct sim_turn *t) SUSPENDS;
static err_t chat_here_endpoint(struct sim_turn *t)
{
    return converse(t, false);
}

static err_t generate_endpoint(struct sim_turn *t) SUSPENDS;
static err_t generate_endpoint(struct sim_turn *t)
{
    return converse(t, true);
}

/* --- embeddings --- */

static const struct field_rule embed_rules[] = {
    {.name = STR_INIT("model"), .kind = FIELD_STRING},   {.name = STR_INIT("truncate"), .kind = FIELD_BOOL},
    {.name = STR_INIT("dimensions"), .kind = FIELD_INT}, {.name = STR_INIT("options"), .kind = FIELD_OBJECT},
    {.name = STR_INIT("prompt"), .kind = FIELD_STRING},
};

struct embedding {
    struct sim_turn *t;
    struct str model;
    struct local_inputs in;
    size_t dimensions;
};

static err_t read_embedding(struct embedding *e, yyjson_val *root, const char *field)
{
    struct sim_turn *t = e->t;
    yyjson_val *input = json_get(root, str_from_c(field));
    bool unload, many = false;

    TRY(ollama_check_types(t->a, root, "EmbedRequest", embed_rules, ARRAY_LEN(embed_rules), &t->refusal));
    TRY(ollama_check_keep_alive(t->a, json_get(root, STR("keep_alive")), &unload, &t->refusal));
    e->model = json_get_str(root, STR("model"), STR(""));
    if (e->model.n == 0)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "model is required");
    bool none = !input || yyjson_is_null(input) || (yyjson_is_arr(input) && yyjson_arr_size(input) == 0);
    if (!none && !local_read_inputs(t->a, input, EMBED_INPUTS_MAX, &e->in, &many))
        return refuse(t->a, &t->refusal, NULL, STR_NONE, many ? "too many inputs" : "invalid input type");
    if (e->in.longest > EMBED_TOKENS_MAX && !json_get_bool(root, STR("truncate"), true))
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "input length exceeds maximum context length");
    int64_t dimensions = json_get_i64(root, STR("dimensions"), 0);
    if (dimensions < 0 || dimensions > SIM_DIMENSIONS_MAX)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "invalid dimensions");
    e->dimensions = (size_t)dimensions;
    return OK;
}

static err_t begin_embedding(struct embedding *e, const char *field, bool *ret_over) SUSPENDS;
static err_t begin_embedding(struct embedding *e, const char *field, bool *ret_over)
{
    struct sim_turn *t = e->t;
    yyjson_val *root;
    struct str body;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(read_embedding(e, root, field));
    TRY(begin(t, e->model, e->in.hash, ret_over));
    if (e->dimensions == 0 && !*ret_over)
        e->dimensions = turn_model(t)->dimensions;
    turn_count_prompt(t, e->in.tokens);
    return OK;
}

static void write_vector(const struct embedding *e, struct str text, struct buf *to)
{
    int32_t *vector = arena_alloc(e->t->a, e->dimensions * sizeof(*vector));

    sim_embed(sim_token_prefix(text, EMBED_TOKENS_MAX), e->t->seed, vector, e->dimensions);
    sim_embedding_write(vector, e->dimensions, to);
}

static err_t embed_endpoint(struct sim_turn *t) SUSPENDS;
static err_t embed_endpoint(struct sim_turn *t)
{
    struct embedding e = {.t = t};
    bool over;

    TRY(begin_embedding(&e, "input", &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"model\":\"");
    buf_add_json(t->room, e.model);
    buf_add_lit(t->room, "\",\"embeddings\":[");
    for (size_t i = 0; i < e.in.count; i++) {
        buf_add(t->room, i > 0 ? STR(",") : STR(""));
        write_vector(&e, e.in.texts[i], t->room);
        TRY(fiber_tick());
    }
    buf_addf(t->room, "],\"total_duration\":3,\"load_duration\":1,\"prompt_eval_count\":%zu}", e.in.tokens);
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json; charset=utf-8"), buf_str(t->room), 0);
}

/* The older one: a single prompt. */
static err_t old_embed_endpoint(struct sim_turn *t) SUSPENDS;
static err_t old_embed_endpoint(struct sim_turn *t)
{
    struct embedding e = {.t = t};
    bool over;

    TRY(begin_embedding(&e, "prompt", &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"embedding\":");
    if (e.in.count > 0)
        write_vector(&e, e.in.texts[0], t->room);
    else
        buf_add_lit(t->room, "[]");
    buf_add_char(t->room, '}');
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json; charset=utf-8"), buf_str(t->room), 0);
}

/* --- models --- */

/* "name", "model", "size", "digest" and details, without the closing brace. */
static void write_model(struct str name, struct buf *to)
{
    uint64_t digest = sim_hash(0, name);

    buf_add_char(to, '{');
    add_text("name", name, to);
    buf_add_char(to, ',');
    add_text("model", name, to);
    buf_addf(to, ",\"size\":%llu,\"digest\":\"", 100000000ULL + (unsigned long long)(digest % 1000000));
    for (unsigned i = 0; i < 4; i++)
        buf_addf(to, "%016llx", (unsigned long long)sim_hash_u64(digest, i));
    buf_add_lit(to, "\"," DETAILS);
}

static err_t tags_endpoint(struct sim_turn *t) SUSPENDS;
static err_t tags_endpoint(struct sim_turn *t)
{
    const char *joint = "";

    buf_add_lit(t->room, "{\"models\":[");
    for (size_t i = 0; i < t->scenario->model_count; i++) {
        if (&t->scenario->models[i] == t->scenario->any)
            continue;
        buf_add(t->room, str_from_c(joint));
        write_model(t->scenario->models[i].name, t->room);
        buf_add_lit(t->room, ",\"modified_at\":");
        write_time(MODIFIED, 0, t->room);
        buf_add_char(t->room, '}');
        joint = ",";
    }
    buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

/* Models that were asked for are in memory. */
struct loaded {
    struct buf *to;
    int64_t until;
    const char *joint;
};

static void write_loaded(void *ctx, struct str name, const struct sim_counts *counts)
{
    struct loaded *l = ctx;

    (void)counts;
    buf_add(l->to, str_from_c(l->joint));
    write_model(name, l->to);
    buf_add_lit(l->to, ",\"expires_at\":");
    write_time(l->until, 0, l->to);
    buf_addf(l->to, ",\"size_vram\":100000000,\"context_length\":%d}", CONTEXT_LENGTH);
    l->joint = ",";
}

static err_t ps_endpoint(struct sim_turn *t) SUSPENDS;
static err_t ps_endpoint(struct sim_turn *t)
{
    struct loaded loaded = {t->room, rt_wall() / NS_SEC + 300, ""};

    buf_add_lit(t->room, "{\"models\":[");
    sim_provider_visit(t->provider, write_loaded, &loaded);
    buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

static err_t show_endpoint(struct sim_turn *t) SUSPENDS;
static err_t show_endpoint(struct sim_turn *t)
{
    struct str body;
    yyjson_val *root;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    struct str name = json_get_str(root, STR("model"), json_get_str(root, STR("name"), STR("")));
    if (name.n == 0)
        return refuse(t->a, &t->refusal, NULL, STR_NONE, "model is required");
    if (!scenario_model(t->scenario, name))
        return refuse_status(t->a, &t->refusal, 404, NULL, "model '%.*s' not found", STR_ARG(name));
    buf_add_lit(t->room, "{\"license\":\"none\",\"modelfile\":\"FROM simulated\",\"parameters\":\"\",\"template\":\"{{ "
                         ".Prompt }}\"," DETAILS
                         ",\"model_info\":{\"general.architecture\":\"simulated\",\"simulated.context_length\":8192,"
                         "\"simulated.embedding_length\":");
    buf_addf(t->room,
             "%u},\"capabilities\":[\"completion\",\"tools\",\"vision\",\"thinking\",\"embedding\"],\"modified_at\":",
             scenario_model(t->scenario, name)->dimensions);
    write_time(MODIFIED, 0, t->room);
    buf_add_char(t->room, '}');
    return turn_reply_json(t, 200);
}

static err_t version_endpoint(struct sim_turn *t) SUSPENDS;
static err_t version_endpoint(struct sim_turn *t)
{
    buf_add_lit(t->room, "{\"version\":\"0.12.0-simulated\"}");
    return turn_reply_json(t, 200);
}

static err_t root_endpoint(struct sim_turn *t) SUSPENDS;
static err_t root_endpoint(struct sim_turn *t)
{
    return sim_play_plain(&t->play, 200, STR("text/plain; charset=utf-8"), STR("Ollama is running"));
}

/* --- routes --- */

static const struct chat_style style = {
    .error = STYLE_ERROR_OPENAI,
    .thought = STYLE_REASONING,
    .fingerprint = "fp_ollama",
    .whole_calls = true,
};

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/api/chat"), chat_here_endpoint, NULL},
    {"POST", STR_INIT("/api/generate"), generate_endpoint, NULL},
    {"POST", STR_INIT("/api/embed"), embed_endpoint, NULL},
    {"POST", STR_INIT("/api/embeddings"), old_embed_endpoint, NULL},
    {"GET", STR_INIT("/api/tags"), tags_endpoint, NULL},
    {"GET", STR_INIT("/api/ps"), ps_endpoint, NULL},
    {"POST", STR_INIT("/api/show"), show_endpoint, NULL},
    {"GET", STR_INIT("/api/version"), version_endpoint, NULL},
    {"GET", STR_INIT("/"), root_endpoint, NULL},
    {"HEAD", STR_INIT("/"), root_endpoint, NULL},
    {"POST", STR_INIT("/v1/chat/completions"), lookalike_chat_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/completions"), completions_endpoint, sim_route_named},
    {"POST", STR_INIT("/v1/embeddings"), embeddings_endpoint, sim_route_named},
    {"GET", STR_INIT("/v1/models"), models_list_endpoint, sim_route_named},
};

const struct sim_surface sim_surface_ollama = {
    .name = "ollama",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .style = &style,
    .write_refusal = write_refusal,
    .add_headers = lookalike_add_headers,
};
