/* mistral_read.h - requests to Mistral's chat, FIM and embeddings, brought into a question. Private to sim/. */
#ifndef SIM_MISTRAL_READ_H
#define SIM_MISTRAL_READ_H

#include "sim/question.h"

/* Read a chat request. E_PARSE with *r filled: 422 for what does not validate, 400 for what does not make sense. Borrows arena, body. */
err_t mistral_read_chat(struct arena *a, struct str body, struct question *ret, struct sim_refusal *r) MUST_CHECK;
/* The same of a request for the middle between a prompt and a suffix. */
err_t mistral_read_fim(struct arena *a, struct str body, struct question *ret, struct sim_refusal *r) MUST_CHECK;

/* Check an object's members by a table; whatever has no rule is refused. `loc`: where it stands, "body" left out. E_PARSE with a 422. */
struct field_rule;
err_t mistral_check(struct arena *a, yyjson_val *obj, struct str loc, const struct field_rule *rules, size_t count,
                    struct sim_refusal *r) MUST_CHECK;
/* Parse a body: an object. */
err_t mistral_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root) MUST_CHECK;

#endif
