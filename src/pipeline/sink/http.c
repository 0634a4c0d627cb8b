/*
 * http.c - records to somebody's HTTP API: one in a request, or those of a batch together.
 *
 * PUT, and DELETE, of a URL that is made of the record can be done again. So can a POST with an `Idempotency-Key`, as long as the server
 * remembers keys. Any other POST, and a PATCH, may happen twice or not at all when its answer is lost: there the file must choose.
 *
 * An answer that says "not now" (429, 503 with `retry-after`) holds back all of the sink until then. What the API refuses for good becomes a dead letter; of
 * a batch in one request that is refused so, its records are sent again one by one, so that only those that are to blame become dead letters.
 */
#include "base/mem.h"
#include "pipeline/system/web_node.h"
#include "pipeline/system/web_reconcile.h"
#include "pipeline/system/web_sink.h"
#include "rt/scope.h"

struct http_sink {
    struct schema_text put, post, patch, delete, body, idempotency;
    struct web_header *headers;
    size_t header_count;
    int send;
    const struct template *url, *idempotency_text;
    const struct expr *body_expr;
};

enum { SEND_RECORDS, SEND_ARRAY, SEND_LINES };
static const struct schema_choice sends[] = {{"records", SEND_RECORDS, "each in a request of its own"},
                                             {"array", SEND_ARRAY, "those of a batch as an array"},
                                             {"lines", SEND_LINES, "those of a batch, a line each (NDJSON)"},
                                             {NULL, 0, NULL}};
static const struct schema_field http_fields[] = {
    SCHEMA_TEXT("put", struct http_sink, put,
                .doc = "URL, with expressions: `https://crm.example/cases/{{.ticket_id}}`."),
    SCHEMA_TEXT("post", struct http_sink, post, .doc = "Instead: URL of a POST."),
    SCHEMA_TEXT("patch", struct http_sink, patch, .doc = "Instead: of a PATCH."),
    SCHEMA_TEXT("delete", struct http_sink, delete, .doc = "Instead: of a DELETE."),
    SCHEMA_TEXT("idempotency_key", struct http_sink, idempotency,
                .doc = "Of a POST to a server that heeds `Idempotency-Key`: `auto`, the id of the record; or text with "
                       "expressions."),
    SCHEMA_TEXT("body", struct http_sink, body, .default_text = ".", .doc = "Expression for what is sent."),
    SCHEMA_ENUM("send", struct http_sink, send, sends, .default_text = "records",
                .doc = "How records are sent. For a batch the URL must be the same for all."),
    SCHEMA_MAP("headers", struct http_sink, headers, header_count, &web_header_value, struct web_header, name,
               .max = "100", .doc = "Further headers; values may hold expressions, and be `\"${TOKEN}\"`."),
    SCHEMA_END};
static const struct schema_object http_object = {.fields = http_fields, .size = sizeof(struct http_sink)};
static const struct schema_field fields[] = {SCHEMA_OBJECT_HERE("http", &http_object, .doc = "An HTTP API."),
                                             SCHEMA_END};

static const struct schema_text *method_of(const struct http_sink *c)
{
    return c->put.text.n ? &c->put : c->post.text.n ? &c->post : c->patch.text.n ? &c->patch : &c->delete;
}

static bool is_same_for_all(const struct template *t)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (t->parts[i].expr)
            return false;
    return true;
}

/* What goes for a whole batch must not be made of one of its records. */
static void check_send(struct pipeline_build *b, struct pipeline_node *n, const struct http_sink *c)
{
    bool is_same = is_same_for_all(c->url);

    if (c->send == SEND_RECORDS)
        return;
    for (size_t i = 0; i < c->header_count; i++)
        is_same = is_same && is_same_for_all(c->headers[i].text);
    if (!is_same || c->delete.text.n || c->idempotency.text.n)
        problems_error(b->problems, n->at,
                       "records that are sent together need a URL and headers without expressions, and a method with a "
                       "body; \"idempotency_key\" is of a single one");
}

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct http_sink *c = n->config;
    unsigned methods = !!c->put.text.n + !!c->post.text.n + !!c->patch.text.n + !!c->delete.text.n;

    if (methods != 1)
        problems_error(b->problems, n->at, "\"http\" needs exactly one of \"put\", \"post\", \"patch\" and \"delete\"");
    if (c->idempotency.text.n && !c->post.text.n)
        problems_error(b->problems, c->idempotency.node,
                       "\"idempotency_key\" goes with \"post\": the others have their URL");
    c->url = build_url(b, n, method_of(c));
    c->body_expr = build_mapping(b, n, &c->body);
    if (!str_eq(c->idempotency.text, STR("auto")))
        c->idempotency_text = build_template(b, n, &c->idempotency);
    web_build_headers(b, n, c->headers, c->header_count);
    check_send(b, n, c);
}

static const struct promise_row rows[] = {
    {.when = "PUT, DELETE",
     .promise = PROMISE_KEYED,
     .how = "the URL is made of the record: done again, it changes nothing"},
    {.when = "POST with `idempotency_key`",
     .promise = PROMISE_KEYED,
     .how = "for as long as the server remembers keys; the key is the same each time"},
    {.when = "other POST, PATCH, batches",
     .is_choice = true,
     .how = "when the answer is lost, nobody knows whether it has happened; a header with the record's id goes along",
     .remedy = "`put` with a URL made of the record, or `idempotency_key: auto` if the server heeds it"},
    {0}};

static size_t row(const struct pipeline_node *n)
{
    const struct http_sink *c = n->config;

    if (c->send != SEND_RECORDS)
        return 2;
    if (c->put.text.n || c->delete.text.n)
        return 0;
    return c->post.text.n && c->idempotency.text.n ? 1 : 2;
}

/* --- running --- */

enum { AT_ONCE_USUAL = 8, ANSWER_MAX = 1 << 20, BATCH_MAX = 64 << 20 };

/* Records of a batch that go together, in a fiber of their own. */
struct delivery {
    struct web_sink *api;
    struct batch_item *items;
    size_t count;
};

static struct str method_name(const struct http_sink *c)
{
    return c->put.text.n ? STR("PUT") : c->post.text.n ? STR("POST") : c->patch.text.n ? STR("PATCH") : STR("DELETE");
}

static err_t make_question(struct step *s, const struct http_sink *c, struct web_question *q)
{
    enum { KEY_MAX = 4096 };
    struct str key = step_id_text(s);

    TRY(web_make_question(s, method_name(c), c->url, c->headers, c->header_count, c->body_expr, q));
    q->max_answer = ANSWER_MAX;
    if (c->idempotency_text)
        TRY(step_render(s, c->idempotency_text, KEY_MAX, &key));
    web_add_header(q, c->idempotency.text.n ? STR("idempotency-key") : STR("x-crossdock-record"), key);
    return OK;
}

static SUSPENDS err_t ask(struct web_sink *api, const struct web_question *q, struct arena *arena)
{
    const struct http_sink *c = api->sink->config;
    struct web_answer a;

    TRY(web_sink_ask(api, q, arena, &a));
    if (a.status == 409 && c->idempotency.text.n)
        return fail(E_OVERLOAD, "the request with this Idempotency-Key is still under way");
    return web_sink_check(q, &a);
}

static SUSPENDS err_t send_one(struct web_sink *api, struct batch_item *item)
{
    struct step s = web_sink_step(api, item);
    struct web_question q;

    err_t e = make_question(&s, api->sink->config, &q);
    if (e == OK)
        e = ask(api, &q, step_arena(&s));
    item->is_applied = e == OK;
    if (!web_sink_is_final(e))
        return e;
    web_sink_refuse(api, item, e);
    return OK;
}

static SUSPENDS err_t deliver_one(void *arg)
{
    struct delivery *d = arg;

    return send_one(d->api, d->items);
}

/* --- a batch in one request --- */

static err_t add_body(const struct web_sink *api, const struct batch_item *item, struct buf *to)
{
    const struct http_sink *c = api->sink->config;
    bool is_array = c->send == SEND_ARRAY;
    struct step s = web_sink_step(api, item);
    struct str body;

    TRY(web_make_body(&s, c->body_expr, &body));
    if (is_array)
        TRY(buf_add_char(to, to->n ? ',' : '['));
    TRY(buf_add(to, body));
    return is_array ? OK : buf_add_char(to, '\n');
}

/* Those that are not done yet, together. */
static SUSPENDS err_t send_together(struct web_sink *api, struct batch_item *items, size_t count)
{
    const struct http_sink *c = api->sink->config;
    struct buf text CLEANUP(buf_release) = BUF_INIT(BATCH_MAX);
    struct web_question q = {.header_count = 0};
    const struct batch_item *first = items;

    TRY(web_sink_gather(api, items, count, add_body, &text));
    if (!text.n)
        return OK;
    while (first->is_applied)
        first++;
    if (c->send == SEND_ARRAY)
        TRY(buf_add_char(&text, ']'));
    struct step s = web_sink_step(api, first);
    TRY(make_question(&s, c, &q));
    q.body = buf_str(&text);
    if (c->send == SEND_LINES)
        web_set_type(&q, STR("application/x-ndjson"));
    TRY(ask(api, &q, step_arena(&s)));
    for (size_t i = 0; i < count; i++)
        items[i].is_applied = true;
    return OK;
}

static err_t open_api(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct web_sink *api = mem_alloc(sizeof *api);
    *api = (struct web_sink){.sink = at->sink, .web = at->web};
    *ret_applied = false; /* and if it was: it is the same again */
    *ret_state = api;
    return OK;
}

/* At most so many at a time; the first failure of one waits for the others. */
static SUSPENDS err_t deliver_some(struct web_sink *api, const struct batch *b, size_t *at)
{
    size_t most = api->sink->rules.concurrency ? api->sink->rules.concurrency : AT_ONCE_USUAL, count = 0;
    struct delivery *some = mem_alloc(most * sizeof *some);
    err_t e;

    {
        SCOPE(fibers, NS_NEVER);
        for (; *at < b->count && count < most; ++*at)
            if (!b->items[*at].is_applied) {
                some[count] = (struct delivery){api, &b->items[*at], 1};
                scope_spawn(&fibers, "pipeline delivery", deliver_one, &some[count++]);
            }
        e = scope_wait_all(&fibers);
    }
    mem_free(some);
    return e;
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct web_sink *api = state;
    const struct http_sink *c = api->sink->config;
    err_t last = OK;
    size_t at = 0;

    if (c->send != SEND_RECORDS)
        return web_sink_send(api, b->items, b->count, send_together);
    while (at < b->count) {
        err_t e = deliver_some(api, b, &at);
        if (e == E_CANCELLED)
            return e;
        last = e != OK ? e : last;
    }
    return last;
}

static SUSPENDS err_t reconcile(void *state, const struct batch_item *item, bool *ret_happened)
{
    const struct web_sink *api = state;

    return web_reconcile(api->web, api->sink, item, ret_happened);
}

static void close_api(void *state)
{
    mem_free(state);
}

static const struct sink_run sink_run = {.open = open_api, .apply = apply, .reconcile = reconcile, .close = close_api};

const struct sink_kind sink_kind_http = {
    .kind = {.name = "http", .fields = fields, .size = sizeof(struct http_sink), .traits = KIND_CALLS, .build = build},
    .rows = rows,
    .row = row,
    .run = &sink_run,
};
