/*
 * qdrant.c - vectors to a collection of Qdrant, by its HTTP API.
 *
 * Its ids are UUIDs or numbers. A text that is a UUID is taken as it is, with or without hyphens; of any other text one is made (its hash, in the shape
 * of version 8, RFC 9562), always the same. So points can be upserted again. A batch is one request; if it is refused for good, its halves are sent.
 *
 * Source: Qdrant's API reference, "Upsert points" (1.x).
 */
#include "codec/digest.h"
#include "pipeline/system/vector.h"
#include "pipeline/system/web_api.h"

#include <string.h>

struct qdrant_sink {
    struct schema_text collection, connection;
    struct vector_fields point;
};

static const struct schema_field qdrant_fields[] = {
    SCHEMA_TEXT("collection", struct qdrant_sink, collection, .required = true, .doc = "Collection."),
    VECTOR_FIELDS(struct qdrant_sink, point), CONNECTION_FIELD(struct qdrant_sink), SCHEMA_END};
static const struct schema_object qdrant_object = {.fields = qdrant_fields, .size = sizeof(struct qdrant_sink)};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("qdrant", &qdrant_object, .doc = "A collection of Qdrant."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct qdrant_sink *c = n->config;

    build_connection(b, n, &c->connection);
    vector_build(b, n, &c->point);
}

static const struct promise_row rows[] = {
    {.when = "",
     .promise = PROMISE_KEYED,
     .how = "a point's id is the same each time; upserted again, it changes nothing"},
    {0}};

/* --- running --- */

enum { PORT = 6333, BODY_MAX = 64 << 20, UUID_BYTES = 16 };

/* 32 hex digits, and hyphens wherever. */
static bool read_uuid(struct str text, unsigned char ret[UUID_BYTES])
{
    char digits[2 * UUID_BYTES];
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '-')
            continue;
        if (n == sizeof digits)
            return false;
        digits[n++] = text.p[i];
    }
    return n == sizeof digits && hex_decode(ret, UUID_BYTES, str_of(digits, n));
}

static void make_uuid(struct str text, unsigned char ret[UUID_BYTES])
{
    unsigned char hash[SHA256_BYTES];

    sha256(text, hash);
    memcpy(ret, hash, UUID_BYTES);
    ret[6] = (unsigned char)(0x80 | (ret[6] & 0x0f));
    ret[8] = (unsigned char)(0x80 | (ret[8] & 0x3f));
}

static err_t add_uuid(struct str id, struct buf *to)
{
    unsigned char bytes[UUID_BYTES];
    char hex[2 * UUID_BYTES];

    if (!read_uuid(id, bytes))
        make_uuid(id, bytes);
    hex_encode(hex, bytes, sizeof bytes);
    return buf_addf(to, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static err_t add_point(const struct vector_point *p, struct buf *to)
{
    TRY(buf_add(to, to->n ? STR(",{\"id\":\"") : STR("{\"points\":[{\"id\":\"")));
    TRY(add_uuid(p->id, to));
    TRY(buf_add(to, STR("\",\"vector\":")));
    TRY(expr_value_print(p->vector, to));
    if (p->has_payload) {
        TRY(buf_add(to, STR(",\"payload\":")));
        TRY(expr_value_print(p->payload, to));
    }
    return buf_add_char(to, '}');
}

static err_t add_item(const struct web_sink *w, const struct batch_item *item, struct buf *to)
{
    const struct qdrant_sink *c = w->sink->config;
    struct step s = web_sink_step(w, item);
    struct vector_point p;

    TRY(vector_point(&s, &c->point, &p));
    return add_point(&p, to);
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
    TRY(buf_add(&body, STR("]}")));
    TRY(web_api_ask(api, STR("PUT"), api->path, STR("application/json"), buf_str(&body), &arena, &a));
    for (size_t i = 0; i < count; i++)
        items[i].is_applied = true;
    return OK;
}

static SUSPENDS err_t make_ready(struct web_api *api, const struct sink_at *at)
{
    const struct qdrant_sink *c = at->sink->config;

    TRY(web_api_open(api, at, PORT));
    web_api_use_key(api, STR("api-key"));
    return web_api_set_path(api, "/collections/", c->collection.text, "/points?wait=true");
}

static SUSPENDS err_t open_collection(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    return web_api_start(at, make_ready, ret_applied, ret_state);
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct web_api *api = state;

    return web_sink_send(&api->sink, b->items, b->count, send_items);
}

static const struct sink_run sink_run = {.open = open_collection, .apply = apply, .close = web_api_stop};

const struct sink_kind sink_kind_qdrant = {
    .kind = {.name = "qdrant",
             .fields = fields,
             .size = sizeof(struct qdrant_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "qdrant",
             .usual_url = "http://127.0.0.1:6333",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
