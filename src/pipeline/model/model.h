/*
 * model.h - what a model node asks of the gateway, and what it makes of the answer. Private to pipeline/; its configuration is node/model.c's.
 *
 * A model is asked through the gateway of the shard's loop (gateway/inner.h): with the same failover, limits and records as a client's request. What an
 * output cost and where it came from goes into the journal with it (step_note()).
 */
#ifndef PIPELINE_MODEL_H
#define PIPELINE_MODEL_H

#include "gateway/inner.h"
#include "jsonschema/jsonschema.h"
#include "pipeline/run/run.h"
#include "pipeline/spec/build.h"

enum model_task { TASK_CHAT, TASK_EMBED, TASK_RANK };

struct model_node {
    struct schema_text route, degrade, key, prompt, system, input, query, documents, output_schema;
    unsigned repair, batch, max_tokens, top;
    ns_t linger;
    double temperature;
    bool stream;
    enum model_task task;
    const struct template *prompt_text, *system_text;
    const struct expr *input_expr, *query_expr, *documents_expr;
    const struct pipeline_schema *schema;
    const struct jsonschema *checker;    /* of the schema; NULL: there is none, or its text is not known  */
    bool asks_form;                      /* the schema goes along as response_format: its root is an object */
    struct str prompt_hash, schema_hash; /* 16 hex digits of SHA-256; empty: there is none               */
};

/* All that was asked for one output. */
struct model_bill {
    uint64_t input, output, price; /* tokens; nano-US-dollars */
    unsigned asked, attempts, repairs;
    bool is_unpriced; /* of something of it the price is not known */
};

/* The route that the step asks: the node's, or, when it is late, the quicker one (`on_late: degrade`). */
struct str model_route(const struct step *s);
/*
 * Ask model_route(). *ret is in the root's arena.
 *
 * path, body  of the request, in OpenAI's dialect (of rankings: Jina's)
 * bill        is added to
 *
 * Suspends. Errors: gateway_ask()'s and inner_check()'s; E_CONFIG: nobody runs a gateway here.
 */
err_t model_ask(struct step *s, struct str path, struct str body, struct model_bill *bill, struct inner_answer *ret)
    SUSPENDS MUST_CHECK;
/* The same with what hears the answer's pieces as they come (struct inner_question); ret->body is empty then. */
err_t model_ask_aloud(struct step *s, const struct inner_question *q, struct model_bill *bill, struct inner_answer *ret)
    SUSPENDS MUST_CHECK;
/*
 * Of a chat that is streamed: ask, and hand the text on as it comes (step_send_early()). *ret_text is all of it, in the root's arena. As model_ask(); E_UPSTREAM:
 * it broke off.
 */
err_t model_stream(struct step *s, struct str body, struct model_bill *bill, struct inner_answer *ret,
                   struct str *ret_text) SUSPENDS MUST_CHECK;
/* Note with the step's outputs where they came from and what they cost. `share`: of so many records that were asked for together. */
err_t model_note(struct step *s, const struct inner_answer *a, const struct model_bill *bill, size_t share) MUST_CHECK;

/* The node's `call`, by task. E_PARSE: the answer does not fit the schema, whatever was tried; E_FORBIDDEN: the model refuses; E_PROTOCOL: it is no answer. */
err_t model_chat(struct step *s) SUSPENDS;
err_t model_embed(struct step *s) SUSPENDS;
err_t model_rank(struct step *s) SUSPENDS;
/* What model_embed() keeps at the node (step_kept()). */
void model_embed_drop(void *batches);

#endif
