/*
 * lookalike.h - what the surfaces of OpenAI's look-alikes have in common. Each is a file in surface/ with its own chat_style, which
 * says how it differs. Private to sim/.
 */
#ifndef SIM_LOOKALIKE_H
#define SIM_LOOKALIKE_H

#include "sim/chat_style.h"
#include "sim/surface.h"

/* Chat and models below `base`, a literal. */
#define LOOKALIKE_CHAT_ROUTES(base)                                                                                    \
    {"POST", STR_INIT(base "/chat/completions"), lookalike_chat_endpoint, NULL},                                       \
        {"GET", STR_INIT(base "/models"), models_list_endpoint, NULL},                                                 \
    {                                                                                                                  \
        "GET", STR_INIT(base "/models/{id...}"), models_get_endpoint, NULL                                             \
    }
/* These, and legacy completions and embeddings. */
#define LOOKALIKE_ROUTES(base)                                                                                         \
    LOOKALIKE_CHAT_ROUTES(base), {"POST", STR_INIT(base "/completions"), completions_endpoint, NULL},                  \
    {                                                                                                                  \
        "POST", STR_INIT(base "/embeddings"), embeddings_endpoint, NULL                                                \
    }

/* Chat completions in the style of t->surface. */
err_t lookalike_chat_endpoint(struct sim_turn *t) SUSPENDS;
/* The same in another one, borrowed until the answer has been sent. */
err_t lookalike_chat(struct sim_turn *t, const struct chat_style *style) SUSPENDS MUST_CHECK;
/* For sim_surface.write_refusal: in the form that the surface's style names. */
void lookalike_write_refusal(const struct sim_play *p, const struct sim_refusal *why, struct buf *to);
/* For sim_surface.add_headers: x-request-id, retry-after. */
void lookalike_add_headers(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to);

/* For chat_style.check and .finish: does the last user message hold this word? */
bool lookalike_has_trigger(const struct question *q, struct str word);
/* Refuse a request whose choices are not one. */
err_t lookalike_one_choice(struct arena *a, const struct question *q, struct sim_refusal *r) MUST_CHECK;

#endif
