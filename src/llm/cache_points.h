/*
 * cache_points.h - which of a client's cache marks a provider is told, where it takes a few only. Pure.
 *
 * Anthropic's models, on any host, take four: the last mark of the tools, the last of the system text and the last ones of the messages
 * serve best. They must not live longer than one before them, in the order tools, system, messages.
 */
#ifndef LLM_CACHE_POINTS_H
#define LLM_CACHE_POINTS_H

#include "llm/chat.h"
#include "llm/loss.h"

enum { CACHE_POINTS_MAX = 4 };

enum cache_place { CACHE_OF_TOOLS, CACHE_OF_SYSTEM, CACHE_OF_MESSAGES, CACHE_PLACES };

struct cache_points {
    size_t skip[CACHE_PLACES]; /* marks still to be left out, from the first */
    bool short_lived;          /* a mark of five minutes was told            */
    bool default_is_hour;      /* a mark without a time means an hour        */
    bool hour_told;            /* and such a mark was told                   */
    struct losses *losses;
};

/* Plan for what will be told: the tools that the choice allows, and these. */
void cache_points_plan(struct cache_points *p, const struct chat_request *q, const struct block *system,
                       const struct turn *turns, struct losses *losses);
/* The next mark in this order: what is to be told of it, CACHE_NONE for nothing. */
enum cache_hint cache_points_take(struct cache_points *p, enum cache_place place, enum cache_hint hint,
                                  struct json_node from);

#endif
