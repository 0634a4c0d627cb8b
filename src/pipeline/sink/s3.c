/*
 * s3.c - batches of records to an object store that speaks S3's API: an object for each batch, and a manifest that is written last.
 *
 * The object of a batch is called by the batch's number, and so is its manifest, beside it. An object counts once its manifest is there. So a batch that a crash
 * broke off is either there with its manifest, which is seen when the sink is opened, or is written again under the same name, perhaps with other
 * records in it, which nobody has seen yet. What is longer than a part goes over in parts.
 *
 * Source: Amazon S3's API reference: PutObject, HeadObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload. Buckets stand in the path, as all
 * stores of this kind can have it.
 *
 * Not here: bodies signed in chunks, storage classes, and clearing away what broken off uploads leave behind (a life cycle rule of the bucket does that).
 */
#include "base/mem.h"
#include "codec/sigv4.h"
#include "codec/url.h"
#include "codec/xml.h"
#include "pipeline/spec/build.h"
#include "pipeline/system/web_api.h"
#include "rt/loop.h"

struct s3_sink {
    struct schema_text prefix, region, connection;
    uint64_t part;
    const struct template *prefix_text;
};

static const struct schema_field s3_fields[] = {
    SCHEMA_TEXT(
        "prefix", struct s3_sink, prefix, .required = true,
        .doc =
            "What names of objects begin with; may hold expressions over the batch's first record: `cases/{{.day}}/`."),
    SCHEMA_TEXT("region", struct s3_sink, region, .default_text = "us-east-1",
                .doc = "Of the bucket; the key's id and secret are `username` and `password` of the connection."),
    SCHEMA_SIZE("part", struct s3_sink, part, .default_text = "16MiB", .min = "5MiB", .max = "64MiB",
                .doc = "A longer object goes over in parts of this size."),
    CONNECTION_FIELD(struct s3_sink), SCHEMA_END};
static const struct schema_object s3_object = {
    .fields = s3_fields, .size = sizeof(struct s3_sink), .shorthand = "prefix"};
static const struct schema_field fields[] = {
    SCHEMA_OBJECT_HERE("s3", &s3_object, .doc = "Objects of an S3-compatible store, of a batch each."), SCHEMA_END};

static void build(struct pipeline_build *b, struct pipeline_node *n)
{
    struct s3_sink *c = n->config;

    build_connection(b, n, &c->connection);
    c->prefix_text = build_template(b, n, &c->prefix);
    build_reads(b, n, STR("."));
}

static const struct promise_row rows[] = {{.when = "",
                                           .promise = PROMISE_KEYED,
                                           .how = "a batch's object has the same name each time, and counts only once "
                                                  "the manifest, which is written last, names it"},
                                          {0}};

/* --- a request --- */

enum { ANSWER_MAX = 1 << 20, NAME_MAX_BYTES = 1024, OBJECT_MAX = 1 << 30, HEADERS_OWN = SIGV4_HEADERS_ADDED + 1 };

struct store {
    struct web_sink sink;
    struct reach reach;
    struct str pipeline; /* these are in the reach's arena */
    struct str origin, host, path;
    uint32_t shard;
};

/* What is asked of the store: about an object, with a query perhaps. */
struct request {
    struct str method, key, query, body;
};

/* The host as it is signed: with its port, unless that is the usual one. */
static struct str host_of(const struct reach *r, struct arena *a)
{
    const char *left = r->url.is_ipv6 ? "[" : "", *right = r->url.is_ipv6 ? "]" : "";

    if (r->at.port == (r->at.secure ? 443 : 80))
        return arena_printf(a, "%s%.*s%s", left, STR_ARG(r->at.host), right);
    return arena_printf(a, "%s%.*s%s:%u", left, STR_ARG(r->at.host), right, r->at.port);
}

static err_t sign(const struct store *s, const struct request *r, struct str path, struct arena *a,
                  struct http_header headers[HEADERS_OWN], size_t *ret_count)
{
    const struct s3_sink *c = s->sink.sink->config;
    unsigned char hash[SHA256_BYTES];

    sha256(r->body, hash);
    headers[0] = (struct http_header){STR("host"), s->host};
    const struct sigv4_key key = {.access_key = s->sink.sink->connection->username,
                                  .secret = secret_reveal(&s->reach.password),
                                  .region = c->region.text,
                                  .service = STR("s3"),
                                  .hash_header = true};
    const struct sigv4_request signing = {
        .method = r->method, .host = s->host, .path = path, .query = r->query, .body_hash = hash};
    TRY(sigv4_sign(a, &signing, &key, rt_wall() / NS_SEC, headers + 1, ret_count));
    ++*ret_count;
    return OK;
}

/* Ask; any answer is one. */
static SUSPENDS err_t ask(struct store *s, const struct request *r, struct arena *a, struct web_question *ret_q,
                          struct web_answer *ret)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(4 * NAME_MAX_BYTES);
    struct http_header *headers = arena_alloc(a, HEADERS_OWN * sizeof *headers);
    size_t count;

    TRY(buf_add(&path, s->path));
    TRY(buf_add_char(&path, '/'));
    TRY(url_encode_path(&path, r->key));
    struct str coded = arena_str(a, buf_str(&path));
    TRY(sign(s, r, coded, a, headers, &count));
    struct str url = arena_join(a, s->origin, coded);
    *ret_q =
        (struct web_question){.method = r->method,
                              .url = r->query.n ? arena_printf(a, "%.*s?%.*s", STR_ARG(url), STR_ARG(r->query)) : url,
                              .headers = headers,
                              .header_count = count,
                              .body = r->body,
                              .max_answer = ANSWER_MAX,
                              .tls = s->reach.at.tls};
    return web_sink_ask(&s->sink, ret_q, a, ret);
}

/* Nothing that a store refuses is a record's fault: what it says is waited out. */
static err_t check(const struct web_question *q, const struct web_answer *a)
{
    err_t e = web_sink_check(q, a);

    return web_sink_is_final(e) ? fail(E_UPSTREAM, "%s", err_detail(e)) : e;
}

static SUSPENDS err_t ask_well(struct store *s, const struct request *r, struct arena *a, struct web_answer *ret)
{
    struct web_question q;

    TRY(ask(s, r, a, &q, ret));
    return check(&q, ret);
}

/* --- an object --- */

static SUSPENDS err_t begin_parts(struct store *s, struct str key, struct arena *a, struct str *ret_upload)
{
    const struct request r = {.method = STR("POST"), .key = key, .query = STR("uploads="), .body = STR("")};
    struct buf id CLEANUP(buf_release) = BUF_INIT(NAME_MAX_BYTES),
                  coded CLEANUP(buf_release) = BUF_INIT(4 * NAME_MAX_BYTES);
    struct web_answer answer;

    TRY(ask_well(s, &r, a, &answer));
    if (xml_text(answer.body, STR("UploadId"), &id) != OK)
        return fail(E_PROTOCOL, "the store has begun no upload: %.*s", STR_ARG(str_slice(answer.body, 0, 200)));
    TRY(url_encode(&coded, buf_str(&id)));
    *ret_upload = arena_str(a, buf_str(&coded));
    return OK;
}

/* Send one part, and note what the store calls it. */
static SUSPENDS err_t put_part(struct store *s, struct str key, struct str upload, unsigned number, struct str part,
                               struct buf *noted)
{
    struct arena a CLEANUP(arena_release);
    struct web_answer answer;

    arena_init(&a, SIZE_MAX);
    const struct request r = {.method = STR("PUT"),
                              .key = key,
                              .query = arena_printf(&a, "partNumber=%u&uploadId=%.*s", number, STR_ARG(upload)),
                              .body = part};
    TRY(ask_well(s, &r, &a, &answer));
    struct str tag = http_head_find(answer.head, STR("etag"));
    if (!tag.n)
        return fail(E_PROTOCOL, "the store has not named part %u", number);
    return buf_addf(noted, "<Part><PartNumber>%u</PartNumber><ETag>%.*s</ETag></Part>", number, STR_ARG(tag));
}

static SUSPENDS err_t put_in_parts(struct store *s, struct str key, struct str text, struct arena *a)
{
    const struct s3_sink *c = s->sink.sink->config;
    struct buf noted CLEANUP(buf_release) = BUF_INIT(1 << 20), code CLEANUP(buf_release) = BUF_INIT(NAME_MAX_BYTES);
    struct web_answer answer;
    struct str upload;
    unsigned number = 1;

    TRY(begin_parts(s, key, a, &upload));
    TRY(buf_add(&noted, STR("<CompleteMultipartUpload>")));
    for (size_t at = 0; at < text.n; at += c->part)
        TRY(put_part(s, key, upload, number++, str_slice(text, at, at + c->part), &noted));
    TRY(buf_add(&noted, STR("</CompleteMultipartUpload>")));
    const struct request r = {.method = STR("POST"),
                              .key = key,
                              .query = arena_printf(a, "uploadId=%.*s", STR_ARG(upload)),
                              .body = buf_str(&noted)};
    TRY(ask_well(s, &r, a, &answer));
    if (xml_text(answer.body, STR("Code"), &code) == OK) /* with status 200: it has failed while it answered */
        return fail(E_UPSTREAM, "the store has not put the parts together: %.*s", STR_ARG(buf_str(&code)));
    return OK;
}

static SUSPENDS err_t put_object(struct store *s, struct str key, struct str text)
{
    const struct s3_sink *c = s->sink.sink->config;
    const struct request r = {.method = STR("PUT"), .key = key, .body = text};
    struct arena a CLEANUP(arena_release);
    struct web_answer answer;

    arena_init(&a, SIZE_MAX);
    return text.n > c->part ? put_in_parts(s, key, text, &a) : ask_well(s, &r, &a, &answer);
}

/* --- a batch --- */

static struct str name_of(const struct store *s, struct str prefix, uint64_t seq, const char *ending, struct arena *a)
{
    return arena_printf(a, "%.*s%.*s-%.*s-%u-%012llu.%s", STR_ARG(prefix), STR_ARG(s->pipeline),
                        STR_ARG(s->sink.sink->name), s->shard, (unsigned long long)seq, ending);
}

/*
 * What the names of the batch's objects begin with, by the first record of which that can be said; those before it are refused. *ret_first: which that is;
 * b->count: there is none.
 */
static err_t choose_prefix(const struct store *s, const struct batch *b, struct str *ret, size_t *ret_first)
{
    const struct s3_sink *c = s->sink.sink->config;

    *ret = STR("");
    for (*ret_first = 0; *ret_first < b->count; ++*ret_first) {
        struct batch_item *item = &b->items[*ret_first];
        struct step step = web_sink_step(&s->sink, item);
        err_t e = step_render(&step, c->prefix_text, NAME_MAX_BYTES / 2, ret);
        if (e == OK || !web_sink_is_final(e))
            return e;
        web_sink_refuse(&s->sink, item, e);
    }
    return OK;
}

/* The prefix is remembered, because after a crash the first record may be another one. */
static err_t intend(void *state, const struct batch *b, struct arena *arena, struct str *ret)
{
    struct str prefix;
    size_t first;

    TRY(choose_prefix(state, b, &prefix, &first));
    *ret = arena_str(arena, prefix);
    return OK;
}

static err_t make_manifest(struct str key, struct str text, size_t records, struct buf *to)
{
    unsigned char hash[SHA256_BYTES];
    char hex[SHA256_HEX];

    sha256(text, hash);
    hex_encode(hex, hash, sizeof hash);
    TRY(buf_add(to, STR("{\"object\":\"")));
    TRY(buf_add_json(to, key));
    return buf_addf(to, "\",\"records\":%zu,\"bytes\":%zu,\"sha256\":\"%.*s\"}\n", records, text.n, SHA256_HEX, hex);
}

static SUSPENDS err_t apply(void *state, const struct batch *b)
{
    struct store *s = state;
    struct buf text CLEANUP(buf_release) = BUF_INIT(OBJECT_MAX), manifest CLEANUP(buf_release) = BUF_INIT(1 << 16);
    struct arena a CLEANUP(arena_release);
    struct str prefix;
    size_t first;

    arena_init(&a, SIZE_MAX);
    TRY(choose_prefix(s, b, &prefix, &first));
    if (first == b->count)
        return OK;
    for (size_t i = first; i < b->count; i++) {
        TRY(buf_add(&text, b->items[i].text));
        TRY(buf_add_char(&text, '\n'));
    }
    struct str key = name_of(s, prefix, b->seq, "ndjson", &a);
    TRY(put_object(s, key, buf_str(&text)));
    TRY(make_manifest(key, buf_str(&text), b->count - first, &manifest));
    return put_object(s, name_of(s, prefix, b->seq, "manifest.json", &a), buf_str(&manifest));
}

/* --- its life --- */

/* Is the manifest of the batch there that was begun? */
static SUSPENDS err_t find_manifest(struct store *s, const struct sink_at *at, bool *ret)
{
    struct arena a CLEANUP(arena_release);
    struct web_question q;
    struct web_answer answer;

    arena_init(&a, SIZE_MAX);
    const struct request r = {
        .method = STR("HEAD"), .key = name_of(s, at->intent, at->seq, "manifest.json", &a), .body = STR_NONE};
    TRY(ask(s, &r, &a, &q, &answer));
    *ret = answer.status == 200;
    return answer.status == 404 ? OK : check(&q, &answer);
}

static SUSPENDS err_t make_ready(struct store *s, const struct sink_at *at, bool *ret_applied)
{
    struct arena *a = &s->reach.arena;

    TRY(reach_open(at->sink->connection, 0, STR("s3s"), &s->reach));
    if (!s->reach.at.port)
        s->reach.at.port = s->reach.at.secure ? 443 : 80;
    s->host = host_of(&s->reach, a);
    s->origin = arena_printf(a, "%s://%.*s", s->reach.at.secure ? "https" : "http", STR_ARG(s->host));
    s->path = s->reach.url.path;
    while (str_ends(s->path, STR("/")))
        s->path.n--;
    s->pipeline = arena_str(a, at->pipeline);
    *ret_applied = false;
    return at->is_open ? find_manifest(s, at, ret_applied) : OK;
}

static void close_store(void *state)
{
    struct store *s = state;

    reach_release(&s->reach);
    mem_free(s);
}

static SUSPENDS err_t open_store(const struct sink_at *at, bool *ret_applied, void **ret_state)
{
    struct store *s = NEW(struct store);

    s->sink = (struct web_sink){.sink = at->sink, .web = at->web};
    s->shard = at->shard;
    err_t e = make_ready(s, at, ret_applied);
    if (e != OK) {
        close_store(s);
        return e;
    }
    *ret_state = s;
    return OK;
}

static const struct sink_run sink_run = {.open = open_store, .intend = intend, .apply = apply, .close = close_store};

const struct sink_kind sink_kind_s3 = {
    .kind = {.name = "s3",
             .fields = fields,
             .size = sizeof(struct s3_sink),
             .traits = KIND_CALLS | KIND_CONNECTS,
             .scheme = "s3",
             .usual_url = "s3://127.0.0.1:9000/crossdock",
             .build = build},
    .rows = rows,
    .run = &sink_run,
};
