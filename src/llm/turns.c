/*
 * turns.c - rearranging conversations.
 *
 * Turns are copied as far as their lists change; blocks are copied too (they are linked into new lists), their contents are not. The steps
 * run in a fixed order: system apart, system further down, results to their calls, empty blocks, merging, the first turn.
 *
 * Results are paired with their calls in one walk before anything is arranged. Both kinds of pairs are then taken in the order of the
 * conversation, which is the order in which it is arranged, so the whole costs a step per block however long it is.
 */
#include "llm/turns.h"

#include "base/map.h"

#include <assert.h>

struct list {
    struct turn *first, *last;
    struct block **end; /* where the next block of `last` is linked */
};

/* A call, and the result that answers it: the last one behind it, before its id is used again. */
struct pair {
    struct pair *next;
    const struct block *call;
    const struct block *result; /* NULL: none */
};

/* A result that nothing asked for. */
struct orphan {
    struct orphan *next;
    const struct block *result;
};

struct arranging {
    struct arena *arena;
    struct losses *losses;
    unsigned rules;
    struct list out;
    struct pair *pairs;     /* of the calls not arranged yet, in order   */
    struct orphan *orphans; /* likewise                                  */
};

/* --- lists --- */

static void append(struct block ***end, struct block *b)
{
    **end = b;
    *end = &b->next;
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

static bool is_left_out(const struct arranging *g, const struct block *b)
{
    return (g->rules & TURNS_NO_EMPTY) && is_empty_text(b);
}

/* Copies of a turn's blocks. */
static void append_blocks(struct arranging *g, struct block ***end, const struct block *blocks)
{
    for (const struct block *b = blocks; b; b = b->next)
        if (!is_left_out(g, b))
            append(end, copy_block(g, b));
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
    g->out.end = &t->blocks;
    return t;
}

/* Make the last turn the one to add blocks of this role to: it is already, if such are merged. */
static void turn_for(struct arranging *g, enum chat_role role, const struct turn *like)
{
    struct turn *last = g->out.last;

    if (!(g->rules & TURNS_MERGE) || !last || last->role != role) {
        last = append_turn(g, role, like->from);
        last->name = like->name;
    }
    last->prefill = like->prefill;
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

struct pairing {
    struct arranging *g;
    struct map by_id; /* struct pair: the latest call of an id */
    struct pair **end;
    struct orphan **orphans_end;
};

static void note_call(struct pairing *p, const struct block *call)
{
    struct pair *pair = arena_new(p->g->arena, struct pair);

    pair->call = call;
    *p->end = pair;
    p->end = &pair->next;
    map_put(&p->by_id, call->id, pair);
}

static void note_result(struct pairing *p, const struct block *result)
{
    struct pair *pair = map_get(&p->by_id, result->id);

    if (!pair) {
        struct orphan *o = arena_new(p->g->arena, struct orphan);
        o->result = result;
        *p->orphans_end = o;
        p->orphans_end = &o->next;
        return;
    }
    if (pair->result)
        loss_drop(p->g->losses, pair->result->from, "a later result of the same call counts");
    pair->result = result;
}

static void pair_up(struct arranging *g, const struct turn *turns)
{
    struct pairing p = {.g = g, .end = &g->pairs, .orphans_end = &g->orphans};

    for (const struct turn *t = turns; t; t = t->next)
        for (const struct block *b = t->blocks; b; b = b->next) {
            if (b->kind == BLOCK_TOOL_CALL && t->role == CHAT_ASSISTANT)
                note_call(&p, b);
            else if (b->kind == BLOCK_TOOL_RESULT && t->role == CHAT_USER)
                note_result(&p, b);
        }
    map_release(&p.by_id);
}

static struct block *no_result(struct arranging *g, const struct block *call)
{
    struct block *b = arena_new(g->arena, struct block);

    *b = (struct block){.kind = BLOCK_TOOL_RESULT, .from = call->from, .id = call->id, .is_error = true};
    chat_add_block(&b->content, g->arena, BLOCK_TEXT, call->from)->text = STR("(no result was given for this call)");
    loss_note(g->losses, LOSS_CHANGED, call->from, "a call without a result got one that says so");
    return b;
}

/* All results of a turn's calls in one turn. */
static void add_results(struct arranging *g, const struct turn *calling)
{
    bool begun = false;

    for (const struct block *b = calling->blocks; b; b = b->next) {
        if (b->kind != BLOCK_TOOL_CALL)
            continue;
        struct pair *pair = g->pairs;
        assert(pair && pair->call == b);
        g->pairs = pair->next;
        struct block *result = pair->result ? copy_block(g, pair->result) : no_result(g, b);
        if (!result->name.n)
            result->name = b->name;
        if (!begun)
            turn_for(g, CHAT_USER, &(struct turn){.from = calling->from});
        begun = true;
        append(&g->out.end, result);
    }
}

/* Without a call it answers, a result is just something the user says. */
static void add_orphan(struct arranging *g, struct block ***end, const struct block *b)
{
    struct str text = blocks_text(b->content, STR("\n"), g->arena);

    loss_note(g->losses, LOSS_CHANGED, b->from, "a tool's result without its call became text");
    if (text.n) {
        struct block *said = arena_new(g->arena, struct block);
        *said = (struct block){.kind = BLOCK_TEXT, .from = b->from, .text = text, .cache = b->cache};
        append(end, said);
    }
    for (const struct block *c = b->content; c; c = c->next)
        if (c->kind != BLOCK_TEXT)
            append(end, copy_block(g, c));
}

static bool take_orphan(struct arranging *g, const struct block *b)
{
    bool is_orphan = g->orphans && g->orphans->result == b;

    if (is_orphan)
        g->orphans = g->orphans->next;
    return is_orphan;
}

/* Blocks of a user turn but the results, which stand with their calls. */
static void add_user(struct arranging *g, const struct turn *t)
{
    struct block *kept = NULL, **end = &kept;

    for (const struct block *b = t->blocks; b; b = b->next) {
        if (b->kind == BLOCK_TOOL_RESULT && take_orphan(g, b))
            add_orphan(g, &end, b);
        else if (b->kind != BLOCK_TOOL_RESULT && !is_left_out(g, b))
            append(&end, copy_block(g, b));
    }
    if (!kept && (t->blocks || (g->rules & TURNS_NO_EMPTY)))
        return;
    turn_for(g, CHAT_USER, t);
    if (kept) {
        *g->out.end = kept;
        g->out.end = end;
    }
}

/* --- turn by turn --- */

static void add_turn(struct arranging *g, const struct turn *t)
{
    enum chat_role role = is_system(t) && (g->rules & TURNS_LATER_AS_USER) ? CHAT_USER : t->role;

    if (role != t->role)
        loss_note(g->losses, LOSS_CHANGED, t->from, "a system message further down became a user message");
    if ((g->rules & TURNS_RESULTS_FIRST) && role == CHAT_USER) {
        add_user(g, t);
        return;
    }
    turn_for(g, role, t);
    append_blocks(g, &g->out.end, t->blocks);
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
    struct arranging g = {.arena = arena, .losses = losses, .rules = rules};
    const struct turn *t = q->turns, *calling = NULL;
    struct block **system_end = ret_system;

    *ret_system = NULL;
    for (; (rules & TURNS_SYSTEM_APART) && t && is_system(t); t = t->next)
        append_blocks(&g, &system_end, t->blocks);
    if (rules & TURNS_RESULTS_FIRST)
        pair_up(&g, t);
    for (; t; t = t->next) {
        if (says_nothing(&g, t))
            continue;
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

void turns_trim_last(struct turn *turns)
{
    while (turns && turns->next)
        turns = turns->next;
    struct block *b = turns && turns->role == CHAT_ASSISTANT ? turns->blocks : NULL;
    while (b && b->next)
        b = b->next;
    while (b && b->kind == BLOCK_TEXT && b->text.n && memchr(" \t\r\n", b->text.p[b->text.n - 1], 4))
        b->text.n--;
}
