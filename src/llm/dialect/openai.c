/*
 * openai.c - the OpenAI dialect: Chat Completions, embeddings and models, on both sides, for OpenAI, Azure and their many look-alikes.
 *
 * What this dialect's clients and providers share passes through as bytes (llm/openai_body.h, llm/openai_stream.h); between dialects it is translated by the
 * parts in llm/openai_*.c. How look-alikes differ is said by their rows in llm/vendor.c, which the request's writer follows; the answer's reader takes
 * what any of them sends.
 *
 * Mistral's clients speak this dialect with words of their own, which OpenAI refuses (tool_choice "any", random_seed), and want more of answers than
 * OpenAI gives: what they say is translated even to OpenAI itself.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"

#define CHAT .method = "POST", .operation = OP_CHAT, .stream = STREAM_IF_TRUE, .label = "chat"
/* Relayed to a provider of this dialect, whatever comes back. */
#define PASS .method = "POST", .operation = OP_PASS
#define EMBED .method = "POST", .operation = OP_EMBED, .label = "embeddings"

static const struct endpoint_row rows[] = {
    {CHAT, .path = "/v1/chat/completions"},
    {CHAT, .path = "/openai/deployments/{model}/chat/completions", .model = MODEL_IN_PATH, .variant = OPENAI_AZURE},
    {EMBED, .path = "/v1/embeddings"},
    {EMBED, .path = "/openai/deployments/{model}/embeddings", .model = MODEL_IN_PATH, .variant = OPENAI_AZURE},
    {"GET", "/v1/models", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models"},
    {"GET", "/openai/models", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models", .variant = OPENAI_AZURE},
    {"GET", "/v1/models/{model}", .operation = OP_MODEL, .model = MODEL_IN_PATH, .label = "models"},
    {PASS, .path = "/v1/images/generations", .stream = STREAM_IF_TRUE, .label = "images"},
    {PASS, .path = "/v1/images/edits", .model = MODEL_IN_FORM, .label = "images"},
    {PASS, .path = "/v1/images/variations", .model = MODEL_IN_FORM, .label = "images"},
    {PASS, .path = "/v1/audio/speech", .label = "audio"},
    {PASS, .path = "/v1/audio/transcriptions", .model = MODEL_IN_FORM, .label = "audio"},
    {PASS, .path = "/v1/audio/translations", .model = MODEL_IN_FORM, .label = "audio"},
    {PASS, .path = "/v1/moderations", .label = "moderations"},
    {0},
};

/* Azure's paths name the deployment, others' the model in the body: the path is made anew for either. A version that the client asked for
 * comes with its query. */
static err_t pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    (void)stream;
    if (t->row->operation == OP_CHAT)
        *ret_path = openai_path(t, "/chat/completions", true);
    else if (t->row->operation == OP_EMBED)
        *ret_path = openai_path(t, "/embeddings", true);
    else if (t->row->operation == OP_PASS)
        *ret_path = openai_path(t, t->row->path + strlen("/v1"), true);
    else
        *ret_path = STR("/models");
    return OK;
}

bool openai_of_mistral(struct str agent)
{
    return str_find(agent, STR("mistral")) < agent.n;
}

static bool is_native(const struct endpoint_row *row, struct str agent)
{
    return (row->operation != OP_CHAT && row->operation != OP_EMBED) || !openai_of_mistral(agent);
}

static const char *const along[] = {"responses", "completions", NULL};

/* Mistral's prefix, and vLLM's and SGLang's continue_final_message. Mistral also fills in behind a prompt. */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    if (q->is_completion && q->suffix.text.n && (t->vendor->quirks & QUIRK_INFILL))
        return CONTINUES_PROMPT;
    return t->vendor->quirks & (QUIRK_PREFIX | QUIRK_CONTINUE) ? CONTINUES_PREFILL : CONTINUES_BY_TURN;
}

const struct dialect dialect_openai = {
    .name = "openai",
    .title = "OpenAI Chat Completions",
    .signer = SIGNER_OPENAI,
    .client = {.endpoints = rows,
               .along = along,
               .is_native = is_native,
               .read_chat = openai_read_chat,
               .tells_thoughts = true,
               .write_answer = openai_write_answer,
               .writer_size = OPENAI_WRITER_SIZE,
               .writer_begin = openai_writer_begin,
               .writer_event = openai_writer_event,
               .keep_alive = STR_INIT(": keep-alive\n\n"),
               .read_embed = openai_read_embed,
               .write_embed = openai_write_embed_answer,
               .write_models = openai_write_models,
               .write_model = openai_write_model,
               .write_error = openai_write_error},
    .provider = {.write_chat = openai_write_chat,
                 .read_answer = openai_read_answer,
                 .reader_size = OPENAI_READER_SIZE,
                 .reader_begin = openai_reader_begin,
                 .reader_frame = openai_reader_frame,
                 .reader_end = openai_reader_end,
                 .write_embed = openai_write_embed,
                 .read_embed = openai_read_embed_answer,
                 .embed_batch_max = 2048,
                 .continues = continues,
                 .usage_if_asked = true,
                 .relay = RELAY_CHUNKS,
                 .pass_path = pass_path,
                 .read_error = openai_read_error},
};
