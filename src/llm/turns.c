/*
 * turns.c - rearranging conversations.
 *
 * Turns are copied as far as their lists change; blocks are copied too (they are linked into new lists), their contents are not. The steps
 * run in a fixed order: system apart, system further down, results to their calls, empty blocks, merging, the first turn.
 */
#include "llm/turns.h"

struct list {
    struct turn *first, *last;
};

struct arranging {
    struct arena *arena;
    struct losses *losses;
    const struct chat_request *request;
    unsigned rules;
    struct list out;
};

/* --- lists --- */

static struct block **end_of(struct block **list)
{
    while (*list)
        list = &(*list)->next;
    return list;
}

static struct block *copy_block(struct arranging *g, const struct block *b)
{
    struct block *to = arena_new(g->arena, struct block);

    *to = *b;
    to->next = NULL;
    return to;
}

static bool is_empty_text(const struct block *b)
{
    return b->kind == BLOCK_TEXT && !b->text.n;
}

/* Copies of a turn's blocks at the end of `to`. */
static void append_blocks(struct arranging *g, struct block **to, const struct block *blocks)
{
    to = end_of(to);
    for (const struct block *b = blocks; b; b = b->next) {
        if ((g->rules & TURNS_NO_EMPTY) && is_empty_text(b))
            continue;
        *to = copy_block(g, b);
        to = &(*to)->next;
    }
}

static struct turn *append_turn(struct arranging *g, enum chat_role role, struct json_node from)
{
    struct turn *t = arena_new(g->arena, struct turn);

    t->role = role;
    t->from = from;
    if (g->out.last)
        g->out.last->next = t;
    else
        g->out.first = t;
    g->out.last = t;
    return t;
}

/* The turn to add blocks of this role to: the last one, if such are merged. */
static struct turn *turn_for(struct arranging *g, enum chat_role role, const struct turn *like)
{
    struct turn *last = g->out.last;

    if ((g->rules & TURNS_MERGE) && last && last->role == role)
        return last;
    struct turn *t = append_turn(g, role, like->from);
    t->name = like->name;
    t->prefill = like->prefill;
    return t;
}

static bool is_system(const struct turn *t)
{
    return t->role == CHAT_SYSTEM || t->role == CHAT_DEVELOPER;
}

static bool says_nothing(const struct arranging *g, const struct turn *t)
{
    for (const struct block *b = t->blocks; b; b = b->next)
        if (!is_empty_text(b))
            return false;
    return g->rules & TURNS_NO_EMPTY;
}

/* --- results next to their calls --- */

/* The result for a call, in the turns behind the calling one. The last one counts if a client sent several. */
static const struct block *find_result(const struct turn *calling, struct str id)
{
    const struct block *found = NULL;

    for (const struct turn *t = calling->next; t; t = t->next) {
        for (const struct block *b = t->blocks; b; b = b->next) {
            if (b->kind == BLOCK_TOOL_RESULT && str_eq(b->id, id))
                found = b;
            else if (b->kind == BLOCK_TOOL_CALL && str_eq(b->id, id) && found)
                return found; /* an id used again later on */
        }
    }
    return found;
}

static void add_results(struct arranging *g, const struct turn *calling)
{
    struct turn *to = NULL;

    for (const struct block *b = calling->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL)
            continue;
        if (!to)
            to = turn_for(g, CHAT_USER, &(struct turn){.from = calling->from});
        const struct block *result = find_result(calling, b->id);
        struct block *copy;
        if (result) {
            copy = copy_block(g, result);
        } else {
            copy = arena_new(g->arena, struct block);
            *copy = (struct block){.kind = BLOCK_TOOL_RESULT, .from = b->from, .id = b->id, .is_error = true};
            chat_add_block(&copy->content, g->arena, BLOCK_TEXT, b->from)->text =
                STR("(no result was given for this call)");
            loss_note(g->losses, LOSS_CHANGED, b->from, "a call without a result got one that says so");
        }
        if (!copy->name.n)
            copy->name = b->name;
        *end_of(&to->blocks) = copy;
    }
}

/* Without a call it answers, a result is just something the user says. */
static struct block *orphan_as_text(struct arranging *g, const struct block *b)
{
    struct block *text = arena_new(g->arena, struct block);

    *text = (struct block){.kind = BLOCK_TEXT, .from = b->from, .text = blocks_text(b->content, STR("\n"), g->arena)};
    loss_note(g->losses, LOSS_CHANGED, b->from, "a tool's result without its call became text");
    return text;
}

/* Blocks of a user turn but the results, which stand with their calls. */
static void add_user(struct arranging *g, const struct turn *t)
{
    struct block *kept = NULL;

    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_RESULT)
            *end_of(&kept) = copy_block(g, b);
        else if (!chat_find_call(g->request, b->id, t))
            *end_of(&kept) = orphan_as_text(g, b);
    }
    if (kept || (!t->blocks && !(g->rules & TURNS_NO_EMPTY)))
        append_blocks(g, &turn_for(g, CHAT_USER, t)->blocks, kept);
}

/* --- turn by turn --- */

static void add_turn(struct arranging *g, const struct turn *t)
{
    enum chat_role role = is_system(t) && (g->rules & TURNS_LATER_AS_USER) ? CHAT_USER : t->role;

    if (role != t->role)
        loss_note(g->losses, LOSS_CHANGED, t->from, "a system message further down became a user message");
    if (says_nothing(g, t))
        return;
    if ((g->rules & TURNS_RESULTS_FIRST) && role == CHAT_USER) {
        add_user(g, t);
        return;
    }
    append_blocks(g, &turn_for(g, role, t)->blocks, t->blocks);
}

/* Results come after the last of neighbouring assistant turns, which are merged. */
static bool more_of_assistant(const struct arranging *g, const struct turn *t)
{
    const struct turn *next = t->next;

    while (next && says_nothing(g, next))
        next = next->next;
    return (g->rules & TURNS_MERGE) && next && next->role == CHAT_ASSISTANT;
}

static void add_pending_results(struct arranging *g, const struct turn *from, const struct turn *to)
{
    for (const struct turn *t = from; t; t = t->next) {
        if (t->role == CHAT_ASSISTANT)
            add_results(g, t);
        if (t == to)
            return;
    }
}

static struct block *first_text(struct arranging *g, struct block **system)
{
    if (*system) { /* with only system text, that is what the user says */
        struct block *said = *system;
        *system = NULL;
        loss_note(g->losses, LOSS_CHANGED, said->from, "the only text, a system message, became the user's");
        return said;
    }
    struct block *text = arena_new(g->arena, struct block);
    *text = (struct block){.kind = BLOCK_TEXT, .text = STR("(conversation begins)")};
    return text;
}

static void put_user_first(struct arranging *g, struct block **system)
{
    struct turn *first = g->out.first;

    if (first && first->role != CHAT_ASSISTANT)
        return;
    struct turn *t = arena_new(g->arena, struct turn);
    *t = (struct turn){.next = first, .role = CHAT_USER};
    struct block *none = NULL;
    t->blocks = first_text(g, first ? &none : system);
    if (first)
        loss_note(g->losses, LOSS_CHANGED, first->from,
                  "a conversation that begins with the assistant got a user turn before it");
    g->out.first = t;
    if (!g->out.last)
        g->out.last = t;
}

void turns_arrange(const struct chat_request *q, unsigned rules, struct arena *arena, struct losses *losses,
                   struct block **ret_system, struct turn **ret_turns)
{
    struct arranging g = {.arena = arena, .losses = losses, .request = q, .rules = rules};
    const struct turn *t = q->turns, *calling = NULL;

    *ret_system = NULL;
    for (; (rules & TURNS_SYSTEM_APART) && t && is_system(t); t = t->next)
        append_blocks(&g, ret_system, t->blocks);
    for (; t; t = t->next) {
        add_turn(&g, t);
        if (!(rules & TURNS_RESULTS_FIRST) || t->role != CHAT_ASSISTANT)
            continue;
        if (!calling)
            calling = t;
        if (more_of_assistant(&g, t))
            continue;
        add_pending_results(&g, calling, t);
        calling = NULL;
    }
    if (rules & TURNS_USER_FIRST)
        put_user_first(&g, ret_system);
    *ret_turns = g.out.first;
}
