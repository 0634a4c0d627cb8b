/*
 * cohere.c - the Cohere surface: chat, embed, rerank, tokenize, models; API v2, and what of v1 has no successor.
 *
 * The paths of models are other dialects', too, so without "/cohere" before them they are Cohere's only for its own clients. Errors are
 * {"id","message"}.
 *
 * Not here: the chat of v1, classification, data sets, batches, sounds. Source: Cohere API v2 reference.
 */
#include "codec/json.h"
#include "codec/url.h"
#include "sim/cohere_int.h"
#include "sim/hash.h"
#include "sim/surface.h"
#include "sim/text.h"

enum { TEXT_CHARS_MAX = 65536, PAGE_MAX = 1000, PAGE_USUAL = 20 };

/* --- endpoints --- */

static err_t chat(struct sim_turn *t) SUSPENDS;
static err_t chat(struct sim_turn *t)
{
    struct sim_answer *answer = arena_new(t->a, struct sim_answer);
    struct cohere_chat *c = arena_new(t->a, struct cohere_chat);
    struct str body;
    bool over;

    TRY(turn_body(t, &body));
    TRY(cohere_chat_read(t->a, body, c, &t->refusal));
    question_settle(&c->q);
    TRY(turn_begin(t, c->q.model, c->q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &c->q, t->seed, t->plan.length, answer) != OK)
        return cohere_refuse(t->a, &t->refusal, "invalid JSON Schema: %s", err_detail(E_TOO_LARGE));
    turn_count_prompt(t, c->q.prompt_tokens);
    if (c->q.stream)
        return sim_play_stream(&t->play, cohere_chat_feed(t->a, c, answer, &t->mark));
    TRY(cohere_chat_write(c, answer, &t->mark, t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer->tokens);
}

/* A token's number is its hash, cut to the size of a usual vocabulary. */
static err_t tokenize(struct sim_turn *t) SUSPENDS;
static err_t tokenize(struct sim_turn *t)
{
    static const struct field_rule rules[] = {
        {.name = STR_INIT("text"), .kind = FIELD_STRING, .min = 1, .max = TEXT_CHARS_MAX, .required = true},
        {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512, .required = true},
    };
    struct str body;
    yyjson_val *root;
    bool over;

    TRY(turn_body(t, &body));
    TRY(cohere_parse(t->a, body, &t->refusal, &root));
    TRY(cohere_fields(t->a, root, STR(""), rules, ARRAY_LEN(rules), &t->refusal));
    struct str text = json_get_str(root, STR("text"), STR("")), rest = text;
    TRY(turn_begin(t, json_get_str(root, STR("model"), STR_NONE), sim_hash(0, text), &over));
    if (over)
        return OK;
    buf_add_lit(t->room, "{\"tokens\":");
    for (const char *joint = "["; rest.n > 0; joint = ",")
        buf_addf(t->room, "%s%llu", joint, (unsigned long long)(sim_hash(0, sim_token_cut(&rest)) % 256000));
    buf_add_lit(t->room, "],\"token_strings\":");
    rest = text;
    for (const char *joint = "[\""; rest.n > 0; joint = "\",\"") {
        buf_add(t->room, str_from_c(joint));
        buf_add_json(t->room, sim_token_cut(&rest));
    }
    buf_add_lit(t->room, "\"],\"meta\":{\"api_version\":{\"version\":\"1\"}}}");
    return turn_reply_json(t, 200);
}

static void write_model(struct str name, struct buf *to)
{
    buf_add_lit(to, "{\"name\":\"");
    buf_add_json(to, name);
    buf_add_lit(to, "\",\"endpoints\":[\"chat\",\"embed\",\"rerank\"],\"finetuned\":false,\"context_length\":128000,"
                    "\"tokenizer_url\":null,\"default_endpoints\":[],\"features\":[\"tools\",\"json_mode\"],"
                    "\"is_deprecated\":false}");
}

/* A number in the query, within [min, max]; `usual` if it is not there. */
static err_t query_number(struct sim_turn *t, struct str name, uint64_t min, uint64_t max, uint64_t usual,
                          uint64_t *ret)
{
    struct str text = url_query_get(t->r->head.query, name, t->a);

    *ret = usual;
    if (!text.p || (str_to_u64(text, max, ret) && *ret >= min))
        return OK;
    return cohere_refuse(t->a, &t->refusal, "%.*s must be between %llu and %llu", STR_ARG(name),
                         (unsigned long long)min, (unsigned long long)max);
}

/* Pages begin where page_token says: it is the number of a model in the scenario. */
static err_t models_list(struct sim_turn *t) SUSPENDS;
static err_t models_list(struct sim_turn *t)
{
    uint64_t size, at, count = t->scenario->model_count;
    const char *joint = "";

    TRY(query_number(t, STR("page_size"), 1, PAGE_MAX, PAGE_USUAL, &size));
    TRY(query_number(t, STR("page_token"), 0, count, 0, &at));
    buf_add_lit(t->room, "{\"models\":[");
    for (; at < count; at++) {
        if (&t->scenario->models[at] == t->scenario->any)
            continue;
        if (size == 0)
            break;
        buf_add(t->room, str_from_c(joint));
        write_model(t->scenario->models[at].name, t->room);
        joint = ",";
        size--;
    }
    if (at < count)
        buf_addf(t->room, "],\"next_page_token\":\"%llu\"}", (unsigned long long)at);
    else
        buf_add_lit(t->room, "]}");
    return turn_reply_json(t, 200);
}

static err_t models_get(struct sim_turn *t) SUSPENDS;
static err_t models_get(struct sim_turn *t)
{
    if (!scenario_model(t->scenario, t->id))
        return refuse_status(t->a, &t->refusal, 404, NULL, "model '%.*s' not found", STR_ARG(t->id));
    write_model(t->id, t->room);
    return turn_reply_json(t, 200);
}

/* --- the surface --- */

/* Does a client of Cohere's ask? By its name, or by parameters that no other dialect has. */
static bool names_cohere(const struct http_request *r)
{
    struct str agent = http_request_header(r, STR("user-agent"));

    return http_request_header(r, STR("x-client-name")).p || str_find(agent, STR("cohere")) < agent.n ||
           url_query_get(r->head.query, STR("endpoint"), r->arena).p ||
           url_query_get(r->head.query, STR("page_size"), r->arena).p;
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/v2/chat"), chat, NULL},
    {"POST", STR_INIT("/v2/embed"), cohere_embed_endpoint, NULL},
    {"POST", STR_INIT("/v2/rerank"), cohere_rerank_endpoint, NULL},
    {"POST", STR_INIT("/v1/tokenize"), tokenize, NULL},
    {"GET", STR_INIT("/v1/models"), models_list, names_cohere},
    {"GET", STR_INIT("/v1/models/{id...}"), models_get, names_cohere},
};

static err_t check_key(struct sim_turn *t)
{
    struct str key = turn_bearer(t);

    if (turn_knows_key(t, key))
        return OK;
    return refuse_status(t->a, &t->refusal, 401, NULL, key.n == 0 ? "no api key supplied" : "invalid api token");
}

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    char id[SIM_UUID_CHARS];

    sim_uuid(id, p->unique, 0);
    buf_addf(to, "{\"id\":\"%.*s\",\"message\":\"", SIM_UUID_CHARS, id);
    buf_add_json(to, why->message);
    buf_add_lit(to, "\"}");
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *h)
{
    sim_head_add_id(h, STR("x-debug-trace-id"), "", p->unique);
    if (why)
        sim_head_add_span(h, p->r->arena, STR("retry-after"), why->retry_after, NS_SEC);
}

const struct sim_surface sim_surface_cohere = {
    .name = "cohere",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
