/*
 * surface.h - a dialect that the simulated provider answers in: its paths, who may ask, and how it says no.
 *
 * One file src/sim/surface/<stem>.c with one `const struct sim_surface sim_surface_<stem>` is one surface; the build lists them
 * (scripts/gen-catalog). Slots that are NULL have the stated default. Surfaces are written from the providers' documentation and
 * share nothing with the gateway's translation, so that a mistake there is found here.
 *
 * Which surface a request belongs to: "/anthropic/v1/messages" is asked of the surface "anthropic", if that has "/v1/messages". Any
 * other path is asked of all natural surfaces, sorted by name: first of their routes with a condition, then of those without.
 */
#ifndef SIM_SURFACE_H
#define SIM_SURFACE_H

#include "sim/turn.h"

struct chat_style;

struct sim_route {
    const char *method;
    /*
     * Compared with the path as it came, not decoded. "{id}" stands for what is in one segment, up to the text behind it:
     * "/v1beta/models/{id}:countTokens". "{id...}" takes slashes, too. It goes to turn.id, decoded once. Placeholders of other names
     * are matched and not kept.
     */
    struct str path;
    sim_endpoint_fn *endpoint;
    /* Is the route this request's, its path being right? NULL: yes. For paths that several dialects have; not asked behind
     * "/<name>". */
    bool (*condition)(const struct http_request *r);
};

struct sim_surface {
    const char *name; /* the file's stem, with - for _; "/<name>" before a path selects the surface */
    const struct sim_route *routes;
    size_t route_count;
    bool natural;                   /* are its paths served without "/<name>", too? */
    struct str base;                /* before all paths; clients may leave it out or repeat it: "/v1". Empty: none */
    const struct chat_style *style; /* for lookalike_chat_endpoint(); NULL: of those that do not use it */
    /* Check the credentials. NULL: Authorization: Bearer, one of the scenario's api_keys if it has any. E_PARSE with t->refusal
     * filled. */
    err_t (*check_key)(struct sim_turn *t);
    /* Append the body of an error. NULL: OpenAI's form. */
    void (*write_refusal)(const struct sim_play *p, const struct sim_refusal *why, struct buf *to);
    /* Add headers to an answer (`why` NULL) or an error. NULL: OpenAI's: x-request-id, openai-version, retry-after and
     * retry-after-ms. */
    void (*add_headers)(const struct sim_play *p, const struct sim_refusal *why, struct sim_head *to);
    /* Add what is left of the key's rate limits. NULL: x-ratelimit-{limit,remaining,reset}-{requests,tokens}. */
    void (*add_limits)(const struct sim_play *p, const struct sim_limits_left *left, struct sim_head *to);
};

/* A condition that no request without "/<name>" meets. */
bool sim_route_named(const struct http_request *r);

/* All surfaces, sorted by name; NULL-terminated. */
extern const struct sim_surface *const sim_surface_catalog[];
extern const size_t sim_surface_catalog_count;
/* The one that a request without a route is answered by. */
extern const struct sim_surface sim_surface_openai;
/* The one that shares paths with sim_surface_tei. */
extern const struct sim_surface sim_surface_vllm;

/* Find a request's surface and route, and set t->surface, t->id. E_PARSE with t->refusal filled: there is none, or not for this
 * method, or {id} is badly coded; t->surface is then the one to say so. */
err_t sim_surface_find(struct sim_turn *t, sim_endpoint_fn **ret) MUST_CHECK;

/* Does `pattern` (see sim_route) match? *ret_id is what {id} stands for, not decoded; untouched where there is no {id}. */
bool sim_route_matches(struct str pattern, struct str path, struct str *ret_id);

#endif
