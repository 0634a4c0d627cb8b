/*
 * gemini.c - the Gemini dialect: generateContent and its stream, counting tokens, embeddings, models; of the Gemini API and of Vertex AI.
 *
 * Written against Google's Gemini API reference (v1beta) and the Vertex AI generative AI reference, November 2026. Vertex AI
 * (QUIRK_VERTEX) differs in the path, in embeddings, and in a few fields. Its base URL holds project and location:
 * https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}
 */
#include "codec/http1.h"
#include "llm/gemini_int.h"

/* The verbs of a model, below one path of models. */
#define VERBS(models)                                                                                                  \
    {.method = "POST",                                                                                                 \
     .path = models "{model}:generateContent",                                                                         \
     .operation = OP_CHAT,                                                                                             \
     .model = MODEL_IN_PATH,                                                                                           \
     .stream = STREAM_NEVER,                                                                                           \
     .label = "generate_content"},                                                                                     \
        {.method = "POST",                                                                                             \
         .path = models "{model}:streamGenerateContent",                                                               \
         .operation = OP_CHAT,                                                                                         \
         .model = MODEL_IN_PATH,                                                                                       \
         .stream = STREAM_ALWAYS,                                                                                      \
         .label = "generate_content"},                                                                                 \
        {.method = "POST",                                                                                             \
         .path = models "{model}:countTokens",                                                                         \
         .operation = OP_COUNT_TOKENS,                                                                                 \
         .model = MODEL_IN_PATH,                                                                                       \
         .label = "count_tokens"},                                                                                     \
        {.method = "POST",                                                                                             \
         .path = models "{model}:embedContent",                                                                        \
         .operation = OP_EMBED,                                                                                        \
         .model = MODEL_IN_PATH,                                                                                       \
         .label = "embeddings",                                                                                        \
         .variant = GEMINI_EMBED_ONE},                                                                                 \
        {.method = "POST",                                                                                             \
         .path = models "{model}:batchEmbedContents",                                                                  \
         .operation = OP_EMBED,                                                                                        \
         .model = MODEL_IN_PATH,                                                                                       \
         .label = "embeddings",                                                                                        \
         .variant = GEMINI_EMBED_BATCH,                                                                                \
         .repeats_model = true},                                                                                       \
    {                                                                                                                  \
        .method = "POST", .path = models "{model}:predict", .operation = OP_EMBED, .model = MODEL_IN_PATH,             \
        .label = "embeddings", .variant = GEMINI_PREDICT                                                               \
    }

/* The Gemini API's own paths of one version, and Vertex AI's, where a tuned model is an endpoint. */
#define MODELS(version)                                                                                                \
    VERBS(version "/models/"), VERBS(version "/tunedModels/"), VERBS(version "/publishers/google/models/"),            \
        VERBS(version "/projects/{x}/locations/{x}/publishers/google/models/"),                                        \
        VERBS(version "/projects/{x}/locations/{x}/endpoints/"),                                                       \
        {.method = "GET", .path = version "/models", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models"},  \
        {.method = "GET",                                                                                              \
         .path = version "/models/{model}",                                                                            \
         .operation = OP_MODEL,                                                                                        \
         .model = MODEL_IN_PATH,                                                                                       \
         .label = "models"}

static const struct endpoint_row endpoints[] = {
    MODELS("/v1alpha"), MODELS("/v1beta"), MODELS("/v1beta1"), MODELS("/v1"), {.method = NULL},
};

/* Google's clients say their key in ways of their own, and have verbs behind a model's name. */
static bool claims(struct str method, struct str path, const struct http_head *head)
{
    bool is_verb = str_eq(method, STR("POST")) && str_find_char(path, ':') < path.n;

    return is_verb || http_head_get(head, HDR_X_GOOG_API_KEY).p || str_starts(head->query, STR("key=")) ||
           str_find(head->query, STR("&key=")) < head->query.n;
}

const struct dialect dialect_gemini = {
    .name = "gemini",
    .title = "Google Gemini",
    .signer = SIGNER_GOOGLE,
    .client =
        {
            .endpoints = endpoints,
            .claims = claims,
            .read_chat = gemini_read_chat,
            .tells_thoughts = true,
            .write_answer = gemini_write_answer,
            .framing = gemini_framing,
            .writer_size = sizeof(struct gemini_writer),
            .writer_begin = gemini_writer_begin,
            .writer_event = gemini_writer_event,
            .writer_follow = gemini_writer_follow,
            .read_embed = gemini_read_embed,
            .write_embed = gemini_write_embed,
            .write_count = gemini_write_count,
            .write_models = gemini_write_models,
            .write_model = gemini_write_model,
            .write_error = gemini_error_answer,
        },
    .provider =
        {
            .wants_bytes = 1u << BLOCK_IMAGE | 1u << BLOCK_AUDIO | 1u << BLOCK_VIDEO | 1u << BLOCK_DOCUMENT,
            .fetches = gemini_fetches,
            .write_chat = gemini_write_chat,
            .read_answer = gemini_read_answer,
            .reader_size = sizeof(struct gemini_reader),
            .reader_begin = gemini_reader_begin,
            .reader_frame = gemini_reader_frame,
            .reader_end = gemini_reader_end,
            .write_embed = gemini_ask_embed,
            .read_embed = gemini_read_vectors,
            .embed_batch_max = 100,
            .checks_signatures = true,
            .write_count = gemini_ask_count,
            .read_count = gemini_read_count,
            .pass_path = gemini_pass_path,
            .read_error = gemini_read_error,
        },
};
