/*
 * subject.c - the one question that pipelines have for a schema registry, and its answer.
 *
 * Schemas without "$schema" are of draft 7 to registries and their clients, and of 2020-12 to everything else here. So that nobody else needs to know where a schema
 * came from, such a one is given the "$schema" that it means.
 */
#include "pipeline/system/subject.h"

#include "codec/json_tree.h"
#include "codec/url.h"
#include "pipeline/spec/pipeline.h"
#include "pipeline/system/reach.h"
#include "pipeline/system/web.h"
#include "rt/scope.h"

#define DRAFT_07 "\"$schema\":\"http://json-schema.org/draft-07/schema#\""
#define PATIENCE (10 * NS_SEC)

enum { PATH_MAX_BYTES = 4096, NO_SUBJECT = 40401, NO_VERSION = 40402 };

struct str subject_path(struct str subject, unsigned version, struct arena *a)
{
    struct buf coded CLEANUP(buf_release) = BUF_INIT(PATH_MAX_BYTES);

    (void)url_encode(&coded, subject); /* one that is too long for a path is nobody's subject */
    return version ? arena_printf(a, "/subjects/%.*s/versions/%u", STR_ARG(buf_str(&coded)), version)
                   : arena_printf(a, "/subjects/%.*s/versions/latest", STR_ARG(buf_str(&coded)));
}

/* --- the answer --- */

static err_t refuse_unknown(int status, struct str body)
{
    enum { SHOWN = 60 };

    return fail(E_PROTOCOL, "it answered with status %d, as no schema registry does: is this its URL? (%.*s)", status,
                body.n < SHOWN ? (int)body.n : SHOWN, body.n ? body.p : "");
}

static err_t refuse(struct str subject, unsigned version, int status, struct str body, struct json_node root)
{
    int64_t code = 0;

    (void)json_node_i64(json_node_get(root, STR("error_code")), &code);
    if (status == 401 || status == 403)
        return fail(E_AUTH, "it answered with status %d: give it the \"username\" and \"password\" of a connection",
                    status);
    if (status == 404 && code == NO_SUBJECT)
        return fail(E_NOT_FOUND, "there is no subject \"%.*s\": register it, or correct the name", STR_ARG(subject));
    if (status == 404 && code == NO_VERSION)
        return fail(E_NOT_FOUND, "the subject \"%.*s\" has no version %u: name one that it has, or \"latest\"",
                    STR_ARG(subject), version);
    return refuse_unknown(status, body);
}

struct str subject_schema(struct str schema, struct arena *a)
{
    const struct json_tree *tree;

    if (json_tree_parse(a, schema, &tree) != OK)
        return schema; /* whoever compiles it will say so */
    struct json_node root = json_tree_root(tree);
    if (!json_node_is(root, JSON_OBJECT) || !json_is_absent(json_node_get(root, STR("$schema"))))
        return schema;
    struct str rest = str_trim(str_slice(str_trim(schema), 1, SIZE_MAX));
    return arena_printf(a, "{" DRAFT_07 "%s%.*s", json_node_count(root) ? "," : "", STR_ARG(rest));
}

err_t subject_read(struct str subject, unsigned version, int status, struct str body, struct arena *a,
                   struct subject_version *ret)
{
    const struct json_tree *tree;
    int64_t number = 0;

    struct json_node root = json_tree_parse(a, body, &tree) == OK ? json_tree_root(tree) : JSON_ABSENT;
    if (status != 200)
        return refuse(subject, version, status, body, root);
    struct str schema = json_get_text(root, STR("schema"), a), type = json_get_text(root, STR("schemaType"), a);
    (void)json_node_i64(json_node_get(root, STR("version")), &number);
    if (!schema.n || number < 1 || number > INT32_MAX || (version && number != version))
        return refuse_unknown(status, body);
    if (!str_eq(type, STR("JSON")))
        return fail(E_UNSUPPORTED, "version %lld of \"%.*s\" is of type %.*s: pipelines know JSON Schema alone",
                    (long long)number, STR_ARG(subject), type.n ? (int)type.n : 4, type.n ? type.p : "AVRO");
    if (json_node_count(json_node_get(root, STR("references"))))
        return fail(E_UNSUPPORTED,
                    "version %lld of \"%.*s\" refers to other subjects, which nobody follows: register it in one piece",
                    (long long)number, STR_ARG(subject));
    if (schema.n > PIPELINE_FILE_MAX - sizeof DRAFT_07)
        return fail(E_TOO_LARGE, "version %lld of \"%.*s\" is larger than %d bytes", (long long)number,
                    STR_ARG(subject), PIPELINE_FILE_MAX);
    *ret = (struct subject_version){.number = (unsigned)number, .schema = subject_schema(schema, a)};
    return OK;
}

/* --- asking --- */

static SUSPENDS err_t ask(struct reach *r, const struct pipeline_connection *c, struct str path, struct arena *a,
                          struct web_answer *ret)
{
    struct web *web CLEANUP(web_free_p) = web_new();
    struct str base = c->url;
    struct http_header headers[2] = {{STR("accept"), STR("application/vnd.schemaregistry.v1+json, application/json")}};
    size_t count = 1;
    WITHIN(ns_add(rt_now(), PATIENCE));

    TRY(reach_open(c, 0, STR("https"), r));
    if (c->username.n)
        TRY(web_basic(c->username, &r->password, a, &headers[count++]));
    while (str_ends(base, STR("/")))
        base.n--;
    const struct web_question q = {.method = STR("GET"),
                                   .url = arena_join(a, base, path),
                                   .headers = headers,
                                   .header_count = count,
                                   .max_answer = SUBJECT_ANSWER_MAX,
                                   .tls = r->at.tls};
    return web_ask(web, &q, a, ret);
}

err_t subject_fetch(const struct pipeline_connection *c, struct str subject, unsigned version, struct arena *a,
                    struct subject_version *ret)
{
    struct reach reach CLEANUP(reach_release) = {.at = {.port = 0}};
    struct web_answer answer;

    err_t e = ask(&reach, c, subject_path(subject, version, a), a, &answer);
    if (e == OK)
        e = subject_read(subject, version, answer.status, answer.body, a, ret);
    else
        e = reach_in_time(e, "it");
    return err_context(e, "the schema registry %.*s", STR_ARG(c->url));
}
