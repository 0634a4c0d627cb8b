/* subject_test.c - schemas by subject and version: what a registry is asked, what its answers mean, and how pipelines come by them. */
#include "pipeline/system/subject.h"

#include "base/mem.h"
#include "expr/expr.h"
#include "net_world.h"
#include "pipeline/spec/pipeline.h"

#define DRAFT "\"$schema\":\"http://json-schema.org/draft-07/schema#\""

/* ---- what is asked, and what is answered ---- */

TEST(subject_is_a_segment_of_the_path)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};

    CHECK_STR(subject_path(STR("intent"), 4, &a), "/subjects/intent/versions/4");
    CHECK_STR(subject_path(STR("intent"), 0, &a), "/subjects/intent/versions/latest");
    CHECK_STR(subject_path(STR("a/b c"), 0, &a), "/subjects/a%2Fb%20c/versions/latest");
}

TEST(subject_answer_is_a_version_and_a_schema)
{
    static const struct {
        const char *body, *schema;
    } cases[] = {
        {"{\"subject\":\"s\",\"version\":4,\"id\":9,\"schemaType\":\"JSON\",\"schema\":\"{\\\"type\\\":\\\"string\\\"}"
         "\"}",
         "{" DRAFT ",\"type\":\"string\"}"},
        {"{\"version\":4,\"schemaType\":\"JSON\",\"references\":[],\"schema\":\" { }\"}", "{" DRAFT "}"},
        {"{\"version\":4,\"schemaType\":\"JSON\",\"schema\":\"true\"}", "true"},
        {"{\"version\":4,\"schemaType\":\"JSON\",\"schema\":\"{\\\"$schema\\\":\\\"x\\\",\\\"type\\\":\\\"string\\\"}"
         "\"}",
         "{\"$schema\":\"x\",\"type\":\"string\"}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
        struct subject_version v;
        test_context("%s", cases[i].body);
        CHECK_OK(subject_read(STR("s"), 0, 200, str_from_c(cases[i].body), &a, &v));
        CHECK_EQ(v.number, 4);
        CHECK_STR(v.schema, cases[i].schema);
    }
}

TEST(subject_answer_that_is_no_schema_says_what_to_do)
{
    static const struct {
        int status;
        const char *body;
        err_t error;
        const char *words;
    } cases[] = {
        {404, "{\"error_code\":40401,\"message\":\"Subject 's' not found.\"}", E_NOT_FOUND,
         "there is no subject \"s\": register it, or correct the name"},
        {404, "{\"error_code\":40402,\"message\":\"Version 4 not found.\"}", E_NOT_FOUND,
         "the subject \"s\" has no version 4: name one that it has, or \"latest\""},
        {404, "<html>not here</html>", E_PROTOCOL, "answered with status 404, as no schema registry does"},
        {401, "{\"error_code\":40101,\"message\":\"Unauthorized\"}", E_AUTH, "\"username\" and \"password\""},
        {403, "", E_AUTH, "\"username\" and \"password\""},
        {500, "{\"error_code\":50001,\"message\":\"Error in the backend data store\"}", E_PROTOCOL, "status 500"},
        {200, "{\"version\":4,\"schema\":\"{}\"}", E_UNSUPPORTED, "version 4 of \"s\" is of type AVRO"},
        {200, "{\"version\":4,\"schemaType\":\"PROTOBUF\",\"schema\":\"x\"}", E_UNSUPPORTED, "of type PROTOBUF"},
        {200, "{\"version\":4,\"schemaType\":\"JSON\",\"schema\":\"{}\",\"references\":[{\"name\":\"x\"}]}",
         E_UNSUPPORTED, "version 4 of \"s\" refers to other subjects"},
        {200, "{\"version\":0,\"schemaType\":\"JSON\",\"schema\":\"{}\"}", E_PROTOCOL, "as no schema registry does"},
        {200, "{\"version\":5,\"schemaType\":\"JSON\",\"schema\":\"{}\"}", E_PROTOCOL, "as no schema registry does"},
        {200, "{\"version\":4,\"schemaType\":\"JSON\"}", E_PROTOCOL, "as no schema registry does"},
        {200, "[]", E_PROTOCOL, "as no schema registry does"},
        {200, "hello", E_PROTOCOL, "as no schema registry does"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
        struct subject_version v;
        test_context("%d %s", cases[i].status, cases[i].body);
        err_t e = subject_read(STR("s"), 4, cases[i].status, str_from_c(cases[i].body), &a, &v);
        CHECK_ERR(e, cases[i].error);
        CHECK_MSG(strstr(err_detail(e), cases[i].words) != NULL, "%s", err_detail(e));
    }
}

TEST(subject_schema_that_is_larger_than_a_file_may_be_is_refused)
{
    struct arena a CLEANUP(arena_release) = {.max = SIZE_MAX};
    struct buf body CLEANUP(buf_release) = BUF_INIT(4 << 20);
    struct subject_version v;

    buf_add_lit(&body, "{\"version\":1,\"schemaType\":\"JSON\",\"schema\":\"{");
    for (int i = 0; i < PIPELINE_FILE_MAX; i++)
        buf_add_char(&body, ' ');
    buf_add_lit(&body, "}\"}");
    CHECK_ERR(subject_read(STR("s"), 0, 200, buf_str(&body), &a, &v), E_TOO_LARGE);
}

/* ---- asking over the network ---- */

static const char answer_4[] = "HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n"
                               "{\"version\":4,\"schemaType\":\"JSON\",\"schema\":\"{\\\"type\\\":\\\"null\\\"}\"}";

static SUSPENDS void play_version(struct play *p)
{
    struct str want = STR("GET /base/subjects/s/versions/latest HTTP/1.1\r\n");

    CHECK(play_request(p));
    CHECK_MSG(str_starts(buf_str(&p->request), want), "%.*s", STR_ARG(buf_str(&p->request)));
    CHECK(str_find(buf_str(&p->request), STR("authorization: Basic bWU6c2VjcmV0\r\n")) < p->request.n);
    (void)play_send(p, answer_4);
}

WORLD_TEST(subject_is_fetched_below_the_path_of_the_url_with_name_and_password)
{
    struct peer *peer = peer_start(w, play_version);
    const struct pipeline_connection c = {.url = arena_printf(&w->arena, "http://127.0.0.1:%u/base/", peer_port(peer)),
                                          .username = STR("me"),
                                          .password = STR("secret")};
    struct subject_version v;

    CHECK_OK(subject_fetch(&c, STR("s"), 0, &w->arena, &v));
    CHECK_EQ(v.number, 4);
    CHECK_STR(v.schema, "{" DRAFT ",\"type\":\"null\"}");
}

WORLD_TEST(subject_of_a_registry_that_nobody_runs_names_the_url)
{
    const struct pipeline_connection c = {.url = STR("http://127.0.0.1:1")};
    struct subject_version v;

    err_t e = subject_fetch(&c, STR("s"), 0, &w->arena, &v);
    CHECK_ERR(e, E_REFUSED);
    CHECK_MSG(strstr(err_detail(e), "the schema registry http://127.0.0.1:1: ") != NULL, "%s", err_detail(e));
}

/* ---- pipelines that name subjects ---- */

#define FLAT                                                                                                           \
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"number\"}},\"required\":[\"n\"],\"additionalProperties\":" \
    "false}"
#define TEXT                                                                                                           \
    "{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\"}},\"required\":[\"t\"],\"additionalProperties\":" \
    "false}"
#define FILE_OF(schema, more, read)                                                                                    \
    "pipeline: p\n" more "schemas: {s: {" schema "}}\nsources: {in: {kafka: t, out: s}}\n"                             \
    "nodes: {m: {from: in, map: '" read "'}}\nsinks: {k: {from: m, kafka: u}}\n"

#define NUMBER "{" DRAFT ",\"type\":\"number\"}"

/* A registry with one subject, "s": versions 1 (FLAT), 2 (TEXT) and 3 (NUMBER). */
struct shelf {
    unsigned newest, asked;
    struct str url; /* of the connection, of the last question */
    err_t error;    /* it answers so                           */
};

static err_t look_up(void *ctx, const struct pipeline_connection *c, struct str subject, unsigned version,
                     struct arena *arena, struct subject_version *ret)
{
    struct shelf *shelf = ctx;

    shelf->asked++;
    shelf->url = c ? c->url : STR("(own)");
    if (shelf->error)
        return fail(shelf->error, "the shelf is closed");
    if (!str_eq(subject, STR("s")) || version > 3)
        return fail(E_NOT_FOUND, "the shelf has no \"%.*s\"", STR_ARG(subject));
    unsigned number = version ? version : shelf->newest;
    const char *text = number == 1 ? FLAT : number == 2 ? TEXT : NUMBER;
    *ret = (struct subject_version){number, arena_str(arena, str_from_c(text))};
    return OK;
}

struct desk {
    struct arena arena;
    struct problems problems;
    struct buf report;
    struct pipeline_spec *s;
    err_t error;
};

static void close_desk(struct desk *d)
{
    pipeline_unref(d->s);
    buf_release(&d->report);
    arena_release(&d->arena);
}

/* The file copy.json. */
static const char *copy;

static err_t read_copy(const char *path, size_t max UNUSED, struct buf *to)
{
    if (strcmp(path, "copy.json") != 0)
        return fail(E_NOT_FOUND, "there is no %s", path);
    return buf_add(to, str_from_c(copy));
}

static void load(struct desk *d, const char *file, struct shelf *shelf, const struct pipeline_text *texts, size_t count)
{
    const struct pipeline_text own = {.path = STR("p.yaml"), .text = str_from_c(file)};
    const struct pipeline_registry registry = {look_up, shelf};
    struct config_env env = *config_env_real();
    struct pipeline_world world = {.env = &env, .texts = texts ? texts : &own, .text_count = texts ? count : 1};

    env.read_file = read_copy;
    world.registry = shelf ? &registry : NULL;
    *d = (struct desk){.arena = {.max = SIZE_MAX}, .report = BUF_INIT(1 << 20)};
    d->problems.arena = &d->arena;
    d->error = pipeline_load(STR("p.yaml"), NULL, &world, &d->problems, &d->s);
    problems_print(&d->problems, &d->report);
}

static void check_refused(const char *file, const char *want)
{
    struct desk d CLEANUP(close_desk);

    load(&d, file, &(struct shelf){.newest = 1}, NULL, 0);
    test_context("%s", want);
    CHECK_ERR(d.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&d.report), str_from_c(want)) < d.report.n, "got:\n%.*s", STR_ARG(buf_str(&d.report)));
}

TEST(pipeline_is_compiled_against_the_version_of_a_subject)
{
    struct desk d CLEANUP(close_desk);
    struct shelf shelf = {.newest = 2};

    load(&d, FILE_OF("subject: s, version: 1", "", ".n + 1"), &shelf, NULL, 0);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_EQ(d.s->schemas[0].version, 1);
    CHECK_STR(d.s->schemas[0].text, FLAT);
    CHECK_STR(shelf.url, "(own)");
    check_refused(FILE_OF("subject: s, version: 1", "", ".t"), "p.yaml:4:");
    check_refused(FILE_OF("subject: s", "", ".t"), "p.yaml:4:");
}

TEST(pipeline_with_latest_is_another_version_once_there_is_a_newer_one)
{
    static const char *const files[] = {FILE_OF("subject: s, version: latest", "", "1"),
                                        FILE_OF("subject: s", "", "1")};

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct desk first CLEANUP(close_desk), again CLEANUP(close_desk), later CLEANUP(close_desk);
        load(&first, files[i], &(struct shelf){.newest = 1}, NULL, 0);
        load(&again, files[i], &(struct shelf){.newest = 1}, NULL, 0);
        load(&later, files[i], &(struct shelf){.newest = 2}, NULL, 0);
        test_context("%s", files[i]);
        CHECK_OK(first.error);
        CHECK_OK(later.error);
        CHECK_EQ(later.s->schemas[0].version, 2);
        CHECK_STR(str_from_c(again.s->digest), first.s->digest);
        CHECK(strcmp(later.s->digest, first.s->digest) != 0);
    }
}

TEST(pipeline_keeps_what_a_registry_said_and_asks_no_more_for_this_version)
{
    struct desk first CLEANUP(close_desk), again CLEANUP(close_desk);
    struct shelf shelf = {.newest = 1};
    const char *file = FILE_OF("subject: s", "", ".n");

    load(&first, file, &shelf, NULL, 0);
    CHECK_OK(first.error);
    CHECK_EQ(shelf.asked, 1);
    load(&again, file, NULL, first.s->texts, first.s->text_count);
    CHECK_MSG(again.error == OK, "%.*s", STR_ARG(buf_str(&again.report)));
    CHECK_EQ(again.s->schemas[0].version, 1);
    CHECK_STR(again.s->schemas[0].text, FLAT);
    CHECK_STR(str_from_c(again.s->digest), first.s->digest);
}

TEST(pipeline_asks_the_registry_of_a_connection)
{
    static const char named[] = FILE_OF("subject: s, connection: other",
                                        "connections: {other: 'https://two/x', registry: 'http://one'}\n", ".n");
    static const char usual[] =
        FILE_OF("subject: s", "connections: {other: 'https://two/x', registry: 'http://one'}\n", ".n");
    struct shelf shelf = {.newest = 1};
    struct desk d CLEANUP(close_desk), e CLEANUP(close_desk);

    load(&d, named, &shelf, NULL, 0);
    CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
    CHECK_STR(shelf.url, "https://two/x");
    load(&e, usual, &shelf, NULL, 0);
    CHECK_STR(shelf.url, "http://one");
}

TEST(pipeline_whose_subject_cannot_be_had_says_why_at_its_place)
{
    check_refused(FILE_OF("subject: t", "", "1"), "p.yaml:2:24: error: the shelf has no \"t\"");
    check_refused(FILE_OF("subject: s, connection: k", "connections: {kk: 'http://x'}\n", "1"),
                  "p.yaml:3:39: error: there is no connection \"k\" under \"connections\", did you mean \"kk\"?");
    check_refused(FILE_OF("subject: s, connection: k", "connections: {k: 'kafka://x'}\n", "1"),
                  "the connection \"k\" is no \"http://…\" or \"https://…\", which a schema registry needs");
    check_refused(FILE_OF("file: x, version: latest", "", "1"), "\"version\" and \"connection\" go with \"subject\"");
    check_refused(FILE_OF("file: x, connection: registry", "", "1"), "\"version\" and \"connection\" go with");
    check_refused(FILE_OF("subject: s, version: newest", "", "1"), "latest");
    check_refused(FILE_OF("subject: s, version: 0", "", "1"), "1");
}

TEST(pipeline_whose_subject_is_no_schema_names_the_version)
{
    struct desk d CLEANUP(close_desk);
    const struct pipeline_text texts[] = {{STR("p.yaml"), STR(FILE_OF("subject: 's/1'", "", "1"))},
                                          {STR("registry:s%2F1@latest"), STR("3\n{\"type\":7}")}};

    load(&d, "", NULL, texts, ARRAY_LEN(texts));
    CHECK_ERR(d.error, E_CONFIG);
    CHECK_MSG(str_find(buf_str(&d.report), STR("registry:s%2F1@latest: error: this is no JSON Schema")) < d.report.n,
              "%.*s", STR_ARG(buf_str(&d.report)));
}

/* ---- copies ---- */

#define COPY_OF(version) FILE_OF("file: copy.json, subject: s" version, "", ". + 1")

TEST(pipeline_with_a_copy_of_a_version_has_the_registry_agree)
{
    static const char *const copies[] = {NUMBER, "{\"type\": \"number\", " DRAFT "}", "{\"type\":\"number\"}"};

    for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
        struct desk d CLEANUP(close_desk), again CLEANUP(close_desk);
        struct shelf shelf = {.newest = 2};
        copy = copies[i];
        test_context("%s", copy);
        load(&d, COPY_OF(", version: 3"), &shelf, NULL, 0);
        CHECK_MSG(d.error == OK && !d.report.n, "%.*s", STR_ARG(buf_str(&d.report)));
        CHECK_EQ(shelf.asked, 1);
        CHECK_EQ(d.s->schemas[0].version, 3);
        CHECK(str_find(d.s->schemas[0].text, STR(DRAFT)) < d.s->schemas[0].text.n);
        /* A version that is under way is what it was. */
        load(&again, "", &shelf, d.s->texts, d.s->text_count);
        CHECK_OK(again.error);
        CHECK_EQ(shelf.asked, 1);
        CHECK_STR(str_from_c(again.s->digest), d.s->digest);
    }
}

TEST(pipeline_with_a_copy_that_is_another_version_is_refused)
{
    copy = FLAT;
    check_refused(COPY_OF(", version: 3"),
                  "p.yaml:2:21: error: this is not version 3 of the subject \"s\": the registry has");
    check_refused(COPY_OF(", version: 4"), "the shelf has no \"s\"");
    check_refused(COPY_OF(""), "is of one version of its \"subject\": say which");
    check_refused(COPY_OF(", version: latest"), "is of one version of its \"subject\": say which");
}

TEST(pipeline_with_a_copy_needs_no_registry_that_answers)
{
    static const err_t errors[] = {E_REFUSED, E_IO, E_AUTH, E_PROTOCOL};

    copy = NUMBER;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        struct desk d CLEANUP(close_desk);
        load(&d, COPY_OF(", version: 3"), &(struct shelf){.error = errors[i]}, NULL, 0);
        CHECK_MSG(d.error == OK, "%.*s", STR_ARG(buf_str(&d.report)));
        CHECK_MSG(
            str_find(buf_str(&d.report), STR("warning: \"copy.json\" is taken as it is, and was not compared: the "
                                             "shelf is closed")) < d.report.n,
            "%.*s", STR_ARG(buf_str(&d.report)));
        CHECK_STR(d.s->schemas[0].text, NUMBER);
    }
    struct desk alone CLEANUP(close_desk);
    load(&alone, COPY_OF(", version: 3"), NULL, NULL, 0);
    CHECK_MSG(alone.error == OK && !alone.report.n, "%.*s", STR_ARG(buf_str(&alone.report)));
}
