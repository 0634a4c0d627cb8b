/* ollama.h - requests to Ollama's /api/chat and /api/generate, brought into a question. Private to sim/. */
#ifndef SIM_OLLAMA_H
#define SIM_OLLAMA_H

#include "sim/question.h"

struct ollama_request {
    struct question q;
    bool load;     /* nothing is asked: the model is only loaded, or unloaded    */
    bool unload;   /* keep_alive is 0                                            */
    bool generate; /* /api/generate: one prompt, no messages                     */
};

/*
 * Read a request as Ollama's server does: unknown fields are ignored, known ones of the wrong type are refused in its words.
 *
 * E_PARSE with *r filled. The question borrows from arena and body.
 */
err_t ollama_read(struct arena *a, struct str body, bool generate, struct ollama_request *ret, struct sim_refusal *r)
    MUST_CHECK;

/* Check keep_alive, which other requests have, too: a number of seconds, or a duration as Go writes it. */
err_t ollama_check_keep_alive(struct arena *a, yyjson_val *keep_alive, bool *ret_zero, struct sim_refusal *r)
    MUST_CHECK;
/* Check the types of a table's fields, in the words of Go's JSON decoder. */
struct field_rule;
err_t ollama_check_types(struct arena *a, yyjson_val *obj, const char *type, const struct field_rule *rules,
                         size_t count, struct sim_refusal *r) MUST_CHECK;

#endif
