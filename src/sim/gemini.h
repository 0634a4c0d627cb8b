/*
 * gemini.h - Google's generateContent and what belongs to it, as the simulated provider serves it. Private to sim/.
 *
 * The Gemini API and Vertex AI take the same messages and give the same answers; they differ in paths, credentials and a few members.
 */
#ifndef SIM_GEMINI_H
#define SIM_GEMINI_H

#include "sim/answer.h"
#include "sim/turn.h"

enum gemini_block { GEMINI_UNBLOCKED, GEMINI_PROMPT_BLOCKED, GEMINI_ANSWER_BLOCKED };

struct gemini_request {
    struct question q;
    enum gemini_block block; /* because the question says so                      */
    bool signs;              /* a model that demands its thought signatures back  */
    bool shows_thoughts;
    bool names_choice; /* the answer is one of a schema's enum, without quotes    */
    bool vertex;
    size_t image_tokens, media_tokens; /* of the prompt, by what they are of */
};

/* Read and check a request to generateContent, or to countTokens if `counts`. E_PARSE with *r filled. Borrows from arena and body. */
err_t gemini_read(struct arena *a, struct str body, struct str model, bool vertex, bool counts,
                  struct gemini_request *ret, struct sim_refusal *r) MUST_CHECK;
/* Parse a body: a JSON object. E_PARSE with *r filled. */
err_t gemini_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root) MUST_CHECK;

/* Append a whole answer. */
void gemini_write(const struct gemini_request *req, const struct sim_answer *answer, const struct sim_mark *mark,
                  struct buf *to);
/* A stream of it, in the arena: server-sent events, or one JSON array. */
struct sim_feed *gemini_feed(struct arena *a, const struct gemini_request *req, const struct sim_answer *answer,
                             const struct sim_mark *mark, bool events);
/* Append {"error":{...}}. */
void gemini_write_error(const struct sim_refusal *why, struct buf *to);

/* The endpoints; turn.id is the model. */
err_t gemini_generate_endpoint(struct sim_turn *t) SUSPENDS;
err_t gemini_stream_endpoint(struct sim_turn *t) SUSPENDS;
err_t gemini_count_endpoint(struct sim_turn *t) SUSPENDS;
err_t gemini_embed_endpoint(struct sim_turn *t) SUSPENDS;
err_t gemini_batch_embed_endpoint(struct sim_turn *t) SUSPENDS;
err_t gemini_predict_endpoint(struct sim_turn *t) SUSPENDS;

/* Is the error to be wrapped in an array, because the answer would have been one? */
bool gemini_wants_array(const struct http_request *r);

#endif
