/*
 * bedrock_int.h - parts of the Bedrock dialect, for one another and for dialect/bedrock.c.
 *
 * Wire format: Amazon Bedrock API reference (Converse, ConverseStream, CountTokens, InvokeModel) and user guide ("Inference request parameters
 * and response fields for foundation models"), November 2026.
 */
#ifndef LLM_BEDROCK_INT_H
#define LLM_BEDROCK_INT_H

#include "llm/dialect.h"
#include "llm/sequence.h"

extern const struct dialect dialect_bedrock;

/* endpoint_row.variant: by which operation a client came. */
enum bedrock_operation { BEDROCK_CONVERSE, BEDROCK_COUNT, BEDROCK_INVOKE, BEDROCK_MODELS };

/* --- bedrock_model.c: what families of models take --- */
enum {
    BEDROCK_CLAUDE = 1 << 0,
    BEDROCK_NOVA = 1 << 1,
    BEDROCK_CACHES = 1 << 2,       /* cachePoint in system and messages              */
    BEDROCK_CACHES_TOOLS = 1 << 3, /* and among tools                                */
    BEDROCK_MIXES = 1 << 4,        /* text behind toolResult in one message          */
    BEDROCK_FORMATS = 1 << 5,      /* outputConfig.textFormat, and strict tools      */
    BEDROCK_FORCES = 1 << 6,       /* toolChoice any or tool                         */
    BEDROCK_STATUS = 1 << 7,       /* status of a toolResult                         */
    BEDROCK_SIGNED = 1 << 8,       /* Claude's signed thoughts, in what is sent back */
    BEDROCK_EFFORT = 1 << 9,       /* reasoning_effort among its own fields          */
    BEDROCK_FORM_EFFORT = 1 << 10, /* outputConfig.effort, of whoever it may be      */
};
struct bedrock_family {
    struct str mark; /* in its models' ids */
    unsigned takes;
    struct str top_k; /* name of it among the model's own fields; empty: has none */
};
const struct bedrock_family *bedrock_family_of(struct str model);
/* "png" of "image/png", by kind of block; empty if Bedrock has none. Static. */
struct str bedrock_format_of(enum block_kind kind, struct str type);
/* "image/png" of "png"; empty if it is unknown. Static. */
struct str bedrock_type_of(enum block_kind kind, struct str format);
/* The path of an operation on a model: "/model/…/converse". In the arena. */
struct str bedrock_path(struct arena *arena, struct str model, struct str operation);
err_t bedrock_pass_path(const struct translation *t, bool stream, struct str *ret_path);

/* --- bedrock_request_read.c --- */
err_t bedrock_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                        struct str *ret_param);
/* A citation, whole or as a piece of a stream. */
struct citation bedrock_citation(struct json_node v, struct arena *arena);

/* --- bedrock_request_write.c --- */
err_t bedrock_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);
err_t bedrock_ask_count(struct translation *t, const struct chat_request *q, struct provider_call *ret);

/* --- bedrock_answer_read.c --- */
struct bedrock_reader {
    struct arena *arena;
    bool started, over;   /* over: END or ERROR was told                         */
    bool stopped;         /* messageStop was seen: the answer is whole           */
    bool open, spoke;     /* a block is; text of it was told                     */
    bool untold;          /* the open block is the service's own: it is not told */
    bool called;          /* some block was a call                               */
    enum block_kind kind; /* of the open block                                   */
    int64_t theirs;       /* its index at the provider                           */
    struct buf blob;      /* what was thought in secret, of the open block       */
    unsigned blocks;      /* told so far                                         */
    enum finish finish;
    struct str stop_sequence, tier;
    struct usage usage;
};
err_t bedrock_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
err_t bedrock_reader_begin(void *state, struct arena *arena);
err_t bedrock_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t bedrock_reader_end(void *state, const struct chat_sink *sink);
err_t bedrock_read_count(struct arena *arena, struct str body, uint64_t *ret_tokens);

/* --- bedrock_answer_write.c --- */
struct bedrock_writer {
    struct answer_frame frame;
    struct sequence *sequence; /* puts blocks one after the other */
    struct chat_sink told;     /* to here                         */
    struct buf *to;            /* of the event being written      */
    bool over, has_call, names_stop;
    unsigned index; /* of the block being told, or of the next */
    enum block_kind kind;
    bool announced;       /* something of it was told                */
    struct str signature; /* of a call; told behind it               */
    enum finish finish;
    struct str stop_sequence, tier;
    struct usage usage;
};
enum framing bedrock_framing(const struct translation *t);
err_t bedrock_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t bedrock_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t bedrock_writer_event(void *state, const struct chat_event *e, struct buf *to);
err_t bedrock_writer_follow(void *state, const struct frame *f, struct arena *scratch);
err_t bedrock_write_count(const struct translation *t, uint64_t tokens, bool exact, struct buf *to);
err_t bedrock_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t bedrock_write_model(const struct translation *t, const struct model_card *card, struct buf *to);

/* --- bedrock_error.c --- */
/*
 * What an exception of that name means; what the name does not tell, the status and the words do.
 *
 * status  of the answer; 0: in a stream
 */
void bedrock_classify(struct arena *arena, int status, struct str name, struct str message, struct api_error *ret);
void bedrock_read_error(struct arena *arena, int status, struct str body,
                        struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);
void bedrock_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                         struct call_header ret_headers[2]);
/* The same as a frame of a stream. */
err_t bedrock_write_exception(const struct api_error *e, struct buf *to);

/* --- bedrock_invoke.c: embeddings and rerank --- */
err_t bedrock_read_embed_request(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                                 struct str *ret_param);
err_t bedrock_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                 const struct embed_answer *a, struct buf *to);
err_t bedrock_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret);
err_t bedrock_read_embed(struct arena *arena, struct str body, struct embed_answer *ret);
size_t bedrock_embed_batch(const struct translation *t);
err_t bedrock_write_rerank(struct translation *t, const struct rerank_request *q, struct provider_call *ret);
err_t bedrock_read_rerank(struct arena *arena, struct str body, struct rerank_answer *ret);

#endif
