/* images.c - POST /images/generations: pictures of one colour, which the prompt decides. Only base64; there is nowhere to fetch from. */
#include "codec/base64.h"
#include "codec/json.h"
#include "rt/fiber.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/media.h"
#include "sim/text.h"
#include "sim/turn.h"

enum { IMAGE_BYTES_MAX = 4 << 20, IMAGE_TOKENS = 272, SIDE_USUAL = 1024 };

static const char *const formats[] = {"b64_json", NULL};

static const struct field_rule rules[] = {
    {.name = STR_INIT("prompt"), .kind = FIELD_STRING, .min = 1, .max = 32000, .required = true},
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512},
    {.name = STR_INIT("n"), .kind = FIELD_INT, .min = 1, .max = 10},
    {.name = STR_INIT("size"), .kind = FIELD_STRING},
    {.name = STR_INIT("quality"), .kind = FIELD_STRING},
    {.name = STR_INIT("style"), .kind = FIELD_STRING},
    {.name = STR_INIT("background"), .kind = FIELD_STRING},
    {.name = STR_INIT("moderation"), .kind = FIELD_STRING},
    {.name = STR_INIT("output_format"), .kind = FIELD_ENUM, .choices = (const char *const[]){"png", NULL}},
    {.name = STR_INIT("output_compression"), .kind = FIELD_INT, .min = 0, .max = 100},
    {.name = STR_INIT("response_format"), .kind = FIELD_ENUM, .choices = formats},
    {.name = STR_INIT("user"), .kind = FIELD_STRING},
};

/* "1024x512"; "auto" and absent: the usual size. */
static bool read_size(struct str text, uint32_t *width, uint32_t *height)
{
    uint64_t w, h;

    *width = *height = SIDE_USUAL;
    if (!text.p || str_eq(text, STR("auto")))
        return true;
    struct str first = str_cut(&text, 'x');
    if (!str_to_u64(first, 4096, &w) || !str_to_u64(text, 4096, &h) || w == 0 || h == 0)
        return false;
    *width = (uint32_t)w;
    *height = (uint32_t)h;
    return true;
}

static err_t write_images(struct sim_turn *t, struct str prompt, int64_t n, uint32_t width, uint32_t height) SUSPENDS;
static err_t write_images(struct sim_turn *t, struct str prompt, int64_t n, uint32_t width, uint32_t height)
{
    struct buf png CLEANUP(buf_release) = BUF_INIT(IMAGE_BYTES_MAX);
    size_t prompt_tokens = sim_tokens(prompt), tokens = (size_t)n * IMAGE_TOKENS;

    buf_addf(t->room, "{\"created\":%lld,\"data\":[", (long long)t->mark.created);
    for (int64_t i = 0; i < n; i++) {
        buf_clear(&png);
        TRY(sim_png(&png, width, height, (uint32_t)(sim_hash_u64(sim_hash(t->seed, prompt), (uint64_t)i) & 0xffffff)));
        buf_addf(t->room, "%s{\"b64_json\":\"", i > 0 ? "," : "");
        TRY(base64_encode(t->room, buf_str(&png), BASE64));
        buf_add_lit(t->room, "\"}");
        TRY(fiber_tick());
    }
    buf_addf(
        t->room,
        "],\"background\":\"opaque\",\"output_format\":\"png\",\"usage\":{\"input_tokens\":%zu,\"output_tokens\":%zu,"
        "\"total_tokens\":%zu,\"input_tokens_details\":{\"text_tokens\":%zu,\"image_tokens\":0}}}",
        prompt_tokens, tokens, prompt_tokens + tokens, prompt_tokens);
    turn_count_prompt(t, prompt_tokens);
    return buf_status(t->room);
}

err_t images_endpoint(struct sim_turn *t)
{
    uint32_t width, height;
    struct str body;
    yyjson_val *root;
    bool over;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), rules, ARRAY_LEN(rules), t->scenario->strict_fields, &t->refusal));
    struct str prompt = json_get_str(root, STR("prompt"), STR_NONE), size = json_get_str(root, STR("size"), STR_NONE);
    if (!read_size(size, &width, &height))
        return refuse(t->a, &t->refusal, "invalid_value", STR("size"),
                      "Invalid value: '%.*s'. Expected a size such as '1024x1024'.", STR_ARG(size));
    TRY(turn_begin(t, json_get_str(root, STR("model"), STR("gpt-image-1")), sim_hash(0, prompt), &over));
    if (over)
        return OK;
    int64_t n = json_get_i64(root, STR("n"), 1);
    TRY(write_images(t, prompt, n, width, height));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), (size_t)n * IMAGE_TOKENS);
}
