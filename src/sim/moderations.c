/*
 * moderations.c - POST /moderations: nothing is ever flagged. Scores are small and a function of the input, so tests can compare them.
 */
#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/turn.h"

enum { INPUTS_MAX = 2048 };

static const struct field_rule rules[] = {
    {.name = STR_INIT("input"), .kind = FIELD_ANY, .required = true},
    {.name = STR_INIT("model"), .kind = FIELD_STRING, .min = 1, .max = 512},
};

static const char *const categories[] = {
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
};

static void write_result(uint64_t hash, bool has_image, struct buf *to)
{
    const size_t n = ARRAY_LEN(categories);

    buf_add_lit(to, "{\"flagged\":false,\"categories\":{");
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "\"%s\":false%s", categories[i], i + 1 < n ? "," : "},\"category_scores\":{");
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "\"%s\":0.00%04u%s", categories[i], (unsigned)(sim_hash_u64(hash, i) % 10000),
                 i + 1 < n ? "," : "},\"category_applied_input_types\":{");
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "\"%s\":[\"%s\"]%s", categories[i], has_image ? "text\",\"image" : "text", i + 1 < n ? "," : "}}");
}

/* A part of a mixed input: {"type":"text","text":...} or {"type":"image_url","image_url":{"url":...}}. */
static err_t read_part(struct sim_turn *t, yyjson_val *part, struct str param, uint64_t *hash, bool *has_image)
{
    struct str text = json_get_str(part, STR("text"), STR_NONE);
    struct str url = json_get_str(json_get(part, STR("image_url")), STR("url"), STR_NONE);

    if (!text.p && !url.p)
        return refuse(t->a, &t->refusal, "invalid_value", param, "Invalid '%.*s': expected a text or an image_url.",
                      STR_ARG(param));
    *has_image |= url.p != NULL;
    *hash = sim_hash(*hash, url.p ? url : text);
    return OK;
}

/* A list of parts has one result for all of them together, a list of texts one for each. */
static err_t write_list(struct sim_turn *t, yyjson_val *list)
{
    bool mixed = yyjson_is_obj(yyjson_arr_get_first(list)), has_image = false;
    yyjson_val *item;
    size_t i, n;
    uint64_t hash = t->seed;

    yyjson_arr_foreach(list, i, n, item)
    {
        struct str param = arena_printf(t->a, "input[%zu]", i);
        if (mixed) {
            TRY(read_part(t, item, param, &hash, &has_image));
            continue;
        }
        if (!yyjson_is_str(item))
            return refuse_type(t->a, &t->refusal, param, "a string", item);
        buf_add(t->room, i > 0 ? STR(",") : STR(""));
        write_result(sim_hash(t->seed, json_text(item)), false, t->room);
    }
    if (mixed)
        write_result(hash, has_image, t->room);
    return OK;
}

static err_t write_results(struct sim_turn *t, yyjson_val *input)
{
    if (yyjson_is_str(input)) {
        write_result(sim_hash(t->seed, json_text(input)), false, t->room);
        return OK;
    }
    if (!yyjson_is_arr(input))
        return refuse_type(t->a, &t->refusal, STR("input"), "a string or an array", input);
    if (yyjson_arr_size(input) == 0 || yyjson_arr_size(input) > INPUTS_MAX)
        return refuse(t->a, &t->refusal, "invalid_value", STR("input"),
                      "Invalid 'input': expected an array of 1 to %d items.", INPUTS_MAX);
    return write_list(t, input);
}

err_t moderations_endpoint(struct sim_turn *t)
{
    char id[SIM_ID_MAX];
    struct str body;
    yyjson_val *root;
    bool over;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(fields_check(t->a, root, STR(""), rules, ARRAY_LEN(rules), t->scenario->strict_fields, &t->refusal));
    struct str model = json_get_str(root, STR("model"), STR("omni-moderation-latest"));
    TRY(turn_begin(t, model, 0, &over));
    if (over)
        return OK;
    buf_addf(t->room, "{\"id\":\"%.*s\",\"model\":\"", (int)sim_id(id, "modr-", t->mark.unique, 0), id);
    buf_add_json(t->room, model);
    buf_add_lit(t->room, "\",\"results\":[");
    TRY(write_results(t, json_get(root, STR("input"))));
    buf_add_lit(t->room, "]}");
    TRY(buf_status(t->room));
    return sim_play_whole(&t->play, STR("application/json"), buf_str(t->room), 0);
}
