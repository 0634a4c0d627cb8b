/*
 * opensearch.c - documents with vectors to an index of OpenSearch, by its HTTP API (`_bulk`).
 *
 * A batch is one request, whose answer says of each document what became of it: those that are refused for good are dead letters, those that
 * are to come later are sent again, alone.
 *
 * Source: OpenSearch documentation, "Bulk" (2.x, 3.x); Elasticsearch's is the same.
 */
#include "codec/json_tree.h"
#include "expr/value.h"
#include "pipeline/system/vector.h"
#include "pipeline/system/web_api.h"

struct opensearch_sink {
    struct schema_text index, connection;
    struct vector_fields point;
};

static const struct schema_field opensearch_fields[] = {
    SCHEMA_TEXT("index", struct opensearch_sink, index, .required = true,
                .doc = "Index; a vector goes to its field `embedding`, beside the members of the payload."),
    VECTOR_FIELDS(struct opensearch_sink, point), CONNECTION_FIELD(struct opensearch_sink), SCHEMA_END};
static const struct schema_object opensearch_object = {.fields = opensearch_fields,
                                                       .size = sizeof(struct opensearch_sink)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("opensearch", &opensearch_object, .doc = "An index of OpenSearch."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct opensearch_sink *c = n->config;

    build_connection(b, n, &c->connection);
    vector_build(b, n, &c->point);
    if (c->point.payload_expr && !(expr_output_type(c->point.payload_expr)->kinds & EXPR_IS_OBJECT))
        problems_error(b->problems, c->point.payload.node, "the payload of a document is an object");
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_KEYED,
     .how = "a document's `_id` is the same each time; indexed again, it changes nothing"},
    {0}};

/* --- running --- */

enum { PORT = 9200, BODY_MAX = 64 << 20 };

/* The payload with the vector. */
static err_t make_document(struct step *s, const struct vector_point *p, struct expr_value *ret)
{
    struct expr_budget b = {step_arena(s), expr_limits_default.steps, expr_limits_default.memory};

    if (p->has_payload && p->payload.kind != JSON_OBJECT)
        return fail(E_PARSE, "the payload of a document is an object, not a %s", value_kind_name(p->payload.kind));
    if (p->has_payload)
        *ret = p->payload;
    else
        TRY(value_new_object(&b, 1, ret));
    TRY(value_settle(&b, ret));
    return value_put(&b, ret, STR("embedding"), p->vector);
}

static err_t add_item(const struct web_sink *w, const struct batch_item *item, struct buf *to)
{
    const struct opensearch_sink *c = w->sink->config;
    struct step s = web_sink_step(w, item);
    struct expr_value document;
    struct vector_point p;

    TRY(vector_point(&s, &c->point, &p));
    TRY(make_document(&s, &p, &document));
    TRY(buf_add(to, STR("{\"index\":{\"_id\":\"")));
    TRY(buf_add_json(to, p.id));
    TRY(buf_add(to, STR("\"}}\n")));
    TRY(expr_value_print(document, to));
    return buf_add_char(to, '\n');
}

/* What became of one document. OK: it is settled, one way or the other. */
static err_t settle(struct web_sink *w, struct batch_item *item, struct json_node told, struct arena *arena)
{
    struct json_node result = json_node_get(told, STR("index")), error = json_node_get(result, STR("error"));
    int64_t status = 0;
    struct str why = STR("it does not say why");

    if (!json_node_i64(json_node_get(result, STR("status")), &status))
        return fail(E_PROTOCOL, "the answer does not say what became of a document");
    item->is_applied = status >= 200 && status <= 299;
    if (item->is_applied)
        return OK;
    if (json_node_is(json_node_get(error, STR("reason")), JSON_STRING))
        why = json_node_text(json_node_get(error, STR("reason")), arena);
    if (status == 429 || status >= 500)
        return fail(E_OVERLOAD, "a document was answered with status %d: %.*s", (int)status, STR_ARG(why));
    web_sink_refuse(w, item, fail(E_FORBIDDEN, "it was answered with status %d: %.*s", (int)status, STR_ARG(why)));
    return OK;
}

/* The answer has an item for each document, in their order. */
static err_t settle_all(struct web_sink *w, struct batch_item *items, size_t count, struct str answer,
                        struct arena *arena)
{
    const struct json_tree *tree;
    size_t at = 0;
    err_t last = OK;

    if (json_tree_parse(arena, answer, &tree) != OK)
        return fail(E_PROTOCOL, "the answer is no JSON document");
    JSON_EACH(told, json_node_get(json_tree_root(tree), STR("items"))) {
        while (at < count && items[at].is_applied)
            at++;
        if (at == count)
            return fail(E_PROTOCOL, "the answer tells of more documents than were sent");
        err_t e = settle(w, &items[at++], told.value, arena);
        last = e != OK ? e : last;
    }
    while (at < count && items[at].is_applied)
        at++;
    return at < count ? fail(E_PROTOCOL, "the answer tells of fewer documents than were sent") : last;
}

static SUSPENDS err_t send_items(struct web_sink *w, struct batch_item *items, size_t count)
{
    struct web_api *api = CONTAINER_OF(w, struct web_api, sink);
    struct buf body CLEANUP(buf_release) = BUF_INIT(BODY_MAX);
    struct arena arena CLEANUP(arena_release);
    struct web_answer a;

    arena_init(&arena, SIZE_MAX);
    TRY(web_sink_gather(w, items, count, add_item, &body));
    if (!body.n)
        return OK;
    TRY(web_api_ask(api, STR("POST"), api->path, STR("application/x-ndjson"), buf_str(&body), &arena, &a));
    return settle_all(w, items, count, a.body, &arena);
}

static SUSPENDS err_t make_ready(struct web_api *api, const struct sink_at *at)
{
    const struct opensearch_sink *c = at->sink->config;

    TRY(web_api_open(api, at, PORT));
    TRY(web_api_use_basic(api));
    return web_api_set_path(api, "/", c->index.text, "/_bulk");
}

static SUSPENDS err_t open_index(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    return web_api_start(at, make_ready, ret_applied, ret_state);
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct web_api *api = state;

    return web_sink_send(&api->sink, b->items, b->count, send_items);
}

static const struct sink_run sink_run = {.open = open_index, .apply = apply, .close = web_api_stop};

const struct sink_kind sink_kind_opensearch = {
    .kind = {.name = "opensearch",
             .fields = fields,
             .size = sizeof(struct opensearch_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "opensearch",
             .usual_url = "http://127.0.0.1:9200",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
