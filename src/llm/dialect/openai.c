/*
 * openai.c - the OpenAI dialect: Chat Completions, embeddings, models.
 *
 * Bytes that pass through are never rebuilt here; see llm/openai_body.h and llm/openai_stream.h for what is rewritten on the way.
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "codec/json_out.h"
#include "llm/dialect.h"

extern const struct dialect dialect_openai;

static const struct endpoint_row endpoints[] = {
    {"POST", "/v1/chat/completions", OP_CHAT, MODEL_IN_BODY, STREAM_IF_TRUE, "chat", NULL, 0},
    {"POST", "/v1/embeddings", OP_EMBED, MODEL_IN_BODY, STREAM_NEVER, "embeddings", NULL, 0},
    {"GET", "/v1/models", OP_MODELS, MODEL_NONE, STREAM_NEVER, "models", NULL, 0},
    {"GET", "/v1/models/{model}", OP_MODEL, MODEL_IN_PATH, STREAM_NEVER, "models", NULL, 0},
    {0}};

static void put_card(struct json_out *o, const struct model_card *card)
{
    json_open(o, '{');
    json_member_str(o, STR("id"), card->id);
    json_member_str(o, STR("object"), STR("model"));
    json_member_i64(o, STR("created"), card->created);
    json_member_str(o, STR("owned_by"), card->owner);
    json_close(o, '}');
}

static err_t write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_str(&o, STR("object"), STR("list"));
    json_member_open(&o, STR("data"), '[');
    for (size_t i = 0; i < n; i++)
        put_card(&o, &cards[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return buf_status(to);
}

static err_t write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    put_card(&o, card);
    return buf_status(to);
}

const struct dialect dialect_openai = {
    .name = "openai",
    .title = "OpenAI Chat Completions",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = endpoints, .write_models = write_models, .write_model = write_model},
};
