/* local.c - models, tokens and inputs of self-hosted servers. Tokens are sim/text.h's; their numbers come from a hash of their text. */
#include "sim/local.h"

#include "codec/json.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/text.h"

enum { VOCABULARY = 32000, FIRST_ORDINARY = 3 }; /* 0 to 2 are special */

struct str local_model(const struct sim_turn *t, struct str usual)
{
    if (scenario_model(t->scenario, usual) || t->scenario->model_count == 0)
        return usual;
    return t->scenario->models[0].name;
}

unsigned local_token_id(struct str token)
{
    return FIRST_ORDINARY + (unsigned)(sim_hash(0, token) % (VOCABULARY - FIRST_ORDINARY));
}

struct str local_logprob(struct arena *a, struct str token)
{
    return arena_printf(a, "-0.%04u", (unsigned)(sim_hash(1, token) % 10000));
}

static struct str numbers_text(struct arena *a, yyjson_val *numbers)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(SIZE_MAX);
    yyjson_val *number;
    size_t i, n;

    yyjson_arr_foreach(numbers, i, n, number)
    {
        buf_addf(&text, "%s%lld", i > 0 ? " " : "", (long long)yyjson_get_sint(number));
    }
    return arena_str(a, buf_str(&text));
}

static bool is_numbers(yyjson_val *v)
{
    yyjson_val *item;
    size_t i, n;

    yyjson_arr_foreach(v, i, n, item)
    {
        if (!yyjson_is_uint(item))
            return false;
    }
    return yyjson_arr_size(v) > 0;
}

static bool add_input(struct arena *a, yyjson_val *v, struct local_inputs *to)
{
    if (!yyjson_is_str(v) && !is_numbers(v))
        return false;
    struct str text = yyjson_is_str(v) ? json_text(v) : numbers_text(a, v);
    size_t tokens = yyjson_is_str(v) ? sim_tokens(text) : yyjson_arr_size(v);
    to->texts[to->count++] = text;
    to->tokens += tokens;
    to->longest = tokens > to->longest ? tokens : to->longest;
    to->hash = sim_hash(to->hash, text);
    return true;
}

bool local_read_inputs(struct arena *a, yyjson_val *v, size_t max, struct local_inputs *ret, bool *ret_many)
{
    size_t size = yyjson_arr_size(v), i, n;
    yyjson_val *item;

    *ret = (struct local_inputs){.is_list = yyjson_is_arr(v) && !is_numbers(v)};
    *ret_many = ret->is_list && size > max;
    if (*ret_many)
        return false;
    ret->texts = arena_zalloc(a, (size + 1) * sizeof(*ret->texts));
    if (!ret->is_list)
        return add_input(a, v, ret);
    yyjson_arr_foreach(v, i, n, item)
    {
        if (!add_input(a, item, ret))
            return false;
    }
    return true;
}

err_t local_health_endpoint(struct sim_turn *t)
{
    if (!t->scenario->is_healthy)
        return refuse_status(t->a, &t->refusal, 503, "unavailable_error",
                             "The scenario says that this server is down.");
    return sim_play_plain(&t->play, 200, STR("text/plain"), STR(""));
}

/* --- vLLM's tokenizer --- */

/* The prompt, or what all messages say. */
static err_t prompt_text(struct sim_turn *t, yyjson_val *root, struct str *ret)
{
    yyjson_val *messages = json_get(root, STR("messages")), *message;
    size_t i, n;

    *ret = json_get_str(root, STR("prompt"), STR_NONE);
    if (ret->p)
        return OK;
    if (!yyjson_is_arr(messages))
        return refuse(t->a, &t->refusal, NULL, STR("prompt"), "Field required: one of 'prompt' and 'messages'.");
    *ret = STR("");
    yyjson_arr_foreach(messages, i, n, message)
    {
        struct str content = json_get_str(message, STR("content"), STR_NONE);
        if (!content.p)
            return refuse(t->a, &t->refusal, NULL, arena_printf(t->a, "messages[%zu].content", i),
                          "Input should be a valid string");
        *ret = arena_printf(t->a, "%.*s<%.*s>%.*s", STR_ARG(*ret),
                            STR_ARG(json_get_str(message, STR("role"), STR("user"))), STR_ARG(content));
    }
    return OK;
}

err_t local_tokenize_endpoint(struct sim_turn *t)
{
    struct str body, rest;
    yyjson_val *root;

    TRY(turn_body(t, &body));
    TRY(fields_parse(t->a, body, &t->refusal, &root));
    TRY(prompt_text(t, root, &rest));
    buf_addf(t->room, "{\"count\":%zu,\"max_model_len\":%d,\"tokens\":[", sim_tokens(rest), LOCAL_MODEL_LENGTH);
    for (const char *joint = ""; rest.n > 0; joint = ",")
        buf_addf(t->room, "%s%u", joint, local_token_id(sim_token_cut(&rest)));
    buf_add_lit(t->room, "],\"token_strs\":null}");
    return turn_reply_json(t, 200);
}
