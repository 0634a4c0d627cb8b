/*
 * completions.c - OpenAI's legacy completions: a prompt, continued.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/dialect.h"

extern const struct dialect dialect_completions;

static const struct endpoint_row endpoints[] = {
    {"POST", "/v1/completions", OP_CHAT, MODEL_IN_BODY, STREAM_IF_TRUE, "completions", NULL, 0}, {0}};

const struct dialect dialect_completions = {
    .name = "completions",
    .title = "OpenAI Completions",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = endpoints},
};
