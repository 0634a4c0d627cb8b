/*
 * cohere_int.h - what the files of the Cohere surface share: the chat request as it was read, and the checks of fields. Private to
 * the surface.
 *
 * Source: Cohere API v2 reference.
 */
#ifndef SIM_COHERE_INT_H
#define SIM_COHERE_INT_H

#include "sim/answer.h"
#include "sim/fields.h"
#include "sim/turn.h"

enum { COHERE_STOPS_MAX = 5, COHERE_TEXTS_MAX = 96 };

/* What an answer may cite. */
struct cohere_source {
    bool is_tool;
    struct str id;    /* "doc:0", or "<call>:0" for what a tool said */
    struct str value; /* JSON of the document, or of the tool's output */
};

struct cohere_chat {
    struct question q;
    struct cohere_source *sources; /* documents, and results of the last calls */
    size_t source_count;
    bool cites;    /* citations are wanted          */
    bool thinking; /* reasoning is told, no tool_plan */
};

/* Read the body of POST /v2/chat. E_PARSE with *r filled. */
err_t cohere_chat_read(struct arena *a, struct str body, struct cohere_chat *ret, struct sim_refusal *r) MUST_CHECK;
/* Append the whole answer. */
err_t cohere_chat_write(const struct cohere_chat *c, const struct sim_answer *answer, const struct sim_mark *mark,
                        struct buf *to) MUST_CHECK;
/* A stream of it, in the arena; borrows everything. */
struct sim_feed *cohere_chat_feed(struct arena *a, const struct cohere_chat *c, const struct sim_answer *answer,
                                  const struct sim_mark *mark);

/* Check an object against a table, and refuse in Cohere's words: 422 for unknown fields and wrong types, else 400. */
err_t cohere_fields(struct arena *a, yyjson_val *obj, struct str path, const struct field_rule *rules, size_t count,
                    struct sim_refusal *r) MUST_CHECK;
/* Parse a body, which must be an object. E_PARSE with *r filled. */
err_t cohere_parse(struct arena *a, struct str body, struct sim_refusal *r, yyjson_val **ret_root) MUST_CHECK;
/* A 400; returns E_PARSE. */
#define cohere_refuse(a, r, ...) refuse_status((a), (r), 400, NULL, "invalid request: " __VA_ARGS__)

/* What is to be embedded: by POST /v2/embed, or hosted elsewhere. */
struct cohere_embed {
    struct str model; /* STR_NONE where it is hosted                                       */
    struct str *texts;
    size_t count, tokens;
    size_t dimensions; /* 0: the model's                                                   */
    unsigned types;    /* bit k: of the k-th type of the documentation; 0: none were named */
    bool echoes;       /* the texts come back                                              */
    uint64_t hash;
};

/* Check and read a request. `is_hosted`: in the form of Amazon Bedrock, without model. E_PARSE with *r filled. */
err_t cohere_embed_read(struct arena *a, yyjson_val *root, bool is_hosted, struct cohere_embed *ret,
                        struct sim_refusal *r) MUST_CHECK;
/* Append the answer, after turn_begin(). Where no types were named: `is_hosted` gives a plain array of vectors, else "float". */
err_t cohere_embed_write(struct sim_turn *t, struct cohere_embed *e, bool is_hosted, struct buf *to) SUSPENDS
MUST_CHECK;

err_t cohere_embed_endpoint(struct sim_turn *t) SUSPENDS;
err_t cohere_rerank_endpoint(struct sim_turn *t) SUSPENDS;

#endif
