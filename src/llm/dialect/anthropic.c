/*
 * anthropic.c - the Anthropic dialect: Messages, counting tokens, models; also as Amazon Bedrock and Vertex AI host it.
 *
 * Written against Anthropic's API reference, versions 2023-06-01 and 2026-10-21, and its pages on Amazon Bedrock (InvokeModel) and Vertex AI
 * (rawPredict), November 2026. Hosts differ in where the model and the version stand, and Bedrock in the frames of a stream;
 * vendors with QUIRK_ANTHROPIC_BEDROCK and QUIRK_ANTHROPIC_VERTEX are spoken to so, and clients that use those hosts' paths are understood.
 */
#include "codec/http1.h"
#include "llm/anthropic_int.h"
#include "llm/claude.h"

#define VERTEX_MODELS "/v1/projects/{x}/locations/{x}/publishers/anthropic/models/"

static const struct endpoint_row endpoints[] = {
    {.method = "POST",
     .path = "/v1/messages",
     .operation = OP_CHAT,
     .model = MODEL_IN_BODY,
     .stream = STREAM_IF_TRUE,
     .label = "messages"},
    {.method = "POST",
     .path = "/v1/messages/count_tokens",
     .operation = OP_COUNT_TOKENS,
     .model = MODEL_IN_BODY,
     .label = "count_tokens"},
    {.method = "GET", .path = "/v1/models", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models"},
    {.method = "GET", .path = "/v1/models/{model}", .operation = OP_MODEL, .model = MODEL_IN_PATH, .label = "models"},
    {.method = "POST", .path = "/v1/messages/batches", .operation = OP_PASS, .model = MODEL_NONE, .label = "batches"},
    {.method = "GET", .path = "/v1/messages/batches", .operation = OP_PASS, .model = MODEL_NONE, .label = "batches"},
    {.method = "GET",
     .path = "/v1/messages/batches/{x}",
     .operation = OP_PASS,
     .model = MODEL_NONE,
     .label = "batches"},
    {.method = "DELETE",
     .path = "/v1/messages/batches/{x}",
     .operation = OP_PASS,
     .model = MODEL_NONE,
     .label = "batches"},
    {.method = "POST",
     .path = "/v1/messages/batches/{x}/cancel",
     .operation = OP_PASS,
     .model = MODEL_NONE,
     .label = "batches"},
    {.method = "GET",
     .path = "/v1/messages/batches/{x}/results",
     .operation = OP_PASS,
     .model = MODEL_NONE,
     .label = "batches"},
    {.method = "POST",
     .path = "/model/{model}/invoke",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_NEVER,
     .label = "messages",
     .variant = ANTHROPIC_OF_BEDROCK},
    {.method = "POST",
     .path = "/model/{model}/invoke-with-response-stream",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_ALWAYS,
     .label = "messages",
     .variant = ANTHROPIC_OF_BEDROCK},
    {.method = "POST",
     .path = VERTEX_MODELS "count-tokens:rawPredict",
     .operation = OP_COUNT_TOKENS,
     .model = MODEL_IN_BODY,
     .label = "count_tokens",
     .variant = ANTHROPIC_OF_VERTEX},
    {.method = "POST",
     .path = VERTEX_MODELS "{model}:rawPredict",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_NEVER,
     .label = "messages",
     .variant = ANTHROPIC_OF_VERTEX},
    {.method = "POST",
     .path = VERTEX_MODELS "{model}:streamRawPredict",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_ALWAYS,
     .label = "messages",
     .variant = ANTHROPIC_OF_VERTEX},
    {.method = NULL},
};

/* Its SDKs send the version with every request. */
static bool claims(struct str method, struct str path, const struct http_head *head)
{
    (void)method;
    (void)path;
    return http_head_find(head, STR("anthropic-version")).p || str_find(head->query, STR("beta=true")) < head->query.n;
}

/* Hosts' clients leave model or version to the path, and Bedrock's read other frames. */
static bool is_native(const struct endpoint_row *row, struct str agent)
{
    (void)agent;
    return row->variant == ANTHROPIC_NATIVE;
}

/* Claude 4.6 and later refuse a request that ends with the assistant's turn. */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    (void)q;
    return claude_traits_of(t->model).adaptive ? CONTINUES_BY_TURN : CONTINUES_PREFILL;
}

const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .title = "Anthropic Messages",
    .signer = SIGNER_ANTHROPIC,
    .client =
        {
            .endpoints = endpoints,
            .claims = claims,
            .id_header = STR_INIT("request-id"),
            .is_native = is_native,
            .read_chat = anthropic_read_chat,
            .tells_thoughts = true,
            .write_answer = anthropic_write_answer,
            .framing = anthropic_framing,
            .writer_size = sizeof(struct anthropic_writer),
            .writer_begin = anthropic_writer_begin,
            .tells_estimate = true,
            .writer_event = anthropic_writer_event,
            .writer_follow = anthropic_writer_follow,
            .keep_alive = STR_INIT("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
            .write_count = anthropic_write_count,
            .write_models = anthropic_write_models,
            .write_model = anthropic_write_model,
            .write_error = anthropic_error_answer,
        },
    .provider =
        {
            .one_choice = true,
            .checks_signatures = true,
            .continues = continues,
            .write_chat = anthropic_write_chat,
            .read_answer = anthropic_read_answer,
            .reader_size = sizeof(struct anthropic_reader),
            .reader_begin = anthropic_reader_begin,
            .reader_frame = anthropic_reader_frame,
            .reader_end = anthropic_reader_end,
            .write_count = anthropic_ask_count,
            .read_count = anthropic_read_count,
            .pass_path = anthropic_pass_path,
            .read_error = anthropic_read_error,
        },
};
