/*
 * cohere.c - the Cohere dialect, API v2: chat, embeddings, reranking and models, on both sides.
 *
 * The paths of models are shared with others; there it is Cohere's only for its own clients (gateway/endpoint.c). What has no successor in
 * version 2, tokenization, only passes through.
 *
 * Not here: the chat of version 1, batches, data sets, transcription. Wire format: Cohere API v2 reference, November 2026.
 */
#include "codec/http1.h"
#include "llm/cohere_int.h"

static const struct endpoint_row rows[] = {
    {"POST", "/v2/chat", .operation = OP_CHAT, .stream = STREAM_IF_TRUE, .label = "chat"},
    {"POST", "/v2/embed", .operation = OP_EMBED, .label = "embeddings"},
    {"POST", "/v2/rerank", .operation = OP_RERANK, .label = "rerank"},
    {"POST", "/v1/tokenize", .operation = OP_PASS, .label = "tokenize"},
    {"POST", "/v1/detokenize", .operation = OP_PASS, .label = "detokenize"},
    {"GET", "/v1/models", .operation = OP_MODELS, .model = MODEL_NONE, .label = "models"},
    {"GET", "/v1/models/{model}", .operation = OP_MODEL, .model = MODEL_IN_PATH, .label = "models"},
    {0},
};

/* The version is in the path, not in the base URL. */
static err_t pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    (void)stream;
    *ret_path = str_from_c(t->row->path);
    return OK;
}

/* Its SDKs say who they are; others ask for lists in Cohere's own words. */
static bool claims(struct str method, struct str path, const struct http_head *head)
{
    struct str agent = http_head_get(head, HDR_USER_AGENT), query = head->query;

    (void)method;
    (void)path;
    return http_head_find(head, STR("x-client-name")).p || str_find(agent, STR("cohere")) < agent.n ||
           str_find(query, STR("endpoint=")) < query.n || str_find(query, STR("page_size=")) < query.n;
}

const struct dialect dialect_cohere = {
    .name = "cohere",
    .title = "Cohere API v2",
    .client = {.endpoints = rows,
               .claims = claims,
               .read_chat = cohere_read_chat,
               .tells_thoughts = true,
               .write_answer = cohere_write_answer,
               .writer_size = COHERE_WRITER_SIZE,
               .writer_begin = cohere_writer_begin,
               .writer_event = cohere_writer_event,
               .writer_follow = cohere_writer_follow,
               .keep_alive = STR_INIT(": keep-alive\n\n"),
               .read_embed = cohere_read_embed,
               .write_embed = cohere_write_embed_answer,
               .read_rerank = cohere_read_rerank,
               .write_rerank = cohere_write_rerank_answer,
               .write_models = cohere_write_models,
               .write_model = cohere_write_model,
               .write_error = cohere_write_error},
    .provider = {.write_chat = cohere_write_chat,
                 .read_answer = cohere_read_answer,
                 .reader_size = COHERE_READER_SIZE,
                 .reader_begin = cohere_reader_begin,
                 .reader_frame = cohere_reader_frame,
                 .reader_end = cohere_reader_end,
                 .write_embed = cohere_write_embed,
                 .read_embed = cohere_read_embed_answer,
                 .embed_batch_max = COHERE_TEXTS_MAX,
                 .write_rerank = cohere_write_rerank,
                 .read_rerank = cohere_read_rerank_answer,
                 .one_choice = true,
                 .pass_path = pass_path,
                 .read_error = cohere_read_error},
};
