/*
 * responses.c - the OpenAI Responses dialect.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/dialect.h"

extern const struct dialect dialect_responses;

static const struct endpoint_row endpoints[] = {
    {"POST", "/v1/responses", OP_CHAT, MODEL_IN_BODY, STREAM_IF_TRUE, "responses", NULL, 0}, {0}};

const struct dialect dialect_responses = {
    .name = "responses",
    .title = "OpenAI Responses",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = endpoints},
};
