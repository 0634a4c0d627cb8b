/*
 * pipeline_models.c - chat completions by pipelines: a request is brought to the door of the pipeline that has the model's name, and its reply is the answer.
 *
 * A reply that is a text is the answer's text; any other document is its own text, as a model writes JSON. A stream is of one piece: the reply is there when
 * the pipeline has worked it out. Tokens are not counted: those that models of the pipeline have used are counted where they were asked.
 */
#include "pipeline/pipeline_models.h"

#include "base/mem.h"
#include "base/secret.h"
#include "codec/json_out.h"
#include "codec/json_tree.h"
#include "rt/loop.h"

enum { BODY_MAX = 8 << 20, REPLY_MAX = 32 << 20, PATH_ROOM = 1024 };

struct pipeline_models {
    struct doors *doors;
    struct buf bearer;
};

struct pipeline_models *pipeline_models_new(struct doors *doors, struct str key)
{
    struct pipeline_models *m = NEW(struct pipeline_models);

    m->doors = doors;
    buf_init(&m->bearer, PATH_ROOM);
    (void)buf_addf(&m->bearer, "Bearer %.*s", STR_ARG(key));
    return m;
}

void pipeline_models_free(struct pipeline_models *m)
{
    if (!m)
        return;
    if (m->bearer.p)
        explicit_bzero(m->bearer.p, m->bearer.n);
    buf_release(&m->bearer);
    mem_free(m);
}

static SUSPENDS err_t say(struct http_request *r, int status, const char *type, struct str body)
{
    const struct http_header headers[] = {{STR("content-type"), str_from_c(type)}};

    return http_reply_whole(r, &(struct http_reply){.status = status, .headers = headers, .count = 1}, body);
}

static SUSPENDS err_t refuse(struct http_request *r, int status, const char *code, struct str words)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(ERR_TEXT_MAX + PATH_ROOM);
    struct json_out o = json_out_to(&text);

    json_open(&o, '{');
    json_member_open(&o, STR("error"), '{');
    json_member_str(&o, STR("message"), words);
    json_member_str(&o, STR("type"), STR("invalid_request_error"));
    json_member_str(&o, STR("code"), str_from_c(code));
    json_close(&o, '}');
    json_close(&o, '}');
    return say(r, status, "application/json", buf_str(&text));
}

/* --- the answer --- */

struct asked {
    struct str model, body;
    bool is_stream;
};

static void put_head(struct json_out *o, const struct asked *q, const char *object, uint64_t unique)
{
    struct buf id CLEANUP(buf_release) = BUF_INIT(64);

    (void)buf_addf(&id, "chatcmpl-%016llx", (unsigned long long)unique);
    json_open(o, '{');
    json_member_str(o, STR("id"), buf_str(&id));
    json_member_str(o, STR("object"), str_from_c(object));
    json_member_i64(o, STR("created"), rt_wall() / NS_SEC);
    json_member_str(o, STR("model"), q->model);
    json_member_open(o, STR("choices"), '[');
    json_open(o, '{');
    json_member_u64(o, STR("index"), 0);
}

static void put_tail(struct json_out *o, bool is_end)
{
    if (is_end)
        json_member_str(o, STR("finish_reason"), STR("stop"));
    else
        json_member_null(o, STR("finish_reason"));
    json_close(o, '}');
    json_close(o, ']');
    json_close(o, '}');
}

/* `key` is "message" or "delta"; text absent: an empty one. */
static void put_text(struct json_out *o, struct str key, struct str text)
{
    json_member_open(o, key, '{');
    if (text.p) {
        json_member_str(o, STR("role"), STR("assistant"));
        json_member_str(o, STR("content"), text);
    }
    json_close(o, '}');
}

static void put_chunk(struct buf *to, const struct asked *q, uint64_t unique, struct str text)
{
    struct json_out o = json_out_to(to);

    (void)buf_add_lit(to, "data: ");
    put_head(&o, q, "chat.completion.chunk", unique);
    put_text(&o, STR("delta"), text);
    put_tail(&o, !text.p);
    (void)buf_add_lit(to, "\n\n");
}

static SUSPENDS err_t answer(struct http_request *r, const struct asked *q, struct str text)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);
    struct json_out o = json_out_to(&to);
    uint64_t unique = rt_random();

    if (q->is_stream) {
        put_chunk(&to, q, unique, text);
        put_chunk(&to, q, unique, STR_NONE);
        (void)buf_add_lit(&to, "data: [DONE]\n\n");
    } else {
        put_head(&o, q, "chat.completion", unique);
        put_text(&o, STR("message"), text);
        put_tail(&o, true);
    }
    TRY(buf_status(&to));
    return say(r, 200, q->is_stream ? "text/event-stream" : "application/json", buf_str(&to));
}

static struct str text_of(struct str reply, struct arena *a)
{
    const struct json_tree *tree;

    if (json_tree_parse(a, reply, &tree) == OK && json_node_is(json_tree_root(tree), JSON_STRING))
        return json_node_text(json_tree_root(tree), a);
    return reply.p ? reply : STR("");
}

/* --- a request --- */

static err_t read_question(struct http_request *r, struct str body, struct asked *ret)
{
    const struct json_tree *tree;
    bool stream = false;

    TRY(json_tree_parse(r->arena, body, &tree));
    struct json_node root = json_tree_root(tree);
    (void)json_node_bool(json_node_get(root, STR("stream")), &stream);
    *ret = (struct asked){.model = json_get_text(root, STR("model"), r->arena), .body = body, .is_stream = stream};
    return ret->model.n ? OK : fail(E_PARSE, "\"model\" is missing");
}

static SUSPENDS err_t refuse_for(struct http_request *r, const struct asked *q, err_t e)
{
    if (e == E_CANCELLED)
        return e;
    if (e == E_NOT_FOUND)
        return refuse(r, 404, "model_not_found",
                      arena_printf(r->arena, "no pipeline answers as \"%.*s\"", STR_ARG(q->model)));
    if (e == E_AGAIN)
        return refuse(r, 504, "timeout", STR("the pipeline did not answer in time"));
    return refuse(r, e == E_OVERLOAD ? 503 : err_http_status(e), "pipeline_error",
                  arena_str(r->arena, str_from_c(err_detail(e))));
}

static SUSPENDS err_t ask(const struct pipeline_models *m, struct http_request *r, const struct asked *q)
{
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_ROOM);
    const struct door_message message = {.body = q->body, .traceparent = http_head_get(&r->head, HDR_TRACEPARENT)};
    struct str reply = STR_NONE;
    int status = 0;

    TRY(buf_addf(&path, PIPELINE_MODEL_PATH "%.*s", STR_ARG(q->model)));
    err_t e = doors_ask(m->doors, buf_str(&path), &message, r->arena, &status, &reply);
    if (e != OK)
        return refuse_for(r, q, e);
    if (status >= 200 && status <= 299)
        return answer(r, q, text_of(reply, r->arena));
    return reply.n ? say(r, status, "application/json", reply)
                   : refuse(r, status, "pipeline_error", STR("the pipeline gave no answer"));
}

err_t pipeline_models_handle(struct http_request *r, void *ctx)
{
    const struct pipeline_models *m = ctx;
    struct asked q = {.is_stream = false};
    struct str body;

    if (!str_eq_secret(http_request_header(r, STR("authorization")), buf_str(&m->bearer)))
        return refuse(r, 401, "invalid_api_key", STR("this is for the gateway of this process"));
    if (str_eq(r->head.path, STR("/v1/models")))
        return say(r, 200, "application/json", STR("{\"object\":\"list\",\"data\":[]}"));
    if (!str_eq(r->head.path, STR("/v1/chat/completions")) || !str_eq(r->head.method, STR("POST")))
        return refuse(r, 404, "unknown_url", STR("pipelines answer chat completions"));
    TRY(http_body_all(r, BODY_MAX, &body));
    err_t e = read_question(r, body, &q);
    return e == OK ? ask(m, r, &q) : refuse_for(r, &q, e);
}
