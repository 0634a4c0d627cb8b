/*
 * answer.c - decides what a simulated model says: calls tools, fills a JSON Schema, or talks.
 *
 * Tools, with tool_choice "auto": a tool is called when the last message is the user's and names it: holds "call <name>", or a word
 * of the name ("get_tide" is called when asked about the tide; words that say little, such as "get", do not count). "required" and a
 * named tool are obeyed. Arguments are made to be valid against the tool's parameters. When a tool's result is the last message,
 * the answer is a text that quotes it.
 *
 * An answer that is to be continued is the same answer again, from where it broke off: what a model does that minds only what it was asked. One that it
 * would not have given is answered as if it had not been begun.
 *
 * Limits are really applied: the text ends before the first stop sequence, then at max_tokens, and the finish reason says which.
 */
#include "sim/answer.h"

#include "base/prng.h"
#include "base/utf8.h"
#include "sim/conform.h"
#include "sim/hash.h"
#include "sim/pattern.h"
#include "sim/text.h"

/* Of one structured answer or one call's arguments. */
enum { JSON_BYTES_MAX = 1 << 20, QUOTE_MAX = 200, PATTERN_STRETCH = 4 };

struct str sim_finish_name(enum sim_finish f)
{
    static const struct str names[] = {
        [SIM_STOP] = STR_INIT("stop"),
        [SIM_LENGTH] = STR_INIT("length"),
        [SIM_TOOL_CALLS] = STR_INIT("tool_calls"),
        [SIM_FUNCTION_CALL] = STR_INIT("function_call"),
    };

    return names[f];
}

/* --- which tools --- */

static bool is_word_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 128;
}

/* The next run of word characters of *rest; empty at the end. A capital behind a small letter begins a new word. */
static struct str next_word(struct str *rest, bool split_case)
{
    size_t from = 0, to;

    while (from < rest->n && !is_word_char(rest->p[from]))
        from++;
    for (to = from; to < rest->n && is_word_char(rest->p[to]); to++)
        if (split_case && to > from && rest->p[to] >= 'A' && rest->p[to] <= 'Z' && rest->p[to - 1] >= 'a')
            break;
    struct str word = str_slice(*rest, from, to);
    *rest = str_slice(*rest, to, rest->n);
    return word;
}

/* Words of tool names that say nothing about when to call them. */
static bool says_little(struct str word)
{
    static const struct str little[] = {STR_INIT("get"),  STR_INIT("set"),  STR_INIT("the"),  STR_INIT("for"),
                                        STR_INIT("run"),  STR_INIT("call"), STR_INIT("make"), STR_INIT("and"),
                                        STR_INIT("find"), STR_INIT("from"), STR_INIT("with"), STR_INIT("tool"),
                                        STR_INIT("read"), STR_INIT("list"), STR_INIT("fetch")};

    for (size_t i = 0; i < ARRAY_LEN(little); i++)
        if (str_eq_nocase(word, little[i]))
            return true;
    return word.n < 3;
}

/* Is `word` in `text` as a whole word, or with an s behind it? */
static bool has_word(struct str text, struct str word)
{
    for (struct str w; (w = next_word(&text, false)).n > 0;)
        if (str_eq_nocase(w, word) ||
            (w.n == word.n + 1 && ascii_lower(w.p[word.n]) == 's' && str_starts_nocase(w, word)))
            return true;
    return false;
}

static bool is_named(struct str asked, struct str tool)
{
    if (str_find(asked, tool) < asked.n)
        return true;
    for (struct str w; (w = next_word(&tool, true)).n > 0;)
        if (!says_little(w) && has_word(asked, w))
            return true;
    return false;
}

/* Which tools the answer calls, in order; *ret has room for all. */
static size_t choose_tools(const struct question *q, const struct sim_tool **ret)
{
    const struct sim_tool *first = NULL;
    size_t count = 0;

    for (size_t i = 0; i < q->tool_count; i++) {
        const struct sim_tool *t = &q->tools[i];
        if (q->tool_choice == SIM_TOOL_NONE || t->barred)
            continue;
        first = first ? first : t;
        if (q->tool_choice == SIM_TOOL_NAMED ? str_eq(t->name, q->tool_named)
                                             : !q->result.p && is_named(q->asked, t->name))
            ret[count++] = t;
    }
    if (count == 0 && first && q->tool_choice == SIM_TOOL_REQUIRED)
        ret[count++] = first;
    return count > 1 && (!q->parallel || q->tool_choice == SIM_TOOL_NAMED) ? 1 : count;
}

/* --- what is said --- */

static err_t make_json(struct arena *a, yyjson_val *schema, uint64_t hash, struct str hint, struct str *ret)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(JSON_BYTES_MAX);

    TRY(conform_write(a, schema, hash, hint, &json));
    *ret = arena_str(a, buf_str(&json));
    return OK;
}

static err_t make_call(struct arena *a, const struct question *q, const struct sim_tool *tool, uint64_t hash,
                       struct sim_call *ret)
{
    *ret = (struct sim_call){.name = tool->name, .custom = tool->custom, .arguments = STR("{}")};
    if (tool->custom)
        ret->arguments = q->asked.n > 0 ? q->asked : STR("simulated");
    else if (tool->parameters)
        return make_json(a, tool->parameters, sim_hash(hash, tool->name), q->asked, &ret->arguments);
    return OK;
}

static size_t call_tokens(const struct sim_call *c)
{
    return sim_tokens(c->name) + sim_tokens(c->arguments);
}

/* Cut the calls to `max` tokens: those behind the limit go, the one that meets it loses the end of its arguments. */
static void limit_calls(struct sim_choice *c, size_t max)
{
    size_t left = max;

    for (size_t i = 0; i < c->call_count; i++) {
        size_t name = sim_tokens(c->calls[i].name), tokens = call_tokens(&c->calls[i]);
        if (tokens <= left) {
            left -= tokens;
            continue;
        }
        c->calls[i].arguments = left > name ? sim_token_prefix(c->calls[i].arguments, left - name) : STR("");
        c->call_count = i + (i == 0 || left > name);
        c->tokens = max;
        c->finish = SIM_LENGTH;
        return;
    }
}

static err_t make_calls(struct arena *a, const struct question *q, uint64_t hash, size_t max, struct sim_choice *c)
{
    const struct sim_tool **tools = arena_alloc(a, q->tool_count * sizeof(*tools));
    size_t count = choose_tools(q, tools);

    if (count == 0)
        return OK;
    c->calls = arena_zalloc(a, count * sizeof(*c->calls));
    c->finish = q->legacy_functions ? SIM_FUNCTION_CALL : SIM_TOOL_CALLS;
    for (; c->call_count < count; c->call_count++) {
        TRY(make_call(a, q, tools[c->call_count], sim_hash_u64(hash, c->call_count), &c->calls[c->call_count]));
        c->tokens += call_tokens(&c->calls[c->call_count]);
    }
    limit_calls(c, max);
    return OK;
}

/* A simple object for response_format json_object. */
static struct str make_object(struct arena *a, const struct question *q, struct str text)
{
    struct buf json CLEANUP(buf_release) = BUF_INIT(JSON_BYTES_MAX);

    buf_add_lit(&json, "{\"simulated\":true,\"question\":\"");
    buf_add_json(&json, utf8_prefix(q->asked, QUOTE_MAX));
    buf_add_lit(&json, "\",\"answer\":\"");
    buf_add_json(&json, text);
    buf_add_lit(&json, "\"}");
    return arena_str(a, buf_str(&json));
}

/* A text that follows a regular expression, which question_check_pattern() has let pass. */
static err_t make_pattern(struct arena *a, struct str regex, uint64_t hash, struct str *ret)
{
    struct buf text CLEANUP(buf_release) = BUF_INIT(JSON_BYTES_MAX);
    struct prng prng;

    prng_seed(&prng, hash);
    if (!pattern_sample(regex, PATTERN_STRETCH, &prng, &text))
        return fail(E_TOO_LARGE, "the regular expression asks for too much");
    *ret = arena_str(a, buf_str(&text));
    return OK;
}

static err_t make_text(struct arena *a, const struct question *q, uint64_t hash, size_t length, struct str *ret)
{
    bool has_result = q->result.n > 0;

    if (q->format == SIM_JSON_SCHEMA)
        return make_json(a, q->schema, hash, q->asked, ret);
    if (q->format == SIM_PATTERN)
        return make_pattern(a, q->pattern, hash, ret);
    TRY(sim_answer_text(a, hash, has_result ? STR("The tool said: ") : STR("You asked: "),
                        has_result ? q->result : q->asked, length, ret));
    if (q->format == SIM_JSON_OBJECT)
        *ret = make_object(a, q, *ret);
    return OK;
}

static void limit_text(const struct question *q, size_t max, struct sim_choice *c)
{
    c->finish = SIM_STOP;
    if (q->stop_count > 0)
        sim_stop_cut(&c->text, q->stops, q->stop_count, &c->stop);
    c->tokens = sim_tokens(c->text);
    if (c->tokens > max) {
        c->text = sim_token_prefix(c->text, max);
        c->tokens = max;
        c->stop = STR_NONE;
        c->finish = SIM_LENGTH;
    }
}

static err_t make_choice(struct arena *a, const struct question *q, uint64_t hash, size_t length, struct sim_choice *c)
{
    size_t max = q->max_tokens < 0 ? SIZE_MAX : (size_t)q->max_tokens;

    max = max > q->reasoning_tokens ? max - q->reasoning_tokens : 0;
    if (q->tool_count > 0) {
        TRY(make_calls(a, q, hash, max, c));
        if (c->call_count > 0)
            return OK;
    }
    TRY(make_text(a, q, hash, length, &c->text));
    if (q->continues.n && str_starts(c->text, q->continues))
        c->text = arena_join(a, q->again, str_slice(c->text, q->continues.n, c->text.n));
    limit_text(q, max, c);
    return OK;
}

err_t sim_answer_make(struct arena *a, const struct question *q, uint64_t seed, size_t length, struct sim_answer *ret)
{
    uint64_t hash = sim_hash_u64(sim_hash(seed, q->model), q->hash);
    size_t thinking = q->reasoning_tokens;

    if (q->max_tokens >= 0 && thinking > (size_t)q->max_tokens)
        thinking = (size_t)q->max_tokens;
    *ret = (struct sim_answer){.choices = arena_zalloc(a, q->n * sizeof(*ret->choices)), .count = q->n};
    for (size_t i = 0; i < q->n; i++) {
        TRY(make_choice(a, q, i == 0 ? hash : sim_hash_u64(hash, i), length, &ret->choices[i]));
        if (q->tells_thoughts && thinking > 0)
            TRY(sim_answer_text(a, sim_hash_u64(hash, ~i), STR("Thinking about: "), q->asked, thinking,
                                &ret->choices[i].thoughts));
        ret->tokens += ret->choices[i].tokens + thinking;
        ret->reasoning_tokens += thinking;
    }
    return OK;
}
