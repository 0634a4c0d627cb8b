/* cache_points.c - the last marks count, and shorter lives stand behind longer ones. */
#include "llm/cache_points.h"

static size_t count(const struct block *b)
{
    size_t n = 0;

    for (; b; b = b->next)
        n += b->cache != CACHE_NONE;
    return n;
}

void cache_points_plan(struct cache_points *p, const struct chat_request *q, const struct block *system,
                       const struct turn *turns, struct losses *losses)
{
    size_t tools = 0, texts = count(system), messages = 0, room = CACHE_POINTS_MAX;

    *p = (struct cache_points){.losses = losses, .default_is_hour = str_eq(q->cache_retention.text, STR("24h"))};
    for (const struct tool *t = q->tools; t; t = t->next)
        tools += t->cache != CACHE_NONE && tool_is_allowed(&q->tool_choice, t->name);
    for (const struct turn *t = turns; t; t = t->next)
        messages += count(t->blocks);
    if (tools + texts + messages <= room)
        return;
    p->skip[CACHE_OF_TOOLS] = tools ? tools - 1 : 0;
    p->skip[CACHE_OF_SYSTEM] = texts ? texts - 1 : 0;
    room -= (size_t)(tools > 0) + (size_t)(texts > 0);
    p->skip[CACHE_OF_MESSAGES] = messages > room ? messages - room : 0;
}

enum cache_hint cache_points_take(struct cache_points *p, enum cache_place place, enum cache_hint hint,
                                  struct json_node from)
{
    if (hint == CACHE_NONE)
        return CACHE_NONE;
    if (p->skip[place]) {
        p->skip[place]--;
        loss_note(p->losses, LOSS_CHANGED, from, "at most four cache points; the last ones are kept");
        return CACHE_NONE;
    }
    if (hint == CACHE_DEFAULT && p->default_is_hour) {
        hint = CACHE_1H;
        p->hour_told = true;
    }
    if (hint == CACHE_1H && p->short_lived) {
        loss_note(p->losses, LOSS_CHANGED, from, "a cache point of an hour cannot stand behind one of five minutes");
        hint = CACHE_DEFAULT;
    }
    p->short_lived = p->short_lived || hint != CACHE_1H;
    return hint;
}
