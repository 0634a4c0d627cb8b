/* pipeline_s3_test.c - the object store as a sink, against a stand-in that verifies every signature, loses answers, and puts parts together. */
#include "pipe_world.h"

#include "base/map.h"
#include "codec/json_tree.h"
#include "codec/sigv4.h"
#include "codec/url.h"

#define PIPELINE(s3, more)                                                                                             \
    "pipeline: p\nconnections:\n  s3: {url: 's3://127.0.0.1:8080/bucket', username: AKID, password: s3cr3t}\n"         \
    "sources:\n  in: {files: {path: /in, follow: false}}\nsinks:\n  out: {from: in, s3: " s3 more "}\n"

enum { LONG = 3600, UPLOADS_MAX = 4, PARTS_MAX = 16 };

struct upload {
    struct str key, parts[PARTS_MAX];
};

static struct {
    struct map objects; /* struct str *, by key */
    struct upload uploads[UPLOADS_MAX];
    size_t upload_count;
    unsigned bad_signatures, loses; /* loses: one answer of so many, before or after it did what was asked; 0: none */
    unsigned unwilling;             /* to tell what is there, the next so many times */
} store;

static void begin(struct pipe_world *w, answer_fn *answer, int count)
{
    struct buf in CLEANUP(buf_release) = BUF_INIT(1 << 20);

    memset(&store, 0, sizeof store);
    for (int i = 1; i <= count; i++)
        CHECK_OK(buf_addf(&in, "{\"n\":%d,\"day\":\"day %d\"}\n", i, i / 10));
    sim_world_put_file(w->sim, "/in", in.p, in.n);
    w->answer = answer;
}

static struct str object(struct str key)
{
    const struct str *text = map_get(&store.objects, key);

    return text ? *text : STR_NONE;
}

static void keep(struct pipe_world *w, struct str key, struct str text)
{
    struct str *kept = arena_new(&w->arena, struct str);

    *kept = arena_str(&w->arena, text);
    (void)map_put(&store.objects, arena_str(&w->arena, key), kept);
}

static bool is_signed(const struct http_request *r, struct str body)
{
    struct sigv4_claim claim;
    unsigned char hash[SHA256_BYTES];

    sha256(body, hash);
    const struct sigv4_request q = {.method = r->head.method,
                                    .host = r->head.host,
                                    .path = r->head.path,
                                    .query = r->head.query,
                                    .headers = r->head.headers,
                                    .header_count = r->head.count,
                                    .body_hash = hash};
    return sigv4_read(http_request_header(r, STR("authorization")), &claim) == OK &&
           str_eq(claim.access_key, STR("AKID")) && str_eq(claim.service, STR("s3")) &&
           str_eq(claim.region, STR("us-east-1")) &&
           http_request_header(r, STR("x-amz-content-sha256")).n == SHA256_HEX &&
           sigv4_verify(r->arena, &q, &claim, STR("s3cr3t"), rt_wall() / NS_SEC) == OK;
}

static int begin_upload(struct pipe_world *w, struct http_request *r, struct str key, struct str *ret)
{
    store.uploads[store.upload_count] = (struct upload){.key = arena_str(&w->arena, key)};
    *ret = arena_printf(r->arena, "<R><UploadId>up/%zu</UploadId></R>", store.upload_count++);
    return 200;
}

static int put_part(struct pipe_world *w, struct http_request *r, struct upload *u, struct str body)
{
    uint64_t number = 0;

    if (!str_to_u64(url_query_get(r->head.query, STR("partNumber"), r->arena), PARTS_MAX - 1, &number))
        return 400;
    u->parts[number] = arena_str(&w->arena, body);
    w->reply_header = (struct http_header){STR("etag"), arena_printf(&w->arena, "\"etag-%d\"", (int)number)};
    return 200;
}

/* The parts that the request names, in its order. */
static int end_upload(struct pipe_world *w, struct http_request *r, struct upload *u, struct str body, struct str *ret)
{
    struct str whole = STR("");

    if (sim_world_draw(w->sim, 3) == 0) {
        *ret = STR("<Error><Code>InternalError</Code></Error>"); /* with status 200, as S3 may do it */
        return 200;
    }
    for (int i = 1; i < PARTS_MAX && u->parts[i].p; i++) {
        struct str want =
            arena_printf(r->arena, "<Part><PartNumber>%d</PartNumber><ETag>\"etag-%d\"</ETag></Part>", i, i);
        if (str_find(body, want) == body.n)
            return 400;
        whole = arena_join(r->arena, whole, u->parts[i]);
    }
    keep(w, u->key, whole);
    *ret = STR("<R><ETag>x</ETag></R>");
    return 200;
}

static int do_it(struct pipe_world *w, struct http_request *r, struct str key, struct str body, struct str *ret)
{
    struct str id = url_query_get(r->head.query, STR("uploadId"), r->arena);
    struct upload *u = NULL;

    w->reply_header = (struct http_header){0};
    for (size_t i = 0; i < store.upload_count; i++)
        if (str_eq(id, arena_printf(r->arena, "up/%zu", i)))
            u = &store.uploads[i];
    if (str_eq(r->head.method, STR("HEAD")))
        return object(key).p ? 200 : 404;
    if (str_eq(r->head.method, STR("POST")))
        return u ? end_upload(w, r, u, body, ret) : begin_upload(w, r, key, ret);
    if (u)
        return put_part(w, r, u, body);
    keep(w, key, body);
    return 200;
}

static int s3(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    struct str key;
    bool loses = store.loses && sim_world_draw(w->sim, store.loses) == 0, before = sim_world_draw(w->sim, 2);

    if (!is_signed(r, body) || !str_starts(r->head.path, STR("/bucket/")) ||
        url_decode(str_slice(r->head.path, 8, r->head.path.n), r->arena, &key) != OK) {
        store.bad_signatures++;
        return 403;
    }
    if (loses && before)
        return sim_world_draw(w->sim, 2) ? 503 : 0;
    int status = do_it(w, r, key, body, ret);
    return loses ? 0 : status;
}

/* What readers see: the records of all objects that a manifest names, which is checked against them; in `to`. */
static void read_store(struct pipe_world *w, struct buf *to)
{
    const struct json_tree *tree;
    struct str key;
    void *value;
    size_t at = 0;

    while (map_next(&store.objects, &at, &key, &value)) {
        if (!str_ends(key, STR(".manifest.json")))
            continue;
        CHECK_OK(json_tree_parse(&w->arena, str_trim(str_slice(object(key), 0, object(key).n - 1)), &tree));
        struct json_node root = json_tree_root(tree);
        struct str text = object(json_node_text(json_node_get(root, STR("object")), &w->arena));
        unsigned char hash[SHA256_BYTES];
        char hex[SHA256_HEX];
        int64_t bytes = 0, records = 0, lines = 0;
        CHECK(json_node_i64(json_node_get(root, STR("bytes")), &bytes));
        CHECK(json_node_i64(json_node_get(root, STR("records")), &records));
        sha256(text, hash);
        hex_encode(hex, hash, sizeof hash);
        struct str told = json_node_text(json_node_get(root, STR("sha256")), &w->arena);
        for (size_t i = 0; i < text.n; i++)
            lines += text.p[i] == '\n';
        CHECK(str_eq(told, str_of(hex, sizeof hex)));
        CHECK_EQ((size_t)bytes, text.n);
        CHECK_EQ(records, lines);
        CHECK_OK(buf_add(to, text));
    }
}

static void check_each_once(struct pipe_world *w, int count)
{
    struct buf all CLEANUP(buf_release) = BUF_INIT(64 << 20);

    read_store(w, &all);
    CHECK_OK(buf_add_char(&all, '\0'));
    for (int i = 1; i <= count; i++) {
        const char *needle = arena_printf(&w->arena, "{\"n\":%d,%c", i, 0).p, *first = strstr(all.p, needle);
        CHECK_MSG(first, "%d is missing", i);
        CHECK_MSG(!strstr(first + 1, needle), "%d is there twice", i);
    }
}

PIPE_TEST(s3_sink_writes_an_object_and_its_manifest, PIPELINE("'cases of/{{.day}}/'", ", batch: 100"))
{
    begin(w, s3, 3);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(store.bad_signatures, 0);
    CHECK_EQ(store.objects.count, 2);
    CHECK_STR(object(STR("cases of/day 0/p-out-0-000000000001.ndjson")),
              "{\"n\":1,\"day\":\"day 0\"}\n{\"n\":2,\"day\":\"day 0\"}\n{\"n\":3,\"day\":\"day 0\"}\n");
    check_each_once(w, 3);
    map_release(&store.objects);
}

PIPE_TEST(s3_sink_writes_each_record_once_however_often_it_is_killed, PIPELINE("'x/{{.day}}/'", ", batch: 9"))
{
    enum { COUNT = 200 };

    begin(w, s3, COUNT);
    store.loses = 5;
    CHECK(run_and_kill(w, 8) > 3);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(store.bad_signatures, 0);
    CHECK_EQ(w->stats.dead, 0);
    check_each_once(w, COUNT);
    map_release(&store.objects);
}

/* A store that is busy when it is asked what became of a batch. */
static int tell_reluctantly(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    if (str_eq(r->head.method, STR("HEAD")) && store.unwilling) {
        store.unwilling--;
        return 503;
    }
    return s3(w, r, body, ret);
}

PIPE_TEST(s3_sink_asks_again_what_became_of_a_batch, PIPELINE("x/", ""))
{
    begin(w, tell_reluctantly, 5);
    w->kill_at = 2; /* when all is written */
    run_for(w, LONG * NS_SEC);
    CHECK(w->result != OK);
    CHECK_EQ(store.objects.count, 2);
    store.unwilling = 5;
    run_for(w, LONG * NS_SEC);
    CHECK_OK(w->result);
    CHECK_EQ(store.unwilling, 0);
    CHECK(!w->is_failing);
    CHECK_EQ(store.objects.count, 2);
    check_each_once(w, 5);
    map_release(&store.objects);
}

PIPE_TEST(s3_sink_sends_long_objects_in_parts,
          PIPELINE("{prefix: x/, part: 5MiB}", ", batch: {max: 100, bytes: 64MiB, linger: 1m}"))
{
    enum { LINE = 1000000, LINES = 11 };
    struct buf in CLEANUP(buf_release) = BUF_INIT(64 << 20);

    begin(w, s3, 0);
    for (int i = 1; i <= LINES; i++) {
        CHECK_OK(buf_addf(&in, "{\"n\":%d,\"x\":\"", i));
        for (int k = 0; k < LINE; k++)
            CHECK_OK(buf_add_char(&in, (char)('a' + (k * 7 + i) % 26)));
        CHECK_OK(buf_add(&in, STR("\"}\n")));
    }
    sim_world_put_file(w->sim, "/in", in.p, in.n);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK(store.upload_count >= 1);
    CHECK(store.uploads[0].parts[1].n == 5 << 20 && store.uploads[0].parts[2].p);
    CHECK_EQ(store.bad_signatures, 0);
    check_each_once(w, LINES);
    map_release(&store.objects);
}

PIPE_TEST(s3_sink_refuses_records_that_have_no_place, PIPELINE("'{{if .n > 2 then \"ok\" else .n.x end}}/'", ""))
{
    begin(w, s3, 4);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.dead, 2);
    CHECK_EQ(w->stats.emitted, 2);
    map_release(&store.objects);
}

static int refuse_at_first(struct pipe_world *w, struct http_request *r, struct str body, struct str *ret)
{
    return w->asked < 4 ? 403 : s3(w, r, body, ret);
}

PIPE_TEST(s3_sink_waits_until_the_store_lets_it_in, PIPELINE("x/", ""))
{
    begin(w, refuse_at_first, 5);
    run_for(w, LONG * NS_SEC);
    CHECK_EQ(w->result, OK);
    CHECK_EQ(w->stats.dead, 0);
    check_each_once(w, 5);
    map_release(&store.objects);
}
