/* pipeline_vectors_test.c - sinks that keep vectors, against stand-ins made from the descriptions of their APIs: a store by id that checks what it is given. */
#include "pipe_world.h"

#include "base/map.h"
#include "codec/json_tree.h"

#define PIPELINE(sink)                                                                                                 \
    "pipeline: p\ndelivery: at_least_once\nconnections:\n"                                                             \
    "  qdrant: {url: 'http://127.0.0.1:8080/base/', password: k3y}\n"                                                  \
    "  opensearch: {url: 'http://127.0.0.1:8080', username: me, password: 'p:w'}\n"                                    \
    "sources:\n  in: {files: {path: /in, follow: false}}\nsinks:\n  out: {from: in, " sink "}\n"

enum { LONG = 3600, DIM = 2 };

static struct map points; /* texts in the world's arena, by id */
static const char *wanted_path;
static const char *wanted_key[2];

static void begin(struct pipe_world *w, answer_fn *answer, const char *in)
{
    points = (struct map){0};
    put_file(w, "/in", in);
    w->answer = answer;
}

static struct str point(const char *id)
{
    const struct str *text = map_get(&points, str_from_c(id));

    return text ? *text : STR_NONE;
}

static void keep(struct pipe_world *w, struct str id, struct str text)
{
    struct str *kept = arena_new(&w->arena, struct str);

    *kept = arena_str(&w->arena, text);
    (void)map_put(&points, arena_str(&w->arena, id), kept);
}

static bool is_allowed(const struct http_request *r)
{
    return str_eq(http_request_header(r, str_from_c(wanted_key[0])), str_from_c(wanted_key[1])) &&
           str_eq(r->head.target, str_from_c(wanted_path));
}

/* ---- Qdrant ---- */

static bool is_uuid(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_hyphen ? id.p[i] != '-' : !strchr("0123456789abcdef", id.p[i]))
            return false;
    }
    return id.n == 36;
}

/* All of it or nothing, as it does. */
static int qdrant(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    const struct json_tree *tree;

    if (!is_allowed(r) || !str_eq(r->head.method, STR("PUT")))
        return 403;
    if (json_tree_parse(r->arena, body, &tree) != OK)
        return 400;
    for (int pass = 0; pass < 2; pass++)
        JSON_EACH(p, json_node_get(json_tree_root(tree), STR("points"))) {
            struct str id = json_node_text(json_node_get(p.value, STR("id")), r->arena);
            if (!is_uuid(id) || json_node_count(json_node_get(p.value, STR("vector"))) != DIM) {
                *ret = STR("{\"status\":{\"error\":\"Wrong input\"}}");
                return 400;
            }
            if (pass)
                keep(w, id, json_node_raw(p.value));
        }
    *ret = STR("{\"status\":\"ok\"}");
    return 200;
}

static void expect_qdrant(void)
{
    wanted_path = "/base/collections/my%20docs/points?wait=true";
    wanted_key[0] = "api-key";
    wanted_key[1] = "k3y";
}

PIPE_TEST(qdrant_sink_upserts_points_by_ids_that_are_always_the_same,
          PIPELINE("qdrant: {collection: my docs, id: '{{.id}}', vector: .v, payload: '{t: .t}'}"))
{
    expect_qdrant();
    begin(w, qdrant,
          "{\"id\":\"a\",\"v\":[1,2],\"t\":\"x\"}\n{\"id\":\"b\",\"v\":[3,4]}\n{\"id\":\"a\",\"v\":[5,6],\"t\":\"y\"}\n"
          "{\"id\":\"67E55044-10b1-426f-9247-bb680e5fe0c8\",\"v\":[7,8]}\n");
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.emitted, 4);
    CHECK_EQ(points.count, 3);
    CHECK_STR(point("67e55044-10b1-426f-9247-bb680e5fe0c8"),
              "{\"id\":\"67e55044-10b1-426f-9247-bb680e5fe0c8\",\"vector\":[7,8],\"payload\":{\"t\":null}}");
    /* SHA-256 of "a" in the shape of a UUID of version 8. */
    CHECK_STR(point("ca978112-ca1b-8dca-bac2-31b39a23dc4d"),
              "{\"id\":\"ca978112-ca1b-8dca-bac2-31b39a23dc4d\",\"vector\":[5,6],\"payload\":{\"t\":\"y\"}}");
    map_release(&points);
}

PIPE_TEST(qdrant_sink_makes_dead_letters_of_just_those_that_are_to_blame,
          PIPELINE("qdrant: {collection: my docs, vector: .}"))
{
    expect_qdrant();
    begin(w, qdrant, "[1,2]\n[1]\n[3,4]\n\"no vector\"\n[5,6]\n[1,2,3]\n[\"a\",1]\n[]\n");
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.emitted, 3);
    CHECK_EQ(w->stats.dead, 5);
    CHECK_EQ(points.count, 3);
    struct str dead = dead_letters(w);
    CHECK(str_find(dead, STR("PARSE out: the vector is no array, but a string\n\"no vector\"")) < dead.n);
    CHECK(str_find(dead, STR("something at 0 that is no number\n[\"a\",1]")) < dead.n);
    CHECK(str_find(
              dead,
              STR("FORBIDDEN out: PUT was answered with status 400: {\"status\":{\"error\":\"Wrong input\"}}\n[1]")) <
          dead.n);
    map_release(&points);
}

PIPE_TEST(qdrant_sink_knows_the_dimensions, PIPELINE("qdrant: {collection: my docs, vector: ., dim: 2}"))
{
    expect_qdrant();
    begin(w, qdrant, "[1]\n[1,2]\n");
    run_for(w, LONG * NS_SEC);
    CHECK_STR(dead_letters(w), "PARSE out: the vector has 1 dimensions, the index 2\n[1]\n");
    CHECK_EQ(w->asked, 1);
    map_release(&points);
}

static int not_there_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    return w->asked < 4 ? 404 : qdrant(w, r, body, ret);
}

PIPE_TEST(qdrant_sink_waits_for_a_collection_that_is_not_there, PIPELINE("qdrant: {collection: my docs, vector: .}"))
{
    expect_qdrant();
    begin(w, not_there_at_first, "[1,2]\n");
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->stats.emitted, 1);
    CHECK_EQ(w->stats.dead, 0);
    map_release(&points);
}

/* ---- OpenSearch ---- */

/* Documents are indexed one by one: one with "bad" is refused, every third try of any other is too much for now. */
static int opensearch(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    struct buf told CLEANUP(buf_release) = BUF_INIT(1 << 20);

    if (!is_allowed(r) || !str_eq(http_request_header(r, STR("content-type")), STR("application/x-ndjson")))
        return 403;
    (void)buf_add(&told, STR("{\"took\":1,\"errors\":true,\"items\":["));
    while (body.n) {
        struct str action = str_cut(&body, '\n'), text = str_cut(&body, '\n');
        const struct json_tree *tree, *document;
        if (json_tree_parse(r->arena, action, &tree) != OK || json_tree_parse(r->arena, text, &document) != OK)
            return 400;
        struct json_node id = json_node_get(json_node_get(json_tree_root(tree), STR("index")), STR("_id"));
        bool is_bad = !json_is_absent(json_node_get(json_tree_root(document), STR("bad")));
        bool is_busy = !is_bad && sim_world_draw(w->sim, 3) == 0;
        if (!is_bad && !is_busy)
            keep(w, json_node_text(id, r->arena), text);
        (void)buf_addf(&told, "%s{\"index\":{\"status\":%d,\"error\":{\"reason\":\"so it is\"}}}",
                       str_ends(buf_str(&told), STR("[")) ? "" : ",",
                       is_bad    ? 400
                       : is_busy ? 429
                                 : 201);
    }
    (void)buf_add(&told, STR("]}"));
    *ret = arena_str(r->arena, buf_str(&told));
    return 200;
}

PIPE_TEST(opensearch_sink_settles_each_document_by_itself,
          PIPELINE("opensearch: {index: docs, id: '{{.id}}', vector: .v, payload: .p}, batch: 7"))
{
    struct buf in CLEANUP(buf_release) = BUF_INIT(1 << 20);
    enum { COUNT = 50 };

    wanted_path = "/docs/_bulk";
    wanted_key[0] = "authorization";
    wanted_key[1] = "Basic bWU6cDp3";
    for (int i = 0; i < COUNT; i++)
        CHECK_OK(buf_addf(&in, "{\"id\":\"%d\\\"\",\"v\":[%d],\"p\":{\"%s\":1}}\n", i, i, i % 10 ? "good" : "bad"));
    CHECK_OK(buf_add(&in, STR("{\"id\":\"x\",\"v\":[1],\"p\":2}\n")));
    CHECK_OK(buf_add_char(&in, '\0'));
    begin(w, opensearch, in.p);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.dead, COUNT / 10 + 1);
    CHECK_EQ(w->stats.emitted, COUNT - COUNT / 10);
    CHECK_EQ(points.count, COUNT - COUNT / 10);
    CHECK_STR(point("7\""), "{\"good\":1,\"embedding\":[7]}");
    struct str dead = dead_letters(w);
    CHECK(str_find(dead, STR("FORBIDDEN out: it was answered with status 400: so it is\n{\"id\":\"0\\\"\"")) < dead.n);
    CHECK(str_find(dead, STR("PARSE out: the payload of a document is an object, not a number\n{\"id\":\"x\"")) <
          dead.n);
    map_release(&points);
}

static int nonsense_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    static const char *const nonsense[] = {"", "no JSON", "{}", "{\"items\":[]}", "{\"items\":[{}]}"};
    (void)r;
    (void)body;
    *ret = str_from_c(w->asked <= ARRAY_LEN(nonsense) ? nonsense[w->asked - 1]
                                                      : "{\"items\":[{\"index\":{\"status\":201}}]}");
    return 200;
}

PIPE_TEST(opensearch_sink_believes_no_answer_that_does_not_tell_of_every_document,
          PIPELINE("opensearch: {index: docs, vector: .}"))
{
    begin(w, nonsense_at_first, "[1,2]\n");
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.emitted, 1);
    CHECK_EQ(w->asked, 6);
    map_release(&points);
}
