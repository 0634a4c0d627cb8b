/*
 * ollama_int.h - parts of the Ollama dialect, for one another and for dialect/ollama.c.
 *
 * Wire format: Ollama's API reference (docs/api.md), version 0.12.
 */
#ifndef LLM_OLLAMA_INT_H
#define LLM_OLLAMA_INT_H

#include "llm/dialect.h"

/* endpoint_row.variant of the rows. */
enum ollama_variant {
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
    OLLAMA_EMBED,     /* a list of vectors                       */
    OLLAMA_EMBED_ONE, /* the older form: one prompt, one vector  */
};

extern const struct dialect dialect_ollama;

/* --- ollama_request_read.c --- */
err_t ollama_read_chat(struct translation *t, const struct json_tree *doc, struct chat_request *ret,
                       struct str *ret_param);

/* --- ollama_request_write.c --- */
err_t ollama_write_chat(struct translation *t, const struct chat_request *q, struct provider_call *ret);

/* --- ollama_answer_read.c --- */
struct ollama_reader {
    struct arena *arena;
    bool started, over; /* over: END or ERROR was told                       */
    bool open;          /* a block of `kind` is, the last of `blocks`        */
    enum block_kind kind;
    unsigned blocks, calls, text_block; /* told so far; number of the last text */
    struct str stamp; /* created_at of the first line: makes ids of calls differ from answer to answer */
};
err_t ollama_reader_begin(void *state, struct arena *arena);
err_t ollama_reader_frame(void *state, const struct frame *f, struct arena *scratch, const struct chat_sink *sink);
err_t ollama_reader_end(void *state, const struct chat_sink *sink);
err_t ollama_read_answer(struct arena *arena, struct str body, const struct chat_sink *sink);
void ollama_read_error(struct arena *arena, int status, struct str body,
                       struct str (*header)(void *ctx, struct str name), void *ctx, struct api_error *ret);

/* --- ollama_answer_write.c --- */
struct ollama_held_call;
struct ollama_writer {
    struct answer_frame frame;
    struct str created_at;
    bool over;
    struct ollama_held_call *calls; /* that are open: their arguments so far */
    unsigned thought, call_count;   /* thought: the block that is open as one, plus one; 0: none */
    enum finish finish;
    struct usage usage;
};
err_t ollama_write_answer(const struct answer_frame *f, const struct answer *a, struct buf *to);
err_t ollama_writer_begin(void *state, const struct answer_frame *f, struct buf *to);
err_t ollama_writer_event(void *state, const struct chat_event *e, struct buf *to);
/* A request without messages or prompt only loads its model: answered without asking anybody. */
bool ollama_answer_here(const struct translation *t, struct json_node root, struct buf *to);
void ollama_write_error(const struct translation *t, const struct api_error *e, struct buf *to, int *ret_status,
                        struct call_header ret_headers[2]);

/* --- ollama_embed.c --- */
err_t ollama_read_embed(struct translation *t, const struct json_tree *doc, struct embed_request *ret,
                        struct str *ret_param);
err_t ollama_write_embed(struct translation *t, const struct embed_request *q, struct provider_call *ret);
err_t ollama_read_embed_answer(struct arena *arena, struct str body, struct embed_answer *ret);
err_t ollama_write_embed_answer(const struct answer_frame *f, const struct embed_request *q,
                                const struct embed_answer *a, struct buf *to);

/* --- ollama_models.c --- */
err_t ollama_write_models(const struct translation *t, const struct model_card *cards, size_t n, struct buf *to);
err_t ollama_write_model(const struct translation *t, const struct model_card *card, struct buf *to);
/* Seconds since 1970 as RFC 3339, in UTC; in the arena. */
struct str ollama_time(int64_t seconds, struct arena *arena);

#endif
