/*
 * http.c - somebody's HTTP API is asked, and its answer is the new record.
 *
 * An answer is in the journal before anybody reads it. A crash between the answer and the journal asks again: so a node asks, and what shall happen once
 * belongs to a sink.
 */
#include "codec/json_tree.h"
#include "pipeline/system/web_node.h"

enum { READ_JSON, READ_TEXT };

struct http_node {
    struct schema_text get, post, body;
    struct web_header *headers;
    size_t header_count;
    int read;
    uint64_t max_answer;
    const struct template *url;
    const struct expr *body_expr;
};

static const struct schema_choice reads[] = {
    {"json", READ_JSON, "a JSON document"}, {"text", READ_TEXT, "text"}, {NULL, 0, NULL}};
static const struct schema_field http_fields[] = {
    SCHEMA_TEXT("get", struct http_node, get, .doc = "URL, with expressions: `https://geo.example/at?zip={{.zip}}`."),
    SCHEMA_TEXT("post", struct http_node, post, .doc = "Instead: URL of a POST that asks (a search, a look-up)."),
    SCHEMA_TEXT("body", struct http_node, body, .default_doc = "the record",
                .doc = "Of a POST: expression for what is sent."),
    SCHEMA_MAP("headers", struct http_node, headers, header_count, &web_header_value, struct web_header, name,
               .max = "100", .doc = "Further headers; values may hold expressions."),
    SCHEMA_ENUM("read", struct http_node, read, reads, .default_text = "json", .doc = "What the answer is."),
    SCHEMA_SIZE("max_answer", struct http_node, max_answer, .default_text = "1MiB", .min = "1B", .max = "64MiB",
                .doc = "Its size."),
    SCHEMA_END};
static const struct schema_object http_object = {
    .fields = http_fields, .size = sizeof(struct http_node), .shorthand = "get"};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("http", &http_object, .doc = "An HTTP API is asked."),
                                             SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct http_node *c = n->config;

    if (!c->get.text.n == !c->post.text.n)
        problems_error(b->problems, n->at, "\"http\" needs either \"get\" or \"post\"");
    if (c->body.text.n && !c->post.text.n)
        problems_error(b->problems, c->body.node, "\"body\" goes with \"post\"");
    c->url = build_url(b, n, c->get.text.n ? &c->get : &c->post);
    c->body_expr = build_mapping(b, n, &c->body);
    if (c->post.text.n && !c->body.text.n)
        build_reads(b, n, STR("."));
    web_build_headers(b, n, c->headers, c->header_count);
    n->output_type = c->read == READ_TEXT ? &expr_type_string : &expr_type_unchecked;
}

/* --- running --- */

static SUSPENDS err_t call(struct step *s)
{
    const struct http_node *c = s->node->config;
    struct web_question q;
    struct web_answer a;

    TRY(web_make_question(s, c->get.text.n ? STR("GET") : STR("POST"), c->url, c->headers, c->header_count,
                          c->body_expr, &q));
    q.max_answer = c->max_answer;
    TRY(web_ask(step_web(s), &q, step_arena(s), &a));
    s->not_before = a.retry_at;
    TRY(web_check(&q, &a));
    if (c->read == READ_TEXT)
        return step_send(s, expr_string(a.body));
    const struct json_tree *tree;
    TRY(err_context(json_tree_parse(step_arena(s), a.body, &tree), "the answer is no JSON document"));
    return step_send(s, expr_json(json_tree_root(tree)));
}

static const struct node_run node_run = {.call = call};

const struct node_kind node_kind_http = {
    .kind = {.name = "http",
             .fields = fields,
             .size = sizeof(struct http_node),
             .traits = KIND_CALLS | KIND_RECORDS | KIND_ANSWERS,
             .build = build},
    .run = &node_run,
};
