/*
 * local.h - what the surfaces of self-hosted servers have in common: one model whose name nobody need say, tokens with numbers, and
 * inputs that are a text or many. Private to sim/.
 */
#ifndef SIM_LOCAL_H
#define SIM_LOCAL_H

#include "sim/turn.h"

#include <yyjson.h>

/* Tokens that fit into a self-hosted model. */
enum { LOCAL_MODEL_LENGTH = 32768 };

/* The model that a server called `usual` serves: that one if the scenario has it, else the first that it names. */
struct str local_model(const struct sim_turn *t, struct str usual);
/* The number of a token in the vocabulary. */
unsigned local_token_id(struct str token) PURE;
/* Log-probability of a token, as a JSON number. Static, or in the arena. */
struct str local_logprob(struct arena *a, struct str token);

/* Texts of a request, and what they count. */
struct local_inputs {
    struct str *texts;
    size_t count, tokens, longest; /* longest: tokens of one */
    uint64_t hash;
    bool is_list; /* not a single one */
};

/*
 * Read a string, an array of strings, token numbers, or arrays of them. At most `max` inputs.
 *
 * False if it is something else; *ret_many: too many.
 */
bool local_read_inputs(struct arena *a, yyjson_val *v, size_t max, struct local_inputs *ret, bool *ret_many);

/* POST /tokenize as vLLM has it (vLLM documentation, "Tokenizer API"): {prompt} or {messages}. */
err_t local_tokenize_endpoint(struct sim_turn *t) SUSPENDS;
/* GET /health: 200 without a body; 503 if the scenario says so. */
err_t local_health_endpoint(struct sim_turn *t) SUSPENDS;

#endif
