/*
 * completions.c - OpenAI's legacy completions: a prompt, continued. Both sides, over any model on the other.
 *
 * Requests are read and written in llm/completions_request.c, answers written in llm/completions_answer.c; a provider's answers differ from Chat's by one
 * member, so Chat's reader takes them.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"

#define COMPLETION .method = "POST", .operation = OP_CHAT, .stream = STREAM_IF_TRUE, .label = "completions"

static const struct endpoint_row endpoints[] = {
    {COMPLETION, .path = "/v1/completions"},
    {COMPLETION, .path = "/openai/deployments/{model}/completions", .model = MODEL_IN_PATH, .variant = OPENAI_AZURE},
    {0}};

static err_t pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    (void)stream;
    *ret_path = openai_path(t, "/completions", true);
    return OK;
}

/* A conversation that became one prompt is asked as one. */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    (void)t;
    return q->is_completion ? CONTINUES_PROMPT : CONTINUES_BY_TURN;
}

const struct dialect dialect_completions = {
    .name = "completions",
    .title = "OpenAI Completions",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = endpoints,
               .read_chat = completions_read_chat,
               .write_answer = completions_write_answer,
               .writer_size = COMPLETIONS_WRITER_SIZE,
               .writer_begin = completions_writer_begin,
               .writer_event = completions_writer_event,
               .keep_alive = STR_INIT(": keep-alive\n\n"),
               .write_error = openai_write_error},
    .provider = {.write_chat = completions_write_chat,
                 .read_answer = openai_read_answer,
                 .reader_size = OPENAI_READER_SIZE,
                 .reader_begin = openai_reader_begin,
                 .reader_frame = openai_reader_frame,
                 .reader_end = openai_reader_end,
                 .continues = continues,
                 .usage_if_asked = true,
                 .relay = RELAY_CHUNKS,
                 .pass_path = pass_path,
                 .read_error = openai_read_error},
};
