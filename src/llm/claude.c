/*
 * claude.c - the traits of Claude's versions, and what thinking allows beside it.
 *
 * While a Claude thinks no tool may be forced, no text continued, and no sampling set; the budget is part of the limited output. Up to Claude 4.5
 * a turn with tools must begin with the thought that led to the calls, so without it there is no thinking. Later models decide for
 * themselves how much they think.
 */
#include "llm/claude.h"

enum { BUDGET_MIN = 1024 };

/* Models by the first versions of their names, as they appear within a host's name of them; `whole`: only at its end. */
static const struct {
    struct str name;
    bool whole;
    struct claude_traits traits;
} older_models[] = {
    {STR_INIT("claude-v2"), false, {false, false}},         {STR_INIT("claude-3"), false, {false, false}},
    {STR_INIT("claude-opus-4"), true, {false, false}},      {STR_INIT("claude-opus-4@"), false, {false, false}},
    {STR_INIT("claude-opus-4-0"), false, {false, false}},   {STR_INIT("claude-opus-4-2"), false, {false, false}},
    {STR_INIT("claude-opus-4-1"), false, {false, true}},    {STR_INIT("claude-opus-4-5"), false, {false, true}},
    {STR_INIT("claude-sonnet-4"), true, {false, false}},    {STR_INIT("claude-sonnet-4@"), false, {false, false}},
    {STR_INIT("claude-sonnet-4-0"), false, {false, false}}, {STR_INIT("claude-sonnet-4-2"), false, {false, false}},
    {STR_INIT("claude-sonnet-4-5"), false, {false, true}},  {STR_INIT("claude-haiku-4-5"), false, {false, true}},
};

struct claude_traits claude_traits_of(struct str model)
{
    struct claude_traits found = {true, true};

    for (size_t i = 0; i < ARRAY_LEN(older_models); i++) {
        size_t at = str_find(model, older_models[i].name);
        if (at < model.n && (!older_models[i].whole || at + older_models[i].name.n == model.n))
            found = older_models[i].traits;
    }
    return found;
}

bool claude_begins_with_thought(const struct turn *t)
{
    const struct block *b = t->blocks;

    while (b && (b->kind == BLOCK_THINKING || b->kind == BLOCK_REDACTED) && b->signer != SIGNER_ANTHROPIC)
        b = b->next;
    return b && ((b->kind == BLOCK_THINKING && b->signature.n) || b->kind == BLOCK_REDACTED);
}

/* Why the conversation rules thinking out; NULL if it does not. */
static const char *no_thinking(const struct turn *turns, struct claude_traits traits, bool forced)
{
    const struct turn *calling = NULL, *last = NULL;

    for (const struct turn *t = turns; t; t = t->next) {
        if (t->role == CHAT_ASSISTANT)
            calling = t;
        last = t;
    }
    if (forced)
        return "no thinking where a tool is forced";
    if (last && last->role == CHAT_ASSISTANT)
        return "no thinking where the assistant's text is continued";
    if (!traits.adaptive && calling && last && turn_has(last, BLOCK_TOOL_RESULT) &&
        turn_has(calling, BLOCK_TOOL_CALL) && !claude_begins_with_thought(calling))
        return "no thinking behind tool calls whose thoughts did not come back";
    return NULL;
}

static bool is_off(const struct reasoning *r)
{
    return r->on == NO || r->effort == EFFORT_NONE || (r->budget == 0 && r->on != YES);
}

/* The limit of the answer, and a budget that stays below it. */
static void plan_limits(struct claude_plan *p, const struct chat_request *q, int64_t default_max, struct losses *losses)
{
    double asked;
    bool said = q->max_output.text.n && json_to_double(q->max_output.text, &asked) && asked >= 0 && asked < 1e15;

    p->max_output = said ? (int64_t)asked : default_max > 0 ? default_max : -1;
    if (p->thinking != CLAUDE_THINKING_BUDGET)
        return;
    if (p->budget < BUDGET_MIN) {
        loss_note(losses, LOSS_CHANGED, q->reasoning.from, "at least 1024 tokens to think");
        p->budget = BUDGET_MIN;
    }
    if (p->max_output < 0 || p->budget < p->max_output)
        return;
    if (!said) {
        p->max_output += p->budget;
        return;
    }
    loss_note(losses, LOSS_CHANGED, q->reasoning.from, "thinking is part of the limited output");
    p->budget = p->max_output - 1;
    if (p->budget < BUDGET_MIN)
        p->thinking = CLAUDE_THINKING_UNSAID;
}

struct claude_plan claude_plan_of(const struct chat_request *q, const struct turn *turns, struct claude_traits traits,
                                  bool forced, int64_t default_max, struct losses *losses)
{
    const struct reasoning *r = &q->reasoning;
    struct claude_plan p = {.thinking = CLAUDE_THINKING_UNSAID};

    if (is_off(r)) {
        p.thinking = traits.adaptive ? CLAUDE_THINKING_OFF : CLAUDE_THINKING_UNSAID;
    } else if (r->on == YES || r->budget > 0 || r->effort != EFFORT_UNSET) {
        const char *why = no_thinking(turns, traits, forced);
        enum effort effort = r->effort == EFFORT_UNSET ? EFFORT_MEDIUM : r->effort;
        if (why)
            loss_note(losses, LOSS_CHANGED, r->from, why);
        else
            p.thinking = traits.adaptive && r->budget <= 0 ? CLAUDE_THINKING_ADAPTIVE : CLAUDE_THINKING_BUDGET;
        p.budget = r->budget > 0 ? r->budget : effort_budget(effort);
    }
    plan_limits(&p, q, default_max, losses);
    return p;
}

const char *claude_refuses(const struct claude_plan *plan, const struct chat_request *q, const struct number *n)
{
    bool thinks = plan->thinking == CLAUDE_THINKING_BUDGET || plan->thinking == CLAUDE_THINKING_ADAPTIVE;
    double value;

    if (!json_to_double(n->text, &value))
        return "no number";
    if (thinks && (n == &q->temperature ? value != 1 : n == &q->top_p ? value < 0.95 : true))
        return "not while thinking";
    if (n == &q->top_p && q->temperature.text.n)
        return "models take temperature or top_p, not both";
    return NULL;
}

void claude_put_thinking(struct json_out *o, const struct claude_plan *plan, const struct reasoning *r)
{
    bool budget = plan->thinking == CLAUDE_THINKING_BUDGET, adaptive = plan->thinking == CLAUDE_THINKING_ADAPTIVE;

    json_open(o, '{');
    json_member_str(o, STR("type"), budget ? STR("enabled") : adaptive ? STR("adaptive") : STR("disabled"));
    if (budget)
        json_member_i64(o, STR("budget_tokens"), plan->budget);
    if (adaptive && r->show != UNSET)
        json_member_str(o, STR("display"), r->show == YES ? STR("summarized") : STR("omitted"));
    json_close(o, '}');
}

bool claude_read_thinking(struct json_node v, struct reasoning *to)
{
    struct json_node type = json_node_get(v, STR("type")), display = json_node_get(v, STR("display"));
    int64_t budget = -1;

    if (json_node_text_is(type, STR("disabled"))) {
        to->on = NO;
    } else if (json_node_text_is(type, STR("enabled"))) {
        if (!json_node_i64(json_node_get(v, STR("budget_tokens")), &budget) || budget < 0)
            return false;
        to->on = YES;
        to->budget = budget;
    } else if (json_node_text_is(type, STR("adaptive"))) {
        to->on = YES;
        to->adaptive = true;
    } else {
        return false;
    }
    if (json_node_is(display, JSON_STRING))
        to->show = json_node_text_is(display, STR("omitted")) ? NO : YES;
    to->from = v;
    return true;
}
