/*
 * question.c - what the readers of all endpoints have in common: counting and hashing what was said.
 *
 * The hash runs over roles and texts in their order, decoded, so that two ways of writing the same JSON ask the same question.
 */
#include "sim/question.h"

#include "base/prng.h"
#include "codec/json.h"
#include "llm/continuation.h"
#include "sim/fields.h"
#include "sim/hash.h"
#include "sim/pattern.h"
#include "sim/text.h"

/* Of tool definitions; far more than models take. */
enum { TOOLS_BYTES_MAX = 4 << 20 };
/* Of a text that follows a regular expression. */
enum { PATTERN_BYTES_MAX = 1 << 20 };

void question_init(struct question *q)
{
    *q = (struct question){.max_tokens = -1, .n = 1, .prompt_tokens = SIM_PROMPT_TOKENS, .parallel = true};
}

void question_add_text(struct question *q, struct str text)
{
    q->hash = sim_hash(q->hash, text);
    q->prompt_tokens += sim_tokens(text);
    if (!q->partial_.last || !text.n)
        return;
    q->partial_.is_plain = !q->partial_.text.n;
    q->partial_.text = text;
}

void question_add_role(struct question *q, struct str role)
{
    q->partial_.last = str_eq_nocase(role, STR("assistant")) || str_eq_nocase(role, STR("model"));
    if (q->partial_.last) {
        q->partial_.hash = q->hash;
        q->partial_.asked = q->asked;
        q->partial_.text = STR_NONE;
    }
    q->hash = sim_hash(q->hash, role);
    q->prompt_tokens += SIM_MESSAGE_TOKENS;
}

void question_settle(struct question *q)
{
    bool by_turn = !q->partial_.last && str_starts(q->asked, continuation_words);

    if (!q->partial_.text.n || !q->partial_.is_plain || (!by_turn && !q->partial_.last))
        return;
    q->again = by_turn ? str_slice(q->asked, continuation_words.n, q->asked.n) : STR_NONE;
    q->continues = q->partial_.text;
    q->hash = q->partial_.hash;
    q->asked = q->partial_.asked;
}

size_t question_effort_tokens(struct str effort)
{
    static const struct {
        struct str name;
        size_t tokens;
    } efforts[] = {{STR_INIT("minimal"), 4}, {STR_INIT("low"), 8},    {STR_INIT("medium"), 16},
                   {STR_INIT("high"), 32},   {STR_INIT("xhigh"), 64}, {STR_INIT("max"), 128}};

    for (size_t i = 0; i < ARRAY_LEN(efforts); i++)
        if (str_eq(effort, efforts[i].name))
            return efforts[i].tokens;
    return 0;
}

err_t question_add_tools(struct arena *a, struct question *q, yyjson_val *tools)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(TOOLS_BYTES_MAX);

    TRY(json_write(&text, a, tools));
    question_add_text(q, buf_str(&text));
    return OK;
}

void question_set_stops(struct arena *a, struct question *q, yyjson_val *stops)
{
    yyjson_val *item;
    size_t i, n;

    q->stops = arena_alloc(a, (1 + yyjson_arr_size(stops)) * sizeof(*q->stops));
    if (yyjson_is_str(stops))
        q->stops[q->stop_count++] = json_text(stops);
    yyjson_arr_foreach(stops, i, n, item)
    {
        q->stops[q->stop_count++] = json_text(item);
    }
}

bool question_is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.n >= 1 && name.n <= 64;
}

err_t question_check_schema(struct arena *a, yyjson_val *schema, struct str param, struct sim_refusal *r)
{
    if (!schema || yyjson_is_null(schema) || yyjson_is_obj(schema))
        return OK;
    return refuse_type(a, r, param, "an object", schema);
}

err_t question_check_pattern(struct arena *a, struct str regex, struct str param, struct sim_refusal *r)
{
    struct buf sample CLEANUP(buf_release) = BUF_INIT(PATTERN_BYTES_MAX);
    struct prng prng;

    prng_seed(&prng, 0);
    if (pattern_sample(regex, 1, &prng, &sample))
        return OK;
    return refuse(a, r, "invalid_value", param, "Invalid regular expression, or one that the simulator cannot follow.");
}
