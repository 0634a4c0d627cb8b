/*
 * responses.c - the OpenAI Responses dialect, on both sides.
 *
 * Its parts are llm/responses_*.c; what it shares with Chat Completions is in llm/openai_*.c. Responses that are kept and continued are the gateway's; their form
 * is in llm/responses.h.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"

#define BY_ID .model = MODEL_NONE, .operation = OP_PASS, .label = "responses"

static const struct endpoint_row endpoints[] = {
    {"POST", "/v1/responses", .operation = OP_CHAT, .stream = STREAM_IF_TRUE, .label = "responses"},
    {"POST", "/v1/responses/input_tokens", .operation = OP_COUNT_TOKENS, .label = "count_tokens"},
    {"POST", "/v1/responses/compact", .operation = OP_PASS, .label = "responses"},
    {"GET", "/v1/responses/{x}", BY_ID, .variant = OPENAI_RESPONSE_GET},
    {"DELETE", "/v1/responses/{x}", BY_ID, .variant = OPENAI_RESPONSE_DROP},
    {"POST", "/v1/responses/{x}/cancel", BY_ID, .variant = OPENAI_RESPONSE_STOP},
    {"GET", "/v1/responses/{x}/input_items", BY_ID, .variant = OPENAI_RESPONSE_ITEMS},
    {0}};

const struct dialect dialect_responses = {
    .name = "responses",
    .title = "OpenAI Responses",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = endpoints,
               .keeps_answers = true,
               .read_chat = responses_read_chat,
               .tells_thoughts = true,
               .write_answer = responses_write_answer,
               .writer_size = RESPONSES_WRITER_SIZE,
               .writer_begin = responses_writer_begin,
               .writer_event = responses_writer_event,
               .writer_follow = responses_writer_follow,
               .keep_alive = STR_INIT(": keep-alive\n\n"),
               .write_count = responses_write_count,
               .write_error = openai_write_error},
    .provider = {.write_chat = responses_write_chat,
                 .read_answer = responses_read_answer,
                 .reader_size = RESPONSES_READER_SIZE,
                 .reader_begin = responses_reader_begin,
                 .reader_frame = responses_reader_frame,
                 .reader_end = responses_reader_end,
                 .checks_signatures = true,
                 .relay = RELAY_TYPED,
                 .read_error = openai_read_error},
};
