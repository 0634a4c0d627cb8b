/*
 * pipeline_models.c - chat completions by pipelines: a request is brought to the door of the pipeline that has the model's name, and its reply is the answer.
 *
 * A reply that is a text is the answer's text; any other document is its own text, as a model writes JSON. In a stream goes what is heard of it before it is there
 * (replies_tell()), and the rest when it is; one that fails after that ends with an error, and without the mark of its end. The tokens are those of
 * all models that the pipeline has asked for it until then.
 */
#include "pipeline/door/pipeline_models.h"

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

static void put_error(struct buf *to, const char *code, struct str words)
{
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_open(&o, STR("error"), '{');
    json_member_str(&o, STR("message"), words);
    json_member_str(&o, STR("type"), STR("invalid_request_error"));
    json_member_str(&o, STR("code"), str_from_c(code));
    json_close(&o, '}');
    json_close(&o, '}');
}

static SUSPENDS err_t refuse(struct http_request *r, int status, const char *code, struct str words)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(ERR_TEXT_MAX + PATH_ROOM);

    put_error(&text, code, words);
    return say(r, status, "application/json", buf_str(&text));
}

/* --- the answer --- */

struct asked {
    struct str model, body;
    bool is_stream, asks_usage;
};

static void put_usage(struct json_out *o, const struct door_answer *a)
{
    json_member_open(o, STR("usage"), '{');
    json_member_u64(o, STR("prompt_tokens"), a->input_tokens);
    json_member_u64(o, STR("completion_tokens"), a->output_tokens);
    json_member_u64(o, STR("total_tokens"), a->input_tokens + a->output_tokens);
    json_close(o, '}');
}

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
}

static void put_choice(struct json_out *o)
{
    json_open(o, '{');
    json_member_u64(o, STR("index"), 0);
}

static void put_reason(struct json_out *o, bool is_end)
{
    if (is_end)
        json_member_str(o, STR("finish_reason"), STR("stop"));
    else
        json_member_null(o, STR("finish_reason"));
    json_close(o, '}');
}

static SUSPENDS err_t answer_whole(struct http_request *r, const struct asked *q, const struct door_answer *a,
                                   struct str text)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);
    struct json_out o = json_out_to(&to);

    put_head(&o, q, "chat.completion", rt_random());
    put_choice(&o);
    json_member_open(&o, STR("message"), '{');
    json_member_str(&o, STR("role"), STR("assistant"));
    json_member_str(&o, STR("content"), text);
    json_close(&o, '}');
    put_reason(&o, true);
    json_close(&o, ']');
    put_usage(&o, a);
    json_close(&o, '}');
    TRY(buf_status(&to));
    return say(r, 200, "application/json", buf_str(&to));
}

/* --- a stream --- */

struct stream {
    struct http_request *request;
    const struct asked *question;
    uint64_t unique;
    bool has_begun;
    struct buf heard; /* of the answer, and written */
};

/* A chunk with a choice: a text, or, absent, the end. */
static void put_chunk(struct buf *to, struct stream *s, struct str text)
{
    struct json_out o = json_out_to(to);

    (void)buf_add_lit(to, "data: ");
    put_head(&o, s->question, "chat.completion.chunk", s->unique);
    put_choice(&o);
    json_member_open(&o, STR("delta"), '{');
    if (!s->heard.n && text.p)
        json_member_str(&o, STR("role"), STR("assistant"));
    if (text.p)
        json_member_str(&o, STR("content"), text);
    json_close(&o, '}');
    put_reason(&o, !text.p);
    json_close(&o, ']');
    json_close(&o, '}');
    (void)buf_add_lit(to, "\n\n");
}

static void put_usage_chunk(struct buf *to, const struct stream *s, const struct door_answer *a)
{
    struct json_out o = json_out_to(to);

    (void)buf_add_lit(to, "data: ");
    put_head(&o, s->question, "chat.completion.chunk", s->unique);
    json_close(&o, ']');
    put_usage(&o, a);
    json_close(&o, '}');
    (void)buf_add_lit(to, "\n\n");
}

static err_t begin(struct stream *s)
{
    const struct http_header headers[] = {{STR("content-type"), STR("text/event-stream")}};

    if (s->has_begun)
        return OK;
    s->has_begun = true;
    return http_reply_begin(s->request,
                            &(struct http_reply){.status = 200, .headers = headers, .count = 1, .length = -1});
}

static SUSPENDS err_t say_piece(void *stream, struct str piece)
{
    struct stream *s = stream;
    struct buf to CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);

    TRY(begin(s));
    put_chunk(&to, s, piece);
    TRY(buf_status(&to));
    TRY(buf_add(&s->heard, piece));
    const struct str parts[] = {buf_str(&to)};
    return http_reply_write(s->request, parts, ARRAY_LEN(parts));
}

static SUSPENDS err_t finish(struct stream *s, const struct buf *to)
{
    const struct str parts[] = {buf_str(to)};

    TRY(buf_status(to));
    return http_reply_finish(s->request, parts, ARRAY_LEN(parts));
}

/* What was not heard of the answer, and its end. E_PROTOCOL: it is another one than was heard. */
static SUSPENDS err_t end_stream(struct stream *s, const struct door_answer *a, struct str text)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(REPLY_MAX);

    if (!str_starts(text, buf_str(&s->heard)))
        return fail(E_PROTOCOL, "the pipeline gave another answer than it had begun");
    TRY(begin(s));
    if (text.n > s->heard.n || !s->heard.n)
        put_chunk(&to, s, str_slice(text, s->heard.n, text.n));
    put_chunk(&to, s, STR_NONE);
    if (s->question->asks_usage)
        put_usage_chunk(&to, s, a);
    (void)buf_add_lit(&to, "data: [DONE]\n\n");
    return finish(s, &to);
}

/* The answer has begun, and there is no more of it. */
static SUSPENDS err_t break_off(struct stream *s, const char *code, struct str words)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(ERR_TEXT_MAX + PATH_ROOM);

    (void)buf_add_lit(&to, "data: ");
    put_error(&to, code, words);
    (void)buf_add_lit(&to, "\n\n");
    return finish(s, &to);
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
    bool stream = false, usage = false;

    TRY(json_tree_parse(r->arena, body, &tree));
    struct json_node root = json_tree_root(tree);
    (void)json_node_bool(json_node_get(root, STR("stream")), &stream);
    (void)json_node_bool(json_node_get(json_node_get(root, STR("stream_options")), STR("include_usage")), &usage);
    *ret = (struct asked){
        .model = json_get_text(root, STR("model"), r->arena), .body = body, .is_stream = stream, .asks_usage = usage};
    return ret->model.n ? OK : fail(E_PARSE, "\"model\" is missing");
}

/* What is said of an error: a status and a code of OpenAI's, and words in the request's arena. */
struct refusal {
    int status;
    const char *code;
    struct str words;
};

static struct refusal refusal_of(const struct http_request *r, const struct asked *q, err_t e)
{
    if (e == E_NOT_FOUND)
        return (struct refusal){404, "model_not_found",
                                arena_printf(r->arena, "no pipeline answers as \"%.*s\"", STR_ARG(q->model))};
    if (e == E_AGAIN)
        return (struct refusal){504, "timeout", STR("the pipeline did not answer in time")};
    return (struct refusal){e == E_OVERLOAD ? 503 : err_http_status(e), "pipeline_error",
                            arena_str(r->arena, str_from_c(err_detail(e)))};
}

static SUSPENDS err_t refuse_for(struct stream *s, err_t e)
{
    if (e == E_CANCELLED)
        return e;
    struct refusal f = refusal_of(s->request, s->question, e);
    return s->has_begun ? break_off(s, f.code, f.words) : refuse(s->request, f.status, f.code, f.words);
}

static bool is_success(const struct door_answer *a)
{
    return a->status >= 200 && a->status <= 299;
}

/* The pipeline's own words for an error are the answer, where it has not begun. */
static SUSPENDS err_t refuse_as_told(struct stream *s, const struct door_answer *a)
{
    if (s->has_begun)
        return break_off(s, "pipeline_error", STR("the pipeline failed before its answer was whole"));
    if (a->body.n)
        return say(s->request, a->status, "application/json", a->body);
    return refuse(s->request, a->status, "pipeline_error", STR("the pipeline gave no answer"));
}

static SUSPENDS err_t give(struct stream *s, const struct door_answer *a)
{
    struct str text = text_of(a->body, s->request->arena);

    if (!s->question->is_stream)
        return answer_whole(s->request, s->question, a, text);
    err_t e = end_stream(s, a, text);
    return e == E_PROTOCOL ? refuse_for(s, e) : e;
}

static SUSPENDS err_t ask(const struct pipeline_models *m, struct stream *s)
{
    struct http_request *r = s->request;
    struct buf path CLEANUP(buf_release) = BUF_INIT(PATH_ROOM);
    const struct door_message message = {.body = s->question->body,
                                         .traceparent = http_head_get(&r->head, HDR_TRACEPARENT)};
    const struct door_listener listener = {.on_piece = say_piece, .ctx = s};
    struct door_answer answer;

    TRY(buf_addf(&path, PIPELINE_MODEL_PATH "%.*s", STR_ARG(s->question->model)));
    err_t e =
        doors_ask(m->doors, buf_str(&path), &message, s->question->is_stream ? &listener : NULL, r->arena, &answer);
    if (e != OK)
        return refuse_for(s, e);
    return is_success(&answer) ? give(s, &answer) : refuse_as_told(s, &answer);
}

static SUSPENDS err_t ask_for(const struct pipeline_models *m, struct http_request *r, const struct asked *q)
{
    struct stream s = {.request = r, .question = q, .unique = rt_random(), .heard = BUF_INIT(REPLY_MAX)};
    err_t e = ask(m, &s);

    buf_release(&s.heard);
    return e;
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
    return e == OK ? ask_for(m, r, &q) : refuse_for(&(struct stream){.request = r, .question = &q}, e);
}
