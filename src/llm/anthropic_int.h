/*
 * anthropic_int.h - parts of the Anthropic dialect, for one another and for dialect/anthropic.c.
 *
 * Wire format: Anthropic's Messages API reference, versions 2023-06-01 and 2026-10-21, and its pages on Amazon Bedrock (InvokeModel,
 * "bedrock-2023-05-31") and Vertex AI (rawPredict, "vertex-2023-10-16").
 */
#ifndef LLM_ANTHROPIC_INT_H
#define LLM_ANTHROPIC_INT_H

#include "llm/dialect.h"

/* Which form of the API a client speaks; endpoint_row.variant. */
enum anthropic_form { ANTHROPIC_NATIVE, ANTHROPIC_OF_BEDROCK, ANTHROPIC_OF_VERTEX };

extern const struct dialect dialect_anthropic;

/* --- anthropic_request_read.c --- */
err_t anthropic_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                          struct str *ret_param);
/* A citation of a text block. */
struct citation anthropic_citation(struct json_node v, struct arena *arena);

/* --- anthropic_request_write.c --- */
err_t anthropic_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t anthropic_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t anthropic_pass_path(const struct translation *t, bool stream, struct str *ret_path);

/* --- anthropic_answer_read.c --- */
struct anthropic_reader {
    struct arena *arena;
    bool started, over;      /* over: END or ERROR was told                                            */
    bool has_finish;         /* a stop_reason was seen; FINISH is told when nothing can follow          */
    bool open;               /* a block is                                                              */
    bool spoke;              /* of the open block: text was told                                        */
    enum block_kind kind;    /* likewise                                                                */
    int64_t theirs;          /* likewise: the provider's index                                          */
    struct str input;        /* likewise, of a call: arguments that came with its start                 */
    struct str opaque;       /* likewise, if it has no canonical form: its start                        */
    struct buf opaque_input; /* and the arguments that followed                                         */
    unsigned blocks;         /* told so far                                                             */
    enum finish finish;
    struct str stop_sequence, tier;
    uint64_t input_tokens; /* without cached ones, as Anthropic counts */
    struct usage usage;
};
err_t anthropic_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
err_t anthropic_reader_begin(void *state, struct arena *arena);
err_t anthropic_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t anthropic_reader_end(void *state, const struct chat_sink *sink);
err_t anthropic_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens);
void anthropic_read_error(struct arena *arena, int status, struct str body,
                          struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);

/* --- anthropic_answer_write.c --- */
struct anthropic_held; /* a block that is not yet, or not wholly, told to the client */
struct anthropic_writer {
    struct answer_frame frame;
    struct buf event; /* of Bedrock's frames: the event inside   */
    bool started, over, has_call;
    unsigned index;              /* of the block that is told, or else of the next */
    struct anthropic_held *held; /* blocks in order; the first is the one that is told */
    enum finish finish;
    struct str stop_sequence, tier;
    struct usage usage;
};
enum framing anthropic_framing(const struct translation *t);
err_t anthropic_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t anthropic_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t anthropic_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t anthropic_writer_follow(void *state, const struct frame *f, struct arena *scratch);
/* The wrapping of Bedrock's events off, {"bytes": "<base64>"}; the tree as it is if there is none. */
err_t anthropic_unwrap(struct arena *scratch, const struct json_tree **tree) MUST_CHECK;
err_t anthropic_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to);
err_t anthropic_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t anthropic_write_model(const struct translation *t, const struct model_card *card, struct buf *to);
void anthropic_error_answer(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                            struct call_header ret_headers[2]);

#endif
