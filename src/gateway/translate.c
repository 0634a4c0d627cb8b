/*
 * translate.c - a request and its whole answer through the canonical form: the client's dialect on one side, the provider's on the other.
 *
 * The client's document is read once, whatever the number of attempts; each attempt says it anew, since providers differ. What a provider cannot
 * be told is in the losses, which the answer's headers list; a strict model refuses instead.
 */
#include "gateway/resume.h"
#include "gateway/stored.h"
#include "gateway/thoughts.h"
#include "llm/emulate.h"
#include "llm/estimate.h"
#include "rt/loop.h"

enum { BODY_FACTOR = 3, ANSWER_BODY_MAX = 512 * 1024 * 1024 };

static void release_body(void *obj)
{
    buf_release(&((struct translated *)obj)->body);
}

/* --- the request --- */

struct translation *translation_of(struct exchange *x)
{
    struct translation *t = &x->translation_;

    if (t->arena)
        return t;
    *t = (struct translation){.arena = x->r->arena,
                              .client = x->endpoint.dialect,
                              .row = x->endpoint.row,
                              .path_model = x->endpoint.model,
                              .query = x->r->head.query,
                              .api_version = http_head_get(&x->r->head, HDR_ANTHROPIC_VERSION),
                              .betas = http_head_get(&x->r->head, HDR_ANTHROPIC_BETA),
                              .client_model = x->facts.model,
                              .losses = &x->losses,
                              .agent = http_head_get(&x->r->head, HDR_USER_AGENT),
                              .request_id = x->facts.id,
                              .unique = rt_random(),
                              .now = x->facts.wall / NS_SEC};
    losses_init(&x->losses, x->r->arena);
    return t;
}

struct translation *translation_for_attempt(struct exchange *x)
{
    struct translation *t = translation_of(x);
    const struct provider *p = x->chosen->provider;

    t->provider = x->speaks;
    t->vendor = p->vendor;
    t->model = x->chosen->model;
    t->provider_version = p->api_version;
    t->think_tags = p->think_tags;
    t->default_max_output = x->model && x->model->max_output_tokens ? x->model->max_output_tokens : DEFAULT_MAX_OUTPUT;
    return t;
}

/* x->translated, made if need be. */
static struct translated *translated_of(struct exchange *x)
{
    struct arena *a = x->r->arena;
    struct translated *d = x->translated;

    if (d)
        return d;
    d = x->translated = arena_new(a, struct translated);
    buf_init(&d->body, BODY_FACTOR * (size_t)x->snapshot->catalog->limits.body_bytes);
    arena_hold(a, d, release_body);
    return d;
}

static err_t read_request(struct exchange *x, struct translated *d)
{
    const struct client_side *client = &x->endpoint.dialect->client;
    const struct json_tree *doc;

    if (d->is_read)
        return OK;
    err_t e = json_tree_parse(x->r->arena, x->request.doc, &doc);
    if (e != OK)
        return err_context(e, "The request is not valid JSON");
    d->is_read = true; /* or it is refused for good */
    switch (x->endpoint.row->operation) {
    case OP_CHAT:
    case OP_COUNT_TOKENS:
        d->chat.dialect = x->endpoint.dialect;
        d->chat.document = doc;
        TRY(client->read_chat(translation_of(x), doc, &d->chat, &x->param));
        if (stored_is_ours(x)) /* whatever the provider can */
            d->chat.store.is = UNSET;
        return OK;
    case OP_EMBED:
        d->embed.dialect = x->endpoint.dialect;
        d->embed.document = doc;
        return client->read_embed(translation_of(x), doc, &d->embed, &x->param);
    case OP_RERANK:
        d->rerank.dialect = x->endpoint.dialect;
        d->rerank.document = doc;
        return client->read_rerank(translation_of(x), doc, &d->rerank, &x->param);
    case OP_TOKENIZE:
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return fail(E_UNSUPPORTED, "nothing to translate");
}

const struct chat_request *translation_chat(struct exchange *x)
{
    struct translated *d = translated_of(x);
    struct str param = x->param;

    if (read_request(x, d) == OK)
        return &d->chat;
    x->param = param; /* it is for the attempt to say what is wrong, if it must be translated at all */
    d->chat = (struct chat_request){.dialect = NULL};
    d->is_read = false;
    return NULL;
}

/* As many inputs as one call takes; batches.c sends the rest. */
static err_t write_embed(struct exchange *x, struct translated *d)
{
    struct embed_request first = d->embed;

    first.input_count = batches_first(x);
    return x->speaks->provider.write_embed(translation_of(x), &first, &d->call);
}

static err_t write_operation(struct exchange *x, struct translated *d)
{
    const struct provider_side *p = &x->speaks->provider;
    struct translation *t = translation_for_attempt(x);

    switch (x->endpoint.row->operation) {
    case OP_CHAT:
        return p->write_chat(t, resume_is_pending(x) ? resume_ask(x) : choices_first(x), &d->call);
    case OP_COUNT_TOKENS:
        return p->write_count(t, &d->chat, &d->call);
    case OP_EMBED:
        return write_embed(x, d);
    case OP_RERANK:
        return p->write_rerank(t, &d->rerank, &d->call);
    case OP_TOKENIZE:
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return fail(E_UNSUPPORTED, "nothing to translate");
}

static err_t write_request(struct exchange *x, struct translated *d)
{
    TRY(write_operation(x, d));
    if (x->endpoint.row->operation == OP_CHAT)
        emulate_think_tags(&d->call, translation_of(x), &d->chat);
    return buf_status(&d->body);
}

/* A strict model takes no answer to half a question. */
static err_t check_losses(const struct exchange *x)
{
    if (!x->model || !x->model->strict || !x->losses.dropped)
        return OK;
    const struct loss *l = x->losses.first;
    while (l->kind != LOSS_DROPPED)
        l = l->next;
    return fail(E_PARSE,
                "The model '%.*s' is strict, and its provider cannot be told %.*s: %s. Leave it out, or ask the "
                "operator to set strict: false.",
                STR_ARG(x->facts.model), STR_ARG(losses_list(&x->losses, LOSS_DROPPED, 200)), l->why);
}

err_t translate_request(struct exchange *x)
{
    struct translated *d = translated_of(x);
    err_t e;

    TRY(read_request(x, d));
    losses_init(&x->losses, x->r->arena);
    buf_clear(&d->body);
    d->call = (struct provider_call){.body = &d->body, .stream = x->stream};
    if (x->endpoint.row->operation == OP_CHAT) {
        d->chat.stream = x->stream;
        choices_prepare(x);
        TRY(fetch_media(x, &d->chat));
        TRY(thoughts_restore(x, &d->chat));
    }
    e = write_request(x, d);
    if (e == OK)
        e = check_losses(x);
    x->is_unsaid = e != OK;
    return e;
}

/* --- the answer --- */

enum framing client_framing(struct exchange *x)
{
    const struct client_side *c = &x->endpoint.dialect->client;

    return c->framing ? c->framing(translation_of(x)) : FRAMING_SSE;
}

struct answer_frame translated_frame(struct exchange *x)
{
    struct translated *d = translated_of(x);
    const struct translation *t = translation_of(x);
    struct answer_frame f = {.arena = x->r->arena,
                             .t = t,
                             .request = &d->chat,
                             .model = x->facts.model,
                             .created = t->now,
                             .unique = t->unique};

    if (x->endpoint.row->operation == OP_CHAT && d->chat.stream && x->endpoint.dialect->client.tells_estimate)
        f.input_estimate = estimate_tokens(&d->chat);
    return f;
}

err_t translate_chat_answer(struct exchange *x, struct str body, struct answer *ret,
                            const struct api_error **ret_refusal)
{
    struct answer_builder *b = answer_builder_new(x->r->arena, ret);
    struct chat_sink whole = answer_sink(b);
    struct emulator *m = emulator_new(x->r->arena, &x->translated->call, &whole);
    struct chat_sink sink = m ? emulator_sink(m) : whole;
    err_t e = x->speaks->provider.read_answer(x->r->arena, body, &sink);

    *ret_refusal = answer_error(b);
    if (e == OK && !ret->ended)
        return fail(E_PROTOCOL, "the provider's answer is not whole");
    return e;
}

err_t translate_answer(struct exchange *x, struct attempt *a)
{
    struct translated *d = x->translated;
    const struct provider_side *p = &x->speaks->provider;
    err_t e = OK;

    switch (x->endpoint.row->operation) {
    case OP_CHAT:
        e = translate_chat_answer(x, a->body, &d->answer, &a->refusal);
        a->usage = d->answer.usage;
        return e;
    case OP_EMBED:
        e = p->read_embed(x->r->arena, a->body, &d->vectors);
        a->usage = d->vectors.usage;
        return e;
    case OP_RERANK:
        e = p->read_rerank(x->r->arena, a->body, &d->ranks);
        a->usage = d->ranks.usage;
        return e;
    case OP_COUNT_TOKENS:
        d->counted_exactly = true;
        return p->read_count(x->r->arena, a->body, &d->counted);
    case OP_TOKENIZE:
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return fail(E_UNSUPPORTED, "nothing to translate");
}

static err_t write_answer(struct exchange *x, struct buf *to)
{
    struct translated *d = x->translated;
    const struct client_side *client = &x->endpoint.dialect->client;
    struct answer_frame f = translated_frame(x);

    switch (x->endpoint.row->operation) {
    case OP_CHAT:
        return client->write_answer(&f, &d->answer, to);
    case OP_EMBED:
        return client->write_embed(&f, &d->embed, &d->vectors, to);
    case OP_RERANK:
        return client->write_rerank(&f, &d->rerank, &d->ranks, to);
    case OP_COUNT_TOKENS:
        return client->write_count(translation_of(x), d->counted, d->counted_exactly, to);
    case OP_TOKENIZE:
    case OP_MODELS:
    case OP_MODEL:
    case OP_STATIC:
    case OP_PASS:
        break;
    }
    return fail(E_UNSUPPORTED, "nothing to translate");
}

/* The client wanted a stream, the provider gave a whole: it is told as one. */
struct teller {
    const struct client_side *client;
    void *writer;
    struct buf *to;
};

static err_t hear(void *ctx, const struct chat_event *e)
{
    struct teller *t = ctx;

    return t->client->writer_event(t->writer, e, t->to);
}

static err_t write_as_stream(struct exchange *x, struct buf *to)
{
    const struct client_side *client = &x->endpoint.dialect->client;
    struct answer_frame *f = arena_new(x->r->arena, struct answer_frame);
    struct teller t = {client, arena_zalloc(x->r->arena, client->writer_size), to};
    struct chat_sink sink = {hear, &t};

    *f = translated_frame(x);
    TRY(client->writer_begin(t.writer, f, to));
    return answer_tell(&x->translated->answer, &sink);
}

static err_t hear_thoughts(void *ctx, const struct chat_event *e)
{
    thoughts_hear(ctx, e);
    return OK;
}

static SUSPENDS err_t keep_thoughts(struct exchange *x)
{
    struct thoughts *t = thoughts_new(x);
    struct chat_sink sink = {hear_thoughts, t};

    if (t)
        TRY(answer_tell(&x->translated->answer, &sink));
    thoughts_keep(t);
    return OK;
}

err_t relay_translated(struct exchange *x, struct attempt *a)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(ANSWER_BODY_MAX);
    bool stream = x->stream && x->endpoint.row->operation == OP_CHAT;
    struct http_reply reply = {.status = 200};
    struct http_header *headers;
    struct str type = STR("application/json");

    (void)a;
    TRY(keep_thoughts(x));
    TRY(stream ? write_as_stream(x, &body) : write_answer(x, &body));
    TRY(buf_status(&body));
    if (stream)
        type = framing_type(client_framing(x));
    if (stream)
        stored_keep_stream(x, buf_str(&body));
    else
        stored_keep(x, buf_str(&body));
    x->facts.stream = stream;
    note_first_token(x);
    made_answer_headers(x, type, &headers, &reply.count);
    reply.headers = headers;
    reply.length = (int64_t)body.n;
    return http_reply_whole(x->r, &reply, buf_str(&body));
}

err_t serve_estimate(struct exchange *x)
{
    struct buf body CLEANUP(buf_release) = BUF_INIT(4096);

    TRY(read_request(x, translated_of(x)));
    x->translated->counted = estimate_tokens(&x->translated->chat);
    x->translated->counted_exactly = false;
    x->is_estimated = true;
    TRY(write_answer(x, &body));
    return reply_json(x, 200, buf_str(&body));
}
