/*
 * chat.c - building and asking the canonical request.
 *
 * Conversations of thousands of turns exist, and so do turns of thousands of blocks: appending is a step, because the request remembers its last
 * turn and tool, and the first block of a list the last one.
 */
#include "llm/chat.h"

#include "base/buf.h"
#include "base/map.h"
#include "llm/answer.h"

/* --- building --- */

struct turn *chat_add_turn(struct chat_request *q, struct arena *arena, enum chat_role role, struct json_node from)
{
    struct turn *t = arena_new(arena, struct turn);

    t->role = role;
    t->from = from;
    if (q->last_turn)
        q->last_turn->next = t;
    else
        q->turns = t;
    q->last_turn = t;
    return t;
}

struct block *chat_add_block(struct block **list, struct arena *arena, enum block_kind kind, struct json_node from)
{
    struct block *b = arena_new(arena, struct block), *first = *list;

    b->kind = kind;
    b->from = from;
    if (!first) {
        *list = b->tail = b->tail_of = b;
        return b;
    }
    struct block *last = first->tail_of == first ? first->tail : first;
    while (last->next)
        last = last->next;
    last->next = first->tail = b;
    first->tail_of = first;
    return b;
}

struct tool *chat_add_tool(struct chat_request *q, struct arena *arena, enum tool_kind kind, struct json_node from)
{
    struct tool *t = arena_new(arena, struct tool);

    t->kind = kind;
    t->from = from;
    if (q->last_tool)
        q->last_tool->next = t;
    else
        q->tools = t;
    q->last_tool = t;
    return t;
}

struct extra *extras_add(struct extra **list, struct arena *arena, struct json_node key, struct json_node value)
{
    struct extra *x = arena_new(arena, struct extra);
    struct str quoted = json_node_raw(key);

    x->key = quoted.n >= 2 ? str_slice(quoted, 1, quoted.n - 1) : STR_NONE;
    x->raw = json_node_raw(value);
    x->from = value;
    while (*list)
        list = &(*list)->next;
    *list = x;
    return x;
}

void chat_add_extra(struct chat_request *q, struct arena *arena, struct json_node key, struct json_node value,
                    bool nested)
{
    q->last_extra = extras_add(q->last_extra ? &q->last_extra->next : &q->extras, arena, key, value);
    q->last_extra->nested = nested;
}

/* --- reading --- */

void chat_read_number(struct number *to, struct json_node v)
{
    if (json_node_is(v, JSON_NUMBER))
        *to = (struct number){json_node_raw(v), v};
}

void chat_read_setting(struct setting *to, struct json_node v, struct arena *arena)
{
    if (json_node_is(v, JSON_STRING))
        *to = (struct setting){json_node_text(v, arena), v};
}

void chat_read_raw(struct setting *to, struct json_node v)
{
    if (json_node_is_set(v))
        *to = (struct setting){json_node_raw(v), v};
}

void chat_read_flag(struct flag *to, struct json_node v)
{
    bool truth;

    if (json_node_bool(v, &truth))
        *to = (struct flag){truth ? YES : NO, v};
}

void chat_keep_unknown(struct chat_request *q, struct arena *arena, struct json_node object, const struct str *known,
                       size_t count)
{
    JSON_EACH(w, object) {
        bool is_known = !json_node_is_set(w.value);
        for (size_t i = 0; i < count && !is_known; i++)
            is_known = json_walk_key_is(&w, known[i]);
        if (!is_known)
            chat_add_extra(q, arena, w.key, w.value, true);
    }
}

struct str chat_field(struct json_node at, struct str member, struct arena *arena)
{
    struct str pointer = json_node_pointer(at, arena);
    struct str joined = member.n ? arena_printf(arena, "%.*s/%.*s", STR_ARG(pointer), STR_ARG(member)) : pointer;
    char *to = arena_alloc(arena, joined.n + 1);

    for (size_t i = 0; i < joined.n; i++)
        to[i] = joined.p[i] == '/' ? '.' : joined.p[i];
    return str_slice(str_of(to, joined.n), 1, joined.n);
}

struct str chat_field_indexed(struct json_node at, struct str member, struct arena *arena)
{
    struct str pointer = json_node_pointer(at, arena);
    struct buf to CLEANUP(buf_release) = BUF_INIT(pointer.n * 2 + member.n + 1);
    uint64_t index;

    (void)str_cut(&pointer, '/');
    while (pointer.p) {
        struct str step = str_cut(&pointer, '/');
        if (str_to_u64(step, UINT32_MAX, &index))
            buf_addf(&to, "[%.*s]", STR_ARG(step));
        else
            buf_addf(&to, "%s%.*s", to.n ? "." : "", STR_ARG(step));
    }
    if (member.n)
        buf_addf(&to, "%s%.*s", to.n ? "." : "", STR_ARG(member));
    return arena_str(arena, buf_str(&to));
}

/* --- efforts --- */

static const struct str effort_names[] = {
    [EFFORT_UNSET] = STR_INIT(""),      [EFFORT_NONE] = STR_INIT("none"),     [EFFORT_MINIMAL] = STR_INIT("minimal"),
    [EFFORT_LOW] = STR_INIT("low"),     [EFFORT_MEDIUM] = STR_INIT("medium"), [EFFORT_HIGH] = STR_INIT("high"),
    [EFFORT_XHIGH] = STR_INIT("xhigh"), [EFFORT_MAX] = STR_INIT("max")};

/* Tokens for each effort. No vendor publishes such a table; it is documented in docs/dialects.md. */
static const int64_t effort_budgets[] = {
    [EFFORT_UNSET] = -1,    [EFFORT_NONE] = 0,     [EFFORT_MINIMAL] = 1024, [EFFORT_LOW] = 2048,
    [EFFORT_MEDIUM] = 8192, [EFFORT_HIGH] = 16384, [EFFORT_XHIGH] = 24576,  [EFFORT_MAX] = 32768};

enum effort effort_of(struct str name)
{
    for (size_t i = EFFORT_NONE; i < ARRAY_LEN(effort_names); i++)
        if (str_eq(name, effort_names[i]))
            return (enum effort)i;
    return EFFORT_UNSET;
}

struct str effort_name(enum effort e)
{
    return effort_names[e];
}

int64_t effort_budget(enum effort e)
{
    return effort_budgets[e];
}

enum effort budget_effort(int64_t budget)
{
    size_t i = EFFORT_NONE;

    if (budget < 0)
        return EFFORT_UNSET;
    while (i + 1 < ARRAY_LEN(effort_budgets) && budget > effort_budgets[i])
        i++;
    return (enum effort)i;
}

/* --- asking --- */

unsigned chat_choices(const struct chat_request *q)
{
    uint64_t n;

    return str_to_u64(q->n.text, ANSWER_CHOICES_MAX, &n) && n > 1 ? (unsigned)n : 1;
}

bool turn_has(const struct turn *t, enum block_kind kind)
{
    for (const struct block *b = t->blocks; b; b = b->next)
        if (b->kind == kind)
            return true;
    return false;
}

const struct block *chat_find_call(const struct chat_request *q, struct str id, const struct turn *until)
{
    const struct block *found = NULL;

    for (const struct turn *t = q->turns; t && t != until; t = t->next)
        for (const struct block *b = t->role == CHAT_ASSISTANT ? t->blocks : NULL; b; b = b->next)
            if (b->kind == BLOCK_TOOL_CALL && str_eq(b->id, id))
                found = b;
    return found;
}

void chat_name_results(struct chat_request *q)
{
    struct map calls CLEANUP(map_release) = {0};

    for (struct turn *t = q->turns; t; t = t->next) {
        for (struct block *b = t->blocks; b; b = b->next) {
            if (b->kind == BLOCK_TOOL_CALL)
                map_put(&calls, b->id, b);
            const struct block *call = b->kind == BLOCK_TOOL_RESULT ? map_get(&calls, b->id) : NULL;
            if (call)
                b->name = call->name;
        }
    }
}

struct str blocks_text(const struct block *blocks, struct str joint, struct arena *arena)
{
    struct buf to CLEANUP(buf_release) = BUF_INIT(SIZE_MAX / 2);
    const struct block *only = NULL;
    size_t count = 0;

    for (const struct block *b = blocks; b; b = b->next) {
        if (b->kind != BLOCK_TEXT)
            continue;
        only = b;
        if (count++)
            buf_add(&to, joint);
        buf_add(&to, b->text);
    }
    return count > 1 ? arena_str(arena, buf_str(&to)) : only ? only->text : STR_NONE;
}

bool tool_is_allowed(const struct tool_choice *c, struct str name)
{
    for (size_t i = 0; i < c->allowed_count; i++)
        if (str_eq(c->allowed[i], name))
            return true;
    return !c->allowed;
}
