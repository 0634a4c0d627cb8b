/*
 * bedrock.c - the Amazon Bedrock surface: Converse and Invoke, whole and as event streams.
 *
 * Requests are signed (SigV4, by an access key of the scenario) or carry one of its api_keys as Bearer. A signature covers the body, so
 * the body is read first and then the signature verified; everything else about credentials is checked before.
 *
 * Invoke takes the body that the model's maker defined: of Claude, the Messages API (sim/anthropic.h); of Titan and Cohere, embeddings.
 * Model ids are one segment of the path, percent-decoded once; what still holds a '%' was coded twice and is refused.
 *
 * Not here: counting tokens, guardrails, lists of models, rerank of the agent runtime, batches. Source: Amazon Bedrock API reference.
 */
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/sigv4.h"
#include "rt/loop.h"
#include "sim/anthropic.h"
#include "sim/bedrock_int.h"
#include "sim/cohere_int.h"
#include "sim/embeddings.h"
#include "sim/hash.h"
#include "sim/prefix_cache.h"
#include "sim/surface.h"
#include "sim/text.h"

enum { EVENT_BYTES_MAX = 8 << 20 };

/* --- credentials --- */

static err_t refuse_access(struct sim_turn *t, const char *exception, const char *why)
{
    return refuse_status(t->a, &t->refusal, 403, exception, "%s", why);
}

/* What can be told without the body. */
static err_t check_key(struct sim_turn *t)
{
    const struct scenario *s = t->scenario;
    struct str authorization = http_head_get(&t->r->head, HDR_AUTHORIZATION), key = turn_bearer(t);

    if ((s->api_key_count == 0 && s->aws_key_count == 0) || sigv4_is_claim(authorization))
        return OK;
    if (authorization.n == 0)
        return refuse_access(t, "MissingAuthenticationTokenException", "Missing Authentication Token");
    if (s->api_key_count > 0 && turn_knows_key(t, key))
        return OK;
    return refuse_access(t, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.");
}

static const struct sim_aws_key *find_aws_key(const struct sim_turn *t, struct str access_key)
{
    for (size_t i = 0; i < t->scenario->aws_key_count; i++)
        if (str_eq(t->scenario->aws_keys[i].access_key, access_key))
            return &t->scenario->aws_keys[i];
    return NULL;
}

static err_t verify(struct sim_turn *t, const struct sigv4_claim *claim, struct str secret, struct str body)
{
    const struct http_head *head = &t->r->head;
    unsigned char hash[SHA256_BYTES];

    sha256(body, hash);
    const struct sigv4_request signed_request = {.method = head->method,
                                                 .host = head->host,
                                                 .path = head->path,
                                                 .query = head->query,
                                                 .headers = head->headers,
                                                 .header_count = head->count,
                                                 .body_hash = hash};
    err_t e = sigv4_verify(t->a, &signed_request, claim, secret, rt_wall() / NS_SEC);
    if (e == OK)
        return OK;
    if (e == E_FORBIDDEN)
        return refuse_status(t->a, &t->refusal, 403, "InvalidSignatureException", "Signature expired: %s",
                             err_detail(e));
    if (e == E_AUTH)
        return refuse_status(t->a, &t->refusal, 403, "InvalidSignatureException",
                             "The request signature we calculated does not match the signature you provided: %s",
                             err_detail(e));
    return refuse_status(t->a, &t->refusal, 403, "IncompleteSignatureException", "%s", err_detail(e));
}

static err_t check_signature(struct sim_turn *t, struct str body)
{
    struct str authorization = http_head_get(&t->r->head, HDR_AUTHORIZATION);
    struct sigv4_claim claim;

    if (!sigv4_is_claim(authorization) || (t->scenario->api_key_count == 0 && t->scenario->aws_key_count == 0))
        return OK;
    err_t e = sigv4_read(authorization, &claim);
    if (e != OK)
        return refuse_status(t->a, &t->refusal, 403, "IncompleteSignatureException", "%s", err_detail(e));
    const struct sim_aws_key *key = find_aws_key(t, claim.access_key);
    struct str token = http_request_header(t->r, STR("x-amz-security-token"));
    if (!key || !str_eq_secret(token, key->session_token))
        return refuse_access(t, "UnrecognizedClientException",
                             "The security token included in the request is invalid.");
    if (!str_eq(claim.service, STR("bedrock")))
        return refuse_access(t, "InvalidSignatureException",
                             "Credential should be scoped to correct service: 'bedrock'.");
    return verify(t, &claim, key->secret_key, body);
}

/* The body of a request whose credentials and model id are good. */
static err_t begin(struct sim_turn *t, struct str *ret_body) SUSPENDS;
static err_t begin(struct sim_turn *t, struct str *ret_body)
{
    TRY(turn_body(t, ret_body));
    TRY(check_signature(t, *ret_body));
    if (str_find_char(t->id, '%') < t->id.n)
        return bedrock_refuse(t->a, &t->refusal, "The provided model identifier is invalid.");
    return OK;
}

static bool is_model_of(const struct sim_turn *t, struct str maker)
{
    return str_find(t->id, maker) < t->id.n;
}

/* --- Converse --- */

/* What of the prompt is read from the cache, and what is written there. */
static void count_cached(struct sim_turn *t, struct bedrock_converse *c)
{
    struct prefix_cache *cache = turn_prefixes(t);
    ns_t now = rt_now();

    for (size_t i = 0; i < c->prefix_count; i++) {
        const struct bedrock_prefix *p = &c->prefixes[i];
        uint64_t hash = sim_hash_u64(sim_hash(0, c->q.model), p->hash);
        if (prefix_cache_has(cache, hash, now))
            c->cache_read = p->tokens;
        prefix_cache_put(cache, hash, ns_add(now, p->lifetime));
    }
    if (c->prefix_count > 0)
        c->cache_write = c->prefixes[c->prefix_count - 1].tokens - c->cache_read;
}

static err_t serve_converse(struct sim_turn *t, bool is_stream) SUSPENDS;
static err_t serve_converse(struct sim_turn *t, bool is_stream)
{
    struct bedrock_converse *c = arena_new(t->a, struct bedrock_converse);
    struct sim_answer *answer = arena_new(t->a, struct sim_answer);
    struct str body;
    bool over;

    TRY(begin(t, &body));
    TRY(bedrock_converse_read(t->a, t->id, body, c, &t->refusal));
    question_settle(&c->q);
    TRY(turn_begin(t, t->id, c->q.hash, &over));
    if (over)
        return OK;
    if (sim_answer_make(t->a, &c->q, t->seed, t->plan.length, answer) != OK)
        return bedrock_refuse(t->a, &t->refusal, "The JSON Schema is not supported: %s", err_detail(E_TOO_LARGE));
    count_cached(t, c);
    turn_count_prompt(t, c->q.prompt_tokens);
    ns_t latency = sim_plan_due(&t->plan, answer->tokens);
    if (is_stream)
        return sim_play_stream(&t->play, bedrock_converse_feed(t->a, c, answer, &t->mark, latency));
    TRY(bedrock_converse_write(c, answer, &t->mark, latency, t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer->tokens);
}

static err_t converse(struct sim_turn *t) SUSPENDS;
static err_t converse(struct sim_turn *t)
{
    return serve_converse(t, false);
}

static err_t converse_stream(struct sim_turn *t) SUSPENDS;
static err_t converse_stream(struct sim_turn *t)
{
    return serve_converse(t, true);
}

/* --- Invoke: Claude --- */

/* The events of the Messages API, each in a frame. */
struct chunks {
    struct sim_feed feed; /* first */
    struct sim_feed *events;
    const struct anthropic_answer *answer;
    ns_t latency, first;
    size_t count;
};

/* The last event tells the figures of the call, too. */
static void add_metrics(const struct chunks *c, struct buf *event)
{
    event->n--; /* its closing brace */
    buf_addf(event,
             ",\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":%zu,\"outputTokenCount\":%zu,"
             "\"invocationLatency\":%lld,\"firstByteLatency\":%lld}}",
             c->answer->usage.input, c->answer->usage.output, (long long)(c->latency / NS_MS),
             (long long)(c->first / NS_MS));
}

static bool next_chunk(struct sim_feed *f, struct buf *to, struct sim_step *ret)
{
    struct chunks *c = (struct chunks *)f;
    struct buf event CLEANUP(buf_release) = BUF_INIT(EVENT_BYTES_MAX);
    struct buf payload CLEANUP(buf_release) = BUF_INIT(2 * EVENT_BYTES_MAX);

    if (!c->events->next(c->events, &event, ret))
        return false;
    if (str_starts(buf_str(&event), STR("{\"type\":\"message_stop\"")))
        add_metrics(c, &event);
    buf_add_lit(&payload, "{\"bytes\":\"");
    base64_encode(&payload, buf_str(&event), BASE64);
    buf_add_char(&payload, '"');
    bedrock_pad(&payload, sim_hash_u64(c->answer->mark.unique, c->count++));
    buf_add_char(&payload, '}');
    bedrock_frame(to, STR(":event-type"), STR("chunk"), buf_str(&payload));
    return true;
}

static err_t invoke_claude(struct sim_turn *t, struct str body, bool is_stream) SUSPENDS;
static err_t invoke_claude(struct sim_turn *t, struct str body, bool is_stream)
{
    const struct anthropic_host host = {
        .version = STR("bedrock-2023-05-31"), .model = t->id, .stream = is_stream, .bars_stream = true};
    const struct anthropic_answer *answer;
    bool over;

    TRY(anthropic_begin(t, body, &host, &answer, &over));
    if (over)
        return OK;
    if (!is_stream) {
        anthropic_write(answer, t->room);
        TRY(buf_status(t->room));
        return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), answer->usage.output);
    }
    struct chunks *c = arena_new(t->a, struct chunks);
    *c = (struct chunks){
        .feed = {.next = next_chunk, .give_up = bedrock_give_up, .spoil = bedrock_spoil, .type = BEDROCK_STREAM_TYPE},
        .events = anthropic_feed(t->a, answer, true),
        .answer = answer,
        .latency = sim_plan_due(&t->plan, answer->usage.output),
        .first = sim_plan_due(&t->plan, 0)};
    return sim_play_stream(&t->play, &c->feed);
}

/* --- Invoke: embeddings --- */

static err_t invoke_cohere(struct sim_turn *t, struct str body) SUSPENDS;
static err_t invoke_cohere(struct sim_turn *t, struct str body)
{
    struct cohere_embed e;
    yyjson_val *root;
    bool over;

    TRY(bedrock_parse(t->a, body, &t->refusal, &root));
    TRY(cohere_embed_read(t->a, root, true, &e, &t->refusal));
    TRY(turn_begin(t, t->id, e.hash, &over));
    if (over)
        return OK;
    TRY(cohere_embed_write(t, &e, true, t->room));
    turn_count_prompt(t, e.tokens);
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}

static err_t read_titan(struct sim_turn *t, yyjson_val *root, size_t *ret_dimensions)
{
    static const struct field_rule first[] = {
        {.name = STR_INIT("inputText"), .kind = FIELD_STRING, .min = 1, .max = 50000, .required = true},
    };
    static const struct field_rule second[] = {
        {.name = STR_INIT("inputText"), .kind = FIELD_STRING, .min = 1, .max = 50000, .required = true},
        {.name = STR_INIT("dimensions"), .kind = FIELD_INT},
        {.name = STR_INIT("normalize"), .kind = FIELD_BOOL},
        {.name = STR_INIT("embeddingTypes"), .kind = FIELD_ARRAY, .min = 1, .max = 1},
    };
    int64_t dimensions = json_get_i64(root, STR("dimensions"), 1024);

    *ret_dimensions = 1536;
    if (is_model_of(t, STR("titan-embed-text-v1")))
        return bedrock_fields(t->a, root, STR(""), first, ARRAY_LEN(first), &t->refusal);
    TRY(bedrock_fields(t->a, root, STR(""), second, ARRAY_LEN(second), &t->refusal));
    yyjson_val *types = json_get(root, STR("embeddingTypes"));
    if (yyjson_is_arr(types) && !str_eq(json_text(yyjson_arr_get_first(types)), STR("float")))
        return bedrock_refuse(t->a, &t->refusal, "embeddingTypes: only 'float' is simulated.");
    if (dimensions != 256 && dimensions != 512 && dimensions != 1024)
        return bedrock_refuse(t->a, &t->refusal,
                              "Malformed input request: #/dimensions: %lld is not a valid enum value, please reformat "
                              "your input and try again.",
                              (long long)dimensions);
    *ret_dimensions = (size_t)dimensions;
    return OK;
}

static err_t invoke_titan(struct sim_turn *t, struct str body) SUSPENDS;
static err_t invoke_titan(struct sim_turn *t, struct str body)
{
    yyjson_val *root;
    size_t n;
    bool over;

    TRY(bedrock_parse(t->a, body, &t->refusal, &root));
    TRY(read_titan(t, root, &n));
    struct str text = json_get_str(root, STR("inputText"), STR(""));
    TRY(turn_begin(t, t->id, sim_hash(0, text), &over));
    if (over)
        return OK;
    int32_t *vector = arena_alloc(t->a, n * sizeof(*vector));
    sim_embed(text, sim_hash(t->seed, turn_model(t)->name), vector, n);
    buf_add_lit(t->room, "{\"embedding\":");
    sim_embedding_write(vector, n, t->room);
    if (!is_model_of(t, STR("titan-embed-text-v1"))) {
        buf_add_lit(t->room, ",\"embeddingsByType\":{\"float\":");
        sim_embedding_write(vector, n, t->room);
        buf_add_char(t->room, '}');
    }
    buf_addf(t->room, ",\"inputTextTokenCount\":%zu}", sim_tokens(text));
    TRY(buf_status(t->room));
    turn_count_prompt(t, sim_tokens(text));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}

static err_t invoke(struct sim_turn *t) SUSPENDS;
static err_t invoke(struct sim_turn *t)
{
    struct str body;

    TRY(begin(t, &body));
    if (is_model_of(t, STR("anthropic.")))
        return invoke_claude(t, body, false);
    if (is_model_of(t, STR("amazon.titan-embed")))
        return invoke_titan(t, body);
    if (is_model_of(t, STR("cohere.embed")))
        return invoke_cohere(t, body);
    return bedrock_refuse(t->a, &t->refusal, "The body of this model is not simulated; use Converse.");
}

static err_t invoke_stream(struct sim_turn *t) SUSPENDS;
static err_t invoke_stream(struct sim_turn *t)
{
    struct str body;

    TRY(begin(t, &body));
    if (is_model_of(t, STR("anthropic.")))
        return invoke_claude(t, body, true);
    return bedrock_refuse(t->a, &t->refusal, "The model is unsupported for streaming.");
}

/* --- the surface --- */

static void write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to)
{
    (void)p;
    buf_add_lit(to, "{\"message\":\"");
    buf_add_json(to, why->message);
    buf_add_lit(to, "\"}");
}

static void add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to)
{
    char *id = arena_alloc(p->r->arena, SIM_UUID_CHARS);

    sim_uuid(id, p->unique, 0);
    sim_head_add(to, STR("x-amzn-requestid"), str_of(id, SIM_UUID_CHARS));
    if (why)
        sim_head_add(to, STR("x-amzn-errortype"), bedrock_exception(why));
}

static const struct sim_route routes[] = {
    {"POST", STR_INIT("/model/{id}/converse"), converse, NULL},
    {"POST", STR_INIT("/model/{id}/converse-stream"), converse_stream, NULL},
    {"POST", STR_INIT("/model/{id}/invoke"), invoke, NULL},
    {"POST", STR_INIT("/model/{id}/invoke-with-response-stream"), invoke_stream, NULL},
};

const struct sim_surface sim_surface_bedrock = {
    .name = "bedrock",
    .routes = routes,
    .route_count = ARRAY_LEN(routes),
    .natural = true,
    .check_key = check_key,
    .write_refusal = write_refusal,
    .add_headers = add_headers,
};
