/*
 * bedrock_model.c - families of models on Bedrock, formats of media, and paths.
 *
 * Converse is one form for all models, but what a model takes of it depends on its maker, whom the id names: "us.anthropic.claude-…", the end of
 * an ARN of a foundation model. The ARN of an application's own profile names nobody: such a model is told whatever the form has, and
 * answers itself what it does not take.
 */
#include "codec/url.h"
#include "llm/bedrock_int.h"

/* Amazon Bedrock user guide, "Supported models and features" of Converse, "Prompt caching" and "Structured outputs". More telling marks first. */
static const struct bedrock_family families[] = {
    {STR_INIT("anthropic."),
     BEDROCK_CLAUDE | BEDROCK_CACHES | BEDROCK_CACHES_TOOLS | BEDROCK_MIXES | BEDROCK_FORCES | BEDROCK_STATUS |
         BEDROCK_SIGNED,
     STR_INIT("top_k")},
    {STR_INIT("amazon.nova"), BEDROCK_NOVA | BEDROCK_CACHES | BEDROCK_FORCES | BEDROCK_STATUS, STR_INIT("topK")},
    {STR_INIT("amazon."), 0, STR_INIT("")},
    {STR_INIT("ai21."), 0, STR_INIT("")},
    {STR_INIT("cohere."), 0, STR_INIT("k")},
    {STR_INIT("deepseek."), BEDROCK_FORMATS, STR_INIT("")},
    {STR_INIT("google."), BEDROCK_FORMATS, STR_INIT("top_k")},
    {STR_INIT("meta."), 0, STR_INIT("")},
    {STR_INIT("minimax."), BEDROCK_FORMATS, STR_INIT("top_k")},
    {STR_INIT("mistral."), BEDROCK_FORMATS | BEDROCK_FORCES, STR_INIT("top_k")},
    {STR_INIT("moonshot"), BEDROCK_FORMATS, STR_INIT("top_k")},
    {STR_INIT("nvidia."), BEDROCK_FORMATS, STR_INIT("top_k")},
    {STR_INIT("openai."), BEDROCK_FORMATS | BEDROCK_EFFORT, STR_INIT("")},
    {STR_INIT("qwen."), BEDROCK_FORMATS, STR_INIT("top_k")},
    {STR_INIT("writer."), 0, STR_INIT("")},
};

static const struct bedrock_family unnamed = {STR_INIT(""),
                                              BEDROCK_CACHES | BEDROCK_CACHES_TOOLS | BEDROCK_FORMATS | BEDROCK_FORCES |
                                                  BEDROCK_STATUS | BEDROCK_SIGNED | BEDROCK_FORM_EFFORT,
                                              STR_INIT("top_k")};

const struct bedrock_family *bedrock_family_of(struct str model)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_find(model, families[i].mark) < model.n)
            return &families[i];
    return &unnamed;
}

/* Of one format the first type is what it is called when read. */
static const struct {
    enum block_kind kind;
    struct str format, type;
} formats[] = {
    {BLOCK_IMAGE, STR_INIT("png"), STR_INIT("image/png")},
    {BLOCK_IMAGE, STR_INIT("jpeg"), STR_INIT("image/jpeg")},
    {BLOCK_IMAGE, STR_INIT("gif"), STR_INIT("image/gif")},
    {BLOCK_IMAGE, STR_INIT("webp"), STR_INIT("image/webp")},
    {BLOCK_DOCUMENT, STR_INIT("pdf"), STR_INIT("application/pdf")},
    {BLOCK_DOCUMENT, STR_INIT("csv"), STR_INIT("text/csv")},
    {BLOCK_DOCUMENT, STR_INIT("doc"), STR_INIT("application/msword")},
    {BLOCK_DOCUMENT, STR_INIT("docx"),
     STR_INIT("application/vnd.openxmlformats-officedocument.wordprocessingml.document")},
    {BLOCK_DOCUMENT, STR_INIT("xls"), STR_INIT("application/vnd.ms-excel")},
    {BLOCK_DOCUMENT, STR_INIT("xlsx"), STR_INIT("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")},
    {BLOCK_DOCUMENT, STR_INIT("html"), STR_INIT("text/html")},
    {BLOCK_DOCUMENT, STR_INIT("txt"), STR_INIT("text/plain")},
    {BLOCK_DOCUMENT, STR_INIT("md"), STR_INIT("text/markdown")},
    {BLOCK_VIDEO, STR_INIT("mkv"), STR_INIT("video/x-matroska")},
    {BLOCK_VIDEO, STR_INIT("mov"), STR_INIT("video/quicktime")},
    {BLOCK_VIDEO, STR_INIT("mp4"), STR_INIT("video/mp4")},
    {BLOCK_VIDEO, STR_INIT("webm"), STR_INIT("video/webm")},
    {BLOCK_VIDEO, STR_INIT("flv"), STR_INIT("video/x-flv")},
    {BLOCK_VIDEO, STR_INIT("mpeg"), STR_INIT("video/mpeg")},
    {BLOCK_VIDEO, STR_INIT("mpg"), STR_INIT("video/mpg")},
    {BLOCK_VIDEO, STR_INIT("wmv"), STR_INIT("video/x-ms-wmv")},
    {BLOCK_VIDEO, STR_INIT("three_gp"), STR_INIT("video/3gpp")},
    {BLOCK_AUDIO, STR_INIT("mp3"), STR_INIT("audio/mpeg")},
    {BLOCK_AUDIO, STR_INIT("mp3"), STR_INIT("audio/mp3")},
    {BLOCK_AUDIO, STR_INIT("opus"), STR_INIT("audio/opus")},
    {BLOCK_AUDIO, STR_INIT("wav"), STR_INIT("audio/wav")},
    {BLOCK_AUDIO, STR_INIT("wav"), STR_INIT("audio/x-wav")},
    {BLOCK_AUDIO, STR_INIT("aac"), STR_INIT("audio/aac")},
    {BLOCK_AUDIO, STR_INIT("flac"), STR_INIT("audio/flac")},
    {BLOCK_AUDIO, STR_INIT("mp4"), STR_INIT("audio/mp4")},
    {BLOCK_AUDIO, STR_INIT("ogg"), STR_INIT("audio/ogg")},
    {BLOCK_AUDIO, STR_INIT("mkv"), STR_INIT("audio/x-matroska")},
};

struct str bedrock_format_of(enum block_kind kind, struct str type)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && str_eq(formats[i].type, type))
            return formats[i].format;
    return kind == BLOCK_DOCUMENT && str_starts(type, STR("text/")) ? STR("txt") : STR_NONE;
}

struct str bedrock_type_of(enum block_kind kind, struct str format)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && str_eq(formats[i].format, format))
            return formats[i].type;
    return STR_NONE;
}

struct str bedrock_path(struct arena *arena, struct str model, struct str operation)
{
    struct buf coded CLEANUP(buf_release) = BUF_INIT(3 * model.n + 1);

    url_encode(&coded, model);
    return arena_printf(arena, "/model/%.*s/%.*s", STR_ARG(buf_str(&coded)), STR_ARG(operation));
}

/* Lists of models keep the client's own path. */
err_t bedrock_pass_path(const struct translation *t, bool stream, struct str *ret_path)
{
    switch ((enum bedrock_operation)t->row->variant) {
    case BEDROCK_CONVERSE:
        *ret_path = bedrock_path(t->arena, t->model, stream ? STR("converse-stream") : STR("converse"));
        break;
    case BEDROCK_COUNT:
        *ret_path = bedrock_path(t->arena, t->model, STR("count-tokens"));
        break;
    case BEDROCK_INVOKE:
        *ret_path = bedrock_path(t->arena, t->model, STR("invoke"));
        break;
    case BEDROCK_MODELS:
        break;
    }
    return OK;
}
