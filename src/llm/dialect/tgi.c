/*
 * tgi.c - the dialect of Hugging Face's Text Generation Inference: prompts that are continued, both sides.
 *
 * Written against text-generation-inference, docs/openapi.json, version 3, and the task "text generation" of Hugging Face's hosted inference, whose
 * paths name the model. TGI's own paths name none: it is the only one that speaks this dialect, or named in a header. Conversations reach a TGI
 * server on its OpenAI route. Tokens are a TGI server's to give: no other provider has its tokenizer.
 */
#include "codec/json_out.h"
#include "llm/tgi_int.h"

#define PASS .method = "POST", .operation = OP_PASS, .model = MODEL_NONE
#define GENERATE .method = "POST", .operation = OP_CHAT, .label = "generate"

static const struct endpoint_row endpoints[] = {
    {GENERATE, .path = "/generate", .model = MODEL_NONE, .stream = STREAM_NEVER, .variant = TGI_OBJECT},
    {GENERATE, .path = "/generate_stream", .model = MODEL_NONE, .stream = STREAM_ALWAYS, .variant = TGI_OBJECT},
    {GENERATE, .path = "/", .model = MODEL_NONE, .stream = STREAM_IF_TRUE, .variant = TGI_ARRAY},
    {GENERATE, .path = "/invocations", .model = MODEL_NONE, .stream = STREAM_IF_TRUE, .variant = TGI_ARRAY},
    {GENERATE, .path = "/models/{model}", .model = MODEL_IN_PATH, .stream = STREAM_IF_TRUE, .variant = TGI_ARRAY},
    {GENERATE, .path = "/hf-inference/models/{model}", .model = MODEL_IN_PATH, .stream = STREAM_IF_TRUE,
     .variant = TGI_ARRAY},
    {PASS, .path = "/tokenize", .label = "tokenize"},
    {PASS, .path = "/chat_tokenize", .label = "tokenize"},
    {.method = "GET", .path = "/info", .operation = OP_MODEL, .model = MODEL_NONE, .label = "models"},
    {.method = "GET",
     .path = "/health",
     .operation = OP_STATIC,
     .model = MODEL_NONE,
     .label = "health",
     .text = "",
     .type = "text/plain; charset=utf-8"},
    {.method = NULL},
};

/* What a gateway knows of /info: its limits are the server's behind it, and are left out. */
static err_t write_model(const struct translation *t, const struct model_card *card, struct buf *to)
{
    struct json_out o = json_out_to(to);

    (void)t;
    json_open(&o, '{');
    json_member_str(&o, STR("model_id"), card->id);
    json_member_null(&o, STR("model_sha"));
    json_member_str(&o, STR("model_pipeline_tag"), STR("text-generation"));
    json_member_u64(&o, STR("max_best_of"), 1);
    json_member_str(&o, STR("router"), STR("crossdock"));
    json_member_null(&o, STR("sha"));
    json_member_null(&o, STR("docker_label"));
    json_close(&o, '}');
    return buf_status(to);
}

/* A path with a model in it means the server's root. */
static err_t pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    (void)stream;
    *ret_path = t->row->model == MODEL_IN_PATH ? STR("/") : str_from_c(t->row->path);
    return OK;
}

static const char *const along[] = {"openai", "completions", NULL};
static const char *const body_marks[] = {"parameters", NULL};

/* Conversations go another way (tgi_request_write.c). */
static enum continuation_form continues(const struct translation *t, const struct chat_request *q)
{
    (void)t;
    return q->is_completion ? CONTINUES_PROMPT : CONTINUES_BY_TURN;
}

const struct dialect dialect_tgi = {
    .name = "tgi",
    .title = "Text Generation Inference",
    .client = {.endpoints = endpoints,
               .along = along,
               .body_marks = body_marks,
               .read_chat = tgi_read_chat,
               .write_answer = tgi_write_answer,
               .writer_size = sizeof(struct tgi_writer),
               .writer_begin = tgi_writer_begin,
               .writer_event = tgi_writer_event,
               .writer_follow = tgi_writer_follow,
               .keep_alive = STR_INIT(": keep-alive\n\n"),
               .write_model = write_model,
               .write_error = tgi_write_error},
    .provider = {.one_choice = true,
                 .continues = continues,
                 .write_chat = tgi_write_chat,
                 .read_answer = tgi_read_answer,
                 .reader_size = TGI_READER_SIZE,
                 .reader_begin = tgi_reader_begin,
                 .reader_frame = tgi_reader_frame,
                 .reader_end = tgi_reader_end,
                 .pass_path = pass_path,
                 .read_error = tgi_read_error},
};
