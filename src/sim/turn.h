/*
 * turn.h - one request on its way through the simulated provider: what its endpoint has at hand. Private to sim/.
 */
#ifndef SIM_TURN_H
#define SIM_TURN_H

#include "sim/chat_write.h"
#include "sim/play.h"

struct sim_provider;
struct sim_model_state;
struct file_store;
struct prefix_cache;
struct response_store;
struct sim_surface;

struct sim_turn {
    struct sim_provider *provider;
    const struct scenario *scenario;
    const struct sim_surface *surface; /* which dialect is spoken */
    struct http_request *r;
    struct arena *a;  /* the request's                                             */
    struct str id;    /* what stands for {id} in the path, decoded                 */
    struct str key;   /* that it came with, set by turn_knows_key(); empty: none           */
    struct str body;  /* set by turn_body()                                              */
    struct str model; /* where the path names the model: turn_body() puts it into the body      */
    uint64_t seed;
    size_t held_tokens;            /* that turn_count_prompt() has counted                              */
    struct sim_mark mark;          /* set by turn_begin()                                       */
    struct sim_model_state *state; /* likewise; NULL before                                     */
    struct sim_plan plan;          /* likewise                                                  */
    struct sim_override override;
    struct sim_play play;
    struct sim_refusal refusal; /* set where an endpoint returns E_PARSE with a status here  */
    struct buf *room;           /* to build the answer in; empty                             */
};

/* An endpoint. E_PARSE with t->refusal filled: the caller sends it. */
typedef err_t sim_endpoint_fn(struct sim_turn *t) SUSPENDS;

/* The whole request body; the same again if it is asked for twice. Suspends. */
err_t turn_body(struct sim_turn *t, struct str *ret_body) SUSPENDS MUST_CHECK;
/*
 * Find the model, count the request, make its plan, and let happen what happens instead of an answer.
 *
 * question  sim_hash() of what was asked
 * ret_over  the request has been dealt with
 *
 * E_PARSE with t->refusal filled: no such model, or a wrong x-sim header.
 */
err_t turn_begin(struct sim_turn *t, struct str model, uint64_t question, bool *ret_over) SUSPENDS MUST_CHECK;
/* The model's own figures, after turn_begin(). */
const struct sim_model *turn_model(const struct sim_turn *t);
/* Count prompt tokens of an answered request. */
void turn_count_prompt(struct sim_turn *t, size_t tokens);
/* Answer with the JSON in t->room, at once. */
err_t turn_reply_json(struct sim_turn *t, int status) SUSPENDS MUST_CHECK;

/* Stores of this provider, made on first use. */
struct file_store *turn_files(struct sim_turn *t);
struct response_store *turn_responses(struct sim_turn *t);
/* Beginnings of prompts that it has cached. */
struct prefix_cache *turn_prefixes(struct sim_turn *t);

/* The page that was the first to be kept of this provider: `page`, if none was. It lives as long as the provider. */
struct str turn_first_page(struct sim_turn *t, struct str page);

/* What follows "Bearer " in the authorization header; empty if there is none. */
struct str turn_bearer(const struct sim_turn *t);
/* Is it one of the scenario's keys, and not revoked? If that has none, any will do, an empty one too. It is the request's key from now on. */
bool turn_knows_key(struct sim_turn *t, struct str key);

/* The endpoints. */
err_t chat_endpoint(struct sim_turn *t) SUSPENDS;
err_t completions_endpoint(struct sim_turn *t) SUSPENDS;
err_t embeddings_endpoint(struct sim_turn *t) SUSPENDS;
err_t moderations_endpoint(struct sim_turn *t) SUSPENDS;
err_t models_list_endpoint(struct sim_turn *t) SUSPENDS;
err_t models_get_endpoint(struct sim_turn *t) SUSPENDS;
err_t stats_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_create_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_get_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_delete_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_cancel_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_items_endpoint(struct sim_turn *t) SUSPENDS;
err_t responses_count_endpoint(struct sim_turn *t) SUSPENDS;
err_t files_create_endpoint(struct sim_turn *t) SUSPENDS;
err_t files_list_endpoint(struct sim_turn *t) SUSPENDS;
err_t files_get_endpoint(struct sim_turn *t) SUSPENDS;
err_t files_delete_endpoint(struct sim_turn *t) SUSPENDS;
err_t files_content_endpoint(struct sim_turn *t) SUSPENDS;
err_t speech_endpoint(struct sim_turn *t) SUSPENDS;
err_t transcriptions_endpoint(struct sim_turn *t) SUSPENDS;
err_t images_endpoint(struct sim_turn *t) SUSPENDS;

#endif
