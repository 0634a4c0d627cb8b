/*
 * ollama.c - the Ollama dialect: chat, generate, embeddings and the lists of models, both sides.
 *
 * Written against Ollama's API reference (docs/api.md), version 0.12.11, the first with log probabilities. Streams are the default here, a JSON object a line. Models are not managed
 * through the gateway: pulling, pushing, creating, copying and deleting them is refused. A request that only loads a model, because it has no
 * messages, is answered by the gateway itself if the model is somebody else's.
 */
#include "llm/ollama_int.h"

#define NOT_MANAGED                                                                                                    \
    .operation = OP_STATIC, .model = MODEL_NONE, .label = "manage", .status = 403,                                     \
    .text = "models are not managed through this gateway: ask the server itself, or list those that there are with "   \
            "/api/tags"
#define RUNNING                                                                                                        \
    .path = "/", .operation = OP_STATIC, .model = MODEL_NONE, .label = "version", .type = "text/plain; charset=utf-8", \
    .text = "Ollama is running"

#define ASK .method = "POST", .operation = OP_CHAT, .model = MODEL_IN_BODY, .stream = STREAM_UNLESS_FALSE
#define EMBED .method = "POST", .operation = OP_EMBED, .model = MODEL_IN_BODY, .label = "embeddings"
#define TELL .method = "GET", .operation = OP_STATIC, .model = MODEL_NONE

static const struct endpoint_row endpoints[] = {
    {ASK, .path = "/api/chat", .label = "chat", .variant = OLLAMA_CHAT},
    {ASK, .path = "/api/generate", .label = "generate", .variant = OLLAMA_GENERATE},
    {EMBED, .path = "/api/embed", .variant = OLLAMA_EMBED},
    {EMBED, .path = "/api/embeddings", .variant = OLLAMA_EMBED_ONE},
    {.method = "GET", .path = "/api/tags", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models"},
    {.method = "POST", .path = "/api/show", .operation = OP_MODEL, .model = MODEL_IN_BODY, .label = "models"},
    {TELL, .path = "/api/ps", .label = "models", .text = "{\"models\":[]}"}, /* a gateway keeps none in memory */
    {TELL, .path = "/api/version", .label = "version", .text = "{\"version\":\"0.12.11\"}"},
    {.method = "GET", RUNNING},
    {.method = "HEAD", RUNNING},
    {.method = "POST", .path = "/api/pull", NOT_MANAGED},
    {.method = "POST", .path = "/api/push", NOT_MANAGED},
    {.method = "POST", .path = "/api/create", NOT_MANAGED},
    {.method = "POST", .path = "/api/copy", NOT_MANAGED},
    {.method = "DELETE", .path = "/api/delete", NOT_MANAGED},
    {.method = "POST", .path = "/api/blobs/{x}", NOT_MANAGED},
    {.method = "HEAD", .path = "/api/blobs/{x}", NOT_MANAGED},
    {.method = NULL},
};

static enum framing framing(const struct translation *t)
{
    (void)t;
    return FRAMING_LINES;
}

static const char *const along[] = {"openai", "completions", "anthropic", NULL};

/* Of raw prompts; a template may close the last turn of a conversation. */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    (void)t;
    return q->is_completion ? CONTINUES_PROMPT : CONTINUES_BY_TURN;
}

const struct dialect dialect_ollama = {
    .name = "ollama",
    .title = "Ollama",
    .client = {.endpoints = endpoints,
               .along = along,
               .answer_here = ollama_answer_here,
               .read_chat = ollama_read_chat,
               .tells_thoughts = true,
               .write_answer = ollama_write_answer,
               .framing = framing,
               .writer_size = sizeof(struct ollama_writer),
               .writer_begin = ollama_writer_begin,
               .writer_event = ollama_writer_event,
               .read_embed = ollama_read_embed,
               .write_embed = ollama_write_embed_answer,
               .write_models = ollama_write_models,
               .write_model = ollama_write_model,
               .write_error = ollama_write_error},
    .provider = {.continues = continues,
                 .wants_bytes = 1u << BLOCK_IMAGE,
                 .one_choice = true,
                 .write_chat = ollama_write_chat,
                 .read_answer = ollama_read_answer,
                 .reader_size = sizeof(struct ollama_reader),
                 .reader_begin = ollama_reader_begin,
                 .reader_frame = ollama_reader_frame,
                 .reader_end = ollama_reader_end,
                 .write_embed = ollama_write_embed,
                 .read_embed = ollama_read_embed_answer,
                 .read_error = ollama_read_error},
};
