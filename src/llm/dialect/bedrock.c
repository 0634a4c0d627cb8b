/*
 * bedrock.c - the Bedrock dialect: Converse and ConverseStream, counting tokens, lists of models; embeddings and rerank through InvokeModel.
 *
 * Written against the Amazon Bedrock API reference and user guide, November 2026. The model stands in the path, as one percent-coded segment, ARNs
 * included; streams are AWS event streams; errors are named by the header x-amzn-errortype. InvokeModel with the body of Claude's Messages API
 * is the Anthropic dialect's business, which shares the path. Signing requests is the gateway's.
 */
#include "llm/bedrock_int.h"
#include "llm/claude.h"

static const struct endpoint_row endpoints[] = {
    {.method = "POST",
     .path = "/model/{model}/converse",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_NEVER,
     .label = "converse",
     .variant = BEDROCK_CONVERSE},
    {.method = "POST",
     .path = "/model/{model}/converse-stream",
     .operation = OP_CHAT,
     .model = MODEL_IN_PATH,
     .stream = STREAM_ALWAYS,
     .label = "converse",
     .variant = BEDROCK_CONVERSE},
    {.method = "POST",
     .path = "/model/{model}/count-tokens",
     .operation = OP_COUNT_TOKENS,
     .model = MODEL_IN_PATH,
     .stream = STREAM_NEVER,
     .label = "count_tokens",
     .variant = BEDROCK_COUNT},
    {.method = "POST",
     .path = "/model/{model}/invoke",
     .operation = OP_EMBED,
     .model = MODEL_IN_PATH,
     .stream = STREAM_NEVER,
     .label = "embeddings",
     .variant = BEDROCK_INVOKE},
    {.method = "GET",
     .path = "/foundation-models",
     .operation = OP_MODELS,
     .model = MODEL_NONE,
     .label = "models",
     .variant = BEDROCK_MODELS},
    {.method = "GET",
     .path = "/foundation-models/{model}",
     .operation = OP_MODEL,
     .model = MODEL_IN_PATH,
     .label = "models",
     .variant = BEDROCK_MODELS},
    {.method = NULL},
};

static const char *const along[] = {"anthropic", NULL};
/* Of the models that embed; Claude's Messages have none of them (InvokeModel). */
static const char *const body_marks[] = {"inputText", "inputImage", "input_type", NULL};

/* Of its models, those whose makers document that they do. */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    bool claude = str_find(t->model, STR("anthropic.claude")) < t->model.n;

    (void)q;
    return claude && !claude_traits_of(t->model).adaptive ? CONTINUES_PREFILL : CONTINUES_BY_TURN;
}

const struct dialect dialect_bedrock = {
    .name = "bedrock",
    .title = "Amazon Bedrock",
    .signer = SIGNER_ANTHROPIC, /* only Claude signs there what must come back */
    .client =
        {
            .endpoints = endpoints,
            .along = along,
            .body_marks = body_marks,
            .id_header = STR_INIT("x-amzn-requestid"),
            .read_chat = bedrock_read_chat,
            .tells_thoughts = true,
            .write_answer = bedrock_write_answer,
            .framing = bedrock_framing,
            .writer_size = sizeof(struct bedrock_writer),
            .writer_begin = bedrock_writer_begin,
            .writer_event = bedrock_writer_event,
            .writer_follow = bedrock_writer_follow,
            .read_embed = bedrock_read_embed_request,
            .write_embed = bedrock_write_embed_answer,
            .write_count = bedrock_write_count,
            .write_models = bedrock_write_models,
            .write_model = bedrock_write_model,
            .write_error = bedrock_write_error,
        },
    .provider =
        {
            .write_chat = bedrock_write_chat,
            .read_answer = bedrock_read_answer,
            .reader_size = sizeof(struct bedrock_reader),
            .reader_begin = bedrock_reader_begin,
            .reader_frame = bedrock_reader_frame,
            .reader_end = bedrock_reader_end,
            .write_embed = bedrock_write_embed,
            .read_embed = bedrock_read_embed,
            .embed_batch = bedrock_embed_batch,
            .write_rerank = bedrock_write_rerank,
            .read_rerank = bedrock_read_rerank,
            .write_count = bedrock_ask_count,
            .read_count = bedrock_read_count,
            .one_choice = true,
            .continues = continues,
            .checks_signatures = true,
            .wants_bytes = 1 << BLOCK_IMAGE | 1 << BLOCK_AUDIO | 1 << BLOCK_VIDEO | 1 << BLOCK_DOCUMENT,
            .pass_path = bedrock_pass_path,
            .read_error = bedrock_read_error,
        },
};
