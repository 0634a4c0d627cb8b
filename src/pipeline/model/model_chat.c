/*
 * model_chat.c - a chat: prompts are rendered, the model answers, and what it says is held against the schema.
 *
 * An answer that does not fit goes back with the validator's words, so often as `repair` says: the conversation grows by the answer and by what is wrong with
 * it. The schema goes along as `response_format`, so that models which can be held to it are; all answers are checked all the same, because many cannot, and
 * some only nearly. A refusal is an answer: asking again would bring the same.
 */
#include "pipeline/model/model.h"

#include "codec/json_out.h"

enum { PROMPT_MAX = 4 << 20, REQUEST_MAX = 16 << 20, PROBLEMS_SHOWN = 8, COMPLAINT_MAX = 8192 };

/* A conversation: the members of "messages". */
struct talk {
    struct step *step;
    struct buf messages;
    struct model_bill bill;
    struct inner_answer answer;
    struct str text; /* of the answer */
};

static void say(struct talk *t, const char *role, struct str text)
{
    struct json_out o = {&t->messages, t->messages.n > 0};

    json_open(&o, '{');
    json_member_str(&o, STR("role"), str_from_c(role));
    json_member_str(&o, STR("content"), text);
    json_close(&o, '}');
}

static err_t say_prompts(struct talk *t)
{
    const struct model_node *c = t->step->node->config;
    struct str text;

    if (c->system_text) {
        TRY(step_render(t->step, c->system_text, PROMPT_MAX, &text));
        say(t, "system", text);
    }
    TRY(step_render(t->step, c->prompt_text, PROMPT_MAX, &text));
    say(t, "user", text);
    return buf_status(&t->messages);
}

/* OpenAI's names of schemas have letters, digits, '_' and '-', at most 64. */
static void put_name(struct json_out *o, struct str name)
{
    enum { NAME_MAX_ = 64 };
    char fit[NAME_MAX_];
    size_t n = name.n < sizeof fit ? name.n : sizeof fit;

    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        fit[i] = fits ? c : '_';
    }
    json_member_str(o, STR("name"), str_of(fit, n));
}

static void put_format(struct json_out *o, const struct pipeline_schema *schema)
{
    json_key(o, STR("response_format"));
    json_open(o, '{');
    json_member_str(o, STR("type"), STR("json_schema"));
    json_key(o, STR("json_schema"));
    json_open(o, '{');
    put_name(o, schema->name);
    json_member_raw(o, STR("schema"), schema->text);
    json_close(o, '}');
    json_close(o, '}');
}

static err_t write_request(const struct talk *t, struct buf *to)
{
    const struct model_node *c = t->step->node->config;
    struct json_out o = json_out_to(to);

    json_open(&o, '{');
    json_member_str(&o, STR("model"), model_route(t->step));
    json_key(&o, STR("messages"));
    (void)buf_addf(json_begin_value(&o), "[%.*s]", STR_ARG(buf_str(&t->messages)));
    json_key(&o, STR("temperature"));
    json_put_double(&o, c->temperature);
    if (c->max_tokens) {
        json_key(&o, STR("max_completion_tokens"));
        json_put_u64(&o, c->max_tokens);
    }
    if (c->asks_form)
        put_format(&o, c->schema);
    if (c->stream)
        json_member_bool(&o, STR("stream"), true);
    json_close(&o, '}');
    return buf_status(to);
}

static err_t read_answer(struct talk *t)
{
    struct arena *a = step_arena(t->step);
    const struct json_tree *tree;

    TRY(err_context(json_tree_parse(a, t->answer.body, &tree), "the model's answer is no JSON document"));
    struct json_node choice = json_node_at(json_node_get(json_tree_root(tree), STR("choices")), 0);
    struct json_node message = json_node_get(choice, STR("message"));
    struct str refusal = json_get_text(message, STR("refusal"), a);
    if (refusal.n)
        return fail(E_FORBIDDEN, "the model refuses: %.*s", STR_ARG(refusal));
    if (json_node_text_is(json_node_get(choice, STR("finish_reason")), STR("content_filter")))
        return fail(E_FORBIDDEN, "the model's provider filtered the answer");
    t->text = json_get_text(message, STR("content"), a);
    return t->text.p ? OK : fail(E_PROTOCOL, "the model's answer has no text");
}

static SUSPENDS err_t ask(struct talk *t)
{
    const struct model_node *c = t->step->node->config;
    struct buf body CLEANUP(buf_release) = BUF_INIT(REQUEST_MAX);

    TRY(write_request(t, &body));
    if (c->stream)
        return model_stream(t->step, buf_str(&body), &t->bill, &t->answer, &t->text);
    TRY(model_ask(t->step, STR("/v1/chat/completions"), buf_str(&body), &t->bill, &t->answer));
    return read_answer(t);
}

/* --- with a schema --- */

/* What a model wrote around its JSON, because it writes for people: a fence of three backquotes, with or without a language. */
static struct str unfence(struct str text)
{
    struct str fence = STR("```"), rest = str_trim(text);

    if (!str_starts(rest, fence) || !str_ends(rest, fence) || rest.n < 2 * fence.n)
        return rest;
    rest = str_slice(rest, fence.n, rest.n - fence.n);
    size_t line = str_find(rest, STR("\n"));
    return line < rest.n ? str_trim(str_slice(rest, line, rest.n)) : str_trim(rest);
}

/* Does the text fit? *ret_tree is the document; else `complaint` says what is wrong. */
static err_t check(const struct talk *t, const struct json_tree **ret_tree, struct buf *complaint, bool *ret_fits)
{
    const struct model_node *c = t->step->node->config;
    struct jsonschema_problem problems[PROBLEMS_SHOWN];
    struct jsonschema_report report = {.problems = problems, .max = PROBLEMS_SHOWN};
    struct arena *a = step_arena(t->step);
    err_t e = json_tree_parse(a, unfence(t->text), ret_tree);

    *ret_fits = e == OK;
    if (e == E_PARSE)
        return buf_addf(complaint, "- it is no JSON document: %s\n", err_detail(e));
    TRY(e);
    if (!c->checker)
        return OK;
    TRY(jsonschema_validate(c->checker, json_tree_root(*ret_tree), a, &report, ret_fits));
    for (size_t i = 0; i < report.count; i++)
        (void)buf_addf(complaint, "- \"%.*s\" %.*s\n", STR_ARG(problems[i].instance), STR_ARG(problems[i].text));
    return buf_status(complaint);
}

static void send_back(struct talk *t, struct str complaint)
{
    const struct model_node *c = t->step->node->config;

    say(t, "assistant", t->text);
    struct str words = arena_printf(step_arena(t->step),
                                    "This does not fit the schema:\n%.*s\nThe schema:\n%.*s\n\nAnswer again, with "
                                    "nothing but the corrected JSON document.",
                                    STR_ARG(complaint), STR_ARG(c->schema->text));
    say(t, "user", words);
}

static SUSPENDS err_t ask_until_it_fits(struct talk *t, const struct json_tree **ret_tree)
{
    const struct model_node *c = t->step->node->config;
    bool fits;

    for (;;) {
        struct buf complaint CLEANUP(buf_release) = BUF_INIT(COMPLAINT_MAX);
        TRY(ask(t));
        TRY(check(t, ret_tree, &complaint, &fits));
        if (fits)
            return OK;
        if (t->bill.repairs == c->repair)
            return fail(E_PARSE, "the model's answer does not fit the schema \"%.*s\": %.*s", STR_ARG(c->schema->name),
                        STR_ARG(buf_str(&complaint)));
        t->bill.repairs++;
        send_back(t, buf_str(&complaint));
        TRY(buf_status(&t->messages));
    }
}

static SUSPENDS err_t converse(struct talk *t)
{
    const struct model_node *c = t->step->node->config;
    const struct json_tree *tree;

    TRY(say_prompts(t));
    if (c->schema)
        TRY(ask_until_it_fits(t, &tree));
    else
        TRY(ask(t));
    TRY(model_note(t->step, &t->answer, &t->bill, 1));
    return step_send(t->step, c->schema ? expr_json(json_tree_root(tree)) : expr_string(t->text));
}

err_t model_chat(struct step *s)
{
    struct talk t = {.step = s, .messages = BUF_INIT(REQUEST_MAX)};
    err_t e = converse(&t);

    buf_release(&t.messages);
    return e;
}
