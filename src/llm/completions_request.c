/*
 * completions_request.c - a legacy completions request as the canonical one, and the other way.
 *
 * The prompt is what a user says, in one turn; the model's text continues it. A chat that goes to a provider which only completes becomes one prompt, turn by turn under
 * the names of its speakers, and so is reported as changed. The prompt is repeated in the answer (echo) by the client's writer, whoever answers.
 *
 * Several prompts in one request are as many requests to others (gateway/choices.c). Prompts of tokens are refused: only the model that has the
 * tokens knows what they say.
 *
 * Wire format: OpenAI's published API description, November 2026.
 */
#include "llm/openai_int.h"

/* --- reading --- */

static err_t read_text(struct openai_reading *r, struct json_node v, struct turn *to)
{
    if (!json_node_is(v, JSON_STRING))
        return openai_refuse(r, v, "'prompt' must be text for this model, not tokens: send a string, or several");
    chat_add_block(&to->blocks, r->arena, BLOCK_TEXT, v)->text = json_node_text(v, r->arena);
    return OK;
}

/* The first prompt is the conversation, the others wait beside it. */
static err_t read_prompt(struct openai_reading *r, struct json_node v)
{
    bool list = json_node_is(v, JSON_ARRAY);
    size_t n = list ? json_node_count(v) : 1, i = 0;

    if (!n)
        return openai_refuse(r, v, "'prompt' must not be empty");
    if (n > ANSWER_CHOICES_MAX)
        return openai_refuse(r, v, "'prompt' may hold at most 128 prompts");
    struct turn *first = chat_add_turn(r->q, r->arena, CHAT_USER, v);
    if (!list)
        return read_text(r, v, first);
    r->q->more_prompts = arena_alloc(r->arena, n * sizeof(struct turn *));
    JSON_EACH(w, v) {
        struct turn *t = i++ ? arena_new(r->arena, struct turn) : first;
        if (t != first) {
            *t = (struct turn){.role = CHAT_USER, .from = w.value};
            r->q->more_prompts[r->q->more_prompt_count++] = t;
        }
        TRY(read_text(r, w.value, t));
    }
    return OK;
}

/* The best of as many as are asked for is all of them. */
static err_t read_best_of(struct openai_reading *r, struct json_node root)
{
    int64_t best;

    JSON_EACH(w, root) {
        if (!json_walk_key_is(&w, STR("best_of")) || !json_node_is_set(w.value))
            continue;
        if (!json_node_i64(w.value, &best) || best < chat_choices(r->q))
            return openai_refuse(r, w.value, "'best_of' must be a number that is not below 'n'");
        if (best > chat_choices(r->q))
            chat_add_extra(r->q, r->arena, w.key, w.value, false);
    }
    return OK;
}

static err_t check_choices(struct openai_reading *r, struct json_node root)
{
    if ((r->q->more_prompt_count + 1) * chat_choices(r->q) > ANSWER_CHOICES_MAX)
        return openai_refuse(r, json_node_get(root, STR("prompt")),
                             "'n' choices for each of the prompts may be at most 128 in all");
    return OK;
}

/* How many alternatives to tell with each token. */
static err_t read_logprobs(struct openai_reading *r, struct json_node v)
{
    r->q->logprobs = (struct flag){YES, v};
    chat_read_number(&r->q->top_logprobs, v);
    return OK;
}

static err_t skip(struct openai_reading *r, struct json_node v)
{
    (void)r;
    (void)v;
    return OK;
}

#define AT(member) offsetof(struct chat_request, member)

static const struct openai_member members[] = {
    {STR_INIT("model"), OPENAI_READ, 0, skip},
    {STR_INIT("prompt"), OPENAI_READ, 0, read_prompt},
    {STR_INIT("best_of"), OPENAI_READ, 0, skip},
    {STR_INIT("stream"), OPENAI_READ, 0, openai_read_stream},
    {STR_INIT("stream_options"), OPENAI_READ, 0, openai_read_stream_options},
    {STR_INIT("max_tokens"), OPENAI_READ, 0, openai_read_max_output},
    {STR_INIT("temperature"), OPENAI_NUMBER, AT(temperature), NULL},
    {STR_INIT("top_p"), OPENAI_NUMBER, AT(top_p), NULL},
    {STR_INIT("top_k"), OPENAI_NUMBER, AT(top_k), NULL},
    {STR_INIT("min_p"), OPENAI_NUMBER, AT(min_p), NULL},
    {STR_INIT("typical_p"), OPENAI_NUMBER, AT(typical_p), NULL},
    {STR_INIT("repetition_penalty"), OPENAI_NUMBER, AT(repetition_penalty), NULL},
    {STR_INIT("presence_penalty"), OPENAI_NUMBER, AT(presence_penalty), NULL},
    {STR_INIT("frequency_penalty"), OPENAI_NUMBER, AT(frequency_penalty), NULL},
    {STR_INIT("seed"), OPENAI_NUMBER, AT(seed), NULL},
    {STR_INIT("n"), OPENAI_NUMBER, AT(n), NULL},
    {STR_INIT("logprobs"), OPENAI_READ, 0, read_logprobs},
    {STR_INIT("logit_bias"), OPENAI_RAW, AT(logit_bias), NULL},
    {STR_INIT("stop"), OPENAI_READ, 0, openai_read_stop},
    {STR_INIT("echo"), OPENAI_FLAG, AT(echo), NULL},
    {STR_INIT("suffix"), OPENAI_TEXT, AT(suffix), NULL},
    {STR_INIT("user"), OPENAI_READ, 0, openai_read_user},
};

err_t completions_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                            struct str *ret_param)
{
    struct openai_reading r CLEANUP(openai_reading_release);

    openai_reading_init(&r, t, doc, ret, ret_param);
    ret->is_completion = true;
    TRY(openai_read_members(&r, members, ARRAY_LEN(members)));
    TRY(openai_read_model(&r));
    TRY(read_best_of(&r, json_tree_root(doc)));
    if (ret->turns)
        return check_choices(&r, json_tree_root(doc));
    *ret_param = STR("prompt");
    return fail(E_PARSE, "'prompt' is missing: give the text to be continued");
}

/* --- writing --- */

static bool is_prompt(const struct chat_request *q)
{
    return q->is_completion || (q->turns && !q->turns->next && q->turns->role == CHAT_USER);
}

static void note_other_blocks(struct openai_writing *w)
{
    for (const struct turn *t = w->q->turns; t; t = t->next)
        for (const struct block *b = t->blocks; b; b = b->next)
            if (b->kind != BLOCK_TEXT)
                loss_drop(w->t->losses, b->from, "a prompt is text");
}

/* A conversation as one text that ends where the assistant is to go on. */
static struct str flattened(struct openai_writing *w)
{
    static const struct str speakers[] = {[CHAT_SYSTEM] = STR_INIT("System"),
                                          [CHAT_DEVELOPER] = STR_INIT("System"),
                                          [CHAT_USER] = STR_INIT("User"),
                                          [CHAT_ASSISTANT] = STR_INIT("Assistant")};
    struct buf to CLEANUP(buf_release) = BUF_INIT(w->o.to->max);
    const struct turn *last = NULL;

    loss_note(w->t->losses, LOSS_CHANGED, json_node_get(json_tree_root(w->q->document), STR("messages")),
              "the conversation became one prompt");
    for (const struct turn *t = w->q->turns; t; t = t->next) {
        struct str text = blocks_text(t->blocks, STR("\n"), w->t->arena);
        buf_add(&to, to.n ? STR("\n\n") : STR_NONE);
        buf_add(&to, speakers[t->role]);
        buf_add_lit(&to, ": ");
        buf_add(&to, text);
        last = t;
    }
    if (!last || last->role != CHAT_ASSISTANT)
        buf_add_lit(&to, "\n\nAssistant:");
    return arena_str(w->t->arena, buf_str(&to));
}

static struct str prompt_of(struct openai_writing *w)
{
    note_other_blocks(w);
    return is_prompt(w->q) ? blocks_text(w->q->turns->blocks, STR("\n"), w->t->arena) : flattened(w);
}

/* What belongs to chats alone. */
static void drop_chat_only(struct openai_writing *w)
{
    const struct chat_request *q = w->q;

    for (const struct tool *t = q->tools; t; t = t->next)
        loss_drop(w->t->losses, t->from, "a completion calls no tools");
    if (q->tool_choice.kind != CHOICE_UNSET)
        loss_drop(w->t->losses, q->tool_choice.from, "a completion calls no tools");
    openai_drop_flag(w, &q->parallel_tools);
    if (q->format.kind == FORMAT_JSON || q->format.kind == FORMAT_SCHEMA)
        loss_drop(w->t->losses, q->format.from, "a completion has no format");
    if (!json_is_absent(q->reasoning.from))
        loss_drop(w->t->losses, q->reasoning.from, "a completion does not think");
    openai_drop_setting(w, &q->verbosity);
    openai_drop_setting(w, &q->service_tier);
    openai_drop_setting(w, &q->metadata);
    openai_drop_setting(w, &q->cache_key);
    openai_drop_setting(w, &q->cache_retention);
    openai_drop_flag(w, &q->store);
    openai_drop_setting(w, &q->modalities);
    openai_drop_setting(w, &q->audio);
    openai_drop_setting(w, &q->prediction);
}

static void write_logprobs(struct openai_writing *w)
{
    if (w->q->logprobs.is != YES)
        return;
    json_member_raw(&w->o, STR("logprobs"), w->q->top_logprobs.text.n ? w->q->top_logprobs.text : STR("0"));
}

err_t completions_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct openai_writing w = {t, q, t->vendor, ret, json_out_to(ret->body)};

    ret->path = openai_path(t, "/completions", false);
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    json_member_str(&w.o, STR("prompt"), prompt_of(&w));
    openai_write_stream(&w);
    openai_write_sampling(&w, "max_tokens");
    write_logprobs(&w);
    openai_member_text(&w, "suffix", &q->suffix);
    openai_member_text(&w, "user", &q->user);
    drop_chat_only(&w);
    openai_write_extras(&w, &dialect_completions);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}

/* --- what stands between two texts (Mistral's fill-in-the-middle) --- */

/* Settings that belong to chats there, though the vendor's row has them. */
static void drop_for_infill(struct openai_writing *w)
{
    const struct chat_request *q = w->q;
    const struct number *numbers[] = {
        &q->top_k, &q->min_p,       &q->typical_p, &q->repetition_penalty, &q->presence_penalty, &q->frequency_penalty,
        &q->n,     &q->top_logprobs};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        openai_drop_number(w, numbers[i]);
    openai_drop_flag(w, &q->logprobs);
    openai_drop_setting(w, &q->logit_bias);
    openai_drop_setting(w, &q->user);
    drop_chat_only(w);
    for (const struct extra *x = q->extras; x; x = x->next)
        loss_drop(w->t->losses, x->from, "the provider has no such field");
}

err_t openai_write_infill(struct translation *t, const struct chat_request *q, struct provider_call *ret)
{
    struct openai_writing w = {t, q, t->vendor, ret, json_out_to(ret->body)};

    ret->path = openai_path(t, "/fim/completions", false);
    ret->stream = q->stream;
    ret->framing = FRAMING_SSE;
    json_open(&w.o, '{');
    json_member_str(&w.o, STR("model"), t->model);
    json_member_str(&w.o, STR("prompt"), prompt_of(&w));
    json_member_str(&w.o, STR("suffix"), q->suffix.text);
    openai_write_stream(&w);
    openai_member_number(&w, "max_tokens", &q->max_output);
    openai_write_temperature(&w);
    openai_member_number(&w, "top_p", &q->top_p);
    openai_member_number(&w, "random_seed", &q->seed);
    if (q->stop_count) {
        json_member_open(&w.o, STR("stop"), '[');
        for (size_t i = 0; i < q->stop_count; i++)
            json_put_str(&w.o, q->stops[i].text);
        json_close(&w.o, ']');
    }
    drop_for_infill(&w);
    json_close(&w.o, '}');
    return buf_status(ret->body);
}
